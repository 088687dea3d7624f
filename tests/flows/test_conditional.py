"""Flows as prior, posterior and likelihood: distributions, integrals, bounds, refusals."""

from __future__ import annotations

import math

import pytest
import torch
from examples import MAKERS, a_flow, randomized
from linear_gaussian import a_model
from torch import nn

from ancestral.core import Batch, IncompatibleChoices, ShapeError
from ancestral.distributions import (
    Bernoulli,
    DiagonalNormal,
    Normal,
    StandardNormal,
    has_closed_form_kl,
)
from ancestral.flows import (
    Affine,
    Composed,
    FlowConditional,
    FlowDistribution,
    InverseAutoregressive,
    MaskedAutoregressive,
    Planar,
)
from ancestral.inference.bounds import Elbo, ImportanceWeighted
from ancestral.inference.evidence import Importance
from ancestral.inference.gradients import (
    KlPenalty,
    Pathwise,
    PathwiseClosedFormKl,
    StickTheLanding,
)
from ancestral.inference.posteriors import Amortized, ScoresItsDraws
from ancestral.models import (
    DiagonalGaussian,
    LatentVariableModel,
    NetworkConditional,
    StandardNormalPrior,
)

NUM_SAMPLES = 40_000


class Inputs(nn.Module):
    """x as it is."""

    def forward(self, x, observed=None):
        return x


def a_posterior(flow, num_inputs):
    """Amortised: the encoder gives location, log-scale, and the flow's context."""
    encoder = nn.Linear(num_inputs, 2 * flow.num_dims + flow.context_size)
    return Amortized(Inputs(), FlowConditional(DiagonalGaussian(nn.Identity()), flow, encoder))


POSTERIORS = {
    "planar": lambda: Planar(2, 3, context_size=4),
    "iaf": lambda: InverseAutoregressive(2, 2, hidden_sizes=(8,), context_size=4),
    "coupling": lambda: MAKERS["coupling"](2, 4),
    "radial": lambda: MAKERS["radial"](2, 4),
}


@pytest.mark.parametrize("name", list(MAKERS))
def test_draws_know_their_density(name):
    q = FlowDistribution(DiagonalNormal(torch.randn(4, 3), torch.zeros(4, 3)), a_flow(name, 3))
    assert isinstance(q, ScoresItsDraws)
    z, log_q = q.rsample_with_log_prob((5,))
    assert z.shape == (5, 4, 3)
    assert log_q.shape == (5, 4)
    assert q.log_prob(z) is log_q  # of the last draw
    torch.testing.assert_close(q.log_prob(z.clone()), log_q)
    wide = q.expand((2, 4))
    assert wide.rsample((3,)).shape == (3, 2, 4, 3)
    torch.testing.assert_close(wide.log_prob(z[:2]), log_q[:2])
    assert not q.sample((2,)).requires_grad
    with pytest.raises(NotImplementedError):
        q.mean  # noqa: B018


def test_a_context_gives_the_batch_shape():
    flow = Composed([Planar(2, context_size=3), Affine(2, context_size=3)])
    q = FlowDistribution(StandardNormal(2), flow, torch.randn(7, 3))
    assert q.batch_shape == (7,)
    assert q.rsample((4,)).shape == (4, 7, 2)
    assert len(q.rsample().unique(dim=0)) == 7


def test_conditionals_part_their_context():
    torch.manual_seed(1)
    flow = randomized(Planar(2, 2, context_size=3), 0.5)
    network = nn.Linear(5, 4 + 3)
    conditional = FlowConditional(DiagonalGaussian(nn.Identity()), flow, network)
    x, z = torch.randn(6, 5), torch.randn(6, 2)
    features = network(x)
    start, log_det = flow.inverse(z, features[:, 4:])
    base = DiagonalNormal(*features[:, :4].chunk(2, -1))
    torch.testing.assert_close(conditional.log_prob(z, x), base.log_prob(start) + log_det)
    shared = FlowConditional(DiagonalGaussian(nn.Linear(3, 4)), flow)
    assert shared(torch.randn(6, 3)).sample().shape == (6, 2)


