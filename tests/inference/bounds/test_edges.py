"""Weights of zero, orders near the limits, options that are no numbers, batches of one row."""

from __future__ import annotations

import math

import pytest
import torch
from linear_gaussian import NUM_ROWS, FreePosterior, a_model
from torch import nn

from ancestral.core import (
    Batch,
    IncompatibleChoices,
    Kind,
    OptionError,
    ShapeError,
    Specification,
)
from ancestral.distributions import Bernoulli, FixedScaleNormal, GaussianKernel, Normal
from ancestral.inference.bounds import Ciwae, ImportanceWeighted, Jackknife, Renyi
from ancestral.inference.objectives import (
    Capacity,
    ComparedRows,
    InfoVae,
    SampleMatching,
    Variational,
    Wasserstein,
    WeightedKl,
)
from ancestral.inference.posteriors import HmcRefined
from ancestral.models import (
    FreePrior,
    LatentVariableModel,
    MixturePrior,
    NetworkConditional,
    StandardNormalPrior,
)
from ancestral.recipes.beta_vae import beta_vae
from ancestral.recipes.sigmoid_belief_net import sigmoid_belief_net


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("alpha", [0.995, 1.005, 0.9999])
def test_renyi_near_one_with_weights_far_apart(dtype, alpha):
    log_w = torch.tensor([[0.0], [-3e4], [-1e4], [-5e3]], dtype=dtype, requires_grad=True)
    value = Renyi(alpha, 4)(log_w)
    power = 1 - alpha
    exact = [power * v for v in log_w[:, 0].tolist()]
    top = max(exact)
    exact = (top + math.log(math.fsum(math.exp(v - top) for v in exact) / 4)) / power
    assert float(value.detach()) == pytest.approx(exact, rel=1e-5)
    (gradient,) = torch.autograd.grad(value.sum(), log_w)
    assert float(gradient.sum()) == pytest.approx(1, rel=1e-3)  # of a power mean: shares


def test_renyi_near_one_with_a_weight_of_zero():
    log_w = torch.tensor([[-1.0, -1.0], [-math.inf, -2.0], [-2.0, -3.0]], requires_grad=True)
    below = Renyi(0.995, 3)(log_w)
    exact = math.log((math.exp(-0.005) + math.exp(-0.01)) / 3) / 0.005
    assert float(below[0].detach()) == pytest.approx(exact, rel=1e-6)
    assert float(below[1].detach()) == pytest.approx(-2, abs=0.01)
    (gradient,) = torch.autograd.grad(below.sum(), log_w)
    assert bool(gradient.isfinite().all())
    assert Renyi(1.005, 3)(log_w.detach())[0] == -math.inf
    assert bool(Renyi(0.995, 1)(torch.tensor([[math.nan]])).isnan())


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_huge_orders_are_the_limits(dtype):
    log_w = torch.tensor([[0.0], [-2.0], [-4.0]], dtype=dtype)
    assert float(Renyi(-1e300, 3)(log_w)) == 0
    assert float(Renyi(1e300, 3)(log_w)) == -4
    assert Renyi(-1e300, 3).power == math.inf


def test_ciwae_leaves_out_what_has_no_weight():
    log_w = torch.tensor([[-1.0], [-math.inf], [-2.0]])
    torch.testing.assert_close(Ciwae(0.0, 3)(log_w), ImportanceWeighted(3)(log_w))
    assert float(Ciwae(1.0, 3)(log_w)) == -math.inf


def test_a_jackknife_of_weights_that_are_all_zero():
    log_w = torch.tensor([[-math.inf, 0.0], [-math.inf, -1.0], [-math.inf, -2.0]])
    log_w.requires_grad_()
    value = Jackknife(1, 3)(log_w)
    assert value[0] == -math.inf
    assert float(value[1].detach()) == pytest.approx(-0.5224, abs=1e-4)
    (gradient,) = torch.autograd.grad(value[1], log_w)
    assert bool(gradient.isfinite().all())


def test_a_jackknife_of_too_few_weights_says_so():
    with pytest.raises(ShapeError, match="expected at least 3 log-weights"):
        Jackknife(2, 5)(torch.zeros(2, 1))
    assert Jackknife(2, 5)(torch.zeros(3, 1)).shape == (1,)


@pytest.mark.parametrize(
    "make",
    [
        lambda: Capacity(math.nan),
        lambda: Capacity(math.inf),
        lambda: Capacity(strength=math.nan),
        lambda: InfoVae(0.5, math.inf),
        lambda: InfoVae(-math.inf, math.inf),
        lambda: Variational(free_nats=math.nan),
        lambda: WeightedKl(num_samples=0),
    ],
)
def test_options_that_are_no_numbers_are_refused(make):
    with pytest.raises(OptionError, match="expected"):
        make()


