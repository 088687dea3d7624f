"""PixelCNN++: resolutions, odd sizes, first pixels, and what the recipe promises."""

import numpy as np
import pytest
import torch

import ancestral
from ancestral.core import IncompatibleChoices, Kind, OptionError, Specification
from ancestral.data import TensorSource
from ancestral.networks.causal import Plain
from ancestral.networks.causal.pixel_cnn_pp import PixelCnnPlusPlus
from ancestral.networks.causal.shifted_conv import (
    DownRightConvolution,
    DownShiftedConvolution,
    concat_elu,
)


def test_shifted_convolutions_see_what_they_say():
    x = torch.zeros(1, 1, 5, 5)
    x[0, 0, 2, 2] = 1
    for layer, cells in (
        (DownShiftedConvolution(1, 1), {(2, 1), (2, 2), (2, 3), (3, 1), (3, 2), (3, 3)}),
        (DownRightConvolution(1, 1), {(2, 2), (2, 3), (3, 2), (3, 3)}),
    ):
        changed = (layer(x) != layer(torch.zeros_like(x)))[0, 0].nonzero().tolist()
        assert {tuple(cell) for cell in changed} == cells


def test_concat_elu_keeps_the_gradient_of_both_signs():
    x = torch.tensor([[-50.0, 50.0]], requires_grad=True)
    found = concat_elu(x)
    torch.testing.assert_close(found, torch.tensor([[-1.0, 50.0, 50.0, -1.0]]))
    found.sum().backward()
    assert bool((x.grad != 0).all())


@pytest.mark.parametrize("size", [(7, 9), (8, 5), (6, 6), (3, 11), (5, 1), (1, 5)])
def test_steps_of_all_resolutions_are_exact_for_sizes_that_cannot_be_halved(size):
    torch.manual_seed(0)
    height, width = size
    num_halvings = 2 if min(size) > 1 else 0
    network = PixelCnnPlusPlus(
        (height, width, 1), 2, Plain(), channels=4, num_blocks=2, num_halvings=num_halvings
    ).eval()
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.add_(0.3 * torch.randn_like(parameter))
        x = torch.rand(3, height * width, 1)
        state, prev, found = network.init_state(3), None, []
        for t in range(height * width):
            features, state = network.step(state, t, prev)
            found.append(features)
            prev = x[:, t]
        torch.testing.assert_close(torch.stack(found, 1), network(x), rtol=1e-9, atol=1e-9)


def test_there_is_no_blind_spot_in_a_larger_image():
    """The corner above and to the right, which single masked convolutions never see."""
    torch.manual_seed(0)
    network = PixelCnnPlusPlus((8, 8, 1), 1, Plain(), channels=4, num_halvings=1).eval()
    x = torch.rand(4, 64, 1, requires_grad=True)
    (gradient,) = torch.autograd.grad(network(x)[:, 36].sum(), x)
    seen = (gradient != 0).any(0).reshape(8, 8)
    assert bool(seen[3, 5:7].all())
    assert bool(seen[2, 6])
    assert not bool(seen.flatten()[36:].any())


def test_options_that_cannot_be():
    for options, message in (
        ({"num_halvings": 3}, "halved from 0 to 2 times"),
        ({"num_halvings": -1}, "halved from 0 to 2 times"),
        ({"num_blocks": 0}, "at least 1 block"),
        ({"channels": 0}, "at least 1 channel"),
    ):
        with pytest.raises(OptionError, match=message):
            PixelCnnPlusPlus((4, 4, 1), 1, Plain(), **options)


def test_the_recipe_follows_the_data():
    recipe = ancestral.REGISTRY["pixel_cnn_pp"]
    spec = Specification(Kind.LEVELS, (8, 8, 3), 256)
    assert recipe.resolved({}, spec, 500)["dropout"] > 0
    assert recipe.resolved({}, spec, 50_000)["dropout"] == 0
    assert recipe.resolved({"dropout": 0.0}, spec, 500)["dropout"] == 0
    model = recipe.build(spec, recipe.resolved({}, spec, 500)).model
    assert model.network.width == 3
    assert model.head.num_features == 100
    with pytest.raises(IncompatibleChoices, match="needs images of ordered levels"):
        recipe.build(Specification(Kind.BINARY, (8, 8)), {})
    with pytest.raises(IncompatibleChoices, match="needs images of"):
        recipe.build(Specification(Kind.LEVELS, (64,), 16), {})


def test_coupled_colours_are_learnt(single_precision):
    """Green is red, blue is their complement: what is left is the entropy of red."""
    rng = np.random.default_rng(0)
    red = rng.integers(0, 4, (160, 3, 4, 1))
    rows = np.concatenate((red, red, 3 - red), -1).astype(np.uint8)
    source = TensorSource(rows, Specification(Kind.LEVELS, (3, 4, 3), 4))
    model = ancestral.build(
        "pixel_cnn_pp", channels=4, num_halvings=0, components=4, epochs=10, batch_size=10,
        learning_rate=0.02, averaging=0.9,
    ).fit(source)  # fmt: skip
    score = model.score(source)
    # 12 ln 4 is the least; without the coupling it would be three times that
    assert -1.6 * 12 * np.log(4) < score < -12 * np.log(4) + 0.5
