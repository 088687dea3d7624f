"""Learning curves."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from ancestral.plots.style import DATA, INK, MODEL, MUTED, TEXT_SIZE, legend, new_figure, tidy

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = ["CurvePanel", "learning_curves"]


@dataclass(frozen=True)
class CurvePanel:
    """One quantity over the epochs.

    Args:
        label: what it is, with its unit.
        train: (epochs, values), or two empty sequences.
        valid: the same for the validation rows.
    """

    label: str
    train: tuple[Sequence[float], Sequence[float]] = field(default=((), ()))
    valid: tuple[Sequence[float], Sequence[float]] = field(default=((), ()))


def learning_curves(panels: Sequence[CurvePanel], best_epoch: float | None = None) -> Figure:
    """Quantities over the epochs, one panel below the other, the first one larger.

    The first twentieth of the epochs may leave the picture: it would flatten the rest.

    Args:
        panels: from top to bottom.
        best_epoch: marked in every panel; None marks nothing.
    """
    ratios = [1.6] + [1.0] * (len(panels) - 1)
    figure = new_figure(0.8 + 1.7 * sum(ratios))
    grid = figure.subplots(len(panels), 1, sharex=True, squeeze=False, height_ratios=ratios)
    for axes, panel in zip(grid[:, 0], panels, strict=True):
        _draw(axes, panel, best_epoch)
    bottom = grid[-1, 0]
    bottom.set_xlabel("epoch", fontsize=TEXT_SIZE, color=INK)
    bottom.xaxis.get_major_locator().set_params(integer=True, nbins=6)
    if best_epoch is not None:
        _mark_best(grid[0, 0], panels[0], best_epoch)
    if grid[0, 0].get_legend_handles_labels()[0]:
        legend(grid[0, 0], "best")
    figure.align_ylabels()
    return figure


def _draw(axes: Axes, panel: CurvePanel, best_epoch: float | None) -> None:
    tidy(axes, title=panel.label)
    for (epochs, values), colour, name in (
        (panel.train, DATA, "train"),
        (panel.valid, MODEL, "validation"),
    ):
        if len(epochs):
            few = len(epochs) <= 30
            axes.plot(
                epochs,
                values,
                color=colour,
                linewidth=1.8,
                label=name,
                marker="o" if few else None,
                markersize=3,
            )
    limits = _limits(panel)
    if limits is not None:
        axes.set_ylim(*limits)
    if best_epoch is not None:
        axes.axvline(best_epoch, color=MUTED, linewidth=1, linestyle=(0, (4, 3)))


def _limits(panel: CurvePanel) -> tuple[float, float] | None:
    """The range of all but the first epochs, with a margin."""
    kept = [
        np.asarray(values, dtype=float)[len(values) // 20 :]
        for _, values in (panel.train, panel.valid)
        if len(values)
    ]
    numbers = np.concatenate(kept) if kept else np.zeros(0)
    numbers = numbers[np.isfinite(numbers)]
    if not len(numbers):
        return None
    low, high = float(numbers.min()), float(numbers.max())
    margin = 0.08 * (high - low) or 0.5
    return low - margin, high + margin


def _mark_best(axes: Axes, panel: CurvePanel, best_epoch: float) -> None:
    epochs, values = panel.valid if len(panel.valid[0]) else panel.train
    at_best = [v for e, v in zip(epochs, values, strict=True) if e == best_epoch]
    if at_best:
        text = f"best: epoch {best_epoch:g}, {at_best[-1]:.2f}".replace("-", "\N{MINUS SIGN}")
        axes.plot([best_epoch], at_best[-1:], "o", color=INK, markersize=6, zorder=5, label=text)
