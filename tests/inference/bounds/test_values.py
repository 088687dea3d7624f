"""Bounds against exact answers: closed forms, enumeration, and rates."""

from __future__ import annotations

import itertools
import math

import pytest
import torch
from linear_gaussian import Widened, a_model
from torch.distributions import Binomial

from ancestral.core import Batch, OptionError, ShapeError
from ancestral.inference.bounds import (
    Bound,
    Chi,
    Ciwae,
    Elbo,
    ImportanceWeighted,
    Jackknife,
    Miwae,
    Renyi,
    reported,
)
from ancestral.inference.evidence import log_weights

K = 4
LOWER = [
    Elbo(K),
    ImportanceWeighted(K),
    Miwae(2, 2),
    Ciwae(0.3, K),
    Renyi(0.0, K),
    Renyi(0.5, K),
    Renyi(1.0, K),
    Renyi(3.0, K),
    Renyi(math.inf, K),
    Jackknife(0, K),
]
NEITHER = [Renyi(-1.0, K), Renyi(-math.inf, K), Jackknife(1, K), Jackknife(2, K)]
UPPER = [Chi(2.0, K), Chi(1.0, K)]

Q = torch.tensor([0.5, 0.3, 0.2], dtype=torch.float64)
JOINT = torch.tensor(
    [0.05, 0.2, 0.15], dtype=torch.float64
)  # p(x, z) of three states z; p(x) = 0.4
LOG_PX = math.log(0.4)


def expected(bound, transform=lambda value: value):
    """E[transform(bound)] over all draws of K states, by enumeration."""
    states = torch.tensor(list(itertools.product(range(3), repeat=K))).T  # [K, tuples]
    log_w = (JOINT / Q).log()[states]
    return float((Q[states].prod(0) * transform(bound(log_w))).sum())


def two_states(num_samples, bound):
    """E[bound] for a z of two states: by the number of draws of the first one."""
    joint, q = torch.tensor([0.3, 0.1]), torch.tensor([0.4, 0.6])
    count = torch.arange(num_samples + 1.0)
    first = torch.arange(num_samples).unsqueeze(1) < count
    log_w = torch.where(first, (joint[0] / q[0]).log(), (joint[1] / q[1]).log())
    weight = Binomial(num_samples, q[0]).log_prob(count).exp()
    return float((weight * bound(log_w)).sum()) - math.log(0.4)


@pytest.mark.parametrize("bound", LOWER)
def test_lower_bounds_are_below_log_p_in_expectation(bound):
    assert bound.kind == "lower_bound"
    assert expected(bound) < LOG_PX - 1e-4
    log_w = torch.randn(K, 5)
    torch.testing.assert_close(reported(bound, log_w), bound(log_w))


@pytest.mark.parametrize("bound", NEITHER)
def test_what_is_no_bound_says_so_and_is_not_reported(bound):
    assert bound.kind == "neither"
    log_w = torch.randn(K, 5)
    torch.testing.assert_close(reported(bound, log_w), ImportanceWeighted(K)(log_w))


def test_vr_max_is_above_log_p_here():
    assert expected(Renyi(-math.inf, K)) > LOG_PX + 0.1


@pytest.mark.parametrize("order", [1.0, 2.0, 3.5])
def test_chi_is_an_upper_bound_whose_exponential_is_unbiased(order):
    bound = Chi(order, K)
    assert bound.kind == "upper_bound"
    exact = math.log(float((Q * (JOINT / Q) ** order).sum())) / order
    assert exact >= LOG_PX - 1e-12
    mean = expected(bound, lambda value: (order * value).exp())
    assert mean == pytest.approx(math.exp(order * exact), rel=1e-10)


@pytest.mark.parametrize("bound", [*LOWER, *NEITHER, *UPPER])
def test_all_are_bounds_and_exact_for_the_posterior(bound):
    assert isinstance(bound, Bound)
    assert bound.num_samples == K
    log_w = torch.full((K, 3), -7.25)  # what the exact posterior gives
    torch.testing.assert_close(bound(log_w), torch.full((3,), -7.25))


