"""Mixture, Vamp, autoregressive and flow priors."""

from __future__ import annotations

import copy
import math

import pytest
import torch
from torch import nn
from torch.distributions import Categorical, Independent, MixtureSameFamily, Normal

from ancestral.core import Batch, IncompatibleChoices, Kind, OptionError, Specification, frozen
from ancestral.core.freezing import evaluation_mode
from ancestral.distributions import Bernoulli
from ancestral.flows import FlowConditional, MaskedAutoregressive
from ancestral.inference.bounds import Elbo
from ancestral.inference.gradients import KlPenalty, Pathwise
from ancestral.inference.posteriors import Amortized
from ancestral.models import (
    AutoregressivePrior,
    DiagonalGaussian,
    FullGaussian,
    LatentVariableModel,
    MixturePrior,
    NetworkConditional,
    StandardNormalPrior,
    VampPrior,
)
from ancestral.networks import InputFeatures

L, PIXELS = 2, 6


def shaken(module: nn.Module) -> nn.Module:
    with torch.no_grad():
        for parameter in module.parameters():
            parameter.add_(0.5 * torch.randn_like(parameter))
    return module.eval()


def vamp(num_components: int = 7) -> tuple[VampPrior, Amortized]:
    inputs = InputFeatures(Specification(Kind.BINARY, (PIXELS,)))
    encoder = DiagonalGaussian(nn.Linear(PIXELS, 2 * L))
    prior = VampPrior(inputs, encoder, (PIXELS,), num_components)
    return prior, Amortized(inputs, encoder)


def test_a_mixture_is_torchs_mixture():
    prior = shaken(MixturePrior(L, 5))
    theirs = MixtureSameFamily(
        Categorical(logits=prior.logits),
        Independent(Normal(prior.loc, prior.log_scale.exp()), 1),
    )
    z = 2 * torch.randn(3, 4, L)
    torch.testing.assert_close(prior.log_prob(z), theirs.log_prob(z))
    torch.testing.assert_close(prior().mean, theirs.mean)
    torch.testing.assert_close(prior().variance, theirs.variance)
    prior.log_prob(z).sum().backward()
    assert all(p.grad is not None and p.grad.any() for p in prior.parameters())


def test_a_vamp_prior_is_the_mixture_of_posteriors_at_its_pseudo_inputs():
    prior, posterior = vamp()
    z = torch.randn(3, 4, L)
    each = [posterior.encoder(u).log_prob(z) for u in prior.pseudo_inputs]
    expected = torch.stack(each).logsumexp(0) - math.log(7)
    torch.testing.assert_close(prior.log_prob(z), expected)


@torch.no_grad()
@pytest.mark.parametrize("kind", ["mixture", "vamp"])
def test_draws_take_every_component_as_often_as_its_weight(kind):
    """Pythae's sampler always takes the first pseudo-inputs."""
    if kind == "vamp":
        prior, posterior = vamp(4)
        posterior.encoder.network.bias[L:] = -4.0
        posterior.encoder.network.weight[L:] = 0.0
        prior.pseudo_inputs.mul_(4)
        weights = torch.full((4,), 0.25)
    else:
        prior = MixturePrior(L, 4)
        prior.loc.mul_(9)
        prior.logits.copy_(torch.tensor([0.0, 1.0, 2.0, -1.0]))
        prior.log_scale.fill_(-4.0)
        weights = prior.logits.softmax(0)
    drawn = prior().sample((50, 80))
    assert drawn.shape == (50, 80, L)
    which = torch.cdist(drawn.flatten(0, 1), prior().loc).argmin(1)
    counts = torch.bincount(which, minlength=4)
    expected = 4000 * weights
    # chi-square of 3 degrees of freedom: above 21.1 in one run of 10,000
    assert ((counts - expected).square() / expected).sum() < 21.1


def test_the_shared_encoder_is_registered_once_and_trained_by_both():
    prior, posterior = vamp()
    names = {name for name, _ in prior.named_parameters()}
    assert names == {"pseudo_inputs"}
    prior.log_prob(torch.randn(5, L)).sum().backward()
    assert posterior.encoder.network.weight.grad.any()
    assert prior.pseudo_inputs.grad.any()
    likelihood = NetworkConditional(nn.Linear(L, PIXELS), Bernoulli((PIXELS,)))
    model = LatentVariableModel(prior, likelihood)
    copied_model, copied = copy.deepcopy((model, posterior))
    assert copied_model.prior.encoder is copied.encoder


