"""Long rows of numbers, such as sound, as lines."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from ancestral.plots.style import DATA, INK, MODEL, TITLE_SIZE, new_figure

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["series_rows"]

_ROW = 0.55  # inches


def series_rows(groups: Sequence[tuple[str, np.ndarray]]) -> Figure:
    """Lines below each other, each group under its title, all on one scale.

    Args:
        groups: (title, [count, length]); the first in the colour of data, others of models.
    """
    everything = np.concatenate([rows.ravel() for _, rows in groups])
    low, high = float(np.min(everything)), float(np.max(everything))
    count = sum(len(rows) for _, rows in groups)
    figure = new_figure(_ROW * count + 0.35 * len(groups))
    panels = figure.subplots(count, 1, squeeze=False)[:, 0]
    position = 0
    for number, (title, rows) in enumerate(groups):
        for index, row in enumerate(rows):
            axes = panels[position]
            position += 1
            axes.plot(row, color=DATA if number == 0 else MODEL, linewidth=0.6)
            axes.set_ylim(low, high if high > low else low + 1)
            axes.set_xlim(0, len(row) - 1)
            axes.axis("off")
            if index == 0:
                axes.set_title(title, fontsize=TITLE_SIZE, color=INK)
    return figure
