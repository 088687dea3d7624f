"""Differences from the best, as dots with error bars."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ancestral.plots.style import DATA, GRID, INK, MODEL, MUTED, PAPER, TEXT_SIZE, new_figure, tidy

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = ["Difference", "differences"]

_ROW, _FRAME = 0.56, 0.75  # inches
_ERRORS = 2.0  # standard errors that a bar spans to each side: 95 % of cases
_ARROW = 0.09  # of the width
_LONGEST = 30  # characters of a name; the end tells runs apart
_CLEAR = {"facecolor": PAPER, "edgecolor": "none", "pad": 1.0}  # no line runs through text
_MINUS = "\N{MINUS SIGN}"


@dataclass(frozen=True)
class Difference:
    """One line of the picture.

    Args:
        name: of what is compared.
        text: its own value, in words.
        value: difference from the best, at most 0 for the worse.
        std_error: of the difference; None if it is not known.
        bound: 1 if the true value may lie higher (a lower bound), -1 if lower, 0 if neither.
    """

    name: str
    text: str
    value: float
    std_error: float | None = None
    bound: int = 0


def differences(rows: Sequence[Difference], axis_name: str) -> Figure:
    """Dots below each other, the best first, each under its name; bars are two standard errors.

    A bound is an open dot with an arrow to where the true value may be.

    Args:
        rows: from top to bottom.
        axis_name: what the differences are, with the unit.
    """
    figure = new_figure(_ROW * len(rows) + _FRAME)
    axes = figure.subplots()
    ends = [
        row.value + sign * _ERRORS * (row.std_error or 0.0) for row in rows for sign in (-1, 0, 1)
    ]
    low, high = min(ends), max(ends)
    span = (high - low) or 1.0
    axes.set_xlim(low - 0.06 * span, high + (0.06 + _ARROW) * span)
    axes.set_ylim(len(rows) - 0.35, -0.75)
    axes.axvline(0.0, color=MUTED, linewidth=1.0, linestyle=(0, (4, 3)), zorder=1)
    for place, row in enumerate(rows):
        _draw(axes, place, row, span)
    tidy(axes, xlabel=axis_name)
    axes.grid(visible=False, axis="y")
    axes.grid(visible=True, axis="x", color=GRID, linewidth=0.8)
    axes.set_yticks([])
    axes.spines["left"].set_visible(False)
    axes.locator_params(axis="x", nbins=6)
    axes.xaxis.set_major_formatter(lambda value, _: f"{value:g}".replace("-", _MINUS))
    return figure


def _draw(axes: Axes, place: int, row: Difference, span: float) -> None:
    colour = DATA if row.bound == 0 else MODEL
    error = _ERRORS * (row.std_error or 0.0)
    axes.errorbar(
        row.value,
        place,
        xerr=error or None,
        fmt="o",
        color=colour,
        markerfacecolor=colour if row.bound == 0 else PAPER,
        markeredgewidth=1.8,
        markersize=7,
        elinewidth=1.8,
        capsize=3.5,
        zorder=3,
    )
    if row.bound:
        start = row.value + row.bound * error
        axes.annotate(
            "",
            xy=(start + row.bound * _ARROW * span, place),
            xytext=(start, place),
            arrowprops={"arrowstyle": "->", "color": colour, "linewidth": 1.4},
            zorder=2,
        )
    at = axes.get_yaxis_transform()
    cut = f"\N{HORIZONTAL ELLIPSIS}{row.name[1 - _LONGEST :]}"
    name = row.name if len(row.name) <= _LONGEST else cut
    left = axes.text(0.0, place - 0.38, name, transform=at, fontsize=TEXT_SIZE, color=INK)
    left.set(weight="bold", va="center", bbox=_CLEAR)
    right = axes.text(1.0, place - 0.38, row.text, transform=at, fontsize=TEXT_SIZE, color=INK)
    right.set(ha="right", va="center", bbox=_CLEAR)
