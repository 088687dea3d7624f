"""Kernels of networks: what is not a number, what is large, and machines that build only some."""

from __future__ import annotations

import pytest
import torch
from case import randomized
from torch import Tensor

from ancestral.core import native
from ancestral.distributions import Bernoulli, Categorical, DiscretizedLogistic, site_head
from ancestral.models.autoregressive import AutoregressiveModel, SamplingMethod
from ancestral.networks.causal import (
    NADE,
    Activation,
    CausalNetwork,
    DilatedConvolutional,
    MaskedDense,
    OneHot,
    Plain,
    running,
)
from ancestral.networks.causal import gated_stack as gated_stack_module
from ancestral.networks.causal.dilated_kernel import kernel
from ancestral.networks.causal.image_lstm import RowLstm
from ancestral.networks.causal.native_gates import fits_native as fits_gates
from ancestral.networks.causal.native_running import fits_native as fits_running
from ancestral.networks.causal.pixel_recurrent import PixelRecurrent
from ancestral.networks.causal.running import running_features
from ancestral.training.compiling import validation_kept

needs_compiler = pytest.mark.skipif(
    native.shutil.which("cc") is None, reason="there is no compiler"
)
SITES = 8
HEAD = site_head(Bernoulli((SITES,)), SITES)


def dilated() -> CausalNetwork:
    return DilatedConvolutional(SITES, 1, Plain(), dilations=(1, 2), channels=5, skip_channels=6)


NETWORKS = {
    "dilated": dilated,
    "nade": lambda: NADE(SITES, 1, Plain(), 5),
    "masked": lambda: MaskedDense(SITES, 1, Plain(), hidden_sizes=(11,)),
}


def model_of(name: str) -> AutoregressiveModel:
    return randomized(AutoregressiveModel(NETWORKS[name](), HEAD, (SITES,))).eval()


def first_features(network: CausalNetwork) -> Tensor:
    with torch.no_grad():
        return network.step(network.init_state(3), 0, None)[0]


@needs_compiler
@pytest.mark.parametrize("name", NETWORKS)
def test_samples_where_only_the_kernel_of_a_step_can_be_built(name, monkeypatch, tmp_path):
    build = native._build

    def without_draws(source, *others):
        return "void generate(" not in source and build(source, *others)

    model = model_of(name)
    uniforms = model.uniforms(20)
    expected = model.draw(uniforms, method=SamplingMethod.NAIVE).x
    monkeypatch.setenv("ANCESTRAL_CACHE", str(tmp_path))
    monkeypatch.setattr(native, "_build", without_draws)
    native._library.cache_clear()
    try:
        found = model.draw(uniforms, method=SamplingMethod.CACHED).x
    finally:
        native._library.cache_clear()
    assert list((tmp_path / "native").iterdir())
    assert torch.equal(found, expected)


@needs_compiler
@pytest.mark.parametrize("name", NETWORKS)
def test_native_code_can_be_switched_off_after_its_first_use(name, monkeypatch):
    model = model_of(name)
    uniforms, gates = model.uniforms(20), torch.zeros(2, 32)
    expected, before = model.draw(uniforms).x, first_features(model.network)
    assert fits_gates(gates)
    monkeypatch.setenv("ANCESTRAL_NATIVE", "0")
    assert not fits_gates(gates)
    assert not fits_running("relu", gates)
    assert kernel(torch.float64) is None
    monkeypatch.setattr(native, "_library", lambda *_: pytest.fail("native code was asked for"))
    assert torch.equal(model.draw(uniforms).x, expected)
    torch.testing.assert_close(first_features(model.network), before, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32, torch.bfloat16])
@pytest.mark.parametrize("name", ["native", "torch"])
def test_gates_pass_nan_on(name, dtype, monkeypatch):
    monkeypatch.setenv("ANCESTRAL_NATIVE", "1" if name == "native" else "0")
    gates, z = torch.zeros(3, 64, dtype=dtype), torch.zeros(3, 32, dtype=dtype)
    gates[0, 3] = gates[1, 40] = torch.nan
    gated_stack_module._gate(gates, z)
    where = torch.zeros(3, 32, dtype=torch.bool)
    where[0, 3] = where[1, 8] = True
    assert torch.equal(z.isnan(), where)


