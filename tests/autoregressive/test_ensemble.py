"""Mixtures over orders: exact, and sampled from."""

from __future__ import annotations

import math

import pytest
import torch
from case import all_states, randomized
from torch import nn

from ancestral.core import IncompatibleChoices, NotExact, OptionError
from ancestral.distributions import Bernoulli, site_head
from ancestral.models.autoregressive import (
    AutoregressiveModel,
    OrderEnsemble,
    SamplingMethod,
    random_orders,
)
from ancestral.networks.causal import CausalNetwork, LinearCausal, Plain, reordered

SITES = 5


class AnyOrder(CausalNetwork):
    """Logistic regression on whatever comes before: one weight for each pair of sites."""

    def __init__(self, num_sites: int, context_size: int = 0) -> None:
        super().__init__(num_sites, 1, context_size=context_size)
        self.weight = nn.Parameter(torch.zeros(num_sites, num_sites))
        self.output_bias = nn.Parameter(torch.zeros(num_sites, 1))
        self.context = nn.Linear(context_size, num_sites, bias=False) if context_size else None

    def forward(self, x, context=None):
        rank = self.order.argsort()
        before = rank.unsqueeze(1) > rank
        logits = (x[..., 0] @ (self.weight * before).T).unsqueeze(-1) + self.output_bias
        return logits if self.context is None else logits + self.context(context).unsqueeze(-1)

    def with_order(self, order):
        return reordered(self, order)


def agnostic(context_size: int = 0) -> AutoregressiveModel:
    network = AnyOrder(SITES, context_size)
    model = AutoregressiveModel(network, site_head(Bernoulli((SITES,)), SITES), (SITES,))
    return randomized(model, 2.0).eval()


def test_total_mass_is_one_and_that_of_averaged_logits_is_not():
    ensemble = OrderEnsemble(agnostic(), random_orders(SITES, 6))
    states = all_states(2, (SITES,))
    with torch.no_grad():
        joint = ensemble.log_prob(states)
        each = ensemble.log_prob_orders(states)
        logits = torch.stack(
            [ensemble.with_order(o).features(states) for o in ensemble.orders]
        ).mean(0)
        invalid = ensemble.model.head.log_prob(logits, states.unsqueeze(-1)).sum(-1)
    assert abs(float(joint.logsumexp(0))) < 1e-12
    assert torch.allclose(each.logsumexp(1), torch.zeros(6), atol=1e-12)
    assert torch.allclose(joint, each.logsumexp(0) - math.log(6))
    assert abs(float(invalid.logsumexp(0))) > 1e-2
    assert not torch.allclose(each[0], each[1])


def test_sample_frequencies():
    """Chi-square against the enumerated mixture; fails by chance once in 10,000."""
    from scipy.stats import chi2

    ensemble = OrderEnsemble(agnostic(), random_orders(SITES, 3, seed=2))
    num = 6000
    index = (ensemble.sample(num).long() * 2 ** torch.arange(SITES).flip(0)).sum(-1)
    with torch.no_grad():
        expected = ensemble.log_prob(all_states(2, (SITES,))).exp() * num
    count = torch.bincount(index, minlength=2**SITES).double()
    statistic = float(((count - expected).square() / expected)[expected > 5].sum())
    assert statistic < chi2.isf(1e-4, int((expected > 5).sum()))


def test_samplers_agree_and_contexts_go_with_their_rows():
    ensemble = OrderEnsemble(agnostic(context_size=2), random_orders(SITES, 4))
    context = torch.randn(20, 2) * 20
    found = []
    for method in (SamplingMethod.NAIVE, SamplingMethod.CACHED, SamplingMethod.JACOBI):
        torch.manual_seed(3)
        found.append(ensemble.sample(20, context, method=method))
    assert all(torch.equal(found[0], other) for other in found[1:])
    torch.manual_seed(3)
    assert not torch.equal(found[0], ensemble.sample(20, context.flip(0)))
    assert ensemble(context[:6]).sample((3,)).shape == (3, 6, SITES)
    assert ensemble.log_prob(found[0], context).shape == (20,)


def test_weights_are_shared_and_orders_are_kept_with_them():
    ensemble = OrderEnsemble(agnostic(), random_orders(SITES, 2))
    x = torch.ones(3, SITES)
    ensemble.log_prob(x).sum().backward()
    assert bool((ensemble.model.network.weight.grad != 0).any())
    before = ensemble.log_prob(x)
    other = OrderEnsemble(agnostic(), random_orders(SITES, 2, seed=5))
    other.load_state_dict(ensemble.state_dict())
    assert torch.equal(other.log_prob(x), before)
    with torch.no_grad():
        ensemble.model.network.weight.mul_(-1)
    assert not torch.equal(ensemble.log_prob(x), before)


def test_missing_cells_are_integrated_out_where_they_come_last_in_every_order():
    orders = [[1, 0, 2, 4, 3], [0, 2, 1, 3, 4]]
    ensemble = OrderEnsemble(agnostic(), orders)
    x = torch.randint(2, (4, SITES)).double()
    observed = torch.ones(4, SITES, dtype=torch.bool)
    observed[:, 3:] = False
    total = torch.stack(
        [
            ensemble.log_prob(torch.cat((x[:, :3], torch.tensor([[a, b]]).expand(4, 2)), 1))
            for a in (0.0, 1.0)
            for b in (0.0, 1.0)
        ]
    ).logsumexp(0)
    torch.testing.assert_close(ensemble.log_prob(x, observed=observed), total)
    observed[:, 3] = True
    with pytest.raises(NotExact):
        ensemble.log_prob(x, observed=observed)


def test_bad_orders_are_refused():
    head = site_head(Bernoulli((SITES,)), SITES)
    fixed = AutoregressiveModel(LinearCausal(SITES, 1, Plain()), head, (SITES,))
    with pytest.raises(IncompatibleChoices, match="one order"):
        OrderEnsemble(fixed, random_orders(SITES, 2))
    with pytest.raises(OptionError, match="each once"):
        OrderEnsemble(agnostic(), [[0, 1, 1, 3, 4]])
    with pytest.raises(OptionError, match="orders"):
        OrderEnsemble(agnostic(), torch.arange(SITES))
    with pytest.raises(OptionError, match="at least 1"):
        random_orders(SITES, 0)