@pytest.mark.parametrize("bound", [*LOWER, *NEITHER, *UPPER])
def test_a_shift_of_all_weights_shifts_the_bound(bound):
    log_w = 3 * torch.randn(K, 6)
    torch.testing.assert_close(bound(log_w - 1000), bound(log_w) - 1000)


@pytest.mark.parametrize("alpha", [0.0, 0.3, 0.5, 1.0, 2.0])
def test_renyi_of_two_gaussians(alpha):
    # L_alpha = log p(x) - D_alpha(q || p(z | x)), in closed form; 4 standard errors of the
    # delta method: fails for 1 seed in 10^4 and case
    model = a_model().requires_grad_(False)
    x = model.sample(1)
    batch, widened = Batch(x), Widened(0.2, 1.15)
    q, p = widened.distribution(model, batch), model.posterior(x)
    shift = (q.loc - p.loc)[0]
    of_q, of_p = q.covariance_matrix[0], p.covariance_matrix[0]
    if alpha == 1.0:
        divergence = float(torch.distributions.kl_divergence(q, p))
    else:
        mixed = alpha * of_p + (1 - alpha) * of_q
        log_ratio = mixed.logdet() - (1 - alpha) * of_q.logdet() - alpha * of_p.logdet()
        divergence = float(
            alpha / 2 * shift @ torch.linalg.solve(mixed, shift) - log_ratio / (2 * (alpha - 1))
        )
    exact = float(model.log_prob(x)) - divergence
    n = 100_000
    log_w = log_weights(model, widened, batch, n, rows_at_once=n)
    value = float(Renyi(alpha, n)(log_w))
    if alpha == 1.0:
        std_error = float(log_w.std()) / math.sqrt(n)
    else:
        scaled = ((1 - alpha) * (log_w - log_w.max())).exp()
        std_error = float(scaled.std() / scaled.mean()) / math.sqrt(n) / abs(1 - alpha)
    assert std_error < 0.02
    assert value == pytest.approx(exact, abs=4 * std_error + 1e-9)


def test_renyi_falls_with_alpha_and_has_its_limits():
    log_w = 3 * torch.randn(6, 50)
    alphas = [-math.inf, -50.0, -1.0, 0.0, 0.5, 0.999, 1.0, 1.001, 2.0, 50.0, math.inf]
    values = torch.stack([Renyi(alpha, 6)(log_w) for alpha in alphas])
    assert bool((values.diff(dim=0) < 0).all())
    torch.testing.assert_close(Renyi(1.0, 6)(log_w), Elbo(6)(log_w))
    torch.testing.assert_close(Renyi(0.0, 6)(log_w), ImportanceWeighted(6)(log_w))
    torch.testing.assert_close(Renyi(-math.inf, 6)(log_w), log_w.amax(0))
    torch.testing.assert_close(Renyi(-1.0, 6)(log_w), Chi(2.0, 6)(log_w))


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_renyi_is_smooth_around_alpha_1(dtype):
    log_w = (3 * torch.randn(6, 50, dtype=dtype)) - 200
    spread = log_w.var(0, unbiased=False)
    for distance in (1e-7, 1e-4, 0.009, 0.011):
        for sign in (-1, 1):
            value = Renyi(1 + sign * distance, 6)(log_w)
            taylor = Elbo(6)(log_w) - sign * distance / 2 * spread
            tolerance = 2e-4 if dtype is torch.float32 else 2e-5
            assert float((value - taylor).abs().max()) < tolerance + 50 * distance**2


def test_a_weight_of_zero_is_no_trouble_where_it_has_none():
    log_w = torch.tensor([[0.0], [-math.inf]], requires_grad=True)
    for bound in (Renyi(0.5, 2), ImportanceWeighted(2), Chi(2.0, 2), Renyi(-math.inf, 2)):
        value = bound(log_w)
        assert bool(value.isfinite())
        (gradient,) = torch.autograd.grad(value.sum(), log_w)
        assert bool(gradient.isfinite().all())
    assert float(Elbo(2)(log_w.detach())) == -math.inf


