"""What bits-back is made of: the stack, the grid, levels bit by bit, factors of distributions."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from bits_back_models import MODELS, made
from scipy import stats

from ancestral.applications.compression.entropy import CorruptWords
from ancestral.applications.compression.latent_coders import Stacked
from ancestral.applications.compression.latent_factors import factors_of, gaussian_like
from ancestral.applications.compression.latent_grid import LatentGrid
from ancestral.applications.compression.latent_spaces import latent_space
from ancestral.applications.compression.latent_stack import LatentStack, random_words
from ancestral.applications.compression.ordered_levels import pop_levels, push_levels
from ancestral.core import Batch, Draws
from ancestral.distributions import DiscretizedLogistic, FullNormal, SiteMixture
from ancestral.flows import MaskedAutoregressive


def test_random_words_are_the_end_of_one_stream():
    assert np.array_equal(random_words(9, seed=3)[-5:], random_words(5, seed=3))
    assert (random_words(1000, seed=3) != 0).all()


def test_whitening_twice_is_nothing():
    stack = LatentStack(random_words(20, seed=0))
    before = stack.words
    stack.whiten(7, seed=1)
    changed = stack.words != before
    assert changed[11:18].all()
    assert not changed[:11].any()
    assert not changed[18:].any()
    stack.whiten(7, seed=1)
    assert np.array_equal(stack.words, before)
    stack.whiten(100, seed=2)  # more than there are
    stack.whiten(100, seed=2)
    assert np.array_equal(stack.words, before)
    empty = LatentStack()
    empty.whiten(3, seed=0)
    assert empty.is_empty


def test_popped_normals_are_draws_and_cost_their_mass():
    stack = LatentStack(random_words(20_000, seed=0))
    number, loc, scale = 20_000, 0.3, 5.0
    before = stack.num_bits
    drawn = stack.pop_normals(np.full(number, loc), np.full(number, scale), bound=64)
    # fails once in 1,000 times for another seed
    assert (
        stats.kstest(drawn + np.random.default_rng(0).random(number) - 0.5, "norm", (loc, scale))[
            1
        ]
        > 1e-3
    )
    entropy = math.log2(scale * math.sqrt(2 * math.pi * math.e))
    assert (before - stack.num_bits) / number == pytest.approx(entropy, rel=0.01)
    assert stack.lowest == stack.num_bits


def test_parameters_that_are_not_finite_are_refused():
    with pytest.raises(CorruptWords, match="finite"):
        LatentStack().push_normals(np.zeros(1), np.array([math.nan]), np.ones(1), bound=4)
    with pytest.raises(CorruptWords, match="finite"):
        LatentStack().push_bits(np.zeros(1), np.array([math.inf]))


def test_exponents_cost_little_and_zeros_and_ones_have_none():
    alike, binary = LatentGrid((-3,) * 200, 4), LatentGrid((0,) * 400, 3)
    for grid, kind, most in ((alike, True, 40), (binary, False, 24)):
        stack = LatentStack()
        grid.push(stack, np.full(grid.size, kind))
        assert stack.num_bits <= most
        assert LatentGrid.pop(stack, np.full(grid.size, kind)) == grid


def test_a_grid_is_its_own_message():
    loc, scale = torch.zeros(50, 4), torch.tensor([1e-3, 0.1, 1.0, math.inf]).expand(50, 4)
    continuous = np.array([True, True, True, False])
    for grid in (LatentGrid.fine(loc, scale), LatentGrid.coarse(loc, scale)):
        stack = LatentStack(random_words(3, seed=0))
        grid.push(stack, continuous)
        assert LatentGrid.pop(stack, continuous) == grid
        assert np.array_equal(stack.words, random_words(3, seed=0))
        assert grid.steps()[3] == 1.0
    fine, coarse = (kind(loc, scale).steps()[:3] for kind in (LatentGrid.fine, LatentGrid.coarse))
    deviations = scale[0, :3].numpy()
    assert (fine <= deviations / 4).all()
    assert (fine > deviations / 8.001).all()
    assert (np.abs(np.log2(coarse / (deviations * 12**0.5))) <= 0.5).all()


@pytest.mark.parametrize("num_levels", [2, 5, 11, 256])
@pytest.mark.parametrize("mixed", [False, True])
def test_bits_of_levels_have_the_mass_of_the_table(num_levels, mixed):
    cell = DiscretizedLogistic((), num_levels)
    head = SiteMixture(cell, 3) if mixed else cell
    features = torch.randn(7, head.num_features)
    table = head.table(features)  # [7, K]
    for k in range(num_levels):
        stack = _Chances()
        push_levels(stack, head, features.T, np.full(7, k))  # type: ignore[arg-type]
        assert np.allclose(stack.mass, table[:, k].numpy(), rtol=1e-6, atol=1e-12)


def test_levels_far_in_the_tails_come_back():
    head = DiscretizedLogistic((), 256)
    loc = torch.tensor([-30.0, -1.0, 0.0, 1.0, 30.0]).repeat_interleave(256)
    features = torch.stack((loc, torch.full_like(loc, -20.0)))
    symbols = np.tile(np.arange(256), 5)
    stack = LatentStack(random_words(2, seed=0))
    push_levels(stack, head, features, symbols)
    assert np.array_equal(pop_levels(stack, head, features), symbols)
    assert np.array_equal(stack.words, random_words(2, seed=0))


class _Chances:
    """Stands for a stack, and multiplies what it is told."""

    def __init__(self) -> None:
        self.mass = np.ones(7)

    def push_bits(self, symbols: np.ndarray, masses: np.ndarray) -> None:
        self.mass = self.mass * np.where(symbols, masses, 1 - masses)


def test_factors_of_a_full_gaussian_multiply_to_it():
    torch.manual_seed(0)
    q = FullNormal(torch.randn(6, 3), torch.randn(6, 3, 3).tril(-1) + torch.eye(3) * 0.5)
    z = torch.randn(6, 3)
    total = torch.zeros(6)
    for factor in factors_of(q):
        seen = z.clone()
        seen[:, factor.columns.start :] = 0.0
        total = total + factor.given(seen).log_prob(z[:, factor.columns])
    assert torch.allclose(total, q.log_prob(z))


@pytest.mark.parametrize("name", MODELS)
def test_factors_look_at_no_column_to_come(name):
    """What a decoder does not have yet must not matter, whatever it is."""
    model, posterior = made(name)
    with torch.no_grad():
        x = model.sample(4).round()
        space = latent_space(model, posterior, seed=0)
        for factors in (space.prior(), space.inferred(Batch(x)).factors):
            known: list[slice] = []
            for factor in factors:
                size = max(f.columns.stop for f in factors)
                u, other = torch.zeros(4, size), torch.ones(4, size)
                for columns in known:
                    u[:, columns] = other[:, columns] = 1.0
                at = torch.zeros(4, factor.columns.stop - factor.columns.start)
                found, again = (factor.given(v).log_prob(at) for v in (u, other))
                assert torch.allclose(found, again)
                known.append(factor.columns)
            covered = sorted(i for columns in known for i in range(columns.start, columns.stop))
            assert covered == list(range(len(covered)))


def test_popping_undoes_pushing_for_priors_that_draw_components():
    for name in ("mixture prior", "autoregressive prior"):
        model, posterior = made(name)
        with torch.no_grad():
            prior = latent_space(model, posterior, seed=0).prior()
            grid = LatentGrid((-5, -5, -5), 3)
            z = (model.sample_latents(9) * 32).round().clamp(-200, 200) / 32
            stack = LatentStack(random_words(50, seed=0))
            coder = Stacked(prior, grid, torch.zeros(()), narrow=False)
            coder.push(stack, z)
            assert torch.equal(coder.pop(stack, 9), z)
        assert np.array_equal(stack.words, random_words(50, seed=0))


def test_a_gaussian_like_the_draws_has_their_moments():
    torch.manual_seed(0)
    true = FullNormal(torch.randn(2, 3), torch.randn(2, 3, 3).tril(-1) * 0.3 + torch.eye(3))
    found = gaussian_like(lambda count: Draws(true.sample((count,)), torch.zeros(count, 2)))
    # from 48 draws: errors of about 0.15
    assert torch.allclose(found.loc, true.loc, atol=0.7)
    assert torch.allclose(found.covariance_matrix, true.covariance_matrix, atol=1.2)


def test_single_steps_make_up_the_flow():
    torch.manual_seed(0)
    flow = MaskedAutoregressive(3, 2, hidden_sizes=(8,))
    for parameter in flow.parameters():
        torch.nn.init.normal_(parameter, std=0.3)
    z = torch.randn(5, 3)
    expected, log_det = flow.inverse(z)
    total = torch.zeros(5)
    for step in flow.single_steps():
        z, part = step.inverse(z)
        total = total + part
    assert torch.allclose(z, expected)
    assert torch.allclose(total, log_det)
    assert [step.order for step in flow.single_steps()] == [[0, 1, 2], [2, 1, 0]]