@pytest.mark.parametrize("name", ["skip_bias", "hidden.bias"])
def test_rectified_units_of_dilated_steps_pass_nan_on(name):
    network = dilated()
    with torch.no_grad():
        network.get_parameter(name).fill_(torch.nan)
    assert bool(first_features(network).isnan().all())


@pytest.mark.parametrize("likelihood", [Categorical, DiscretizedLogistic])
@pytest.mark.parametrize("network", [DilatedConvolutional, NADE])
def test_a_network_that_is_nan_draws_what_the_head_draws(network, likelihood):
    """And reads no weights of a code that is none, wherever in memory that would be."""
    head = site_head(likelihood((SITES,), 5), SITES)
    num_features = head.num_site_features(0)
    if network is NADE:
        made = NADE(SITES, num_features, OneHot(5), 5)
    else:
        sizes = {"dilations": (1, 2), "channels": 5, "skip_channels": 6}
        made = DilatedConvolutional(SITES, num_features, OneHot(5), **sizes)
    model = AutoregressiveModel(made, head, (SITES,)).eval()
    with torch.no_grad():
        made.output_bias.fill_(torch.nan)
    x = model.draw(model.uniforms(2)).x
    expected = torch.nan if likelihood is DiscretizedLogistic else 0.0
    torch.testing.assert_close(x, torch.full_like(x, expected), equal_nan=True)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("num_sites", [3, 10, 16])
def test_a_large_input_leaves_the_gradients_of_earlier_sites_their_digits(dtype, num_sites):
    rows, size, last = 2, 9, num_sites - 1
    shapes = ((rows, num_sites, 2), (num_sites, 2, size), (num_sites, 1, size), (rows, size))
    large = 2.0**40 if dtype is torch.float32 else 2.0**80
    inputs, weight, readout, start = (torch.randn(shape).to(dtype) for shape in shapes)
    inputs[:, last, 0] = large
    weight[last, 0] = 1.0
    order = torch.arange(num_sites)
    direction = torch.randn(rows, num_sites, 1).to(dtype)

    def gradients(inputs: Tensor) -> tuple[Tensor, ...]:
        given = [t.clone().requires_grad_() for t in (inputs, weight, readout, start)]
        scale = torch.ones(num_sites, dtype=dtype)
        out = running_features(*given, scale, order, Activation.TANH)
        return torch.autograd.grad((out * direction).sum(), given)

    # no feature depends on the value of the last site
    harmless = inputs.clone()
    harmless[:, last] = 0.0
    for found, expected in zip(gradients(inputs), gradients(harmless), strict=True):
        torch.testing.assert_close(found, expected, rtol=1e-5, atol=1e-6)


def test_no_sums_are_kept_where_no_gradient_is_wanted(monkeypatch):
    model = model_of("nade")
    x = torch.zeros(2, SITES)
    monkeypatch.setattr(running, "room_for_sums", lambda *_: pytest.fail("memory was taken"))
    with torch.no_grad():
        assert model.log_prob(x).shape == (2,)


@pytest.mark.parametrize("name", [*NETWORKS, "wavefront"])
@pytest.mark.filterwarnings("ignore:.*should not be instantiated:DeprecationWarning")
def test_torch_compiles_what_has_kernels_without_them(name, single_precision):
    """And says nothing about it: warnings are errors here."""
    if name == "wavefront":
        network = PixelRecurrent((2, 4, 1), 1, Plain(), RowLstm, hidden_size=4, num_layers=1)
    else:
        network = NETWORKS[name]()
    network = randomized(AutoregressiveModel(network, HEAD, (SITES,))).network
    x = torch.randn(3, SITES, 1)
    expected = network(x).detach()
    with validation_kept():
        traced = torch.compile(network, backend="eager", fullgraph=name != "wavefront")
        torch.testing.assert_close(traced(x).detach(), expected, rtol=1e-5, atol=1e-5)
    torch._dynamo.reset()
