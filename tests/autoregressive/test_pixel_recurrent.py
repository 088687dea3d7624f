"""PixelRNN: the fronts, their gradients, the compiled kernels, and what the parts promise."""

import gc
import weakref

import numpy as np
import pytest
import torch

import ancestral
from ancestral.core import Kind, OptionError, Specification
from ancestral.data import TensorSource
from ancestral.networks.causal import Plain
from ancestral.networks.causal.channel_groups import GroupLinear, PastConvolution
from ancestral.networks.causal.image_lstm import DiagonalBiLstm, RowLstm
from ancestral.networks.causal.pixel_recurrent import PixelRecurrent
from ancestral.networks.causal.wavefront import Wavefront, wavefront_lstm

WAVEFRONTS = {
    "diagonals": (Wavefront.diagonals(3, 4), lambda i, j: [(i, j - 1), (i - 1, j)], (0, -1)),
    "tall diagonals": (Wavefront.diagonals(4, 2), lambda i, j: [(i, j - 1), (i - 1, j)], (0, -1)),
    "rows": (
        Wavefront.rows(3, 4),
        lambda i, j: [(i - 1, j - 1), (i - 1, j), (i - 1, j + 1)],
        (-1, 0),
    ),
}


def pixel_by_pixel(inputs, weight, bias, wavefront, neighbours, own):
    """The definition, one pixel after the other in raster order, with autograd's gradient."""
    pixels = wavefront.pixels.tolist()
    width, shape = wavefront.width, weight.shape[2:]
    zeros = inputs.new_zeros(len(inputs), inputs.shape[2], shape[0] * shape[2])
    hidden, states = {}, {}
    for place in sorted(range(len(pixels)), key=lambda p: pixels[p]):
        i, j = divmod(pixels[place], width)
        seen = [hidden.get(q, zeros) for q in neighbours(i, j)]
        joined = torch.cat((inputs[:, place], *seen), -1)
        gates = (joined @ weight.flatten(2)).unflatten(2, shape) + bias.unsqueeze(1)
        i_, f, o = (gates[:, :, :, k].sigmoid().flatten(2) for k in range(3))
        before = states.get((i, j - 1) if own == (0, -1) else (i - 1, j), zeros)
        states[i, j] = f * before + i_ * gates[:, :, :, 3].tanh().flatten(2)
        hidden[i, j] = o * states[i, j].tanh()
    return torch.stack([hidden[divmod(pixel, width)] for pixel in pixels], 1)


@pytest.mark.parametrize("native", ["0", "1"])
def test_what_was_not_differentiated_is_forgotten(native, monkeypatch):
    """A pass whose gradient nobody takes, such as one that an exception ends."""
    monkeypatch.setenv("ANCESTRAL_NATIVE", native)
    weight = torch.randn(2, 2 + 6, 1, 4, 3, requires_grad=True)
    bias = torch.zeros(2, 1, 4, 3)
    gc.disable()  # which would find cycles
    try:
        hidden = wavefront_lstm(torch.randn(2, 12, 3, 2), weight, bias, Wavefront.diagonals(3, 4))
        node, kept = hidden.grad_fn, weakref.ref(hidden)
        assert node.cells.hidden.data_ptr() == hidden.data_ptr()
        cells = weakref.ref(node.cells)
        del node, hidden
        assert kept() is None
        assert cells() is None
    finally:
        gc.enable()


@pytest.mark.parametrize("native", ["0", "1"])
@pytest.mark.parametrize("dtype", [torch.float64, torch.float32])
@pytest.mark.parametrize("name", list(WAVEFRONTS))
def test_fronts_compute_the_definition_and_its_gradient(name, dtype, native, monkeypatch):
    monkeypatch.setenv("ANCESTRAL_NATIVE", native)
    wavefront, neighbours, own = WAVEFRONTS[name]
    torch.manual_seed(0)
    groups, units, features, batch = 2, 3, 5, 3
    num_pixels, rows = wavefront.starts[-1], features + len(wavefront.taps) * groups * units
    inputs = torch.randn(2, num_pixels, batch, features, dtype=dtype, requires_grad=True)
    weight = torch.randn(2, rows, groups, 4, units, dtype=dtype, requires_grad=True)
    bias = torch.randn(2, groups, 4, units, dtype=dtype, requires_grad=True)
    found = wavefront_lstm(inputs, weight, bias, wavefront)
    expected = pixel_by_pixel(inputs, weight, bias, wavefront, neighbours, own)
    tolerance = {"rtol": 1e-9, "atol": 1e-11} if dtype == torch.float64 else {}
    of = torch.randn_like(found)
    gradients = torch.autograd.grad((found * of).sum(), (inputs, weight, bias))
    wanted = torch.autograd.grad((expected * of).sum(), (inputs, weight, bias))
    torch.testing.assert_close(found, expected, **tolerance)
    loose = tolerance or {"rtol": 1e-4, "atol": 1e-5}
    for one, other in zip(gradients, wanted, strict=True):
        torch.testing.assert_close(one, other, **loose)