def test_the_gap_falls_as_one_over_k_and_the_jackknifes_faster():
    # exact, by enumeration: rates are slopes in double logarithmic coordinates
    def slope(bound_of, sizes):
        gaps = torch.tensor([abs(two_states(k, bound_of(k))) for k in sizes]).log()
        steps = torch.tensor([float(k) for k in sizes]).log()
        return float((gaps[-1] - gaps[0]) / (steps[-1] - steps[0]))

    sizes = (32, 64, 128)
    assert slope(ImportanceWeighted, sizes) == pytest.approx(-1, abs=0.03)
    assert slope(lambda k: Renyi(0.0, k), sizes) == pytest.approx(-1, abs=0.03)
    assert slope(lambda k: Jackknife(1, k), sizes) == pytest.approx(-2, abs=0.1)
    assert slope(lambda k: Jackknife(2, k), (32, 64)) == pytest.approx(-3, abs=0.4)
    # and the constant is half the variance of the weights over p(x)^2 (Nowozin, proposition 1)
    variance = 0.4 * (0.75**2) + 0.6 * (1 / 6) ** 2 - 0.4**2
    gap = -two_states(128, ImportanceWeighted(128))
    assert gap == pytest.approx(variance / 0.4**2 / (2 * 128), rel=0.05)


def test_jackknife_of_order_one_by_hand():
    log_w = torch.randn(5, 7)
    left_out = torch.stack(
        [ImportanceWeighted(4)(torch.cat((log_w[:i], log_w[i + 1 :]))) for i in range(5)]
    )
    by_hand = 5 * ImportanceWeighted(5)(log_w) - 4 * left_out.mean(0)
    torch.testing.assert_close(Jackknife(1, 5)(log_w), by_hand)
    torch.testing.assert_close(Jackknife(0, 5)(log_w), ImportanceWeighted(5)(log_w))


def test_miwae_averages_over_bounds_and_not_over_samples():
    # in Pythae the two axes are exchanged
    log_w = 3 * torch.randn(6, 4)
    by_hand = (ImportanceWeighted(3)(log_w[:3]) + ImportanceWeighted(3)(log_w[3:])) / 2
    torch.testing.assert_close(Miwae(2, 3)(log_w), by_hand)
    assert not torch.allclose(Miwae(2, 3)(log_w), Miwae(3, 2)(log_w))
    torch.testing.assert_close(Miwae(1, 6)(log_w), ImportanceWeighted(6)(log_w))
    torch.testing.assert_close(Miwae(6, 1)(log_w), Elbo(6)(log_w))
    assert Miwae(2, 3).num_samples == 6
    with pytest.raises(ShapeError, match="expected 2 x 3 log-weights for each datum, got 5"):
        Miwae(2, 3)(log_w[:5])


def test_the_value_is_the_bound_and_not_its_gradients_surrogate():
    # sum_k w~_k log w_k, which Pythae reports, is above the bound by a divergence
    log_w = 3 * torch.randn(50, 200)
    surrogate = (log_w.softmax(0) * log_w).sum(0)
    uniform = (log_w.softmax(0) * (50 * log_w.softmax(0)).log()).sum(0)
    torch.testing.assert_close(surrogate - ImportanceWeighted(50)(log_w), uniform)
    assert float(uniform.mean()) > 1


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Renyi(math.nan), "expected alpha to be a number"),
        (lambda: Renyi(0.5, 0), "expected num_samples >= 1, got 0"),
        (lambda: Chi(0.5), "expected an order of at least 1, got 0.5"),
        (lambda: Chi(math.inf), "expected an order of at least 1"),
        (lambda: Miwae(0, 5), "expected num_bounds >= 1, got 0"),
        (lambda: Miwae(5, 0), "expected samples_each >= 1, got 0"),
        (lambda: Ciwae(1.5), "expected elbo_weight from 0 to 1, got 1.5"),
        (lambda: Jackknife(5, 5), "below num_samples = 5, got 5"),
        (lambda: Jackknife(6, 100), "subsets"),
    ],
)
def test_impossible_choices_are_refused(make, message):
    with pytest.raises(OptionError, match=message):
        make()
