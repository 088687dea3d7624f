"""Every flow: both directions, determinants, contexts, starts and gradients."""

from __future__ import annotations

import math

import pytest
import torch
from examples import CONTEXT_SIZE, MAKERS, WITHOUT_CONTEXT, a_context, a_flow

from ancestral.core import IncompatibleChoices, OptionError, ShapeError
from ancestral.distributions import StandardNormal
from ancestral.flows import (
    AffineCoupling,
    Composed,
    FlowDistribution,
    InverseAutoregressive,
    MaskedAutoregressive,
    Permutation,
    Planar,
    Radial,
)

CASES = [(name, size) for name in MAKERS for size in (0, CONTEXT_SIZE)]
NETWORKS = ("coupling", "iaf", "maf")
CASES += [(name, 0) for name in WITHOUT_CONTEXT]


def log_det_by_autograd(function, z):
    jacobian = torch.autograd.functional.jacobian(function, z)
    return torch.linalg.slogdet(jacobian).logabsdet


@pytest.mark.parametrize(("name", "context_size"), CASES)
def test_determinants_are_those_of_autograd_both_ways(name, context_size):
    flow = a_flow(name, 4, context_size)
    for _ in range(3):
        context = a_context(context_size)
        z = 2 * torch.randn(4)
        moved, log_det = flow(z, context)
        expected = log_det_by_autograd(lambda v, c=context: flow(v, c)[0], z)
        torch.testing.assert_close(log_det, expected)
        back, log_det = flow.inverse(moved, context)
        torch.testing.assert_close(back, z)
        expected = log_det_by_autograd(lambda v, c=context: flow.inverse(v, c)[0], moved.detach())
        torch.testing.assert_close(log_det, expected)


