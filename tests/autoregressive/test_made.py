"""Masks, the sampler that computes each unit once, ensembles of orders, and tables."""

from __future__ import annotations

import math

import pytest
import torch
from case import all_states, randomized
from torch import nn

from ancestral.core import Batch, Column, IncompatibleChoices, Kind, OptionError, Specification
from ancestral.distributions import Bernoulli, Categorical, site_head
from ancestral.distributions.native_draws import native_draw
from ancestral.inference.objectives import MaximumLikelihood, OrderCycle, Penalized
from ancestral.models import OrderEnsemble, random_orders
from ancestral.models.autoregressive import AutoregressiveModel, SamplingMethod
from ancestral.networks.causal import MaskedDense, OneHot, Plain
from ancestral.networks.causal.degrees import hidden_degrees
from ancestral.recipes.made import made, resolved_made

ORDER = [4, 1, 6, 0, 3, 5, 2]


def _network(**options) -> MaskedDense:
    torch.manual_seed(3)
    network = MaskedDense(7, 1, Plain(), **({"hidden_sizes": (13, 5, 20)} | options))
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.add_(0.5 * torch.randn_like(parameter))
    return network.eval()


def _model(network: MaskedDense) -> AutoregressiveModel:
    sites = network.num_sites
    return AutoregressiveModel(network, site_head(Bernoulli((sites,)), sites), (sites,)).eval()


# ------------------------------------------------------------------ masks


@pytest.mark.parametrize("sizes", [(20,), (6,), (13, 5, 20), (2, 2)])
@pytest.mark.parametrize("connectivities", [1, 3])
def test_products_of_masks_count_paths_to_all_earlier_sites_and_no_others(sizes, connectivities):
    """Germain et al., equation 11: entry (d, d') of the product counts paths from d' to d."""
    orders = random_orders(7, 3)
    network = _network(hidden_sizes=sizes, orders=orders, num_connectivities=connectivities)
    for order in orders:
        *hidden, last, direct = network.with_order(order).wiring.masks(torch.zeros(()))
        paths = last
        for mask in reversed(hidden):
            paths = paths @ mask
        rank = order.argsort()
        earlier = rank.unsqueeze(0) < rank.unsqueeze(1)
        assert torch.equal(direct > 0, earlier)
        assert not (paths[~earlier] > 0).any()
        if min(sizes) >= 6:  # T - 1 different degrees: no site is out of sight of the next one
            assert torch.equal(paths > 0, earlier)


@pytest.mark.parametrize("num_units", [2, 3, 6, 7, 50])
@pytest.mark.parametrize("connectivity", [0, 1])
@pytest.mark.parametrize("lowest", [0, 1])
def test_degrees_are_spread_from_the_lowest_to_the_last(num_units, connectivity, lowest):
    degrees = hidden_degrees(num_units, 7, lowest, connectivity)
    assert (int(degrees.min()), int(degrees.max())) == (lowest, 6)
    count = degrees.bincount(minlength=7)[lowest:]
    if num_units >= 7:
        assert int(count.max()) - int(count.min()) <= 1
    assert torch.equal(degrees, hidden_degrees(num_units, 7, lowest, connectivity))


@pytest.mark.parametrize("context_size", [0, 2])
def test_no_unit_is_dead(context_size):
    """Each hidden unit has inputs, or the context, and reaches some feature."""
    network = _network(orders=random_orders(7, 4), num_connectivities=4, context_size=context_size)
    for wiring in network._wirings.values():
        *hidden, last, _ = wiring.masks(torch.zeros(()))
        for mask, degrees in zip(hidden, wiring.hidden, strict=True):
            assert ((mask.sum(1) > 0) | (degrees == 0)).all()
        for mask in (*hidden[1:], last):
            assert (mask.sum(0) > 0).all()
    assert (hidden_degrees(5, 2, 1) == 1).all()  # two sites: one degree


def test_connectivities_differ_and_orders_decide_which():
    orders = random_orders(7, 3)
    network = _network(orders=orders, num_connectivities=3)
    degrees = [network.with_order(order).wiring.hidden[0] for order in orders]
    assert not torch.equal(degrees[0], degrees[1])
    assert not torch.equal(degrees[1], degrees[2])
    assert torch.equal(degrees[0].sort().values, degrees[1].sort().values)


def test_masks_made_without_gradients_serve_a_gradient_later():
    network = _network()
    x = torch.zeros(2, 7, 1)
    network.wiring._masks.clear()
    with torch.inference_mode():
        network(x)
    network(x).sum().backward()
    assert network.direct.grad is not None


def test_masks_of_many_orders_take_bounded_memory(monkeypatch):
    """Those made last are kept, however large; the others as long as there is room."""

    def kept(bytes_at_most):
        monkeypatch.setattr("ancestral.networks.causal.degrees._MOST_BYTES", bytes_at_most)
        network = _network(orders=random_orders(7, 6))
        for order in [*network._wirings, *random_orders(7, 20)]:
            view = network.with_order(order)
            assert len(view(torch.zeros(2, 7, 1))) == 2
            assert view.wiring._masks
        return len(network._kept_masks._made), network

    many, network = kept(1 << 20)
    one = sum(mask.nbytes for mask in network.wiring.masks(network.direct))
    assert many >= 26
    assert kept(1)[0] == 1
    assert 1 < kept(4 * one)[0] < 10


