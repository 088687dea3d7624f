"""Convolutions over images: what they see, and what may be chosen about how they are computed."""

import numpy as np
import pytest
import torch
from case import randomized
from torch.nn import functional as F

import ancestral
from ancestral.core import (
    IncompatibleChoices,
    Kind,
    OptionError,
    Precision,
    ShapeError,
    Specification,
    matrix_products,
)
from ancestral.data import TensorSource
from ancestral.distributions import Bernoulli, site_head
from ancestral.models.autoregressive import AutoregressiveModel, SamplingMethod
from ancestral.networks.causal import GatedConvolutions, MaskedConvolutions, Plain
from ancestral.networks.causal.image_cells import CausalConvolution, Mask, group_bounds
from ancestral.training.compiling import validation_kept

SHAPE = (5, 7, 1)


def gated(shape=SHAPE, **options):
    settings = {"size": 6, "num_layers": 6, "first_kernel_size": 3} | options
    return randomized(GatedConvolutions(shape, 2, Plain(), **settings))


def masked(shape=SHAPE, **options):
    settings = {"size": 24, "num_residual": 6, "first_kernel_size": 3} | options
    return randomized(MaskedConvolutions(shape, 2, Plain(), activation=F.silu, **settings))


def seen(network):
    """[T, T] bool: whose features change with whose value."""
    x = torch.randn(8, network.num_sites, 1)
    found = torch.zeros(network.num_sites, network.num_sites, dtype=torch.bool)
    with torch.no_grad():
        before = network(x)
        for site in range(network.num_sites):
            other = x.clone()
            other[:, site] += 1
            found[:, site] = (network(other) != before).any(-1).any(0)
    return found


def composed(shape, first_kernel_size, kernel_size, num_blocks):
    """What one stack sees, from the definition of its masks, kernel by kernel."""
    height, width, _ = shape

    def step(size, own):
        links = torch.zeros(height * width, height * width, dtype=torch.bool)
        for to in range(height * width):
            for of in range(to + 1):
                up = to // width - of // width
                aside = of % width - to % width
                if up <= size // 2 and abs(aside) <= size // 2:
                    links[to, of] = own or of < to
        return links

    found = step(first_kernel_size, own=False).double()
    for _ in range(num_blocks):
        found = step(kernel_size, own=True).double() @ found
    return found > 0


