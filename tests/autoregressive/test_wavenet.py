"""Dilated convolutions: receptive field, gradients, kernels, lengths, and what they can learn."""

from __future__ import annotations

import math

import pytest
import torch
from case import randomized
from torch import Tensor
from torch.nn import functional as F

from ancestral.core import IncompatibleChoices, OptionError, ShapeError
from ancestral.distributions import (
    Bernoulli,
    Categorical,
    DiscretizedLogistic,
    SiteMixture,
    site_head,
)
from ancestral.models.autoregressive import AutoregressiveModel, SamplingMethod, decode, draw_site
from ancestral.networks.causal import (
    Conditioning,
    DilatedConvolutional,
    OneHot,
    Plain,
    Standardized,
    dilated_conv,
    doubling,
)
from ancestral.networks.causal import gated_stack as gated_stack_module
from ancestral.networks.causal.gated_stack import gated_stack

CODES = 9


def made(
    num_sites: int = 40,
    *,
    dtype: torch.dtype = torch.float64,
    channels: int = 20,
    context_size: int = 0,
    conditioning: Conditioning = Conditioning.GLOBAL,
    kernel_size: int = 2,
) -> AutoregressiveModel:
    """Codes under a softmax; sizes that fill no whole vector."""
    network = DilatedConvolutional(
        num_sites,
        CODES,
        OneHot(CODES),
        dilations=doubling(3, 2),
        channels=channels,
        skip_channels=37,
        kernel_size=kernel_size,
        context_size=context_size,
        conditioning=conditioning,
    )
    head = site_head(Categorical((num_sites,), CODES), num_sites)
    model = randomized(AutoregressiveModel(network, head, (num_sites,)), 0.3)
    return model.to(dtype).eval()


def without_native(monkeypatch) -> None:
    monkeypatch.setattr(dilated_conv, "native_steps", lambda **parts: None)


def stepped(model: AutoregressiveModel, x: Tensor, context: Tensor | None) -> Tensor:
    """Features of all sites by steps, [batch, T, P]."""
    found = []

    def choose(t, index, site, features):
        found.append(features.clone())
        return x[:, index]

    decode(model.network, model.head, len(x), choose, context)
    return torch.stack(found, 1)


@pytest.mark.parametrize(
    ("kernel_size", "dilations"), [(2, (1, 2, 4, 8)), (2, (1, 2, 1, 2)), (3, (1, 2, 4)), (1, (1,))]
)
def test_receptive_field(kernel_size, dilations):
    network = DilatedConvolutional(
        40,
        3,
        OneHot(4),
        dilations=dilations,
        channels=6,
        skip_channels=30,
        kernel_size=kernel_size,
    )
    with torch.no_grad():
        network.output_weight.normal_()
    seen = torch.zeros(40, dtype=torch.bool)
    for _ in range(20):
        x = torch.randint(4, (8, 40, 1)).double()
        with torch.no_grad():
            before = network(x)[:, -1]
            for site in range(40):
                other = x.clone()
                other[:, site] = (x[:, site] + 1) % 4
                seen[site] |= bool((network(other)[:, -1] != before).any())
    lags = 39 - seen.nonzero().flatten()
    assert sorted(lags.tolist()) == list(range(1, network.receptive_field + 1))


