"""NADE beyond the contract: its two implementations, real numbers, and training for all orders."""

from __future__ import annotations

import itertools
import math

import pytest
import torch
from case import all_states, randomized

from ancestral.core import Batch, IncompatibleChoices, Kind, OptionError, Specification
from ancestral.distributions import (
    Bernoulli,
    Categorical,
    DiscretizedLogistic,
    Laplace,
    Normal,
    SiteMixture,
    site_head,
)
from ancestral.distributions.native_draws import native_draw
from ancestral.inference.objectives import OrderAgnostic
from ancestral.inference.objectives.order_agnostic import random_prefixes
from ancestral.models import Units
from ancestral.models.autoregressive import (
    AutoregressiveModel,
    OrderEnsemble,
    SamplingMethod,
    random_orders,
)
from ancestral.networks.causal import (
    NADE,
    RNADE,
    Activation,
    DirectOrderAgnosticNADE,
    LinearCausal,
    OneHot,
    OrderAgnosticNADE,
    Plain,
    Standardized,
    TiedNADE,
    nade,
    running,
)
from ancestral.networks.causal.running import running_features

BACKENDS = ["native", "torch"]


@pytest.fixture(params=BACKENDS)
def backend(request, monkeypatch):
    """Each of the two implementations; the one in torch in small chunks."""
    if request.param == "native":
        weight = torch.zeros(2, 2)
        if not running.fits_native("relu", weight):
            pytest.skip("no C compiler")
    else:
        monkeypatch.setattr(running, "fits_native", lambda *_: False)
        monkeypatch.setattr(nade, "fits_native", lambda *_: False)
        monkeypatch.setattr(running, "_CHUNK", 50)
    return request.param


def by_definition(inputs, weight, readout, start, scale, order, activation, gate):
    found = [torch.zeros(0)] * len(order)
    for t, site in enumerate(order.tolist()):
        h = activation(start * scale[t])
        found[site] = (h if gate is None else h * gate) @ readout[site].T
        start = start + inputs[:, site] @ weight[site]
    return torch.stack(found, 1)