def test_only_networks_of_several_orders_take_others():
    with pytest.raises(IncompatibleChoices, match="made for one order"):
        _network().with_order(ORDER)
    view = _network(orders=random_orders(7, 2)).with_order(ORDER)
    assert view.order.tolist() == ORDER


@pytest.mark.parametrize("connectivities", [1, 2])
def test_orders_and_their_connectivities_are_loaded_with_the_weights(connectivities):
    """The same orders in other places would go with other connectivities."""
    orders = random_orders(7, 4)
    options = {"num_connectivities": connectivities}
    saved = OrderEnsemble(_model(_network(orders=orders, **options)), orders)
    x = torch.randint(2, (5, 7)).double()
    every = [*orders, torch.tensor(ORDER)]  # one that it was not built for
    expected = [saved.with_order(order).log_prob(x) for order in every]
    for others in (orders[[0, 2, 1, 3]], orders.flip(0), random_orders(7, 4, seed=3)):
        loaded = OrderEnsemble(_model(_network(orders=others, **options)), others)
        loaded.load_state_dict(saved.state_dict())
        assert torch.equal(loaded.log_prob(x), saved.log_prob(x))
        for order, value in zip(every, expected, strict=True):
            assert torch.equal(loaded.with_order(order).log_prob(x), value)
        assert torch.equal(loaded.model.log_prob(x), saved.model.log_prob(x))


def test_a_view_loads_its_own_state():
    view = _network(orders=random_orders(7, 4), num_connectivities=2).with_order(ORDER)
    x = torch.randint(2, (5, 7, 1)).double()
    before = view(x)
    view.load_state_dict(view.state_dict())
    assert view.order.tolist() == ORDER
    assert torch.equal(view(x), before)


def test_weights_of_another_order_or_length_are_refused():
    state = _network(orders=[ORDER]).state_dict()
    with pytest.raises(IncompatibleChoices, match=r"order \[0, 1.*got those .*\[4, 1.*\n\nhint"):
        _network().load_state_dict(state)
    other = MaskedDense(9, 1, Plain(), hidden_sizes=(4,))
    with pytest.raises(IncompatibleChoices, match=r"9 sites in the order \[0, .*, \.\.\.\].*7"):
        other.load_state_dict(state)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"hidden_sizes": (1,)}, "at least 2 units"),
        ({"hidden_sizes": ()}, "at least 1 hidden layer"),
        ({"orders": [[0, 1, 2]]}, "order of 7 sites"),
        ({"num_connectivities": 0}, "at least 1 connectivity"),
    ],
)
def test_impossible_networks_are_refused(options, message):
    with pytest.raises(OptionError, match=message):
        _network(**options)


# ------------------------------------------------------------------ each unit once


def test_each_unit_is_computed_once():
    """The rows of all steps together are the units of each layer, and no row comes twice."""
    network = _network(orders=[ORDER], activation=nn.Tanh, context_size=2)
    plan = network.init_state(3, torch.randn(3, 2)).plan.value
    for ends, degrees in zip(plan.ends[1:], network.wiring.hidden, strict=True):
        rows = [int(ends[0]), *(ends[1:] - ends[:-1]).tolist()]
        assert rows[:7] == degrees.bincount(minlength=7).tolist()
        assert sum(rows[:7]) == len(degrees)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("context_size", [0, 2])
def test_native_steps_equal_those_of_torch(dtype, context_size, monkeypatch):
    network = _network(orders=[ORDER], context_size=context_size, hidden_sizes=(40, 9)).to(dtype)
    rows = 6  # one whole group of the kernel, and two rows more
    context = torch.randn(rows, context_size, dtype=dtype) if context_size else None
    x = torch.randint(2, (rows, 7, 1)).to(dtype)

    def features():
        with torch.no_grad():
            state, prev, found = network.init_state(rows, context), None, []
            for t in range(7):
                value, state = network.step(state, t, prev)
                found.append(value.clone())
                prev = x[:, ORDER[t]]
        return torch.stack(found), state

    native, state = features()
    monkeypatch.setenv("ANCESTRAL_NATIVE", "0")
    plain, other = features()
    assert other.plan.value._native is None
    tolerance = 1e-12 if dtype is torch.float64 else 1e-5
    torch.testing.assert_close(native, plain, rtol=tolerance, atol=tolerance)
    torch.testing.assert_close(state.values, other.values, rtol=tolerance, atol=tolerance)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_native_generation_gives_the_samples_of_the_other_samplers(dtype):
    torch.manual_seed(2)
    network = MaskedDense(
        9, 4, OneHot(4), hidden_sizes=(17, 30), orders=random_orders(9, 1), context_size=3
    )
    model = AutoregressiveModel(network, site_head(Categorical((9,), 4), 9), (9,))
    model = randomized(model).eval().to(dtype)
    uniforms, context = model.uniforms(70).to(dtype), torch.randn(70, 3, dtype=dtype)
    naive = model.draw(uniforms, context, method=SamplingMethod.NAIVE).x
    draw = native_draw(model.head)
    assert draw is not None
    generated = network.generate(draw, uniforms, context)
    if generated is None:
        pytest.skip("no compiler")
    # rounding may move a quantile over a uniform number: once in about 1e5 codes of float32
    assert int((generated.squeeze(-1) != naive).any(1).sum()) <= (dtype is torch.float32)