@pytest.mark.parametrize(("name", "context_size"), CASES)
@pytest.mark.parametrize("scale", [0.1, 0.6, 3.0])
def test_both_directions_undo_each_other(name, context_size, scale):
    if name in NETWORKS:
        scale = min(scale, 0.4)  # random networks with large weights are ill-conditioned
    flow = a_flow(name, 5, context_size, scale)
    context = a_context(context_size, 20)
    z = 3 * torch.randn(7, 20, 5)
    with torch.no_grad():
        moved, log_det = flow(z, context)
        back, minus = flow.inverse(moved, context)
        torch.testing.assert_close(back, z, rtol=1e-6, atol=1e-6)
        torch.testing.assert_close(minus, -log_det, rtol=1e-6, atol=1e-6)
        there, again = flow.inverse(z, context)
        torch.testing.assert_close(flow(there, context)[0], z, rtol=1e-6, atol=1e-6)
        torch.testing.assert_close(flow(there, context)[1], -again, rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize("value", [-1e4, -30.0, 30.0, 1e4])
@pytest.mark.parametrize("name", NETWORKS)
def test_networks_that_answer_with_extreme_numbers_make_an_invertible_map(name, value):
    flow = a_flow(name, 5, scale=0.1)
    with torch.no_grad():
        for network in flow.networks:
            last = (
                network.rest[-1].output_layer.bias if name == "coupling" else network.output_bias
            )
            half = last[last.shape[0] // 2 :] if name == "coupling" else last[:, 1]
            half.fill_(value)
        z = torch.randn(50, 5)
        moved, log_det = flow(z)
        back, minus = flow.inverse(moved)
    assert bool(log_det.isfinite().all())
    torch.testing.assert_close(back, z, rtol=1e-4, atol=1e-4)
    torch.testing.assert_close(minus, -log_det, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("name", list(MAKERS))
@pytest.mark.parametrize("scale", [0.0, 0.2])
def test_single_precision_keeps_three_digits(name, scale, single_precision):
    flow = a_flow(name, 6, CONTEXT_SIZE, scale)
    context = a_context(CONTEXT_SIZE, 50)
    z = torch.randn(50, 6)
    with torch.no_grad():
        moved, log_det = flow(z, context)
        back, minus = flow.inverse(moved, context)
    assert moved.dtype == log_det.dtype == torch.float32
    torch.testing.assert_close(back, z, rtol=1e-3, atol=1e-3)
    torch.testing.assert_close(minus, -log_det, rtol=1e-3, atol=1e-3)


@pytest.mark.parametrize(("name", "context_size"), CASES)
def test_slopes_are_carried_as_the_gradient_of_the_inverse_says(name, context_size):
    flow = a_flow(name, 4, context_size)
    z, slope = torch.randn(5, 3, 4), torch.randn(5, 3, 4)
    context = a_context(context_size, 3)
    end, ours = flow.carried_slope(z, slope, context)
    torch.testing.assert_close(end, flow(z, context)[0].detach())
    leaf = end.clone().requires_grad_()
    start, log_det = flow.inverse(leaf, context)
    (theirs,) = torch.autograd.grad((slope * start).sum() + log_det.sum(), leaf)
    torch.testing.assert_close(ours, theirs)
    assert not ours.requires_grad
    assert not end.requires_grad


@pytest.mark.parametrize("name", list(MAKERS))
def test_samples_of_a_datum_share_its_context(name):
    flow = a_flow(name, 3, CONTEXT_SIZE)
    context = a_context(CONTEXT_SIZE, 4)
    z = torch.randn(6, 5, 4, 3)
    for direction in (flow.forward, flow.inverse):
        moved, log_det = direction(z, context)
        assert moved.shape == (6, 5, 4, 3)
        assert log_det.shape == (6, 5, 4)
        one, one_log_det = direction(z[2, 3, 1], context[1])
        torch.testing.assert_close(moved[2, 3, 1], one)
        torch.testing.assert_close(log_det[2, 3, 1], one_log_det)
        # a context with more leading axes than z
        wide, wide_log_det = direction(z[2, 3, 1], context)
        assert wide.shape == (4, 3)
        assert wide_log_det.shape == (4,)
        torch.testing.assert_close(wide[1], one)
        torch.testing.assert_close(wide_log_det[1], one_log_det)


@pytest.mark.parametrize("name", list(MAKERS))
def test_the_context_reaches_the_map(name):
    flow = a_flow(name, 3, CONTEXT_SIZE)
    z = torch.randn(3)
    jacobian = torch.autograd.functional.jacobian(
        lambda c: torch.cat([flow(z, c)[0], flow(z, c)[1].reshape(1)]), torch.randn(CONTEXT_SIZE)
    )
    assert jacobian.shape == (4, CONTEXT_SIZE)
    assert bool((jacobian != 0).all()), jacobian


@pytest.mark.parametrize(
    "name", [n for n in MAKERS if n not in ("composed", "planar", "inverted")]
)
@pytest.mark.parametrize("context_size", [0, CONTEXT_SIZE])
def test_they_start_as_the_identity(name, context_size):
    if name == "affine" and context_size:
        pytest.skip("its location is the context's from the start")
    flow = MAKERS[name](4, context_size)
    z = 2 * torch.randn(30, 4)
    moved, log_det = flow(z, a_context(context_size, 30))
    torch.testing.assert_close(moved, z, rtol=0, atol=1e-5)
    torch.testing.assert_close(log_det, torch.zeros(30), rtol=0, atol=1e-5)


@pytest.mark.parametrize("context_size", [0, 100])
def test_planar_flows_start_near_the_identity(context_size):
    flow = Planar(32, 10, context_size=context_size)
    z = torch.randn(50, 32)
    moved, log_det = flow(z, a_context(context_size, 50))
    assert 0 < float((moved - z).detach().norm(dim=-1).max()) < 0.2
    assert 0 < float(log_det.detach().abs().max()) < 0.05


@pytest.mark.parametrize(("name", "context_size"), [c for c in CASES if c[0] in MAKERS])
def test_gradients_reach_all_parameters(name, context_size):
    flow = a_flow(name, 4, context_size)
    for direction in (flow.forward, flow.inverse):
        flow.zero_grad()
        moved, log_det = direction(torch.randn(20, 4), a_context(context_size, 20))
        (moved.square().sum() + log_det.sum()).backward()
        for parameter_name, parameter in flow.named_parameters():
            assert parameter.grad is not None, parameter_name
            assert bool((parameter.grad != 0).any()), parameter_name
            assert bool(parameter.grad.isfinite().all()), parameter_name


@pytest.mark.parametrize(("name", "context_size"), [c for c in CASES if c[0] in MAKERS])
def test_the_inverse_has_the_gradient_of_finite_differences(name, context_size):
    flow = a_flow(name, 3, context_size)
    parameters = list(flow.parameters())
    z, context = torch.randn(2, 3), a_context(context_size, 2)
    weights = torch.randn(2, 3)

    def value(z):
        moved, log_det = flow.inverse(z, context)
        return (weights * moved).sum() + log_det.sum()

    assert torch.autograd.gradcheck(value, z.clone().requires_grad_())
    gradients = torch.autograd.grad(value(z), parameters)
    direction = [torch.randn_like(p) for p in parameters]
    slope = sum((g * d).sum() for g, d in zip(gradients, direction, strict=True))
    step, values = 1e-6, []
    with torch.no_grad():
        for sign in (1, -2):
            for p, d in zip(parameters, direction, strict=True):
                p.add_(sign * step * d)
            values.append(float(value(z)))
    numeric = (values[0] - values[1]) / (2 * step)
    assert float(slope) == pytest.approx(numeric, rel=1e-5, abs=1e-6)


@pytest.mark.parametrize("name", list(MAKERS))
@pytest.mark.parametrize("num_dims", [1, 2])
def test_densities_integrate_to_one(name, num_dims):
    if name == "coupling" and num_dims == 1:
        pytest.skip("one dimension has no half")
    flow = a_flow(name, num_dims, scale=0.3)
    q = FlowDistribution(StandardNormal(num_dims), flow)
    points = 40_001 if num_dims == 1 else 801
    axis = torch.linspace(-20, 20, points)
    grid = torch.cartesian_prod(*[axis] * num_dims).reshape(-1, num_dims)
    with torch.no_grad():
        total = q.log_prob(grid).exp().sum() * (40 / (points - 1)) ** num_dims
    assert float(total) == pytest.approx(1, abs=2e-4)


@pytest.mark.parametrize("num_dims", [1, 2, 6])
def test_planar_flows_can_be_inverted_however_extreme(num_dims):
    for scale in (5.0, 30.0):
        flow = a_flow("planar", num_dims, 0, scale)
        z = 5 * torch.randn(200, num_dims)
        with torch.no_grad():
            moved, log_det = flow(z)
            back, minus = flow.inverse(moved)
            assert bool(log_det.isfinite().all())
            torch.testing.assert_close(flow(back)[0], moved, rtol=1e-9, atol=1e-9)
            torch.testing.assert_close(back, z, rtol=1e-6, atol=1e-5)
            torch.testing.assert_close(minus, -log_det, rtol=1e-5, atol=1e-4)


@pytest.mark.parametrize("direction", [-1e3, -5.0, -1.0, 0.0, 1.0, 1e3])
def test_planar_constraint(direction):
    # u along w at random sizes: w . u stays above -1, and so every slope above 0
    flow = Planar(3)
    w = torch.tensor([0.6, 0.0, 0.8])
    with torch.no_grad():
        flow.parameters_of.bias.copy_(torch.cat([w, direction * w, torch.zeros(1)]))
        z = torch.linspace(-30, 30, 20_001).unsqueeze(-1) * w
        moved = flow(z)[0] @ w
    steps = moved.diff()
    assert bool((steps > 0).all())
    assert float(steps.min() / 0.003) > 0.009


def test_all_planar_steps_are_those_of_the_paper():
    flow = a_flow("planar", 3)
    planes = flow._planes(None)
    z = torch.randn(5, 3)
    moved, total = flow(z)
    log_det = torch.zeros(5)
    for w, u, b in zip(planes.w, planes.u, planes.b, strict=True):
        a = z @ w + b
        log_det = log_det + (1 + (1 - a.tanh().square()) * (w @ u)).log()
        z = z + a.tanh().unsqueeze(-1) * u
    torch.testing.assert_close(moved, z)
    torch.testing.assert_close(total, log_det)


def test_a_radial_step_is_that_of_the_paper():
    flow = Radial(3)
    with torch.no_grad():
        flow.parameters_of.bias.copy_(torch.tensor([1.0, 0.0, -1.0, 0.5, 0.7]))
    ((centre, alpha, beta),) = flow._steps(None)
    z = torch.randn(5, 3)
    r = (z - centre).norm(dim=-1, keepdim=True)
    torch.testing.assert_close(flow(z)[0], z + beta / (alpha + r) * (z - centre))
    assert bool(flow(centre)[0].isfinite().all())


@pytest.mark.parametrize("maker", [InverseAutoregressive, MaskedAutoregressive])
def test_causal_pattern(maker):
    flow = a_one_step = maker(5, 1, hidden_sizes=(16,), context_size=2)
    with torch.no_grad():
        for parameter in flow.parameters():
            parameter.add_(torch.randn_like(parameter))
    context = torch.randn(2)
    for direction in (a_one_step.forward, a_one_step.inverse):
        jacobian = torch.autograd.functional.jacobian(
            lambda z, f=direction: f(z, context)[0],
            torch.randn(5),
        )
        assert bool((jacobian.triu(1) == 0).all())
        lower = torch.tril_indices(5, 5)
        assert bool((jacobian[lower[0], lower[1]] != 0).all())
    second = a_flow("iaf" if maker is InverseAutoregressive else "maf", 5).networks[1]
    assert second.order.tolist() == [4, 3, 2, 1, 0]


def test_iaf_is_equation_14_of_its_paper():
    flow = InverseAutoregressive(4, 1, hidden_sizes=(8,), initial_gate=1.0)
    for parameter in flow.parameters():
        torch.nn.init.normal_(parameter)
    z = torch.randn(6, 4)
    m, s = flow.networks[0](z.unsqueeze(-1)).unbind(-1)
    gate = 0.1 + 0.9 * torch.sigmoid(s + 1.0)
    start = 0.1 + 0.9 / (1 + math.exp(-1.0))
    moved, log_det = flow(z)
    torch.testing.assert_close(moved, gate / start * z + (1 - gate) * m)
    torch.testing.assert_close(log_det, (gate / start).log().sum(-1))


def test_solving_without_gradients_gives_the_same():
    for name in ("iaf", "maf"):
        flow = a_flow(name, 6, 2, 1.0)
        z, context = torch.randn(9, 6), torch.randn(9, 2)
        solve = flow.inverse if name == "iaf" else flow.forward
        with_gradient = solve(z, context)
        with torch.no_grad():
            without = solve(z, context)
        torch.testing.assert_close(without, tuple(t.detach() for t in with_gradient))


def test_refusals():
    with pytest.raises(IncompatibleChoices, match="of one length"):
        Composed([Planar(2), Planar(3)])
    with pytest.raises(IncompatibleChoices, match="context sizes"):
        Composed([Planar(2, context_size=1), Planar(2, context_size=4)])
    with pytest.raises(OptionError, match="at least one flow"):
        Composed([])
    with pytest.raises(OptionError, match="hint: one dimension has no half"):
        AffineCoupling(1)
    with pytest.raises(OptionError, match="num_steps >= 1, got 0"):
        Planar(2, 0)
    with pytest.raises(OptionError, match=r"each of 0 .. 2 once, got \[0, 0, 1\]"):
        Permutation([0, 0, 1])
    for name in MAKERS:
        with pytest.raises(ShapeError, match="expected a context of 3 numbers, got 0"):
            a_flow(name, 2, 3)(torch.zeros(2))
        with pytest.raises(ShapeError, match="expected a context of 0 numbers, got 4"):
            a_flow(name, 2)(torch.zeros(2), torch.zeros(4))