@pytest.mark.parametrize(("first", "kernel", "num_blocks"), [(3, 3, 6), (5, 3, 2), (3, 5, 1)])
def test_one_stack_sees_what_its_masks_let_through_and_has_a_blind_spot(first, kernel, num_blocks):
    network = masked(first_kernel_size=first, kernel_size=kernel, num_residual=num_blocks)
    found = seen(network)
    assert torch.equal(found, composed(SHAPE, first, kernel, num_blocks))
    row = found[2 * 7 + 2].reshape(5, 7)
    assert bool(row[1, : 3 + first // 2].all())
    if max(first, kernel) == 3:
        assert not bool(row[1, 4:].any())  # however many blocks there are


def test_two_stacks_have_no_blind_spot():
    found = seen(gated())
    assert torch.equal(found, torch.ones_like(found).tril(-1))


@pytest.mark.parametrize("make", [gated, masked])
def test_a_colour_sees_the_colours_before_it(make):
    network = make((3, 3, 3), size=24)
    x = torch.randn(1, 27, 1, requires_grad=True)
    here = 3 * 4  # the first channel of the pixel in the middle
    reached = []
    for channel in range(3):
        (slope,) = torch.autograd.grad(network(x)[0, here + channel].sum(), x)
        reached.append(slope[0, here - 3 : here + 6, 0] != 0)
    before = [True] * 3
    assert reached[0].tolist() == [*before, False, False, False, *[False] * 3]
    assert reached[1].tolist() == [*before, True, False, False, *[False] * 3]
    assert reached[2].tolist() == [*before, True, True, False, *[False] * 3]


def test_a_cropped_kernel_is_the_masked_one():
    """5 x 5 with mask B, as the paper writes it."""
    bounds = group_bounds(4, 1)
    convolution = CausalConvolution(bounds, bounds, 5, rows_above=2)
    maps = torch.randn(3, 4, 6, 6)
    mask = torch.zeros(5, 5)
    mask[:2] = 1
    mask[2, :3] = 1
    kernel = torch.zeros(4, 4, 25)
    kernel[:, :, mask.flatten().bool()] = convolution.weight.detach()
    whole = F.conv2d(maps, kernel.unflatten(-1, (5, 5)), convolution.bias, padding=2)
    torch.testing.assert_close(convolution(maps), whole)


def test_mask_a_does_not_see_its_own_pixel():
    bounds = group_bounds(1, 1)
    convolution = CausalConvolution(bounds, bounds, 5, mask=Mask.A)
    maps = torch.randn(1, 1, 1, 6)
    kernel = torch.zeros(1, 1, 1, 5)
    kernel[..., :2] = convolution.weight.detach()
    whole = F.conv2d(maps, kernel, convolution.bias, padding=(0, 2))
    torch.testing.assert_close(convolution(maps), whole)


@pytest.mark.parametrize("make", [gated, masked])
@pytest.mark.parametrize("shape", [(6, 5, 1), (4, 4, 3)])
def test_memory_formats_precisions_and_compilation_agree(make, shape, single_precision):
    depth = {"num_layers": 2} if make is gated else {"num_residual": 1}
    network = make(shape, size=24, **depth)
    x = torch.randn(4, network.num_sites, 1)
    expected = network(x).detach()
    scale = float(expected.std())
    with validation_kept():
        traced = torch.compile(network, backend="aot_eager", fullgraph=True)
        torch.testing.assert_close(traced(x), expected, rtol=1e-4, atol=1e-4 * scale)
    torch._dynamo.reset()
    with matrix_products(Precision.BF16, network.output_bias):
        half = network(x).detach()
    assert half.dtype is torch.float32
    # eight bits of mantissa, over a dozen products in a row
    assert float((half - expected).abs().max()) < 0.1 * scale
    assert float((half - expected).abs().mean()) < 0.02 * scale
    network.to(memory_format=torch.channels_last)
    torch.testing.assert_close(network(x), expected, rtol=1e-4, atol=1e-4 * scale)


def test_options_that_make_no_sense():
    with pytest.raises(OptionError, match="expected kernel_size to be odd and at least 3, got 4"):
        gated(kernel_size=4)
    with pytest.raises(OptionError, match="expected first_kernel_size to be odd"):
        masked(first_kernel_size=1)
    with pytest.raises(OptionError, match="expected at least 3 feature maps, one for each colour"):
        gated((4, 4, 3), size=2)


@pytest.mark.parametrize("name", ["pixel_cnn", "gated_pixel_cnn"])
def test_what_is_no_image_is_refused_in_one_line(name):
    spec = Specification(Kind.BINARY, (16,))
    with pytest.raises(IncompatibleChoices, match=r"needs images of .* got data of shape \(16,\)"):
        ancestral.REGISTRY[name].build(spec, {})


@pytest.mark.parametrize("name", ["pixel_cnn", "gated_pixel_cnn"])
def test_an_image_of_another_size_is_refused(name, single_precision):
    rows = np.random.default_rng(0).integers(0, 2, (20, 5, 5)).astype(np.uint8)
    source = TensorSource(rows, Specification(Kind.BINARY, (5, 5)))
    options = {"channels": 4, "first_kernel_size": 3, "epochs": 1}
    model = ancestral.build(name, **options).fit(source)
    with pytest.raises(ShapeError, match="hint"):
        model.score_samples(np.zeros((2, 6, 5), dtype=np.uint8))


@pytest.mark.parametrize("name", ["pixel_cnn", "gated_pixel_cnn"])
def test_few_images_get_a_smaller_network(name):
    recipe = ancestral.REGISTRY[name]
    spec = Specification(Kind.BINARY, (28, 28))
    few, many = (recipe.resolved({}, spec, rows)["channels"] for rows in (1000, 50_000))
    assert few < many
    assert recipe.resolved({"channels": 7}, spec, 1000)["channels"] == 7


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("shape", [(3, 5, 1), (2, 3, 3)])
def test_the_compiled_steps_are_those_of_torch(shape, dtype, monkeypatch):
    """21 feature maps: groups that do not fill whole vectors; 19 images, a group and some."""
    network = gated(shape, size=21, num_layers=3, context_size=2).to(dtype).eval()
    x = torch.randn(19, network.num_sites, 1, dtype=dtype)
    context = torch.randn(19, 2, dtype=dtype)

    def run():
        found, prev = [], None
        with torch.no_grad():
            state = network.init_state(19, context)
            for t in range(network.num_sites):
                features, state = network.step(state, t, prev)
                found.append(features)
                prev = x[:, t]
        return torch.stack(found, 1), state.now.weights.value.native is not None

    native, compiled = run()
    monkeypatch.setenv("ANCESTRAL_NATIVE", "0")
    plain, other = run()
    if not compiled:
        pytest.skip("there is no C compiler")
    assert not other
    tolerance = 1e-4 if dtype is torch.float32 else 1e-11
    torch.testing.assert_close(native, plain, rtol=tolerance, atol=tolerance)
    with torch.no_grad():
        torch.testing.assert_close(plain, network(x, context), rtol=tolerance, atol=tolerance)


def test_rows_at_a_time_need_few_passes():
    """Each row costs at least the pass that finds it unchanged, and at most one for each cell."""
    model = AutoregressiveModel(
        GatedConvolutions((6, 6, 1), 1, Plain(), size=8, num_layers=3),
        site_head(Bernoulli((6, 6)), 36),
        (6, 6),
    ).eval()
    uniforms = model.uniforms(5)
    rows = model.draw(uniforms, method=SamplingMethod.ROW_JACOBI)
    cached = model.draw(uniforms, method=SamplingMethod.CACHED)
    assert torch.equal(rows.x, cached.x)
    assert 2 * 6 <= rows.num_passes < 36
    assert rows.method is SamplingMethod.ROW_JACOBI
