"""Importance sampling: the value, its standard error, and the work it takes."""

from __future__ import annotations

import math

import pytest
import torch
from linear_gaussian import Widened, a_model

from ancestral.core import (
    Batch,
    Conditional,
    Draws,
    IncompatibleChoices,
    Kind,
    NotExact,
    OptionError,
    Precision,
    Specification,
    as_batch,
)
from ancestral.distributions import Bernoulli, DiagonalNormal
from ancestral.inference.evidence import (
    AnnealedImportance,
    Exact,
    Importance,
    default_method,
    importance_sampled,
    log_weights,
    summarized,
)
from ancestral.inference.posteriors import (
    Amortized,
    ExactPosterior,
    PerDatum,
    Posterior,
    Refinement,
)
from ancestral.models import (
    Autoencoder,
    DiagonalGaussian,
    LatentVariableModel,
    NetworkConditional,
    StandardNormalPrior,
)
from ancestral.networks import InputFeatures


class Recorded(Posterior):
    """Deals out draws made in advance, and notes how many were asked for at once."""

    reparameterized = False

    def __init__(self, z, log_q):
        super().__init__()
        self.z, self.log_q, self.asked = z, log_q, []

    def draw(self, model, batch, num_samples):
        first = sum(self.asked)
        self.asked.append(num_samples)
        part = slice(first, first + num_samples)
        return Draws(self.z[part], self.log_q[part])

    def log_prob(self, model, batch, z):
        raise NotImplementedError


def test_agrees_with_the_exact_value():
    # |z| < 4 for 60 data: fails for 1 seed in 250
    model = a_model().requires_grad_(False)
    x = model.sample(60)
    x[torch.rand_like(x) < 0.2] = float("nan")
    batch = as_batch(x)
    estimate = importance_sampled(model, Widened(), [batch], num_samples=2000, seed=1)
    z = (estimate.value - model.log_prob(batch.x, batch.observed)) / estimate.std_error
    assert float(z.abs().max()) < 4
    assert estimate.kind == "lower_bound"
    assert estimate.num_samples == 2000
    assert float(estimate.khat.max()) < estimate.khat_threshold
    assert float(estimate.std_error.max()) < 0.05


def test_standard_error_is_calibrated():
    # the spread of 400 repeats has a relative standard error of 0.035: 0.85..1.15 is 4 of them
    model = a_model().requires_grad_(False)
    batch = Batch(model.sample(1).expand(400, -1))
    estimate = summarized(log_weights(model, Widened(), batch, 500))
    spread = float(estimate.value.std())
    assert spread / float(estimate.std_error.mean()) == pytest.approx(1, abs=0.15)


def test_effective_sample_size_and_error_by_their_formulas():
    log_w = torch.randn(50, 3)
    w = (log_w - 300).exp()  # would underflow in float32
    estimate = summarized(log_w - 300)
    ess = w.sum(0).square() / w.square().sum(0)
    torch.testing.assert_close(estimate.ess, ess)
    torch.testing.assert_close(estimate.value, w.mean(0).log())
    # the delta method: deviation of the mean weight over the mean weight
    relative = w.std(0, correction=0) / math.sqrt(50) / w.mean(0)
    torch.testing.assert_close(estimate.std_error, relative)


def test_equal_weights_have_no_error():
    estimate = summarized(torch.full((1000, 2), -3.0))
    torch.testing.assert_close(estimate.value, torch.full((2,), -3.0))
    torch.testing.assert_close(estimate.ess, torch.full((2,), 1000.0))
    assert float(estimate.std_error.max()) < 1e-6
    assert estimate.khat.tolist() == [-math.inf] * 2


