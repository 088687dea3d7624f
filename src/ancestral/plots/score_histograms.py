"""How a score is spread over normal rows and over others."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np

from ancestral.plots.style import (
    DATA,
    INK,
    MODEL,
    MUTED,
    TEXT_SIZE,
    TITLE_SIZE,
    new_figure,
)

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["score_strips"]

_STRIP = 0.32  # inches
_BINS = 80


def score_strips(
    panels: Sequence[tuple[str, Mapping[str, np.ndarray]]], notes: Sequence[Mapping[str, str]]
) -> Figure:
    """A panel for each score, and in it a strip for each set of rows: normal ones first.

    The darker a place of a strip, the more rows are there. The scale is linear over the middle
    98 % of the normal rows, and logarithmic beyond, so that what is far off is seen at all; a
    band over all strips shows where these 98 % are.

    Args:
        panels: title, and [rows] of each set by name, the same sets in all panels.
        notes: for each panel, a word at the end of the strip of each set.
    """
    sets = list(panels[0][1])
    figure = new_figure((_STRIP * len(sets) + 0.75) * len(panels))
    for axes, (title, scores), words in zip(
        figure.subplots(len(panels), 1, squeeze=False)[:, 0], panels, notes, strict=True
    ):
        normal = scores[sets[0]]
        low, middle, high = np.percentile(normal[np.isfinite(normal)], (1, 50, 99))
        half = max((high - low) / 2, 1e-12)

        def placed(values: np.ndarray, middle: float = middle, half: float = half) -> np.ndarray:
            z = (values - middle) / half
            return np.where(np.abs(z) <= 1, z, np.sign(z) * (1 + np.log(np.maximum(np.abs(z), 1))))

        axes.axvspan(-1, 1, color=DATA, alpha=0.08, linewidth=0)
        finite = {name: placed(v[np.isfinite(v)]) for name, v in scores.items()}
        ends = np.concatenate(list(finite.values()))
        left, right = min(-1.5, ends.min()) - 0.1, max(1.5, ends.max()) + 0.1
        for number, name in enumerate(sets):
            counts, edges = np.histogram(finite[name], _BINS, (left, right))
            shares = np.sqrt(counts / max(1, counts.max()))
            for share, start, end in zip(shares, edges[:-1], edges[1:], strict=True):
                if share > 0:
                    axes.barh(
                        -number,
                        end - start,
                        left=start,
                        height=0.8,
                        align="center",
                        color=(DATA if number == 0 else MODEL, float(share)),
                        linewidth=0,
                    )
            axes.text(
                right,
                -number,
                " " + words.get(name, ""),
                va="center",
                color=MUTED,
                fontsize=TEXT_SIZE - 1.5,
            )
        axes.set_yticks([-i for i in range(len(sets))], sets)
        axes.tick_params(axis="y", labelsize=TEXT_SIZE - 1, labelcolor=INK, length=0)
        axes.set_xticks([-1, 1], [f"{low:.4g}", f"{high:.4g}"])
        axes.tick_params(axis="x", labelsize=TEXT_SIZE - 1, labelcolor=INK, colors=MUTED)
        axes.set_xlim(left, right)
        for spine in axes.spines.values():
            spine.set_visible(False)
        axes.set_title(title, fontsize=TITLE_SIZE, color=INK, loc="left")
    return figure
