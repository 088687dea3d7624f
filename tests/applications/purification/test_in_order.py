"""Projection along an order, against enumeration."""

from __future__ import annotations

import itertools

import pytest
import torch

from ancestral.applications.purification import Ball, Projection, purify
from ancestral.core import Batch, IncompatibleChoices, Kind, NotExact, Specification
from ancestral.distributions import Bernoulli, Categorical, Normal, site_head
from ancestral.models import AutoregressiveModel, OrderEnsemble, Units, random_orders
from ancestral.networks.causal import LinearCausal, OrderAgnosticNADE, Plain

WHOLE = torch.ones(4, dtype=torch.bool)


def _levels(order=None):
    network = LinearCausal(4, 3, Plain(), order=order)
    for parameter in network.parameters():
        torch.nn.init.normal_(parameter)
    head = Categorical((4,), 3, Kind.LEVELS)
    return AutoregressiveModel(network, site_head(head, 4), (4,)).eval()


def _conditional(model, known, site):
    """P(x_site = k | the known sites) by summing the joint, [3]."""
    rows = torch.tensor(list(itertools.product(range(3), repeat=4)), dtype=torch.float64)
    joint = model.log_prob(rows).exp()
    agree = torch.ones(len(rows), dtype=torch.bool)
    for index, value in known.items():
        agree &= rows[:, index] == value
    masses = torch.stack([joint[agree & (rows[:, site] == k)].sum() for k in range(3)])
    return masses / masses.sum()


@pytest.mark.parametrize("order", [None, (2, 0, 3, 1)])
def test_each_cell_is_the_likeliest_of_its_interval_given_those_before(order):
    model = _levels(order)
    low = torch.randint(0, 3, (12, 4)).double()
    high = torch.maximum(low, torch.randint(0, 3, (12, 4)).double())
    found = purify(model, Batch(low), Ball(low, high, WHOLE, torch.ones(4)))
    assert bool(((found >= low) & (found <= high)).all())
    for row in range(12):
        known = {}
        for site in model.network.order.tolist():
            masses = _conditional(model, known, site)
            a, b = int(low[row, site]), int(high[row, site])
            known[site] = float(a + masses[a : b + 1].argmax())
        assert found[row].tolist() == [known[site] for site in range(4)]


def test_a_ball_that_holds_one_row_gives_it_back_and_the_full_one_ignores_what_was_given():
    model = _levels()
    x = torch.randint(0, 3, (5, 4)).double()
    assert torch.equal(purify(model, Batch(x), Ball(x, x, WHOLE, torch.ones(4))), x)
    everything = Ball(torch.zeros(5, 4), torch.full((5, 4), 2.0), WHOLE, torch.ones(4))
    found = purify(model, Batch(x), everything)
    assert torch.equal(found, found[:1].expand(5, 4))


def test_draws_follow_the_conditionals_restricted_to_the_ball():
    """Shares of 20,000 draws within 4.5 standard errors: one failure in some 10,000 seeds."""
    model, count = _levels(), 20_000
    low = torch.tensor([0.0, 1.0, 0.0, 2.0]).expand(count, 4)
    high = torch.tensor([1.0, 2.0, 0.0, 2.0]).expand(count, 4)
    drawn = purify(
        model, Batch(low), Ball(low, high, WHOLE, torch.ones(4)), method=Projection.SAMPLED, seed=3
    )
    first = _conditional(model, {}, 0)[:2]
    for k in range(2):
        share = first[k] / first.sum()
        second = _conditional(model, {0: k}, 1)[1:]
        expected = share * second[0] / second.sum()
        got = ((drawn[:, 0] == k) & (drawn[:, 1] == 1)).double().mean()
        assert abs(got - expected) < 4.5 * (expected * (1 - expected) / count) ** 0.5
    other = purify(
        model, Batch(low), Ball(low, high, WHOLE, torch.ones(4)), method="sampled", seed=4
    )
    assert not torch.equal(drawn, other)


@pytest.mark.parametrize("boldness", [0.7, -2.0])
def test_boldness_weighs_how_far_a_cell_moves(boldness):
    model, y = _levels(), torch.randint(0, 3, (12, 4)).double()
    reach = torch.tensor([2.0, 1.0, 2.0, 0.5])
    low, high = (y - reach).ceil().clamp(0, 2), (y + reach).floor().clamp(0, 2)
    found = purify(model, Batch(y), Ball(low, high, WHOLE, reach), boldness=boldness)
    for row in range(12):
        known = {}
        for site in range(4):
            distance = (torch.arange(3.0) - y[row, site]).abs() / reach[site]
            scores = _conditional(model, known, site).log() + boldness * distance
            a, b = int(low[row, site]), int(high[row, site])
            known[site] = float(a + scores[a : b + 1].argmax())
        assert found[row].tolist() == [known[site] for site in range(4)]


def test_real_cells_go_to_the_mode_in_the_data_s_own_units():
    spec = Specification(Kind.REAL, (3,))
    units = Units(spec)
    network = LinearCausal(3, 2, Plain())
    for parameter in network.parameters():
        torch.nn.init.normal_(parameter, std=0.3)
    model = AutoregressiveModel(network, site_head(Normal((3,)), 3), (3,), units).eval()
    units.initialize(torch.randn(200, 3) * torch.tensor([1.0, 50.0, 0.1]) + 100)
    y = torch.randn(6, 3) * units.scale + units.loc
    reach = 0.5 * units.scale
    ball = Ball(y - reach, y + reach, torch.zeros(3, dtype=torch.bool), reach)
    found = purify(model, Batch(y), ball)
    for site in range(3):
        mean = units.inverse(model.head.mean(model.features(found)).squeeze(-1))[:, site]
        expected = mean.clamp(ball.low[:, site], ball.high[:, site])
        gap = (found[:, site] - expected.detach()).abs() / units.scale[site]
        assert float(gap.max()) < 1e-4


def test_an_ensemble_gives_the_likeliest_of_the_rows_found_under_its_orders():
    network = OrderAgnosticNADE(4, 1, Plain(), hidden_sizes=[8])
    for parameter in network.parameters():
        torch.nn.init.normal_(parameter)
    single = AutoregressiveModel(network, site_head(Bernoulli((4,)), 4), (4,)).eval()
    ensemble = OrderEnsemble(single, random_orders(4, 3)).eval()
    low, high = torch.zeros(1, 4), torch.ones(1, 4)
    ball = Ball(low, high, WHOLE, torch.ones(4))
    found = purify(ensemble, Batch(low), ball)
    under = [purify(single.with_order(o), Batch(low), ball) for o in ensemble.orders]
    with torch.no_grad():
        best = max(float(ensemble.log_prob(x)) for x in under)
        assert float(ensemble.log_prob(found)) == pytest.approx(best)


def test_other_methods_and_models_are_refused_with_a_way_out():
    model, x = _levels(), torch.zeros(1, 4)
    ball = Ball(x, x, WHOLE, torch.ones(4))
    with pytest.raises(IncompatibleChoices, match="'greedy' or 'sampled'"):
        purify(model, Batch(x), ball, method="reconstruction")
    with pytest.raises(NotExact, match="cannot purify"):
        purify(torch.nn.Linear(1, 1), Batch(x), ball)
