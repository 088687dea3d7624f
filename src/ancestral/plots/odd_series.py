"""Long rows of numbers, such as sound, above what in them is odd."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from ancestral.plots.style import DATA, INK, MODEL, MUTED, TEXT_SIZE, new_figure

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["odd_series"]

_PAIR = 1.15  # inches
_POINTS = 1500  # of a line; more than that are joined


def odd_series(
    series: Sequence[np.ndarray],
    values: Sequence[np.ndarray],
    captions: Sequence[str],
    *,
    seconds: float,
    quantity: str,
) -> Figure:
    """Each row of numbers as a line, and its values along the same axis below.

    Args:
        series: [length] each, from -1 to 1.
        values: [length] each, from 0 on; drawn as means over what falls on one point.
        captions: one line for each.
        seconds: that one number lasts.
        quantity: what the values are, with its unit.
    """
    figure = new_figure(_PAIR * len(series) + 0.4)
    panels = figure.subplots(
        2 * len(series), 1, squeeze=False, gridspec_kw={"height_ratios": [1, 1.2] * len(series)}
    )[:, 0]
    highest = max(float(_joined(v).max()) for v in values)
    for number, (line, above, caption) in enumerate(zip(series, values, captions, strict=True)):
        wave, odd = panels[2 * number : 2 * number + 2]
        duration = len(line) * seconds
        wave.plot(np.linspace(0, duration, len(line)), line, color=DATA, linewidth=0.5)
        wave.set_ylim(-1, 1)
        wave.axis("off")
        wave.set_title(caption, fontsize=TEXT_SIZE - 1, color=INK, pad=2.5)
        heights = _joined(above)
        times = np.linspace(0, duration, len(heights))
        odd.fill_between(times, heights, color=MODEL, linewidth=0)
        odd.set_ylim(0, max(highest, 1e-9))
        for axes in (wave, odd):
            axes.set_xlim(0, duration)
        odd.spines[["top", "right"]].set_visible(False)
        odd.tick_params(labelsize=TEXT_SIZE - 2, labelcolor=INK, colors=MUTED)
        if number < len(series) - 1:
            odd.tick_params(labelbottom=False)
    panels[-1].set_xlabel("seconds", fontsize=TEXT_SIZE, color=INK)
    figure.supylabel(quantity, fontsize=TEXT_SIZE, color=INK)
    return figure


def _joined(values: np.ndarray) -> np.ndarray:
    """Means of neighbours, so that there are not too many of them."""
    width = max(1, len(values) // _POINTS)
    size = len(values) // width * width
    return values[:size].reshape(-1, width).mean(1)