def test_impossible_and_broken_weights():
    log_w = torch.randn(100, 4)
    log_w[:, 0] = -math.inf
    log_w[0, 1] = math.inf
    log_w[0, 2] = math.nan
    log_w[0, 3] = -math.inf  # one impossible draw is nothing unusual
    estimate = summarized(log_w)
    assert float(estimate.value[0]) == -math.inf
    assert estimate.ess[:3].tolist() == [0, 0, 0]
    assert estimate.std_error[:3].tolist() == [math.inf] * 3
    assert estimate.khat[:3].tolist() == [math.inf] * 3
    assert math.isfinite(float(estimate.value[3]))
    assert math.isfinite(float(estimate.khat[3]))


def test_one_sample_has_no_standard_error():
    estimate = summarized(torch.zeros(1, 2))
    assert bool(estimate.std_error.isnan().all())
    with pytest.raises(OptionError, match="expected at least 1 importance sample, got 0"):
        importance_sampled(a_model(), Widened(), [], num_samples=0)


@pytest.mark.parametrize("rows_at_once", [1, 7, 30, 1000])
def test_pieces_do_not_change_the_weights(rows_at_once):
    model = a_model().requires_grad_(False)
    batch = Batch(model.sample(3))
    z, log_q = torch.randn(17, 3, 2), torch.randn(17, 3)
    posterior = Recorded(z, log_q)
    log_w = log_weights(model, posterior, batch, 17, rows_at_once)
    torch.testing.assert_close(log_w, model.log_joint(batch.x, z) - log_q, rtol=1e-13, atol=0)
    assert sum(posterior.asked) == 17
    assert max(posterior.asked) <= max(1, rows_at_once // 3)


def test_decoder_never_sees_more_rows_than_allowed():
    model = a_model().requires_grad_(False)
    batch, seen = Batch(model.sample(120)), []
    model.likelihood.network.register_forward_hook(
        lambda _, args, __: seen.append(args[0].shape[:-1].numel())
    )
    importance_sampled(model, Widened(), [batch], num_samples=30, rows_at_once=200)
    assert max(seen) <= 200
    assert sum(seen) == 120 * 30


def test_same_seed_same_numbers_and_no_trace():
    model = a_model().requires_grad_(False)
    x = model.sample(101)
    before = torch.get_rng_state()
    one = importance_sampled(model, Widened(), [Batch(x)], num_samples=20, seed=3)
    assert torch.equal(torch.get_rng_state(), before)
    # pieces at multiples of 50 rows see the same noise
    two = importance_sampled(
        model, Widened(), [Batch(x[:100]), Batch(x[100:])], num_samples=20, seed=3
    )
    other = importance_sampled(model, Widened(), [Batch(x)], num_samples=20, seed=4)
    assert torch.equal(one.value, two.value)
    assert not torch.equal(one.value, other.value)


def test_bf16_matrix_products_move_the_mean_little():
    decoder = NetworkConditional(torch.nn.Linear(2, 50), Bernoulli((50,)))
    model = LatentVariableModel(StandardNormalPrior(2), decoder).float().requires_grad_(False)
    encoder = Amortized(torch.nn.Identity(), DiagonalGaussian(torch.nn.Linear(50, 4))).float()
    encoder.inputs.forward = lambda x, observed=None: x
    batch = Batch(model.sample(200))
    exact, fast = (
        importance_sampled(model, encoder, [batch], num_samples=50, precision=precision)
        for precision in (Precision.FLOAT32, Precision.BF16)
    )
    assert fast.value.dtype == torch.float64
    assert not torch.equal(exact.value, fast.value)
    assert fast.mean == pytest.approx(exact.mean, abs=0.02)


def test_each_datum_is_encoded_once():
    model = a_model().requires_grad_(False)
    calls = []

    class Counting(Widened):
        def distribution(self, model, batch):
            calls.append(len(batch))
            return super().distribution(model, batch)

    importance_sampled(
        model, Counting(), [Batch(model.sample(60))], num_samples=40, rows_at_once=100
    )
    assert calls == [50, 10]


@pytest.mark.parametrize("with_index", [False, True])
def test_per_datum_posteriors_are_fitted_to_new_data(with_index):
    model = a_model().requires_grad_(False)
    index = torch.arange(100, 104) if with_index else None
    batch = Batch(model.sample(4), None, index)
    posterior = PerDatum(200, 2, refinement=Refinement(num_steps=100, learning_rate=0.1))
    estimate = importance_sampled(model, posterior, [batch], num_samples=2000)
    z = (estimate.value - model.log_prob(batch.x)) / estimate.std_error
    assert float(z.abs().max()) < 4  # fails for 1 seed in 4000
    assert float(estimate.std_error.max()) < 0.1


def test_methods():
    model = a_model().requires_grad_(False)
    batches = [Batch(model.sample(3)), Batch(model.sample(2))]
    estimate = default_method(model)(model, None, batches)
    assert isinstance(default_method(model), Exact)
    assert estimate.kind == "exact"
    assert estimate.std_error is None
    torch.testing.assert_close(estimate.value, torch.cat([model.log_prob(b.x) for b in batches]))
    sampled = Importance(7)(model, ExactPosterior(), batches)
    assert sampled.num_samples == 7
    torch.testing.assert_close(sampled.value, estimate.value)


def test_methods_refuse_what_they_cannot_do():
    decoder = NetworkConditional(torch.nn.Linear(2, 3), Bernoulli((3,)))
    latent = LatentVariableModel(StandardNormalPrior(2), decoder)
    autoencoder = Autoencoder(torch.nn.Identity(), torch.nn.Linear(3, 2), decoder)
    assert default_method(latent, 17, 5) == Importance(17, 5)
    with pytest.raises(NotExact) as error:
        Exact()(latent, None, [])
    assert str(error.value) == (
        "this model has no exact log p(x)\n\n"
        "hint: use importance sampling, which gives a lower bound"
    )
    for call in (
        lambda: default_method(autoencoder),
        lambda: Exact()(autoencoder, None, []),
        lambda: Importance()(autoencoder, None, []),
    ):
        with pytest.raises(NotExact) as error:
            call()
        assert error.value.message == (
            "an autoencoder has no log p(x): it has no prior over its codes, so it gives x no "
            "probability"
        )
        assert error.value.hint == (
            "use `vae` for the same networks with a likelihood; "
            "`reconstruct` and `encode` work here"
        )
    with pytest.raises(NotExact) as error:
        Importance()(latent, None, [])
    assert error.value.message == (
        "this model has no log p(x) by importance sampling: there is no posterior density "
        "q(z | x) to draw z from"
    )
    assert error.value.hint == "annealed importance sampling needs none: `evaluate --method ais`"
    with pytest.raises(IncompatibleChoices, match="needs a latent-variable model and a posterior"):
        Importance()(torch.nn.Linear(2, 2), None, [])


class Centred(Conditional):
    """p(y | c) = N(y; c, I) without any parameter."""

    def forward(self, context=None):
        return DiagonalNormal(context, torch.zeros_like(context))

    def log_prob(self, y, context=None, observed=None):
        return self(context).log_prob(y)

    def sample(self, context):
        return self(context).sample()


@pytest.mark.parametrize("method", [Importance(400), AnnealedImportance(5, 2, 2)])
def test_a_model_without_parameters(method):
    model = LatentVariableModel(StandardNormalPrior(2), Centred())
    x = torch.randn(3, 2)
    posterior = Amortized(InputFeatures(Specification(Kind.REAL, (2,))), _Half())
    found = method(model, posterior, [Batch(x)])
    exact = DiagonalNormal(torch.zeros(2), torch.full((2,), 0.5 * math.log(2))).log_prob(x)
    torch.testing.assert_close(found.value, exact, rtol=0, atol=0.5)


class _Half(Conditional):
    """N(z; x / 2, I / 2), the posterior of the model above."""

    def forward(self, context=None):
        return DiagonalNormal(context / 2, torch.full_like(context, -0.5 * math.log(2)))