@pytest.mark.parametrize("offsets", ["one", "sequences", "sites"])
def test_stack_is_that_of_convolutions_and_so_are_its_gradients(offsets):
    num_steps, batch, size, dilations, taps = 11, 2, 16, (1, 2, 16, 4), 3
    shape = {"one": (), "sequences": (1, batch), "sites": (num_steps, batch)}[offsets]
    parts = [
        torch.randn(num_steps, batch, size),
        torch.randn(4, *shape, 2 * size),
        torch.randn(4, taps, size, 2 * size),
        torch.randn(3, size, size),
    ]

    def plain(inputs, offset, gate, residual):
        h, found = inputs.permute(1, 2, 0), []
        for layer, dilation in enumerate(dilations):
            weight = gate[layer].flip(0).permute(2, 1, 0)
            a = F.conv1d(F.pad(h, ((taps - 1) * dilation, 0)), weight, dilation=dilation)
            a = a.permute(2, 0, 1) + offset[layer]
            z = a[..., :size].tanh() * a[..., size:].sigmoid()
            found.append(z)
            if layer < 3:
                h = h + (z @ residual[layer]).permute(1, 2, 0)
        return torch.stack(found, 2)

    direction = torch.randn(num_steps, batch, 4, size)
    results = []
    for function in (plain, lambda *p: gated_stack(*p, dilations)):
        given = [p.clone().requires_grad_() for p in parts]
        z = function(*given)
        results.append((z, *torch.autograd.grad((z * direction).sum(), given)))
    for one, other in zip(*results, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-10, atol=1e-10)


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32, torch.bfloat16])
def test_compiled_gates_are_those_of_torch(dtype, monkeypatch):
    gates = (4 * torch.randn(70, 64)).to(dtype)
    gates[0, :4] = torch.tensor([-300.0, 300.0, 0.0, 1e-4])
    gates[0, 32:36] = torch.tensor([300.0, -300.0, -60.0, 0.0])
    wide = torch.randn(70, 3, 32).to(dtype)
    results = []
    for fits in (gated_stack_module.fits_native, lambda gates: False):
        monkeypatch.setattr(gated_stack_module, "fits_native", fits)
        values, z = gates.clone(), wide.clone()
        gated_stack_module._gate(values, z[:, 1])
        results.append((values, z, gated_stack_module._gate_gradient(wide[:, 2], values)))
    tolerance = {torch.float64: 1e-13, torch.float32: 1e-6, torch.bfloat16: 2e-2}[dtype]
    for one, other in zip(*results, strict=True):
        torch.testing.assert_close(one, other, rtol=tolerance, atol=tolerance)


def test_half_precision_stays_near(single_precision):
    model = made(dtype=torch.float32)
    x = torch.randint(CODES, (6, 40)).float()
    exact = model.log_prob(x).detach()
    with torch.autocast("cpu", torch.bfloat16):
        loss = -model.log_prob(x).mean()
    loss.backward()
    assert all(p.grad is not None and bool(p.grad.isfinite().all()) for p in model.parameters())
    assert float(loss.detach()) == pytest.approx(-float(exact.mean()), rel=0.02)


@pytest.mark.parametrize("native", [True, False])
@pytest.mark.parametrize("dtype", [torch.float64, torch.float32])
@pytest.mark.parametrize("batch", [1, 3, 39])
def test_steps_equal_the_pass(batch, dtype, native, monkeypatch):
    if not native:
        without_native(monkeypatch)
    tolerance = 1e-10 if dtype is torch.float64 else 2e-5
    for conditioning in Conditioning:
        for kernel_size in (1, 2, 3):
            model = made(
                dtype=dtype, context_size=3, conditioning=conditioning, kernel_size=kernel_size
            )
            x = torch.randint(CODES, (batch, 40, 1)).to(dtype)
            context = torch.randn(batch, *model.context_shape, dtype=dtype)
            with torch.no_grad():
                expected = model.network(x, context)
            found = stepped(model, x, context)
            torch.testing.assert_close(found, expected, rtol=tolerance, atol=tolerance)


def test_whole_sequences_are_those_of_steps(monkeypatch):
    for batch in (1, 35):
        model = made(context_size=2, conditioning=Conditioning.LOCAL)
        uniforms = model.uniforms(batch)
        context = torch.randn(batch, 40, 2)
        at_once = model.draw(uniforms, context).x
        with monkeypatch.context() as patched:
            patched.setattr(DilatedConvolutional, "generate", lambda *parts: None)
            assert torch.equal(model.draw(uniforms, context).x, at_once)
            without_native(patched)
            assert torch.equal(model.draw(uniforms, context).x, at_once)