def test_prior_against_numerical_integration():
    # log p(x) = log of the integral over z of p(z) p(x | z), on a grid of the plane
    flow = a_flow("maf", 2, scale=0.3)
    prior = FlowConditional(StandardNormalPrior(2), flow)
    model = LatentVariableModel(prior, NetworkConditional(nn.Linear(2, 3), Bernoulli((3,))))
    x = torch.tensor([[1.0, 0.0, 1.0], [0.0, 0.0, 1.0]])
    axis = torch.linspace(-12, 12, 601)
    grid = torch.cartesian_prod(axis, axis).unsqueeze(1)
    with torch.no_grad():
        log_joint = model.log_joint(x, grid)
        exact = log_joint.logsumexp(0) + 2 * math.log(24 / 600)
        z = model.sample_latents(NUM_SAMPLES).unsqueeze(1)
        likelihoods = model.log_likelihood(x, z).exp()
        std_error = likelihoods.std(0) / NUM_SAMPLES**0.5
        # 4 standard errors for 2 numbers: fails for 1 seed in 10^4
        assert bool(((likelihoods.mean(0) - exact.exp()).abs() < 4 * std_error).all())
        states = torch.cartesian_prod(*[torch.tensor([0.0, 1.0])] * 3)
        totals = model.log_joint(states, grid[::7]).logsumexp(1) - model.log_prior(grid[::7])[:, 0]
        torch.testing.assert_close(totals, torch.zeros(len(totals)))
    assert model.sample(4).shape == (4, 3)


@pytest.mark.parametrize("name", list(POSTERIORS))
def test_bounds_on_a_linear_gaussian_model(name):
    # ELBO <= IWAE_5 <= log p, and importance sampling finds log p: 4 standard errors of 3 numbers
    # each, fails for 1 seed in 2000 over all cases
    model = a_model()
    posterior = a_posterior(randomized(POSTERIORS[name](), 0.1), 4)
    with torch.no_grad():
        x = model.sample(3)
        batch = Batch(x)
        exact = model.log_prob(x)
        values = {}
        for bound in (Elbo(5), ImportanceWeighted(5)):
            z, log_q = posterior.draw(model, batch, 5 * 4000)
            log_w = (model.log_joint(x, z) - log_q).reshape(5, 4000, 3)
            each = bound(log_w)
            values[type(bound)] = each.mean(0)
            spread = each.std(0) / 4000**0.5
            assert bool((each.mean(0) < exact + 4 * spread).all())
        assert bool((values[Elbo] < values[ImportanceWeighted]).all())
        assert bool((values[Elbo] < exact).all())


@pytest.mark.parametrize("name", list(POSTERIORS))
def test_importance_sampling_from_a_flow_finds_log_p(name):
    model = a_model()
    posterior = a_posterior(randomized(POSTERIORS[name](), 0.05), 4)
    with torch.no_grad():
        # a q wider than the posterior, so that weights are bounded
        posterior.encoder.network.weight[:4] = 0
        posterior.encoder.network.bias[:2] = 0
        posterior.encoder.network.bias[2:4] = 0.3
        x = model.sample(3)
        estimate = Importance(NUM_SAMPLES)(model, posterior, [Batch(x)])
        exact = model.log_prob(x)
    # 4 standard errors of 3 numbers: fails for 1 seed in 5000
    assert bool(((estimate.value - exact).abs() < 4 * estimate.std_error + 1e-9).all())


@pytest.mark.parametrize("name", list(POSTERIORS))
def test_the_pathwise_gradient_is_that_of_finite_differences(name):
    model, posterior = a_model(), a_posterior(randomized(POSTERIORS[name](), 0.2), 4)
    batch = Batch(model.sample(3).detach())
    parameters = list(posterior.parameters())

    def loss():
        torch.manual_seed(7)
        return Pathwise().surrogate(Elbo(3), model, posterior, batch, KlPenalty()).loss

    gradients = torch.autograd.grad(loss(), parameters)
    assert all(bool((g != 0).any()) for g in gradients)
    direction = [torch.randn_like(p) for p in parameters]
    slope = sum((g * d).sum() for g, d in zip(gradients, direction, strict=True))
    values, step = [], 1e-6
    with torch.no_grad():
        for sign in (1, -2):
            for p, d in zip(parameters, direction, strict=True):
                p.add_(sign * step * d)
            values.append(float(loss()))
    assert float(slope) == pytest.approx((values[0] - values[1]) / (2 * step), rel=1e-5, abs=1e-6)


@pytest.mark.parametrize("name", list(POSTERIORS))
def test_stick_the_landing_takes_the_slope_of_log_q_alone(name):
    model, posterior = a_model(), a_posterior(randomized(POSTERIORS[name](), 0.2), 4)
    batch = Batch(model.sample(3).detach())
    parameters = list(posterior.parameters())
    torch.manual_seed(7)
    ours = torch.autograd.grad(
        StickTheLanding().surrogate(Elbo(3), model, posterior, batch, KlPenalty()).loss, parameters
    )
    torch.manual_seed(7)
    q = posterior.distribution(model, batch)
    z = q.rsample((3,))
    leaf = z.detach().requires_grad_()
    (slope,) = torch.autograd.grad(q.log_prob(leaf).sum(), leaf)
    log_joint = model.log_joint(batch.x, z)
    loss = -(log_joint - (slope.detach() * z).sum(-1)).mean(0).mean()
    theirs = torch.autograd.grad(loss, parameters)
    torch.testing.assert_close(ours, theirs)


