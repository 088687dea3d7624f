"""Pictures of the latent space."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from ancestral.plots.style import (
    DATA,
    GRID,
    INK,
    MODEL,
    MUTED,
    TEXT_SIZE,
    class_colours,
    legend,
    new_figure,
    tidy,
)

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = ["coloured_map", "kl_bars", "labelled_map"]

_MAX_NAMED_CLASSES = 10
_LONGEST_ON_THE_MAP, _LONGEST_IN_LEGEND = 4, 24  # characters of a name


def labelled_map(
    points: np.ndarray, labels: np.ndarray, names: Sequence[str], axis_names: tuple[str, str]
) -> Figure:
    """Points in the plane, coloured by class, each class's name at its middle.

    Args:
        points: [rows, 2].
        labels: [rows] integers, positions in `names`.
        names: of the classes; more than 10 are coloured but not named.
        axis_names: of the two axes.
    """
    named = len(names) <= _MAX_NAMED_CLASSES
    lines = -(-len(names) // _columns_of_legend(_legend_names(names))) if named else 0
    figure = new_figure(4.6 + (0.25 + 0.25 * lines if named else 0.0))
    axes = figure.subplots()
    colours = class_colours(len(names))
    order = np.random.default_rng(0).permutation(len(points))  # no class covers the others
    axes.scatter(
        *points[order].T,
        c=[colours[i] for i in labels[order]],
        s=_point_size(len(points)),
        linewidths=0,
        alpha=0.75,
        rasterized=True,
    )
    _plane(axes, axis_names)
    if named:
        _name_classes(axes, points, labels, names, colours)
    return figure


def coloured_map(
    points: np.ndarray, values: np.ndarray | None, value_name: str, axis_names: tuple[str, str]
) -> Figure:
    """Points in the plane, coloured by a number.

    Args:
        points: [rows, 2].
        values: [rows], or None for one colour; extreme 2 % share the end colours.
        value_name: what the numbers are, with the unit.
        axis_names: of the two axes.
    """
    figure = new_figure(4.6 + (0.6 if values is not None else 0.0))
    axes = figure.subplots()
    size = _point_size(len(points))
    if values is None:
        axes.scatter(*points.T, c=DATA, s=size, linewidths=0, alpha=0.6, rasterized=True)
    else:
        low, high = np.nanpercentile(values, [2, 98])
        dots = axes.scatter(
            *points.T, c=values, cmap="cividis", vmin=low, vmax=high, s=size, linewidths=0
        )
        dots.set_rasterized(True)
        bar = figure.colorbar(dots, ax=axes, orientation="horizontal", aspect=40, extend="both")
        bar.set_label(value_name, fontsize=TEXT_SIZE, color=INK)
        bar.ax.locator_params(nbins=6)
        bar.ax.tick_params(labelsize=TEXT_SIZE, labelcolor=INK, colors=MUTED)
        bar.outline.set_visible(False)  # pyright: ignore[reportCallIssue]
    _plane(axes, axis_names)
    return figure


def kl_bars(
    kl: np.ndarray, threshold: float, *, quantity: str = "KL", unit: str = " nats"
) -> Figure:
    """KL of each latent dimension, largest first, with a line below which one is idle.

    Args:
        kl: [latent], nats per datum.
        threshold: of the line, in nats.
        quantity: what the bars are, if not the KL.
        unit: of them, with a space before it.
    """
    order = np.argsort(-kl)
    figure = new_figure(3.0)
    axes = figure.subplots()
    in_use = kl[order] > threshold
    # logarithmic: the line would lie on the axis otherwise; idle dimensions get a stub to see
    floor = threshold / 10
    axes.bar(
        np.arange(1, len(kl) + 1),
        np.maximum(kl[order], 1.5 * floor),
        color=np.where(in_use, DATA, MUTED),
        width=0.8 if len(kl) > 3 else 0.4,
    )
    axes.set_yscale("log")
    axes.yaxis.set_major_formatter(lambda value, _: f"{value:g}")
    axes.set_ylim(floor, max(2 * float(kl.max()), 10 * threshold))
    axes.axhline(threshold, color=MODEL, linewidth=1.4, linestyle=(0, (4, 3)))
    tidy(
        axes,
        xlabel=f"latent dimension, by {quantity}",
        ylabel=f"{quantity},{unit} (log scale)" if unit else f"{quantity} (log)",
        title=f"{int(in_use.sum())} of {len(kl)} dimensions above {threshold:g}{unit}",
    )
    axes.set_xlim(0.3, len(kl) + 0.7)
    if len(kl) <= 12:
        axes.set_xticks(np.arange(1, len(kl) + 1), [str(i + 1) for i in order])
        axes.set_xlabel("latent dimension (its number)", fontsize=TEXT_SIZE, color=INK)
    return figure


def _point_size(count: int) -> float:
    return float(np.clip(12000 / max(count, 1), 5, 36))


def _plane(axes: Axes, axis_names: tuple[str, str]) -> None:
    tidy(axes, xlabel=axis_names[0], ylabel=axis_names[1])
    axes.grid(visible=True, axis="both", color=GRID, linewidth=0.8)
    axes.set_aspect("equal", adjustable="datalim")


def _name_classes(
    axes: Axes,
    points: np.ndarray,
    labels: np.ndarray,
    names: Sequence[str],
    colours: Sequence[str],
) -> None:
    from matplotlib.patheffects import withStroke

    halo = [withStroke(linewidth=3, foreground="white")]
    numbered = _are_long(names)
    shown = _legend_names(names)
    for i, name in enumerate(shown):
        mine = points[labels == i]
        axes.scatter([], [], color=colours[i], s=40, label=name)
        if len(mine):
            x, y = np.median(mine, 0)
            text = axes.text(x, y, str(i + 1) if numbered else name, fontsize=TEXT_SIZE + 2)
            text.set(weight="bold", color=INK, ha="center", va="center", path_effects=halo)
    num_columns = _columns_of_legend(shown)
    legend(axes, "upper center", anchor=(0.5, -0.14), num_columns=num_columns)


def _are_long(names: Sequence[str]) -> bool:
    """Whether names would cover each other on the map, so that numbers stand for them there."""
    return max(map(len, names)) > _LONGEST_ON_THE_MAP


def _legend_names(names: Sequence[str]) -> list[str]:
    most = _LONGEST_IN_LEGEND
    cut = [n if len(n) <= most else f"{n[: most - 1]}\N{HORIZONTAL ELLIPSIS}" for n in names]
    return [f"{i + 1} {name}" for i, name in enumerate(cut)] if _are_long(names) else cut


def _columns_of_legend(shown: Sequence[str]) -> int:
    longest = max(map(len, shown))
    return 5 if longest <= 4 else 3 if longest <= 11 else 2 if longest <= 20 else 1
