"""What a number consists of: bars split into parts."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ancestral.plots.style import (
    DATA,
    INK,
    MODEL,
    MUTED,
    PAPER,
    TEXT_SIZE,
    TITLE_SIZE,
    new_figure,
    tidy,
)

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = ["Part", "SplitBar", "split_bars"]

_BETWEEN = "#8a94a0"
_LOOKS = {"first": (DATA, ""), "between": (_BETWEEN, "////"), "second": (MODEL, "")}
_BAR, _LINE = 0.75, 0.27  # inches


@dataclass(frozen=True)
class Part:
    """A part of a bar.

    Args:
        label: what it is, with its value.
        value: its length, at least 0.
        look: "first", "second", or "between" for what may belong to either.
    """

    label: str
    value: float
    look: str


@dataclass(frozen=True)
class SplitBar:
    """A number and its parts.

    Args:
        title: what the whole is, with its value and unit.
        parts: from left to right.
    """

    title: str
    parts: tuple[Part, ...]


def split_bars(bars: Sequence[SplitBar]) -> Figure:
    """Bars below each other, each on its own scale, with its parts named under it.

    Args:
        bars: from top to bottom.
    """
    heights = [height for bar in bars for height in (_BAR, _LINE * len(bar.parts))]
    figure = new_figure(0.3 * len(bars) + sum(heights))
    grid = figure.subplots(len(heights), 1, squeeze=False, height_ratios=heights)[:, 0]
    for axes, names, bar in zip(grid[::2], grid[1::2], bars, strict=True):
        _draw(axes, bar)
        _name(names, *axes.get_legend_handles_labels())
    return figure


def _draw(axes: Axes, bar: SplitBar) -> None:
    left = 0.0
    for part in bar.parts:
        colour, hatch = _LOOKS[part.look]
        axes.barh(
            0,
            part.value,
            left=left,
            height=0.8,
            color=PAPER if hatch else colour,
            edgecolor=colour,
            hatch=hatch,
            linewidth=1.2 if hatch else 0.0,
            label=part.label,
        )
        left += part.value
    tidy(axes)
    axes.set_title(bar.title, fontsize=TITLE_SIZE, color=INK, loc="left")
    axes.set_yticks([])
    axes.spines["left"].set_color(MUTED)
    axes.grid(visible=False)
    axes.set_xlim(0, left or 1.0)
    axes.set_ylim(-0.5, 0.5)
    axes.locator_params(axis="x", nbins=6)


def _name(axes: Axes, handles: list, labels: list[str]) -> None:
    axes.axis("off")
    axes.legend(
        handles,
        labels,
        loc="center left",
        bbox_to_anchor=(0.0, 0.5),
        fontsize=TEXT_SIZE,
        labelcolor=INK,
        frameon=False,
        handlelength=1.3,
        handletextpad=0.5,
        borderpad=0.0,
        borderaxespad=0.0,
        labelspacing=0.3,
    )