def test_pseudo_inputs_start_at_training_rows():
    prior, posterior = vamp(5)
    x = torch.randint(2, (40, PIXELS)).double()
    posterior.inputs.initialize(x)
    prior.initialize(x)
    rows = posterior.inputs(x)
    distance = torch.cdist(prior.pseudo_inputs.detach(), rows).amin(1)
    assert (distance < 0.1).all()
    few = x[:2]
    prior.initialize(few)
    assert prior.pseudo_inputs.detach().unique(dim=0).shape[0] == 5


def test_the_bound_with_a_vamp_prior_stays_below_the_enumerated_log_p():
    torch.manual_seed(1)
    prior, posterior = vamp(3)
    likelihood = NetworkConditional(nn.Linear(L, PIXELS), Bernoulli((PIXELS,)))
    model = LatentVariableModel(prior, likelihood)
    x = torch.randint(2, (4, PIXELS)).double()
    # log p(x) on a grid of z, the sum over 300 x 300 points
    ticks = torch.linspace(-9, 9, 300)
    grid = torch.cartesian_prod(ticks, ticks)
    with torch.no_grad():
        cell = float(ticks[1] - ticks[0]) ** 2
        exact = model.log_joint(x, grid.unsqueeze(1)).logsumexp(0) + math.log(cell)
        z, log_q = posterior.draw(model, Batch(x), 4000)
        log_w = model.log_joint(x, z) - log_q
    error = log_w.std(0) / 4000**0.5
    assert (Elbo()(log_w) < exact + 4 * error).all()
    assert (Elbo()(log_w) > exact - 20).all()


def priors() -> dict:
    return {
        "mixture": MixturePrior(L, 3),
        "vamp": vamp(3),
        "autoregressive": AutoregressivePrior(L, num_components=2, hidden_sizes=(6,)),
        "flow": FlowConditional(
            StandardNormalPrior(L), MaskedAutoregressive(L, 2, hidden_sizes=(6,))
        ),
    }


@pytest.mark.parametrize("name", list(priors()))
def test_every_prior_trains_by_pathwise_gradients_and_integrates_to_one(name):
    built = priors()[name]
    prior, posterior = built if isinstance(built, tuple) else (built, vamp()[1])
    shaken(prior)
    ticks = torch.linspace(-25, 25, 400)
    with torch.no_grad():
        mass = prior.log_prob(torch.cartesian_prod(ticks, ticks)).exp().sum()
    torch.testing.assert_close(
        mass * (ticks[1] - ticks[0]).square(), torch.ones(()), atol=0.03, rtol=0
    )
    likelihood = NetworkConditional(nn.Linear(L, PIXELS), Bernoulli((PIXELS,)))
    model = LatentVariableModel(prior, likelihood)
    batch = Batch(torch.randint(2, (9, PIXELS)).double())
    Pathwise().surrogate(Elbo(2), model, posterior, batch, KlPenalty()).loss.backward()
    for module in (model, posterior):
        assert all(p.grad is not None for p in module.parameters())
    with torch.no_grad():
        drawn = model.eval().sample(11)
        z = model.sample_latents(2000)
    assert drawn.shape == (11, PIXELS)
    # the mean log-density of draws is the negative entropy: finite, and above that of strangers
    with torch.no_grad():
        assert prior.log_prob(z).mean() > prior.log_prob(z + 3 * torch.randn_like(z)).mean()


def test_other_encoders_are_refused():
    _, posterior = vamp(3)
    full = VampPrior(posterior.inputs, FullGaussian(nn.Linear(PIXELS, 5), L), (PIXELS,), 3)
    with pytest.raises(IncompatibleChoices, match="mixture of diagonal Gaussians"):
        full()


def test_impossible_sizes_are_refused():
    with pytest.raises(OptionError, match="at least 1 component"):
        MixturePrior(2, 0)
    with pytest.raises(OptionError, match="at least 1 component"):
        vamp(0)


def test_what_a_vamp_prior_borrows_is_frozen_and_evaluated_with_it():
    prior, posterior = vamp()
    posterior.encoder.network = nn.Sequential(nn.Dropout(0.5), posterior.encoder.network)
    z = torch.randn(3, L)
    with evaluation_mode(prior):
        assert torch.equal(prior.log_prob(z), prior.log_prob(z))
    assert not torch.equal(prior.log_prob(z), prior.log_prob(z))
    with frozen(prior):
        assert not prior.log_prob(z).requires_grad
    with frozen(prior, keep=posterior):
        prior.log_prob(z).sum().backward()
    assert prior.pseudo_inputs.grad is None
    assert all(p.grad is not None for p in posterior.parameters())