@pytest.mark.parametrize(
    "head",
    [
        Categorical((60,), CODES),
        DiscretizedLogistic((60,), CODES),
        SiteMixture(DiscretizedLogistic((60,), CODES), 3),
    ],
    ids=["categorical", "logistic", "mixture"],
)
def test_single_precision_draws_differ_only_at_the_edge_of_a_code(head):
    """Each draw is what the head draws from features of the same past, or its neighbour."""
    sites = site_head(head, 60)
    network = DilatedConvolutional(
        60, sites.num_features, OneHot(CODES), dilations=(1, 2, 4), channels=16, skip_channels=16
    )
    model = randomized(AutoregressiveModel(network, sites, (60,)), 0.3).float().eval()
    uniforms = model.uniforms(20)
    x = model.draw(uniforms).x
    with torch.no_grad():
        features = model.network(x.unsqueeze(-1))
        draws = sites.draw(features, uniforms).squeeze(-1)
        low, high = (sites.draw(features, uniforms + shift).squeeze(-1) for shift in (-1e-5, 1e-5))
    assert bool((draws == x).double().mean() > 0.99)
    exact = (x == draws) | (x == low) | (x == high)
    assert bool(exact.all())


def test_numbers_and_pairs_are_generated_as_stepped():
    for encoding, width in ((Plain(), 1), (OneHot(2, 2), 2)):
        head = site_head(Bernoulli((10, width)), 10, width)
        network = DilatedConvolutional(
            10, width, encoding, dilations=(1, 2), channels=5, skip_channels=5, width=width
        )
        model = randomized(AutoregressiveModel(network, head, (10, width))).eval()
        uniforms = model.uniforms(50)
        naive = model.draw(uniforms, method=SamplingMethod.NAIVE).x
        assert torch.equal(model.draw(uniforms).x, naive)
        assert 0.05 < float(naive.mean()) < 0.95


def test_another_length_has_the_same_conditionals():
    model = made(20)
    longer = model.with_length(33)
    uniforms = longer.uniforms(4)
    x = longer.draw(uniforms).x
    assert x.shape == (4, 33)
    torch.testing.assert_close(
        longer.log_prob_sites(x)[:, :20], model.log_prob_sites(x[:, :20]), rtol=1e-10, atol=1e-10
    )
    assert torch.equal(model.draw(uniforms[:, :20]).x, x[:, :20])
    assert longer.network.gate_weight is model.network.gate_weight
    assert model.network.num_sites == 20
    with torch.no_grad():
        model.network.output_bias.add_(torch.arange(float(CODES)))
    assert not torch.equal(longer.draw(uniforms).x, x)


def test_lengths_that_make_no_sense_are_refused():
    model = made()
    with pytest.raises(OptionError, match="at least 1"):
        model.with_length(0)
    parts = {"dilations": (1,), "channels": 2, "skip_channels": 2}
    reordered = DilatedConvolutional(3, 2, OneHot(2), order=[2, 0, 1], **parts)
    by_site = DilatedConvolutional(3, 2, Standardized(3), **parts)
    for network in (reordered, by_site):
        with pytest.raises(IncompatibleChoices, match="3 sites"):
            network.with_length(5)
    network = DilatedConvolutional(6, 1, OneHot(2), **parts)
    image = AutoregressiveModel(network, site_head(Bernoulli((2, 3)), 6), (2, 3))
    with pytest.raises(IncompatibleChoices, match="sequences"):
        image.with_length(5)


def test_contexts_of_another_shape_are_refused():
    x = torch.zeros(2, 40)
    for conditioning, wrong in ((Conditioning.GLOBAL, (2, 40, 3)), (Conditioning.LOCAL, (2, 3))):
        model = made(context_size=3, conditioning=conditioning)
        with pytest.raises(ShapeError, match="expected a context of shape"):
            model.network(x.unsqueeze(-1), torch.zeros(wrong))