@pytest.mark.parametrize("activation", list(Activation))
@pytest.mark.parametrize("gated", [False, True])
def test_running_features_and_their_gradients_are_those_of_the_definition(
    activation, gated, backend
):
    rows, sites, inputs_size, size, outputs = 4, 7, 2, 5, 3
    shapes = (
        (rows, sites, inputs_size),
        (sites, inputs_size, size),
        (sites, outputs, size),
        (rows, size),
        (sites,),
    )
    tensors = [torch.randn(shape).requires_grad_() for shape in shapes]
    with torch.no_grad():
        tensors[0][0, 2] = 0.0  # zeros are passed over
    order = torch.randperm(sites)
    gate = torch.randint(2, (rows, size)).double() * 2 if gated else None
    found = running_features(*tensors, order, activation, gate)
    expected = by_definition(*tensors, order, activation, gate)
    torch.testing.assert_close(found, expected, rtol=1e-10, atol=1e-10)
    direction = torch.randn_like(expected)
    ours = torch.autograd.grad((found * direction).sum(), tensors)
    theirs = torch.autograd.grad((expected * direction).sum(), tensors)
    for one, other in zip(ours, theirs, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("activation", list(Activation))
def test_single_precision_and_threads(activation, backend, single_precision):
    """The kernel's own exponential is exact to a few units of the last place."""
    torch.manual_seed(0)
    tensors = [
        torch.randn(40, 30, 1),
        torch.randn(30, 1, 200) * 0.3,
        torch.randn(30, 1, 200) * 0.1,
        torch.randn(40, 200),
        torch.ones(30),
    ]
    order = torch.arange(30)
    exact = by_definition(*(t.double() for t in tensors), order, activation, None)

    def gradients():
        weights = [t.clone().requires_grad_() for t in tensors[:4]]
        found = running_features(*weights, tensors[4], order, activation)
        return found, torch.autograd.grad(found.square().sum(), weights)

    found, alone = gradients()
    assert float((found - exact).detach().abs().max()) < 2e-5
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    again, together = gradients()
    torch.set_num_threads(before)
    torch.testing.assert_close(found, again)
    for one, other in zip(alone, together, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-4, atol=1e-4)


def test_what_is_not_a_number_stays_so_and_does_not_reach_back(backend):
    for activation in Activation:
        network = NADE(6, 1, Plain(), 5, activation=activation)
        x = torch.randint(2, (3, 6, 1)).double()
        clean = network(x)
        x[:, 3] = math.nan
        spoilt = network(x)
        assert torch.equal(spoilt[:, :4], clean[:, :4])
        assert bool(spoilt[:, 4:].isnan().all())


def test_dropout_is_for_training_only_and_leaves_the_mean_alone():
    network = NADE(6, 1, Plain(), 2000, dropout=0.5)
    x = torch.randint(2, (50, 6, 1)).double()
    kept = network.train()(x)
    assert not torch.equal(kept, network(x))
    assert torch.equal(network.eval()(x), network(x))
    gate = network.train().drawn_gate(50)
    assert set(gate.unique().tolist()) == {0.0, 2.0}
    # 100,000 coins: five standard errors
    assert abs(float(gate.mean()) - 1) < 5 / math.sqrt(100_000)


def test_steps_of_both_implementations_agree(monkeypatch):
    model = AutoregressiveModel(
        NADE(9, 3, OneHot(3), 6, order=torch.randperm(9)),
        site_head(SiteMixture(Normal((9,)), 1), 9),
        (9,),
    )
    network = randomized(model).eval().network
    values = torch.randint(3, (4, 9, 1)).double()

    def run():
        state, prev, found = network.init_state(4), None, []
        for t, site in enumerate(network.order.tolist()):
            features, state = network.step(state, t, prev)
            found.append(features)
            prev = values[:, site]
        return torch.stack(found)

    first = run()
    monkeypatch.setattr(nade, "fits_native", lambda *_: False)
    with torch.no_grad():
        torch.testing.assert_close(run(), first, rtol=1e-10, atol=1e-10)


@pytest.mark.parametrize("native", ["0", "1"])
def test_steps_take_values_of_any_type(native, monkeypatch):
    """The kernel reads memory, and would take the bytes of doubles for single numbers."""
    monkeypatch.setenv("ANCESTRAL_NATIVE", native)
    network = NADE(4, 1, Plain(), 5).float().eval()
    values = torch.randn(3, 4, 1)

    def run(values):
        state, prev, found = network.init_state(3), None, []
        with torch.no_grad():
            for t in range(4):
                features, state = network.step(state, t, prev)
                found.append(features)
                prev = values[:, t]
        return torch.stack(found)

    assert torch.equal(run(values.double()), run(values.float()))


def test_a_view_of_direct_connections_has_the_order_in_both_parts():
    order = [2, 0, 3, 1]
    inner = OrderAgnosticNADE(4, 1, Plain(), hidden_sizes=[5, 5])
    network = DirectOrderAgnosticNADE(inner)
    view = network.with_order(order)
    assert view.order.tolist() == view.network.order.tolist() == order
    assert not view.is_raster
    assert network.is_raster
    assert network.network is inner
    assert inner.is_raster
    assert view.network.weight is inner.weight
    assert view.with_order(range(4)).is_raster


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("kind", ["binary", "codes", "levels", "any order"])
def test_one_kernel_draws_the_samples_of_the_other_samplers(kind, dtype):
    torch.manual_seed(1)
    order = torch.randperm(9)
    if kind in ("binary", "any order"):
        head = site_head(Bernoulli((9,)), 9)
        build = OrderAgnosticNADE if kind == "any order" else NADE
        sizes = [33] if kind == "any order" else 33
        network = build(9, 1, Plain(), sizes, order=order, context_size=2)
    elif kind == "codes":
        head = site_head(Categorical((9,), 4), 9)
        network = NADE(9, 4, OneHot(4), 20, order=order)
    else:
        head = site_head(DiscretizedLogistic((9,), 7), 9)
        encoding = Standardized(9)
        encoding.initialize(torch.randint(7, (50, 9)).double())
        network = RNADE(9, 2, encoding, 20, order=order)
    model = randomized(AutoregressiveModel(network, head, (9,))).eval().to(dtype)
    uniforms = model.uniforms(80)
    context = torch.randn(80, 2, dtype=dtype) if network.context_size else None
    draw = native_draw(head)
    assert draw is not None
    generated = network.generate(draw, uniforms, context)
    if generated is None:
        pytest.skip("no C compiler")
    naive = model.draw(uniforms, context, method=SamplingMethod.NAIVE).x
    # in float32 rounding may move a quantile over a uniform number: once in 1e5 codes
    different = int((generated.squeeze(-1) != naive).any(1).sum())
    assert different <= (dtype is torch.float32)


# ---------------------------------------------------------------------- real numbers


def _real(component, num_sites: int, hidden_size: int = 8, units: Units | None = None):
    head = site_head(SiteMixture(component((num_sites,)), 3), num_sites)
    network = RNADE(num_sites, head.num_features, Plain(), hidden_size)
    return AutoregressiveModel(network, head, (num_sites,), units)


@pytest.mark.parametrize("component", [Normal, Laplace])
def test_a_real_density_integrates_to_one(component):
    model = randomized(_real(component, 2), 0.4).eval()
    grid = torch.linspace(-15, 15, 501)
    points = torch.cartesian_prod(grid, grid)
    with torch.no_grad():
        total = model.log_prob(points).logsumexp(0) + 2 * (grid[1] - grid[0]).log()
    assert abs(float(total)) < 5e-3


@pytest.mark.parametrize("component", [Normal, Laplace])
def test_values_far_out_give_finite_numbers_that_differ(component, single_precision):
    torch.manual_seed(0)
    model = _real(component, 6)
    x = torch.randn(200, 6) * torch.tensor([1.0, 1e3, 1e-3, 1.0, 1.0, 1.0])
    x[:, 4] = 7.0  # never changes
    x[0, 0] = 1e5
    x[1:3] = x[3:5]  # ties
    model.initialize(x)
    optimizer = torch.optim.Adam(model.parameters(), lr=0.02)
    for _ in range(60):
        loss = -model.log_prob(x).mean()
        optimizer.zero_grad()
        loss.backward()
        assert all(bool(p.grad.isfinite().all()) for p in model.parameters())
        optimizer.step()
    with torch.no_grad():
        log_prob = model.eval().log_prob(x)
        far = model.log_prob(torch.full((2, 6), 1e6) * torch.tensor([[1.0], [-1.0]]))
    assert bool(log_prob.isfinite().all())
    assert bool(far.isfinite().all())
    assert len(log_prob.unique()) > 190


def test_real_densities_are_in_the_units_of_the_data():
    units = Units(Specification(Kind.REAL, (4,)))
    units.scale.copy_(torch.tensor([2.0, 0.5, 10.0, 1.0]))
    units.loc.copy_(torch.tensor([1.0, -1.0, 5.0, 0.0]))
    with_units = _real(Normal, 4, units=units).eval()
    without = _real(Normal, 4).eval()
    without.load_state_dict(with_units.state_dict(), strict=False)
    x = torch.randn(5, 4)
    expected = without.log_prob((x - units.loc) / units.scale) - math.log(10)
    torch.testing.assert_close(with_units.log_prob(x), expected)


# ---------------------------------------------------------------------- any order


def _agnostic(hidden_sizes=(6, 5), num_sites=4) -> AutoregressiveModel:
    network = OrderAgnosticNADE(num_sites, 1, Plain(), hidden_sizes, activation=Activation.TANH)
    model = AutoregressiveModel(
        network, site_head(Bernoulli((num_sites,)), num_sites), (num_sites,)
    )
    return randomized(model, 1.5).eval()


@pytest.mark.parametrize("hidden_sizes", [(7,), (6, 5)])
def test_every_order_has_mass_one_and_so_has_their_mixture(hidden_sizes):
    model = _agnostic(hidden_sizes)
    states = all_states(2, (4,))
    ensemble = OrderEnsemble(model, random_orders(4, 5))
    with torch.no_grad():
        each = ensemble.log_prob_orders(states)
        total = ensemble.log_prob(states).logsumexp(0)
    assert torch.allclose(each.logsumexp(1), torch.zeros(5), atol=1e-12)
    assert abs(float(total)) < 1e-12
    assert not torch.allclose(each[0], each[1])


@pytest.mark.parametrize("hidden_sizes", [(7,), (6, 5)])
def test_one_pass_given_a_prefix_is_that_step_of_the_order(hidden_sizes):
    model = _agnostic(hidden_sizes).with_order([2, 0, 3, 1])
    x = all_states(2, (4,))
    with torch.no_grad():
        sites = model.log_prob_sites(x)
        for t, site in enumerate([2, 0, 3, 1]):
            known = torch.zeros(len(x), 4, dtype=torch.bool)
            known[:, model.network.order[:t]] = True
            given = model.log_prob_given(x, known)
            torch.testing.assert_close(given[:, site], sites[:, site])
            assert bool((given[known] == 0).all())


@pytest.mark.parametrize("hidden_sizes", [(7,), (6, 5)])
def test_rows_with_any_cells_missing_are_scored_with_those_last(hidden_sizes):
    model = _agnostic(hidden_sizes).with_order([2, 0, 3, 1])
    observed = all_states(2, (4,)).bool()
    x = torch.randint(2, (16, 4)).double()
    filled = torch.where(observed, x, math.nan)
    expected = []
    for row, seen in zip(x, observed, strict=True):
        order = [2, 0, 3, 1]
        order.sort(key=lambda site, seen=seen: not seen[site])  # stable: absent ones to the end
        expected.append(model.with_order(order).log_prob(row[None], observed=seen[None]))
    with torch.no_grad():
        found = model.log_prob_observed(filled, observed)
    torch.testing.assert_close(found, torch.cat(expected).detach())
    torch.testing.assert_close(found[-1], model.log_prob(x[-1]).detach())
    # over the values of what is observed the masses sum to one
    ensemble = OrderEnsemble(model, random_orders(4, 3))
    seen = torch.tensor([True, False, True, False]).expand(16, 4)
    with torch.no_grad():
        values = ensemble.log_prob_observed(all_states(2, (4,)), seen)
    assert abs(float(values.logsumexp(0)) - math.log(4)) < 1e-12


def test_the_estimate_is_unbiased_for_the_mean_over_all_orders():
    """Four standard errors; fails by chance once in 16,000."""
    model = _agnostic()
    x = torch.tensor([1.0, 0.0, 0.0, 1.0])
    with torch.no_grad():
        exact = torch.stack(
            [model.with_order(o).log_prob(x) for o in itertools.permutations(range(4))]
        ).mean()
        values = OrderAgnostic()._estimate(model, Batch(x.expand(40_000, 4)))
    error = float(values.std()) / 200
    assert error < 0.05
    assert abs(float(values.mean() - exact)) < 4 * error


def test_splits_are_uniform_over_lengths_and_sites():
    known = random_prefixes(6000, 5, torch.device("cpu"))
    lengths = torch.bincount(known.sum(-1), minlength=5)
    assert lengths.tolist() == [1200] * 5  # rows are spread evenly
    share = known.double().mean(0)
    assert bool(((share - 0.4).abs() < 0.03).all())  # more than four standard errors
    few = torch.stack([random_prefixes(2, 5, torch.device("cpu")).sum(-1) for _ in range(3000)])
    for row in range(2):
        frequency = torch.bincount(few[:, row], minlength=5) / 3000
        assert bool(((frequency - 0.2).abs() < 0.04).all())


def test_what_is_logged_is_not_called_log_p():
    objective = OrderAgnostic()
    model = _agnostic()
    loss = objective(model, None, Batch(all_states(2, (4,))), 0)
    assert set(loss.terms) == {objective.target} == {"order_average"}
    assert any("not log p" in text for text in objective.announcements(10, 1))
    objective.check(OrderEnsemble(model, random_orders(4, 2)), None)
    linear = AutoregressiveModel(LinearCausal(4, 1, Plain()), model.head, (4,))
    with pytest.raises(IncompatibleChoices, match="any set of known sites"):
        objective.check(linear, None)
    with pytest.raises(IncompatibleChoices, match="all sites before"):
        linear.log_prob_given(torch.zeros(1, 4), torch.zeros(1, 4, dtype=torch.bool))


@pytest.mark.parametrize(
    "build",
    [
        lambda: NADE(4, 1, Plain(), 0),
        lambda: NADE(4, 1, Plain(), 5, dropout=1.0),
        lambda: TiedNADE(4, 2, Plain(), 5),
        lambda: OrderAgnosticNADE(4, 1, Plain(), []),
        lambda: OrderAgnosticNADE(4, 1, Plain(), [3, 0]),
    ],
)
def test_bad_options_are_refused(build):
    with pytest.raises(OptionError, match="expected"):
        build()
