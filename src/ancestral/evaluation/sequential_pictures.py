"""Pictures of autoregressive models of images: what they draw, and what surprises them."""

from __future__ import annotations

import math

import numpy as np
import torch
from torch import Tensor

from ancestral.core import Batch
from ancestral.evaluation.image_pictures import Pixels
from ancestral.evaluation.picture import Material, Picture, Section
from ancestral.models import AutoregressiveModel, OrderEnsemble
from ancestral.plots import ImageRow, heat, image_grids, image_rows

__all__ = ["ByOrder", "draw_like", "sequential_pictures"]

ByOrder = AutoregressiveModel | OrderEnsemble
"""Models that go from site to site."""

_GRID, _ROW = 6, 8  # images in a row of a grid, and of held-out ones


def draw_like(model: ByOrder, rows: Batch, count: int) -> Tensor:
    """Samples [count, *shape]; of a conditional model, given what the first rows are given."""
    if rows.context is None:
        return model.sample(count)
    index = torch.arange(count, device=rows.x.device) % len(rows)
    return model.sample(count, rows.context[index])


def sequential_pictures(model: ByOrder, material: Material) -> list[Picture]:
    """Data, samples, and E[x_t | x_<t] of both; and the bits that each pixel of data costs."""
    pixels = Pixels(material.spec, material.rows)
    columns = pixels.columns(_GRID)
    count = min(columns * columns, len(material.rows))
    rows = material.rows.rows(slice(0, count))
    samples = draw_like(model, rows, count)
    grids = [("data", pixels(rows.x)), ("samples", pixels(samples))]
    caption = "Held-out data, and as many samples of the model, drawn pixel by pixel."
    single = _one_order(model)
    expected = _expected(single, samples, rows.context)
    if expected is not None:
        grids.append(("expected", pixels(expected)))
        caption += (
            " On the right, for each sample, E[x_t | x_<t]: what the model expected of each "
            "pixel, given those that it had drawn before."
        )
    figure = image_grids(grids, columns)
    drawn = [Picture("samples", Section.SAMPLES, caption, figure, is_vector=False)]
    return [*drawn, _surprise(single, material, pixels)]


def _surprise(model: AutoregressiveModel, material: Material, pixels: Pixels) -> Picture:
    batch = material.rows.rows(slice(0, pixels.columns(_ROW)))
    nats = -model.log_prob_sites(batch.x, batch.context)
    height, width, channels = pixels.shape
    bits = nats.reshape(len(batch), height, width, -1).sum(-1).double().cpu().numpy()
    bits = bits / math.log(2)
    highest = max(1.0, float(np.quantile(bits, 0.995)))
    rows = [ImageRow(pixels(batch.x), "data")]
    expected = _expected(model, batch.x, batch.context)
    if expected is not None:
        rows.append(ImageRow(pixels(expected), "expected"))
    rows.append(ImageRow(heat(bits, highest), "surprise"))
    what = "pixel" if channels == 1 else "pixel, its colours together"
    caption = (
        "Held-out images; below each, E[x_t | x_<t], the pixel that the model expected given "
        f"those before it; and -log2 p(x_t | x_<t) of each {what}, from 0 (black) to "
        f"{highest:.1f} bits (yellow). The sum over an image is what it costs to store."
    )
    if model.network.order.tolist() != list(range(model.network.num_sites)):
        caption += " The model has an order of its own."
    return Picture("surprise", Section.CONDITIONALS, caption, image_rows(rows), is_vector=False)


def _one_order(model: ByOrder) -> AutoregressiveModel:
    """The model itself, or the first member of an ensemble."""
    return model.with_order(model.orders[0]) if isinstance(model, OrderEnsemble) else model


def _expected(model: AutoregressiveModel, x: Tensor, context: Tensor | None) -> Tensor | None:
    """E[x_t | x_<t] of each site, [batch, *shape], where the head knows it."""
    try:
        means = model.head.mean(model.features(x, context))
    except NotImplementedError:
        return None
    return model.from_sites(means)
