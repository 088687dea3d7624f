"""Bounds: equal to log p under the exact posterior, in order under a wrong one."""

from __future__ import annotations

import math
from itertools import pairwise

import pytest
import torch
from linear_gaussian import Widened, a_model
from torch.distributions import kl_divergence

from ancestral.core import Batch, IncompatibleChoices, OptionError, as_batch
from ancestral.distributions import Bernoulli
from ancestral.inference.bounds import Bound, Elbo, ImportanceWeighted
from ancestral.inference.evidence import log_weights
from ancestral.inference.posteriors import ExactPosterior
from ancestral.models import (
    LatentVariableModel,
    NetworkConditional,
    ProbabilisticPCA,
    StandardNormalPrior,
)


@pytest.mark.parametrize("gaps", [False, True])
@pytest.mark.parametrize("shape", [(4,), (3, 2)])
def test_exact_posterior_makes_every_bound_exact(gaps, shape):
    model = ProbabilisticPCA(shape, 2).requires_grad_(False)
    x = model.sample(8)
    if gaps:
        x[torch.rand_like(x) < 0.4] = float("nan")
    batch = as_batch(x)
    log_prob = model.log_prob(batch.x, batch.observed)
    log_w = log_weights(model, ExactPosterior(), batch, 20)
    for draw in log_w:
        torch.testing.assert_close(Elbo(1)(draw[None]), log_prob, rtol=0, atol=1e-9)
    for k in (1, 2, 5, 20):
        for bound in (Elbo(k), ImportanceWeighted(k)):
            torch.testing.assert_close(bound(log_w[:k]), log_prob, rtol=0, atol=1e-9)


def test_bounds_are_in_order_under_a_wrong_posterior():
    # each gap is compared with 4 standard errors of the paired difference over 10,000 repeats:
    # a true inequality fails for fewer than 1 seed in 10^4
    model = a_model().requires_grad_(False)
    x = model.sample(1).expand(10_000, -1)
    log_w = log_weights(model, Widened(), Batch(x), 50)
    log_prob = model.log_prob(x)
    values = [
        Elbo(50)(log_w),
        ImportanceWeighted(5)(log_w[:5]),
        ImportanceWeighted(50)(log_w),
        log_prob,
    ]
    for lower, upper in pairwise(values):
        gap = upper - lower
        assert float(gap.mean()) > -4 * float(gap.std()) / math.sqrt(10_000)
    # and the first gaps are real ones
    for lower, upper in pairwise(values[:3]):
        gap = upper - lower
        assert float(gap.mean()) > 4 * float(gap.std()) / math.sqrt(10_000)


def test_expected_elbo_is_log_prob_less_the_divergence():
    model = a_model().requires_grad_(False)
    x = model.sample(1)
    batch = Batch(x)
    n = 20_000
    log_w = log_weights(model, Widened(), batch, n)[:, 0]
    kl = kl_divergence(Widened().distribution(model, batch), model.posterior(x))
    expected = float(model.log_prob(x) - kl)
    # 4 standard errors: fails for 1 seed in 10^4
    assert float(log_w.mean()) == pytest.approx(expected, abs=4 * float(log_w.std()) / n**0.5)


def test_definitions_on_numbers():
    log_w = torch.tensor([[0.0, -1000.0], [-1.0, -1001.0]])
    torch.testing.assert_close(Elbo(2)(log_w), torch.tensor([-0.5, -1000.5]))
    inside = math.log((1 + math.exp(-1)) / 2)
    torch.testing.assert_close(ImportanceWeighted(2)(log_w), torch.tensor([inside, inside - 1000]))
    torch.testing.assert_close(ImportanceWeighted(1)(log_w[:1]), Elbo(1)(log_w[:1]))
    assert isinstance(Elbo(), Bound)
    assert (Elbo().num_samples, ImportanceWeighted().num_samples) == (1, 5)


@pytest.mark.parametrize("bound", [Elbo, ImportanceWeighted])
def test_no_samples_are_refused(bound):
    with pytest.raises(OptionError, match="expected num_samples >= 1, got 0"):
        bound(0)


def test_exact_posterior_of_a_model_without_one():
    likelihood = NetworkConditional(torch.nn.Linear(2, 3), Bernoulli((3,)))
    model = LatentVariableModel(StandardNormalPrior(2), likelihood)
    with pytest.raises(IncompatibleChoices, match="closed posterior, got LatentVariableModel"):
        ExactPosterior().draw(model, Batch(torch.zeros(1, 3)), 1)
