"""Gradients through draws against derivatives of expectations by quadrature."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from scipy import stats
from torch import nn

from ancestral.core import Batch, DataError, IncompatibleChoices, OptionError
from ancestral.distributions import (
    Bernoulli,
    Beta,
    Cauchy,
    Dirichlet,
    Exponential,
    Gamma,
    Laplace,
    Logistic,
    LogNormal,
    Normal,
    NormalMixture,
    SiteMixture,
    TruncatedNormal,
    kl_terms,
)
from ancestral.distributions.truncated_normal import log_normal_mass, ndtri_exp
from ancestral.inference.bounds import Elbo
from ancestral.inference.gradients import KlPenalty, Pathwise
from ancestral.inference.posteriors import Amortized
from ancestral.models import (
    FreePrior,
    LatentConditional,
    LatentVariableModel,
    MixtureOfGaussians,
    NetworkConditional,
    StandardNormalPrior,
)

NUM_DRAWS = 200_000

# head, features, and the interval that holds all but 1e-9 of its mass
FAMILIES = {
    "normal": (Normal((1,)), [[0.3], [-0.4]], (-8, 8)),
    "laplace": (Laplace((1,)), [[0.3], [-0.4]], (-16, 16)),
    "logistic": (Logistic((1,)), [[0.3], [-0.4]], (-16, 16)),
    "cauchy": (Cauchy((1,)), [[0.3], [-0.4]], (-3e4, 3e4)),
    "exponential": (Exponential((1,)), [[0.2]], (1e-12, 30)),
    "log-normal": (LogNormal((1,)), [[0.2], [-0.9]], (1e-3, 20)),
    "gamma": (Gamma((1,)), [[1.2], [-0.3]], (1e-12, 40)),
    "gamma below 1": (Gamma((1,)), [[-0.2], [-0.3]], (1e-16, 40)),
    "beta": (Beta((1,)), [[1.1], [2.0]], (1e-12, 1 - 1e-12)),
    "truncated, half": (TruncatedNormal((1,)), [[-0.5], [0.2]], (0, 10)),
    "truncated, both": (TruncatedNormal((1,), -1.0, 2.0), [[0.5], [0.1]], (-1, 2)),
    "truncated, above": (TruncatedNormal((1,), -math.inf, 1.0), [[2.5], [0.1]], (-8, 1)),
    "truncated, far": (TruncatedNormal((1,)), [[-9.0], [0.0]], (0, 3)),
    "mixture": (
        SiteMixture(Normal((1,)), 3),
        [[0.1], [-0.3], [0.5], [-1.0], [-0.5], [0.6], [0.0], [2.0], [-0.2]],
        (-10, 10),
    ),
    "mixture of logistics": (
        SiteMixture(Logistic((1,)), 2),
        [[0.1], [-0.3], [-1.0], [-0.5], [1.6], [-1.0]],
        (-20, 20),
    ),
}


def a_test_function(x):
    """Bounded with all that is needed: neither even nor odd nor linear."""
    return torch.tanh(1.3 * x - 0.4) + 1 / (1 + x.square())


def nodes_and_weights(low, high, head):
    """A grid that is fine where densities may be infinite."""
    if isinstance(head, Cauchy):
        angle = torch.linspace(-math.atan(high), math.atan(high), 200_001)
        x = torch.tan(angle)
        return x, (1 + x.square()) * (angle[1] - angle[0])
    if isinstance(head, Gamma | Beta | Exponential | LogNormal):
        top = math.log(high) if not isinstance(head, Beta) else math.log(high / (1 - high))
        t = torch.linspace(math.log(low), top, 400_001)
        x = t.sigmoid() if isinstance(head, Beta) else t.exp()
        slope = x * (1 - x) if isinstance(head, Beta) else x
        return x, slope * (t[1] - t[0])
    x = torch.linspace(low, high, 200_001)
    weights = torch.full_like(x, float(x[1] - x[0]))
    weights[0] *= 0.5
    weights[-1] *= 0.5
    return x, weights


@pytest.mark.parametrize("name", list(FAMILIES))
def test_gradients_through_draws_are_those_of_the_expectation(name):
    head, features, (low, high) = FAMILIES[name]
    assert head.reparameterized
    parameters = torch.tensor(features, requires_grad=True)
    x, weights = nodes_and_weights(low, high, head)
    density = head.log_prob(parameters, x.unsqueeze(-1)).exp() * weights
    assert float(density.sum().detach()) == pytest.approx(1, abs=1e-4)
    (exact,) = torch.autograd.grad((density * a_test_function(x)).sum(), parameters)
    wide = parameters.detach().expand(NUM_DRAWS, *parameters.shape).clone().requires_grad_()
    values = a_test_function(head.sample(wide)).squeeze(-1)
    (gradients,) = torch.autograd.grad(values.sum(), wide)
    std_error = gradients.std(0) / NUM_DRAWS**0.5
    z = (gradients.mean(0) - exact) / std_error
    # up to 9 numbers: fails for 1 seed in 1700 for the largest family
    assert float(z.abs().max()) < 4, (z, exact)
    expectation = (density * a_test_function(x)).sum().detach()
    assert abs(values.mean() - expectation) < 4 * values.std() / NUM_DRAWS**0.5
    assert bool((std_error < 0.02).all())  # far less than a score function's


def test_dirichlet_gradients():
    head = Dirichlet((2,))
    features = torch.tensor([0.4, 1.2], requires_grad=True)
    t = torch.linspace(-40, 40, 200_001)
    x = torch.stack([t.sigmoid(), (-t).sigmoid()], -1).clamp_min(1e-18)
    weights = x.prod(-1) * (t[1] - t[0])
    density = head.log_prob(features, x).exp() * weights
    assert float(density.sum().detach()) == pytest.approx(1, abs=1e-6)
    (exact,) = torch.autograd.grad((density * a_test_function(x[:, 0])).sum(), features)
    wide = features.detach().expand(NUM_DRAWS, 2).clone().requires_grad_()
    drawn = head.sample(wide)
    torch.testing.assert_close(drawn.sum(-1), torch.ones(NUM_DRAWS))
    (gradients,) = torch.autograd.grad(a_test_function(drawn[:, 0]).sum(), wide)
    z = (gradients.mean(0) - exact) / gradients.std(0) * NUM_DRAWS**0.5
    assert float(z.abs().max()) < 4  # fails for 1 seed in 8000
    torch.testing.assert_close(head.mean(features), head(features).mean)
    rows = head(features.detach()).sample((5000,))
    guess = head.concentration(head.initial_features(rows))
    torch.testing.assert_close(guess, head.concentration(features.detach()), rtol=0.2, atol=0)
    head.check(rows)
    with pytest.raises(DataError, match="hint: divide each row by its sum"):
        head.check(2 * rows)
    with pytest.raises(IncompatibleChoices, match="hint: give whole rows"):
        head.log_prob(features, rows, rows > 0.5)


def test_gamma_against_scipy():
    head, features = Gamma((2,)), torch.tensor([[0.5, -3.0], [0.2, 1.0]])
    a, log_scale = head.concentration_and_log_scale(features)
    x = torch.tensor([0.01, 3.0])
    expected = stats.gamma.logpdf(x.numpy(), a.numpy(), scale=log_scale.exp().numpy()).sum()
    assert float(head.log_prob(features, x)) == pytest.approx(expected)
    rows = head.sample(features.expand(20_000, 2, 2))
    guess = head.mean(head.initial_features(rows))
    torch.testing.assert_close(guess, rows.mean(0), rtol=1e-3, atol=1e-3)
    tiny = Gamma((1,))(torch.full((2, 1), -20.0).expand(1000, 2, 1)).rsample()
    assert bool((tiny > 0).all())


@pytest.mark.parametrize(
    ("low", "high", "loc", "scale"),
    [
        (0.0, math.inf, 1.0, 1.0),
        (0.0, math.inf, -30.0, 1.0),
        (0.0, math.inf, 30.0, 2.0),
        (-math.inf, 1.0, 20.0, 0.5),
        (-1.0, 2.0, 0.0, 1.0),
        (-1.0, 2.0, 0.0, 1e4),
        (5.0, 5.5, -20.0, 1.0),
        (-9.0, -8.0, 3.0, 0.7),
    ],
)
def test_truncated_normal_against_scipy(low, high, loc, scale):
    head = TruncatedNormal((1,), low, high, min_log_scale=-math.inf)
    features = torch.tensor([[loc], [math.log(scale)]])
    theirs = stats.truncnorm((low - loc) / scale, (high - loc) / scale, loc, scale)
    levels = np.array([1e-9, 0.01, 0.3, 0.5, 0.9, 0.999])
    x = torch.as_tensor(theirs.ppf(levels))
    each = head.log_prob(features, x.unsqueeze(-1))
    torch.testing.assert_close(
        each, torch.as_tensor(theirs.logpdf(x.numpy())), rtol=1e-6, atol=1e-6
    )
    ours = head.icdf(features, torch.as_tensor(levels).unsqueeze(-1)).squeeze(-1)
    torch.testing.assert_close(ours, x, rtol=1e-6, atol=1e-8)
    assert float(head.mean(features)) == pytest.approx(float(theirs.mean()), rel=1e-4, abs=1e-4)
    outside = torch.tensor([[low - 1 if math.isfinite(low) else high + 1]])
    assert float(head.log_prob(features, outside)) == -math.inf


@pytest.mark.parametrize("loc", [-300.0, -30.0, 0.0, 30.0])
def test_truncated_normal_far_in_single_precision(loc, single_precision):
    head = TruncatedNormal((1,))
    features = torch.tensor([[loc], [0.0]]).expand(2000, 2, 1).clone().requires_grad_()
    x = head.sample(features)
    log_prob = head.log_prob(features, x.detach())
    (gradient,) = torch.autograd.grad((x.sum() + log_prob.sum()), features)
    assert bool(x.isfinite().all() & (x >= 0).all() & log_prob.isfinite().all())
    assert bool(gradient.isfinite().all())
    # x is about exponential with mean 1 / |loc| far below; 4 standard errors, 1 seed in 16000
    if loc < 0:
        mean = float(x.detach().mean()) * abs(loc)
        assert abs(mean - 1) < 4 / 2000**0.5 + 2 / loc**2
    # d mean / d loc of a truncated normal is var / scale^2
    (slope,) = torch.autograd.grad(head.sample(features).mean(), features)
    expected = float(x.detach().var())
    assert float(slope[:, 0].sum()) == pytest.approx(expected, rel=0.25)


def test_log_mass_and_its_inverse():
    a = torch.tensor([-40.0, -1.0, 0.5, 30.0, 2.0, -math.inf, 5.0], requires_grad=True)
    b = torch.tensor([-39.0, 1.0, 0.5001, 30.001, math.inf, -3.0, 5.02], requires_grad=True)
    ours = log_normal_mass(a, b)
    for i in range(len(a)):
        low, high = sorted([-float(a[i].detach()), -float(b[i].detach())])
        if low + high > 0:
            low, high = -high, -low
        below, above = stats.norm.logcdf(low), stats.norm.logcdf(high)
        assert float(ours[i].detach()) == pytest.approx(
            above + math.log1p(-math.exp(below - above)), rel=1e-6
        )
    gradients = torch.autograd.grad(ours.sum(), [a, b])
    assert all(bool(g.isfinite().all()) for g in gradients)
    assert float(gradients[0][5]) == 0
    inner = slice(1, 5)
    torch.testing.assert_close(
        gradients[0][inner],
        -(-0.5 * a.square() - 0.5 * math.log(2 * math.pi) - ours).exp()[inner],
        rtol=1e-5,
        atol=1e-8,
    )
    log_u = torch.tensor([-1e6, -800.0, -50.0, -5.1, -4.9, -1.0, -1e-3])
    torch.testing.assert_close(torch.special.log_ndtr(ndtri_exp(log_u)), log_u, rtol=1e-9, atol=0)


def test_refusals_of_the_truncated_normal():
    with pytest.raises(OptionError, match=r"expected low < high, got 2\.0 and 1\.0"):
        TruncatedNormal((1,), 2.0, 1.0)
    with pytest.raises(DataError, match="values from 0 to 1"):
        TruncatedNormal((1,), 0.0, 1.0).check(torch.tensor([[2.0]]))


def a_mixture(num_dims, components=3, batch=()):
    logits = torch.randn(*batch, components)
    loc = 1.5 * torch.randn(*batch, components, num_dims)
    return [logits, loc, 0.3 * torch.randn(*batch, components, num_dims) - 0.3]


def test_mixtures_of_vectors_integrate_to_one_and_are_what_they_draw():
    q = NormalMixture(*a_mixture(2))
    axis = torch.linspace(-9, 9, 901)
    grid = torch.cartesian_prod(axis, axis)
    assert float(q.log_prob(grid).exp().sum() * 0.02**2) == pytest.approx(1, abs=1e-6)
    z = q.sample((NUM_DRAWS,))
    # 2 means and 2 variances, 4 standard errors: fails for 1 seed in 4000
    assert bool(((z.mean(0) - q.mean).abs() < 4 * z.std(0) / NUM_DRAWS**0.5).all())
    squares = (z - q.mean).square()
    assert bool(((squares.mean(0) - q.variance).abs() < 4 * squares.std(0) / NUM_DRAWS**0.5).all())
    wide = q.expand((4,))
    assert wide.rsample((3,)).shape == (3, 4, 2)


@pytest.mark.parametrize("components", [1, 3])
def test_gradients_through_mixtures_are_those_of_the_expectation(components):
    parameters = [p.requires_grad_() for p in a_mixture(2, components)]
    axis = torch.linspace(-10, 10, 601)
    grid = torch.cartesian_prod(axis, axis)

    def f(z):
        return torch.sin(z[..., 0] * z[..., 1]) + torch.cos(z[..., 0] + 2 * z[..., 1])

    density = NormalMixture(*parameters).log_prob(grid).exp() * (20 / 600) ** 2
    exact = torch.autograd.grad((density * f(grid)).sum(), parameters)
    wide = [p.detach().expand(NUM_DRAWS, *p.shape).clone().requires_grad_() for p in parameters]
    gradients = torch.autograd.grad(f(NormalMixture(*wide).rsample()).sum(), wide)
    for gradient, expected in zip(gradients, exact, strict=True):
        std_error = gradient.std(0) / NUM_DRAWS**0.5 + 1e-12
        # 15 numbers: fails for 1 seed in 1000
        assert float(((gradient.mean(0) - expected) / std_error).abs().max()) < 4


def test_the_gradient_of_one_gaussian_is_the_usual_one():
    loc, log_scale = torch.randn(4, 1, 5), 0.3 * torch.randn(4, 1, 5)
    parameters = [loc.requires_grad_(), log_scale.requires_grad_()]
    z = NormalMixture(torch.zeros(4, 1), *parameters).rsample((7,))
    weights = torch.randn(7, 4, 5)
    ours = torch.autograd.grad((weights * z).sum(), parameters)
    noise = (z - loc.squeeze(1)).detach()
    torch.testing.assert_close(ours[0].squeeze(1), weights.sum(0))
    torch.testing.assert_close(ours[1].squeeze(1), (weights * noise).sum(0))


def test_mixture_gradients_survive_single_precision(single_precision):
    parameters = [p.requires_grad_() for p in a_mixture(20, 5, (50,))]
    z = NormalMixture(*parameters).rsample((4,))
    gradients = torch.autograd.grad((z.square().sum()), parameters)
    assert all(bool(g.isfinite().all()) for g in gradients)
    doubles = [p.detach().double().requires_grad_() for p in parameters]
    mixture = NormalMixture(*doubles)
    residual, jacobian = mixture._uniforms(z.detach().double())
    moved = z.detach().double() - torch.linalg.solve_triangular(
        jacobian, (residual - residual.detach()).unsqueeze(-1), upper=False
    ).squeeze(-1)
    exact = torch.autograd.grad(((2 * z.detach().double()) * moved).sum(), doubles)
    for ours, theirs in zip(gradients, exact, strict=True):
        scale = float(theirs.abs().max())
        torch.testing.assert_close(ours.double(), theirs, rtol=1e-2, atol=1e-3 * scale)


class Inputs(nn.Module):
    """x as it is."""

    def forward(self, x, observed=None):
        return x


@pytest.mark.parametrize(
    "head",
    [
        Laplace((2,)),
        Logistic((2,)),
        Cauchy((2,)),
        Exponential((2,)),
        Gamma((2,)),
        Beta((2,)),
        Dirichlet((2,)),
        TruncatedNormal((2,), 0.0, 3.0),
        SiteMixture(Normal((2,)), 2),
    ],
    ids=lambda head: type(head).__name__,
)
def test_families_as_amortised_posteriors_under_a_prior_of_the_same_family(head):
    # the ELBO's gradient against that of its expectation over common noise, and log p from above
    prior = FreePrior(head).requires_grad_(requires_grad=False)
    model = LatentVariableModel(prior, NetworkConditional(nn.Linear(2, 3), Bernoulli((3,))))
    posterior = Amortized(Inputs(), LatentConditional(nn.Linear(3, head.num_features), head))
    assert posterior.reparameterized
    x = torch.tensor([[1.0, 0.0, 1.0]])
    batch = Batch(x)
    loss = Pathwise().surrogate(Elbo(4), model, posterior, batch, KlPenalty()).loss
    loss.backward()
    for parameter in [*model.likelihood.parameters(), *posterior.parameters()]:
        assert parameter.grad is not None
        assert bool(parameter.grad.isfinite().all())
        assert bool((parameter.grad != 0).any())
    with torch.no_grad():
        z = model.sample_latents(50_000).unsqueeze(1)
        likelihoods = model.log_likelihood(x, z).exp()
        draws = posterior.draw(model, batch, 50_000)
        weights = (model.log_joint(x, draws.z) - draws.log_q).exp()
        for values in (weights, likelihoods):
            assert bool(values.isfinite().all())
        error = (weights.var() / 50_000 + likelihoods.var() / 50_000).sqrt()
        # 4 standard errors: fails for 1 seed in 16000 (heavy-tailed weights are rarer still)
        assert abs(weights.mean() - likelihoods.mean()) < 4 * error
        elbo = (model.log_joint(x, draws.z) - draws.log_q).mean()
        assert elbo < likelihoods.mean().log()


@pytest.mark.parametrize(
    "head", [Laplace((2,)), Exponential((2,)), Gamma((2,)), Beta((2,)), Dirichlet((3,))]
)
def test_divergences_within_a_family_are_closed(head):
    features = 0.5 * torch.randn(2, 4, *head.feature_shape)
    q, p = head(features[0]), head(features[1])
    terms = kl_terms(q, p).sum(-1)
    z = q.sample((40_000,))
    each = q.log_prob(z) - p.log_prob(z)
    # 4 numbers, 5 standard errors: fails for 1 seed in 4 * 10^5
    assert bool(((each.mean(0) - terms).abs() < 5 * each.std(0) / 200).all())


def test_mixture_posterior_finds_the_evidence():
    model = LatentVariableModel(
        StandardNormalPrior(2), NetworkConditional(nn.Linear(2, 3), Bernoulli((3,)))
    )
    size = MixtureOfGaussians.num_outputs(2, 3)
    posterior = Amortized(Inputs(), MixtureOfGaussians(nn.Linear(3, size), 2, 3))
    batch = Batch(torch.tensor([[1.0, 0.0, 1.0]]))
    axis = torch.linspace(-8, 8, 401)
    grid = torch.cartesian_prod(axis, axis).unsqueeze(1)
    with torch.no_grad():
        exact = model.log_joint(batch.x, grid).logsumexp(0) + 2 * math.log(16 / 400)
        z, log_q = posterior.draw(model, batch, 50_000)
        weights = (model.log_joint(batch.x, z) - log_q).exp()
        error = 4 * weights.std() / 50_000**0.5
        assert abs(weights.mean() - exact.exp()) < error
        assert (model.log_joint(batch.x, z) - log_q).mean() < exact
        q = posterior.distribution(model, batch)
        torch.testing.assert_close(posterior.mean(model, batch), q.mean)
    with pytest.raises(IncompatibleChoices, match="NormalMixture to StandardNormal"):
        kl_terms(q, model.prior())
    with pytest.raises(OptionError, match="num_components >= 1"):
        MixtureOfGaussians(nn.Identity(), 2, 0)