def test_extreme_gates_neither_overflow_nor_turn_to_nan():
    wavefront = Wavefront.diagonals(2, 2)
    inputs = torch.tensor([-1e4, -100.0, 100.0, 1e4], dtype=torch.float32).reshape(1, 4, 1, 1)
    inputs.requires_grad_()
    weight = torch.ones(1, 3, 1, 4, 1, dtype=torch.float32)
    hidden = wavefront_lstm(inputs, weight, torch.zeros(1, 1, 4, 1), wavefront)
    hidden.sum().backward()
    assert bool(hidden.isfinite().all())
    assert bool(inputs.grad.isfinite().all())


def test_a_second_gradient_is_refused_rather_than_wrong():
    wavefront = Wavefront.rows(2, 2)
    weight = torch.randn(1, 2 + 3, 1, 4, 1, requires_grad=True)
    inputs = torch.randn(1, 4, 1, 2)
    loss = wavefront_lstm(inputs, weight, torch.zeros(1, 1, 4, 1), wavefront).sum()
    loss.backward(retain_graph=True)
    with pytest.raises(RuntimeError, match="once"):
        loss.backward()


def test_diagonals_hold_each_pixel_once_and_are_as_many_as_said():
    wavefront = Wavefront.diagonals(5, 7)
    assert len(wavefront.fronts) == 5 + 7 - 1
    assert sorted(wavefront.pixels.tolist()) == list(range(35))


def test_masks_are_those_of_section_3_4():
    convolution = PastConvolution(3, 6, 5, (9, 9), groups=3)
    own = convolution.mask[:, :, -1, 2]
    assert own.tolist() == [[0, 0, 0]] * 2 + [[1, 0, 0]] * 2 + [[1, 1, 0]] * 2
    assert bool((convolution.mask[:, :, -1, 3:] == 0).all())
    assert bool((convolution.mask[:, :, -1, :2] == 1).all())
    assert bool((convolution.mask[:, :, :-1] == 1).all())
    layer = GroupLinear(3, 3, 3)
    assert layer.mask.tolist() == [[1, 0, 0], [1, 1, 0], [1, 1, 1]]


def test_the_first_convolution_has_no_more_than_fits_into_the_image():
    assert PastConvolution(1, 2, 7, (28, 28), 1).weight.shape == (2, 1, 4, 7)
    assert PastConvolution(1, 2, 7, (2, 3), 1).weight.shape == (2, 1, 2, 5)


@pytest.mark.parametrize("layer", [DiagonalBiLstm, RowLstm])
def test_native_and_plain_networks_agree(layer, monkeypatch):
    torch.manual_seed(0)
    network = PixelRecurrent((6, 5, 1), 1, Plain(), layer, hidden_size=4, num_layers=2).float()
    x = torch.randint(2, (9, 30, 1)).float()
    native = network(x)
    monkeypatch.setenv("ANCESTRAL_NATIVE", "0")
    torch.testing.assert_close(network(x), native, rtol=1e-5, atol=1e-5)


def test_options_that_cannot_be():
    for options, message in (
        ({"hidden_size": 4}, "multiple of the image's 3 channels"),
        ({"num_layers": 0}, "at least 1 layer"),
        ({"kernel_size": 4}, "odd kernel_size"),
    ):
        settings = {"hidden_size": 3, "output_size": 3} | options
        with pytest.raises(OptionError, match=message):
            PixelRecurrent((4, 4, 3), 1, Plain(), RowLstm, **settings)


def test_the_recipe_names_what_it_knows():
    spec = Specification(Kind.BINARY, (6, 6))
    recipe = ancestral.REGISTRY["pixel_rnn"]
    with pytest.raises(
        OptionError, match="expected recurrence to be 'diagonal' or 'row', got 'diag'"
    ):
        recipe.build(spec, {"recurrence": "diag"})
    assert recipe.resolved({}, spec, 100)["hidden_size"] == 16
    assert recipe.resolved({}, spec, 50_000)["hidden_size"] == 32
    assert recipe.resolved({"hidden_size": 8}, spec, 100)["hidden_size"] == 8


@pytest.mark.parametrize("recurrence", ["diagonal", "row"])
def test_bars_are_learnt_in_half_precision_as_well(recurrence, single_precision):
    """Rows of one colour: after the first pixel of a row nothing is left to know, 4 ln 2 nats."""
    rng = np.random.default_rng(0)
    rows = np.repeat(rng.integers(0, 2, (300, 4, 1)), 4, 2).astype(np.uint8)
    source = TensorSource(rows, Specification(Kind.BINARY, (4, 4)))
    options = {"hidden_size": 6, "first_kernel_size": 3, "precision": "bf16", "averaging": 0.8}
    model = ancestral.build(
        "pixel_rnn", recurrence=recurrence, epochs=5, batch_size=10, learning_rate=0.02, **options
    ).fit(source)
    assert -3.6 < model.score(source) < -4 * np.log(2) + 0.05