@pytest.mark.parametrize(
    ("name", "value"),
    [("dilations", ()), ("dilations", (0,)), ("channels", 0), ("kernel_size", 0)],
)
def test_sizes_are_checked(name, value):
    parts = {"dilations": (1, 2), "channels": 2, "skip_channels": 2} | {name: value}
    with pytest.raises(OptionError, match="at least 1"):
        DilatedConvolutional(4, 2, OneHot(2), **parts)


def test_a_step_costs_the_same_whatever_the_receptive_field():
    """By the numbers a step touches: memory is read and written in one slot of each layer."""
    model = made(2000)
    state = model.network.init_state(1)
    before = state.memory.clone()
    for t in range(30):
        _, state = model.network.step(state, t, None if t == 0 else torch.zeros(1, 1))
    changed = (state.memory != before).sum()
    before = state.memory.clone()
    model.network.step(state, 30, torch.ones(1, 1))
    assert int((state.memory != before).sum()) <= 6 * 20 < int(changed)


def test_ordered_codes_begin_like_their_neighbours():
    network = DilatedConvolutional(
        4, 2, OneHot(256, 2), dilations=(1,), channels=400, skip_channels=2, width=2
    )
    network.start_ordered()
    rows = network.input_weight.detach()
    assert torch.equal(rows[:256], rows[256:])
    distance = torch.linspace(-1, 1, 256).sub(-1).square()
    kernel = (-distance * 6**2 / 2).exp() / 2  # of the first code with each, over two values
    # products of 400 features have a standard error below 1 / 40; five of them
    assert float((rows[:256] @ rows[0] / 400 - kernel).abs().max()) < 5 / 40


def test_truncated_steps_still_run():
    model = made()
    uniforms = model.uniforms(2)
    state = model.network.init_state(2)
    features, _ = model.network.step(state, 0, None)
    first = draw_site(model.head.site(0), features, uniforms[:, 0])
    assert torch.equal(model.draw(uniforms).x[:, 0], first[:, 0])


def chain(num_rows: int, length: int, lag: int) -> tuple[Tensor, Tensor]:
    """A chain of order `lag` over 3 codes, and log p of each row after its first `lag` codes.

    The next code is the one `lag` steps before plus the last one, with probability 0.8.
    """
    x = torch.randint(3, (num_rows, length))
    log_prob = torch.zeros(num_rows)
    for t in range(lag, length):
        likely = (x[:, t - lag] + x[:, t - 1]) % 3
        off = torch.randint(1, 3, (num_rows,)) * (torch.rand(num_rows) < 0.2)
        x[:, t] = (likely + off) % 3
        log_prob += torch.where(off == 0, math.log(0.8), math.log(0.1))
    return x.double(), log_prob


@pytest.mark.parametrize("lag", [2, 12])
def test_the_entropy_of_a_chain_is_reached_and_not_undercut(lag, single_precision):
    """KL(chain || model) by paired differences: below -4 standard errors once in 30,000."""
    torch.manual_seed(lag)
    length = 48
    network = DilatedConvolutional(
        length, 3, OneHot(3), dilations=doubling(4), channels=24, skip_channels=32
    )
    head = site_head(Categorical((length,), 3), length)
    model = AutoregressiveModel(network, head, (length,))
    optimizer = torch.optim.Adam(model.parameters(), lr=0.01)
    num_steps = 200
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, num_steps)
    for _ in range(num_steps):
        loss = -model.log_prob(chain(32, length, lag)[0].float()).mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        schedule.step()
    x, exact = chain(1500, length, lag)
    with torch.no_grad():
        found = model.log_prob_sites(x.float())[:, lag:].sum(-1).double()
    excess = exact - found
    error = float(excess.std()) / len(excess) ** 0.5
    rate = -0.8 * math.log(0.8) - 0.2 * math.log(0.1)
    assert float(excess.mean()) > -4 * error
    assert float(excess.mean()) / (length - lag) < 0.01 * rate
