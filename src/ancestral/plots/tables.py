"""Data beside samples, for rows that are not images."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from ancestral.plots.style import (
    DATA,
    GRID,
    INK,
    MODEL,
    MUTED,
    PAPER,
    TEXT_SIZE,
    WIDTH,
    new_figure,
    tidy,
)

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = ["Marginal", "column_means", "correlation_matrices", "marginals"]

_MAX_BARS = 8
_MAX_NAMED_COLUMNS = 8


@dataclass(frozen=True)
class Marginal:
    """One column of the data, and the same column of the samples.

    Args:
        name: of the column.
        data: [rows], without missing cells.
        samples: [rows].
        categories: the name of each code, for categorical columns; None for numbers.
        is_integer: whether numbers are integers, so that bars stand on them.
    """

    name: str
    data: np.ndarray
    samples: np.ndarray
    categories: tuple[str, ...] | None = None
    is_integer: bool = False


def marginals(columns: Sequence[Marginal]) -> Figure:
    """A histogram, or bars, for each column: data filled, samples as a line or beside them."""
    num_rows = math.ceil(len(columns) / 2)
    figure = new_figure(0.5 + 1.75 * num_rows)
    grid = figure.subplots(num_rows, 2 if len(columns) > 1 else 1, squeeze=False).ravel()
    for axes, column in zip(grid, columns, strict=False):
        if column.categories is None:
            _histogram(axes, column)
        else:
            _bars(axes, column)
    for axes in grid[len(columns) :]:
        axes.set_visible(False)
    _shared_legend(figure)
    return figure


def correlation_matrices(
    data: np.ndarray, samples: np.ndarray, names: Sequence[str] | None = None
) -> Figure:
    """Correlations between columns, of the data and of the samples, on one colour scale.

    Args:
        data: [columns, columns], NaN where undefined.
        samples: [columns, columns].
        names: of the columns, shown if there are few.
    """
    named = names is not None and len(names) <= _MAX_NAMED_COLUMNS
    figure = new_figure(3.9 if named else 3.1)
    row = figure.subplots(1, 2)
    for axes, matrix, title in zip(row, (data, samples), ("data", "samples"), strict=True):
        image = axes.imshow(matrix, cmap="RdBu_r", vmin=-1, vmax=1, interpolation="nearest")
        axes.set_title(title, fontsize=TEXT_SIZE + 1, color=INK)
        axes.set_xticks([])
        axes.set_yticks([])
        axes.spines[:].set_color(GRID)
        if named and names is not None:
            short = [_short(name, 10) for name in names]
            axes.set_xticks(range(len(names)), short, rotation=90)
            axes.tick_params(labelsize=TEXT_SIZE, labelcolor=INK, length=0)
            if axes is row[0]:
                axes.set_yticks(range(len(names)), short)
    bar = figure.colorbar(image, ax=row, orientation="horizontal", aspect=40, shrink=0.7)
    bar.set_label("correlation", fontsize=TEXT_SIZE, color=INK)
    bar.ax.tick_params(labelsize=TEXT_SIZE, labelcolor=INK, colors=MUTED)
    bar.outline.set_visible(False)  # pyright: ignore[reportCallIssue]
    return figure


def column_means(data: np.ndarray, samples: np.ndarray, *, quantity: str) -> Figure:
    """The mean of each column under data and samples: points on the diagonal agree.

    Args:
        data: [columns].
        samples: [columns].
        quantity: what a mean is, such as "share of ones".
    """
    figure = new_figure(4.4)
    axes = figure.subplots()
    low = float(min(data.min(), samples.min()))
    high = float(max(data.max(), samples.max()))
    margin = 0.04 * (high - low) or 0.5
    ends = (low - margin, high + margin)
    axes.plot(ends, ends, color=MUTED, linewidth=1, linestyle=(0, (4, 3)))
    axes.scatter(
        data, samples, s=20, color=MODEL, alpha=0.6, linewidths=0, rasterized=len(data) > 500
    )
    tidy(axes, xlabel=f"{quantity}, data", ylabel=f"{quantity}, samples")
    axes.grid(visible=True, axis="both", color=GRID, linewidth=0.8)
    axes.set_xlim(*ends)
    axes.set_ylim(*ends)
    axes.set_aspect("equal")
    return figure


def _histogram(axes: Axes, column: Marginal) -> None:
    samples = column.samples[np.isfinite(column.samples)]
    low, high = np.percentile(column.data, [0, 100])
    if len(samples):
        # a heavy tail of the samples must not squeeze the data into one bar
        reach = 0.3 * (high - low)
        low = min(low, max(np.percentile(samples, 1), low - reach))
        high = max(high, min(np.percentile(samples, 99), high + reach))
    if column.is_integer and high - low <= 40:
        bins = np.arange(math.floor(low) - 0.5, math.ceil(high) + 1.0)
    else:
        bins = np.linspace(low, high if high > low else low + 1.0, 25)
    edges = bins.tolist()
    axes.hist(
        column.data,
        bins=edges,
        weights=_equal_weights(column.data),
        histtype="stepfilled",
        facecolor=(DATA, 0.35),
    )
    axes.hist(
        np.clip(samples, bins[0], bins[-1]),
        bins=edges,
        weights=_equal_weights(samples),
        histtype="step",
        edgecolor=MODEL,
        linewidth=1.6,
    )
    _small(axes, column.name)
    axes.locator_params(axis="x", nbins=3)


def _bars(axes: Axes, column: Marginal) -> None:
    assert column.categories is not None
    num = len(column.categories)
    share = [
        np.bincount(values.astype(int).clip(0, num - 1), minlength=num) / max(len(values), 1)
        for values in (column.data, column.samples)
    ]
    names = list(column.categories)
    if num > _MAX_BARS:
        order = np.argsort(-share[0])
        top, rest = order[: _MAX_BARS - 1], order[_MAX_BARS - 1 :]
        share = [np.append(s[top], s[rest].sum()) for s in share]
        names = [names[i] for i in top] + ["other"]
    places = np.arange(len(names))
    axes.bar(places - 0.2, share[0], width=0.4, facecolor=(DATA, 0.35))
    axes.bar(places + 0.2, share[1], width=0.36, facecolor="none", edgecolor=MODEL, linewidth=1.6)
    _small(axes, column.name)
    room = 14 // len(names)
    long = max(map(len, names)) > room
    axes.set_xticks(places, [_short(n, 9 if long else room) for n in names])
    axes.tick_params(axis="x", rotation=90 if long else 0)


def _equal_weights(values: np.ndarray) -> np.ndarray:
    return np.full(len(values), 1 / max(len(values), 1))


def _small(axes: Axes, name: str) -> None:
    tidy(axes, title=_short(name, 20))
    axes.locator_params(axis="y", nbins=2)
    axes.margins(x=0.02)


def _short(name: str, length: int) -> str:
    length = max(length, 3)
    return name if len(name) <= length else name[: length - 1] + "…"


def _shared_legend(figure: Figure) -> None:
    from matplotlib.patches import Patch

    figure.legend(
        handles=[
            Patch(facecolor=(DATA, 0.4), label="data"),
            Patch(facecolor=PAPER, edgecolor=MODEL, linewidth=1.8, label="samples"),
        ],
        loc="outside upper center",
        ncols=2,
        fontsize=TEXT_SIZE,
        frameon=False,
        handlelength=1.4,
        labelcolor=INK,
    )
    figure.set_figwidth(WIDTH)
