"""How noisy several estimators of the same number are."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ancestral.plots.style import DATA, GRID, INK, MODEL, TEXT_SIZE, legend, new_figure, tidy

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = ["VariancePanel", "estimator_variances"]


@dataclass(frozen=True)
class VariancePanel:
    """Estimators of one gradient.

    Args:
        title: the problem.
        names: of the estimators, from top to bottom.
        variances: above 0.
        biased: which of them estimate something else; they are drawn hollow.
    """

    title: str
    names: Sequence[str]
    variances: Sequence[float]
    biased: Sequence[bool]


def estimator_variances(panels: Sequence[VariancePanel]) -> Figure:
    """A dot for each estimator on a logarithmic axis, one panel for each problem.

    Args:
        panels: from top to bottom.
    """
    rows = [len(panel.names) for panel in panels]
    figure = new_figure(1.0 + sum(0.27 * count + 0.72 for count in rows))
    ratios = [count + 0.6 for count in rows]
    grid = figure.subplots(len(panels), 1, squeeze=False, height_ratios=ratios)
    for axes, panel in zip(grid[:, 0], panels, strict=True):
        _draw(axes, panel)
    grid[-1, 0].set_xlabel("variance of the gradient", fontsize=TEXT_SIZE, color=INK)
    above_title = 1 + 0.32 / (0.27 * rows[0] + 0.1)
    legend(grid[0, 0], "lower left", anchor=(0.0, above_title), num_columns=2)
    return figure


def _draw(axes: Axes, panel: VariancePanel) -> None:
    tidy(axes, title=panel.title)
    left, right = min(panel.variances) / 4, max(panel.variances) * 4
    axes.set_xscale("log")
    axes.set_xlim(left, right)
    axes.grid(visible=False, axis="y")
    for row, (value, biased) in enumerate(zip(panel.variances, panel.biased, strict=True)):
        colour = MODEL if biased else DATA
        axes.plot([left, value], [row, row], color=GRID, linewidth=1.4, zorder=1)
        axes.plot(
            [value],
            [row],
            "o",
            markersize=7,
            color=colour,
            markerfacecolor="white" if biased else colour,
            markeredgewidth=1.8,
            clip_on=False,
            zorder=3,
        )
    axes.set_yticks(range(len(panel.names)), panel.names)
    axes.set_ylim(len(panel.names) - 0.4, -0.6)
    axes.tick_params(axis="y", length=0)
    for biased, name in ((False, "unbiased"), (True, "biased")):
        axes.plot(
            [],
            [],
            "o",
            color=MODEL if biased else DATA,
            markerfacecolor="white" if biased else DATA,
            markeredgewidth=1.8,
            markersize=7,
            label=name,
        )