# ------------------------------------------------------------------ several orders


def test_the_mass_of_an_ensemble_is_one_and_it_is_the_mean_over_orders():
    orders = random_orders(7, 3)
    model = _model(_network(orders=orders, num_connectivities=2))
    ensemble = OrderEnsemble(model, orders).eval()
    states = all_states(2, (7,))
    with torch.no_grad():
        joint = ensemble.log_prob(states)
        each = torch.stack([model.with_order(o).log_prob(states) for o in orders])
    assert abs(float(joint.logsumexp(0))) < 1e-10
    torch.testing.assert_close(joint, each.logsumexp(0) - math.log(3))
    assert float((each[0] - each[1]).abs().max()) > 1e-3


def test_training_goes_through_the_orders_by_step_and_validation_takes_them_all():
    orders = random_orders(7, 3)
    model = _model(_network(orders=orders))
    ensemble = OrderEnsemble(model, orders)
    batch = Batch(all_states(2, (7,))[::5])
    objective = OrderCycle()
    ensemble.train()
    for step in range(6):
        loss = objective(ensemble, None, batch, step)
        expected = -model.with_order(orders[step % 3]).log_prob(batch.x).mean()
        torch.testing.assert_close(loss.value, expected)
    ensemble.eval()
    loss = objective(ensemble, None, batch, 1)
    torch.testing.assert_close(loss.value, -ensemble.log_prob(batch.x).mean())
    with pytest.raises(IncompatibleChoices, match="ensemble"):
        objective.check(model, None)


def test_the_penalty_is_on_weights_alone_and_is_not_reported():
    model = _model(_network())
    batch = Batch(all_states(2, (7,))[::5])
    plain = MaximumLikelihood()(model, None, batch, 0)
    loss = Penalized(MaximumLikelihood(), 0.3)(model, None, batch, 0)
    network = model.network
    weights = [*network.weights, network.output, network.direct]
    squares = sum((w.square().sum() for w in weights), torch.zeros(()))
    torch.testing.assert_close(loss.value - plain.value, 0.15 * squares)
    assert loss.terms == plain.terms
    with torch.no_grad():
        scored = Penalized(MaximumLikelihood(), 0.3)(model, None, batch, 0)
    assert float(scored.value) == float(-scored.terms["log_prob"])


# ------------------------------------------------------------------ tables


def _columns() -> Specification:
    columns = (
        Column("height", Kind.REAL),
        Column("colour", Kind.CATEGORICAL, 3, ("a", "b", "c")),
        Column("sex", Kind.BINARY),
        Column("grade", Kind.LEVELS, 4),
    )
    return Specification(None, (4,), columns=columns)


@pytest.mark.parametrize("orders", [1, 2])
def test_a_table_of_several_kinds_has_mass_one(orders):
    """Sums over the codes, and quadrature over the real column."""
    torch.manual_seed(0)
    parts = made(_columns(), hidden_size=8, components=2, num_orders=orders, num_masks=orders)
    model = randomized(parts.model, 0.4).eval()  # type: ignore[arg-type]
    grid = torch.linspace(-60, 60, 6001)
    codes = torch.cartesian_prod(torch.arange(3), torch.arange(2), torch.arange(4))
    total = torch.zeros(())
    with torch.no_grad():
        for code in codes.to(grid.dtype):
            rows = torch.cat((grid.unsqueeze(1), code.expand(len(grid), -1)), 1)
            total = total + torch.trapezoid(model.log_prob(rows).exp(), grid)
    assert float(total) == pytest.approx(1, abs=1e-6)


def test_a_table_has_no_weights_for_padding():
    network = made(_columns(), hidden_size=8, components=2).model.network
    # inputs: 1 + 3 + 1 + 1; features: a mixture's 2 (1 + 2), then 3, 1 and 4
    assert network.direct.shape == (6 + 3 + 1 + 4, 6)
    assert network.num_features == 6


def test_defaults_follow_from_the_number_of_rows():
    asked = {"dropout": None, "l2": None, "components": None, "num_orders": 1}
    few = resolved_made(_columns(), 40, asked)
    many = resolved_made(_columns(), 1_000_000, asked)
    assert few["dropout"] > many["dropout"]
    assert many["l2"] == pytest.approx(resolved_made(_columns(), 1000, asked)["l2"] / 1000)
    assert few["l2"] > 25_000 * many["l2"]  # more than in proportion to the rows
    assert few["components"] < many["components"]
    assert resolved_made(_columns(), 200, asked | {"l2": 0.0})["l2"] == 0
    with pytest.raises(OptionError, match="num_masks"):
        made(_columns(), num_masks=2)