def test_a_posterior_starts_as_good_as_its_base():
    model = a_model()
    flow = InverseAutoregressive(2, 2, hidden_sizes=(8,), context_size=4)
    posterior = a_posterior(flow, 4)
    base = Amortized(Inputs(), DiagonalGaussian(posterior.encoder.network))
    batch = Batch(model.sample(5))
    plain = DiagonalNormal(*posterior.encoder.network(batch.x)[:, :4].chunk(2, -1))
    with torch.no_grad():
        z, log_q = posterior.draw(model, batch, 6)
        torch.testing.assert_close(log_q, plain.log_prob(z), rtol=1e-4, atol=1e-4)
    assert base.reparameterized


def test_the_mean_is_that_of_draws():
    model = a_model()
    posterior = a_posterior(a_flow("planar", 2, 3), 4)
    batch = Batch(model.sample(5))
    with torch.no_grad():
        mean = posterior.mean(model, batch)
        many = posterior.draw(model, batch, NUM_SAMPLES).z
        assert torch.equal(mean, posterior.mean(model, batch))  # the same draws each time
        # 10 numbers, 5 standard errors of 100 draws: fails for 1 seed in 10^5
        assert bool(((mean - many.mean(0)).abs() < 5 * many.std(0) / 10).all())


def test_draws_are_scored_with_gradients_and_by_the_flow_as_it_is():
    flow = a_flow("planar", 2)
    q = FlowDistribution(StandardNormal(2), flow)
    drawn = q.sample((5,))
    assert q.log_prob(drawn).requires_grad
    with torch.no_grad():
        without = q.rsample((5,))
        remembered = q.log_prob(without)
    assert q.log_prob(without).requires_grad
    torch.testing.assert_close(remembered, q.log_prob(without.clone()).detach())
    z, log_q = q.rsample_with_log_prob((5,))
    assert q.log_prob(z) is log_q
    assert q.slope_of(z) is not None
    with torch.no_grad():
        for parameter in flow.parameters():
            parameter.add_(0.1)
    torch.testing.assert_close(q.log_prob(z), q.log_prob(z.clone()))
    assert float((q.log_prob(z) - log_q).detach().abs().max()) > 1e-3
    assert q.slope_of(z) is None


def test_the_closed_form_kl_refuses_flows_with_a_hint():
    model, posterior = a_model(), a_posterior(Planar(2, 2, context_size=3), 4)
    batch = Batch(model.sample(5))
    assert not has_closed_form_kl(FlowDistribution, StandardNormal)
    assert not has_closed_form_kl(DiagonalNormal, FlowDistribution)
    with pytest.raises(IncompatibleChoices) as error:
        PathwiseClosedFormKl().surrogate(Elbo(), model, posterior, batch, KlPenalty())
    assert str(error.value) == (
        "no closed-form KL divergence from FlowDistribution to StandardNormal is known\n\n"
        "hint: use Pathwise(), which estimates the KL from samples"
    )
    flow_prior = FlowConditional(StandardNormalPrior(2), MaskedAutoregressive(2))
    with_flow = LatentVariableModel(flow_prior, model.likelihood)
    diagonal = Amortized(Inputs(), DiagonalGaussian(nn.Linear(4, 4)))
    with pytest.raises(IncompatibleChoices, match="to FlowDistribution is known"):
        PathwiseClosedFormKl().surrogate(Elbo(), with_flow, diagonal, batch, KlPenalty())
    surrogate = Pathwise().surrogate(Elbo(), with_flow, diagonal, batch, KlPenalty())
    surrogate.loss.backward()
    assert all(p.grad is not None for p in flow_prior.parameters())


def test_a_likelihood_of_vectors():
    class Gaussian(NetworkConditional):
        """Over x, in its own units."""

    flow = a_flow("maf", 3, scale=0.3)
    base = Gaussian(nn.Linear(2, 6), Normal((3,)))
    model = LatentVariableModel(StandardNormalPrior(2), FlowConditional(base, flow))
    x, z = torch.randn(5, 3), torch.randn(4, 5, 2)
    assert model.log_likelihood(x, z).shape == (4, 5)
    assert model.sample(6).shape == (6, 3)
    assert model.reconstruct(z).shape == (4, 5, 3)
    start, log_det = flow.inverse(x)
    expected = base.log_prob(start, z) + log_det
    torch.testing.assert_close(model.log_likelihood(x, z), expected)
    with pytest.raises(IncompatibleChoices, match="hint: use a likelihood of separate cells"):
        model.log_likelihood(x, z, x > 0)


def test_lengths_must_agree():
    with pytest.raises(ShapeError, match="vectors of 3 numbers"):
        FlowConditional(StandardNormalPrior(2), Planar(3))()
