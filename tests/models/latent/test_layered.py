"""Layered priors against joint Gaussians and enumerated bits."""

from __future__ import annotations

import itertools

import pytest
import torch
from scipy.stats import chi2
from torch import nn
from torch.distributions import MultivariateNormal

from ancestral.core import IncompatibleChoices, OptionError, ShapeError
from ancestral.distributions import Bernoulli, OneHot
from ancestral.inference.evidence.annealing import refuse_discrete
from ancestral.models import (
    DiagonalGaussian,
    FirstLayer,
    FreePrior,
    LatentConditional,
    LatentVariableModel,
    LayeredPrior,
    NetworkConditional,
    StandardNormalPrior,
)

SIZES = (3, 2, 1)


def linear(size_in: int, size_out: int) -> nn.Linear:
    layer = nn.Linear(size_in, size_out)
    nn.init.normal_(layer.weight, std=0.7)
    nn.init.normal_(layer.bias, std=0.5)
    return layer


def fixed_scale(layer: nn.Linear) -> nn.Linear:
    """The half of the outputs that are log-scales no longer depends on the input."""
    with torch.no_grad():
        layer.weight[layer.out_features // 2 :] = 0
    return layer


def gaussian_chain() -> LayeredPrior:
    conditionals = [
        DiagonalGaussian(fixed_scale(linear(SIZES[i + 1], 2 * SIZES[i]))) for i in range(2)
    ]
    return LayeredPrior(StandardNormalPrior(SIZES[-1]), conditionals, SIZES)


def binary_chain() -> LayeredPrior:
    top = FreePrior(Bernoulli((SIZES[-1],)))
    nn.init.normal_(top.features)
    conditionals = [
        LatentConditional(linear(SIZES[i + 1], SIZES[i]), Bernoulli((SIZES[i],))) for i in range(2)
    ]
    return LayeredPrior(top, conditionals, SIZES)


def joint(prior: LayeredPrior) -> MultivariateNormal:
    """The chain's joint Gaussian, built from its weights."""
    mean, covariance = torch.zeros(SIZES[-1]), torch.eye(SIZES[-1])
    for i in (1, 0):
        layer, size = prior.conditionals[i].network, SIZES[i]
        weight, above = layer.weight[:size], SIZES[i + 1]
        here = weight @ mean[:above] + layer.bias[:size]
        cross = weight @ covariance[:above]
        noise = torch.diag((2 * layer.bias[size:]).exp())
        inner = weight @ covariance[:above, :above] @ weight.T + noise
        covariance = torch.cat(
            (torch.cat((inner, cross), 1), torch.cat((cross.T, covariance), 1)), 0
        )
        mean = torch.cat((here, mean))
    return MultivariateNormal(mean, covariance)


@torch.no_grad()
def test_a_linear_gaussian_chain_is_its_joint_gaussian():
    prior = gaussian_chain()
    z = torch.randn(5, 4, sum(SIZES))
    torch.testing.assert_close(prior.log_prob(z), joint(prior).log_prob(z))
    torch.testing.assert_close(prior().log_prob(z), joint(prior).log_prob(z))
    torch.testing.assert_close(prior.log_prob_layers(z).sum(-1), prior.log_prob(z))


@torch.no_grad()
def test_draws_of_a_linear_gaussian_chain_have_its_moments():
    prior = gaussian_chain()
    whitened = torch.linalg.solve_triangular(
        joint(prior).scale_tril, (prior().sample((40_000,)) - joint(prior).mean).T, upper=False
    ).T
    # each entry is within 4.5 standard errors of 0 or 1: fails by chance once in 5,000 runs
    assert whitened.mean(0).abs().max() < 4.5 / 200
    covariance = whitened.T @ whitened / 40_000 - torch.eye(sum(SIZES))
    assert covariance.abs().max() < 4.5 * 2**0.5 / 200


@torch.no_grad()
def test_binary_layers_sum_to_one_and_are_drawn_as_often_as_they_are_likely():
    prior = binary_chain()
    states = torch.tensor(list(itertools.product((0.0, 1.0), repeat=sum(SIZES))))
    probability = prior.log_prob(states).exp()
    torch.testing.assert_close(probability.sum(), torch.ones(()))
    drawn = prior().sample((20_000,))
    powers = 2.0 ** torch.arange(sum(SIZES) - 1, -1, -1)
    counts = torch.bincount((drawn @ powers).long(), minlength=len(states))
    expected = 20_000 * probability
    common = expected > 5
    squares = ((counts - expected).square() / expected)[common].sum()
    assert squares < chi2.ppf(1 - 1e-4, int(common.sum()) - 1)  # fails once in 10,000 runs


def test_gaussian_layers_pass_gradients_and_binary_ones_say_that_they_do_not():
    prior = gaussian_chain()
    assert prior().has_rsample
    prior().rsample((6,)).square().sum().backward()
    assert all(p.grad is not None and p.grad.any() for p in prior.parameters())
    assert not prior().sample((2,)).requires_grad
    assert not binary_chain()().has_rsample
    with pytest.raises(NotImplementedError):
        binary_chain()().rsample((2,))


def test_density_reaches_all_parameters():
    for prior in (gaussian_chain(), binary_chain()):
        z = prior().sample((4, 5))
        prior.log_prob(z).sum().backward()
        assert all(p.grad is not None and p.grad.any() for p in prior.parameters())


def test_one_layer_is_its_top():
    prior = LayeredPrior(StandardNormalPrior(3), [], (3,))
    z = torch.randn(4, 3)
    torch.testing.assert_close(prior.log_prob(z), StandardNormalPrior(3).log_prob(z))
    assert prior().sample((2, 4)).shape == (2, 4, 3)


def test_the_first_layer_alone_reaches_the_data():
    decoder = NetworkConditional(FirstLayer(nn.Linear(3, 4), 3), Bernoulli((4,)))
    model = LatentVariableModel(gaussian_chain(), decoder)
    z = torch.randn(2, 5, 6, requires_grad=True)
    x = torch.ones(5, 4)
    model.log_likelihood(x, z).sum().backward()
    assert z.grad is not None
    assert z.grad[..., :3].abs().min() > 0
    assert not z.grad[..., 3:].any()
    assert model.log_joint(x, z).shape == (2, 5)
    assert model.sample(7).shape == (7, 4)


def test_sizes_must_fit():
    with pytest.raises(OptionError, match="one conditional for each layer"):
        LayeredPrior(StandardNormalPrior(3), [], (3, 2))
    with pytest.raises(ShapeError, match=r"6 variables \(3 \+ 2 \+ 1\)"):
        gaussian_chain().log_prob(torch.zeros(2, 5))


def half_binary_chain() -> LayeredPrior:
    below = LatentConditional(linear(2, 3), Bernoulli((3,)))
    return LayeredPrior(StandardNormalPrior(2), [below], (3, 2))


@pytest.mark.parametrize(
    "build",
    [
        binary_chain,
        half_binary_chain,
        lambda: LayeredPrior(FreePrior(Bernoulli((4,))), [], (4,)),
        lambda: FreePrior(Bernoulli((4,))),
        lambda: FreePrior(OneHot((6,), 3)),
    ],
    ids=["layers", "half", "one", "flat", "one-hot"],
)
def test_annealing_refuses_layers_that_are_discrete(build):
    prior = build()
    assert prior().support.is_discrete
    model = LatentVariableModel(
        prior, NetworkConditional(nn.Linear(prior().event_shape[0], 2), Bernoulli((2,)))
    )
    with pytest.raises(IncompatibleChoices, match="continuous latent variables"):
        refuse_discrete(model)


def test_to_ask_for_the_support_moves_no_generator():
    prior = gaussian_chain()
    before = torch.get_rng_state()
    assert not prior().support.is_discrete
    assert prior().has_rsample
    assert torch.equal(torch.get_rng_state(), before)
    refuse_discrete(
        LatentVariableModel(prior, NetworkConditional(nn.Linear(sum(SIZES), 2), Bernoulli((2,))))
    )