def a_likelihood():
    return NetworkConditional(nn.Linear(2, 4), FixedScaleNormal((4,), 0.3))


def a_batch(num_rows=NUM_ROWS):
    return Batch(torch.randn(num_rows, 4))


def refusal(objective, model, posterior):
    with pytest.raises(IncompatibleChoices) as error:
        objective.check(model, posterior)
    assert error.value.hint
    return str(error.value)


def test_a_capacity_needs_a_kl_in_closed_form():
    model = LatentVariableModel(MixturePrior(2, 3), a_likelihood())
    posterior = FreePosterior(diagonal=True)
    with pytest.raises(IncompatibleChoices, match="in closed form") as error:
        Capacity()(model, posterior, a_batch(), 0)
    assert "WeightedKl()" in str(error.value.hint)
    assert "in closed form" in refusal(Capacity(), a_model(), HmcRefined(posterior))


class _Rows(nn.Module):
    def forward(self, x, observed=None):
        return x


def matching():
    return SampleMatching(ComparedRows(_Rows()), GaussianKernel((0.5, 1.0)))


@pytest.mark.parametrize("objective", [Wasserstein(), InfoVae(1.0, 100.0), matching()])
@pytest.mark.parametrize("make", [lambda: FreePrior(Normal((2,))), lambda: MixturePrior(2, 3)])
def test_a_prior_with_weights_is_trained(objective, make):
    prior = make()
    model = LatentVariableModel(prior, a_likelihood())
    posterior = None if isinstance(objective, SampleMatching) else FreePosterior(diagonal=True)
    objective.check(model, posterior)
    objective(model, posterior, a_batch(), 0).value.backward()
    for parameter in prior.parameters():
        assert parameter.grad is not None
        assert float(parameter.grad.abs().max()) > 0


@pytest.mark.parametrize("objective", [Wasserstein(), InfoVae(), matching()])
def test_a_prior_that_would_stay_untrained_is_refused(objective):
    model = LatentVariableModel(FreePrior(Bernoulli((2,))), a_likelihood())
    posterior = None if isinstance(objective, SampleMatching) else FreePosterior(diagonal=True)
    assert "get no gradient" in refusal(objective, model, posterior)
    model.prior.requires_grad_(requires_grad=False)
    objective.check(model, posterior)


@pytest.mark.parametrize("objective", [Wasserstein(), InfoVae()])
def test_refined_draws_have_no_discrepancy_that_trains_the_encoder(objective):
    posterior = HmcRefined(FreePosterior(diagonal=True))
    assert "has log p(x | z) in it" in refusal(objective, a_model(), posterior)


def test_a_row_alone_has_no_discrepancy():
    model = LatentVariableModel(StandardNormalPrior(2), a_likelihood())
    one = a_batch(1)
    posterior = FreePosterior(diagonal=True, num_rows=1)
    for objective in (Wasserstein(), InfoVae()):
        found = objective(model, posterior, one, 0)
        found.value.backward()
        assert float(found.terms["discrepancy"]) == 0
    found = matching()(model, None, one, 0)
    found.value.backward()
    assert float(found.value.detach()) == 0


def test_samples_are_not_compared_with_gaps():
    x = torch.randn(6, 4)
    observed = torch.ones(6, 4, dtype=torch.bool)
    model = LatentVariableModel(StandardNormalPrior(2), a_likelihood())
    assert bool(matching()(model, None, Batch(x, observed), 0).value.isfinite())
    observed[2, 1] = False
    with pytest.raises(IncompatibleChoices, match="complete rows"):
        matching()(model, None, Batch(x, observed), 0)


def test_recipes_refuse_what_they_would_leave_out():
    rows = Specification(Kind.BINARY, (6,))
    with pytest.raises(OptionError, match="either a capacity or a warm-up") as error:
        beta_vae(rows, capacity=5.0, kl_warm_up=100)
    assert "--kl-warm-up" in str(error.value.hint)
    for gradient in ("vimco", "leave-one-out"):
        with pytest.raises(OptionError, match="num_samples of at least 2") as error:
            sigmoid_belief_net(rows, layers="3", gradient=gradient, num_samples=1)
        assert "--gradient running-mean" in str(error.value.hint)
    sigmoid_belief_net(rows, layers="3", gradient="running-mean", num_samples=1)
