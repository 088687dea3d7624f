"""Images beside what in them is odd."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from ancestral.plots.images import heat
from ancestral.plots.style import INK, MUTED, TEXT_SIZE, WIDTH, new_figure

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["odd_images"]

_CAPTION = 0.24  # inches
_SCALE = 0.62  # inches, for the colours below


def odd_images(
    images: np.ndarray,
    values: np.ndarray,
    captions: Sequence[str],
    *,
    num_columns: int,
    quantity: str,
    highest: float,
) -> Figure:
    """Each image with a map of its values at its right, and a caption above.

    Args:
        images: [count, height, width, 1 or 3], from 0 to 1.
        values: [count, height, width], from 0 on.
        captions: one line for each.
        num_columns: pairs in a row.
        quantity: what the values are, with its unit.
        highest: value from which on the colour is the same.
    """
    from matplotlib.cm import ScalarMappable
    from matplotlib.colors import Normalize

    count, height, width = images.shape[:3]
    num_rows = math.ceil(count / num_columns)
    pair_width = WIDTH / num_columns
    pair_height = pair_width * height / (2 * width) + _CAPTION
    figure = new_figure(num_rows * pair_height + _SCALE)
    figure.get_layout_engine().set(w_pad=0.03, h_pad=0.01)  # pyright: ignore
    panels = figure.subplots(num_rows, num_columns, squeeze=False).ravel()
    colours = heat(values, highest)
    for number, axes in enumerate(panels):
        axes.axis("off")
        if number >= count:
            continue
        image = np.broadcast_to(images[number], (height, width, 3))
        gap = np.ones((height, max(1, width // 28), 3))
        pair = np.concatenate((image, gap, colours[number]), 1)
        factor = max(1, 600 // pair.shape[1])
        axes.imshow(pair.repeat(factor, 0).repeat(factor, 1), interpolation="antialiased")
        axes.set_title(captions[number], fontsize=TEXT_SIZE - 1.5, color=INK, pad=2.5)
    shades = ScalarMappable(Normalize(0, highest), "inferno")
    bar = figure.colorbar(
        shades, ax=panels.tolist(), orientation="horizontal", aspect=40, shrink=0.7
    )
    bar.set_label(quantity, fontsize=TEXT_SIZE, color=INK)
    bar.ax.tick_params(labelsize=TEXT_SIZE, labelcolor=INK, colors=MUTED)
    bar.outline.set_visible(False)  # pyright: ignore[reportCallIssue]
    return figure
