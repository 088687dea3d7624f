"""PixelCNN++."""

from __future__ import annotations

from functools import partial

import torch
from case import Case
from torch import Tensor

from ancestral.distributions import Bernoulli, site_head
from ancestral.distributions.coupled_logistic import CoupledLogisticSites
from ancestral.models.autoregressive import AutoregressiveModel
from ancestral.networks.causal import Plain
from ancestral.networks.causal.pixel_cnn_pp import PixelCnnPlusPlus


def _model(shape, *, levels=2, **options) -> AutoregressiveModel:
    height, width, colours = shape
    pixels = height * width
    if levels == 2 and colours == 1:
        head = site_head(Bernoulli(shape), pixels)
    else:
        head = CoupledLogisticSites.of_image(pixels, levels, colours, num_components=2)
    network = PixelCnnPlusPlus(shape, head.num_features, Plain(colours), channels=3, **options)
    return AutoregressiveModel(network, head, shape)


def _of_two_rows(model: AutoregressiveModel) -> dict[str, Tensor]:
    """No pixel has a second row above; of the first row, and its first pixel, nothing is known."""
    found = {}
    for name, columns in (
        ("rows_above", slice(None)),
        ("finest.above_down.0.first", slice(None)),
        ("finest.left_down.0.first", 0),
    ):
        weight = model.network.get_parameter(f"{name}.weight")
        unused = torch.zeros_like(weight, dtype=torch.bool)
        unused[:, :, 0, columns] = True
        found[f"network.{name}.weight"] = unused
    return found


def _case(name, shape, *, levels=2, unused=None, **options) -> Case:
    cells = shape[0] * shape[1] * shape[2]
    return Case(
        f"pixel_cnn_pp, {name}",
        partial(_model, shape, levels=levels, **options),
        num_codes=levels,
        enumerable=levels**cells <= 4096,
        unused=unused,
        learns_copy=shape[2] == 1,
    )


CASES = [
    _case("binary", (3, 3, 1), num_halvings=1),
    _case("context", (3, 3, 1), num_halvings=1, context_size=2),
    _case("two halvings", (5, 6, 1), num_halvings=2),
    _case("two blocks, odd sizes", (5, 3, 1), num_halvings=1, num_blocks=2, levels=7),
    _case("colours", (3, 3, 3), num_halvings=1, levels=5),
    _case("colours, enumerated", (2, 2, 3), num_halvings=0, unused=_of_two_rows),
]
