"""The rate-distortion plane."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from ancestral.plots.style import (
    DATA,
    INK,
    MODEL,
    MUTED,
    PAPER,
    TEXT_SIZE,
    legend,
    new_figure,
    tidy,
)

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = ["RatePoint", "rate_distortion_plane"]

_HEIGHT = 4.4
_ISO_LINES = 6


@dataclass(frozen=True)
class RatePoint:
    """One model in the plane.

    Args:
        beta: price of a nat of rate that it was trained with.
        rate: R, nats.
        distortion: D, nats.
    """

    beta: float
    rate: float
    distortion: float


def rate_distortion_plane(points: Sequence[RatePoint]) -> Figure:
    """Distortion over rate, lines of equal ELBO, and at each point the slope its beta predicts.

    Args:
        points: of models trained with different beta, in any order.
    """
    ordered = sorted(points, key=lambda point: point.rate)
    rates = np.array([point.rate for point in ordered])
    distortions = np.array([point.distortion for point in ordered])
    figure = new_figure(_HEIGHT)
    axes = figure.add_subplot()
    tidy(axes, xlabel="rate R = KL(q || p), nats", ylabel="distortion D, nats")
    margin = 0.07 * max(float(np.ptp(rates)), 1e-9), 0.09 * max(float(np.ptp(distortions)), 1e-9)
    axes.set_xlim(float(rates.min()) - margin[0], float(rates.max()) + 3 * margin[0])
    axes.set_ylim(float(distortions.min()) - margin[1], float(distortions.max()) + margin[1])
    axes.grid(visible=False)
    _iso_lines(axes)
    for number, point in enumerate(ordered):
        _tangent(axes, point, "slope \N{MINUS SIGN}beta" if number == 0 else None)
    axes.plot(
        rates, distortions, "o", color=DATA, markersize=6, label="trained with beta", zorder=3
    )
    for names, point in _together(ordered, margin):
        axes.annotate(
            names,
            (point.rate, point.distortion),
            xytext=(5, 5),
            textcoords="offset points",
            fontsize=TEXT_SIZE,
            color=INK,
            zorder=4,
        )
    legend(axes, "upper right")
    return figure


def _together(
    ordered: Sequence[RatePoint], margin: tuple[float, float]
) -> list[tuple[str, RatePoint]]:
    """One name for points that lie on each other."""
    found: list[tuple[str, RatePoint]] = []
    for point in ordered:
        name = f"{point.beta:g}"
        if found:
            names, last = found[-1]
            across = abs(point.rate - last.rate) / margin[0]
            if max(across, abs(point.distortion - last.distortion) / margin[1]) < 0.3:
                found[-1] = (f"{name}, {names}", last)
                continue
        found.append((name, point))
    return found


def _iso_lines(axes: Axes) -> None:
    """Lines D + R = c, on which the ELBO is -c."""
    (left, right), (low, high) = axes.get_xlim(), axes.get_ylim()
    for number, total in enumerate(np.linspace(left + low, right + high, _ISO_LINES + 2)[1:-1]):
        axes.plot(
            (left, right),
            (total - left, total - right),
            color=MUTED,
            linewidth=0.8,
            linestyle=(0, (2, 3)),
            label="equal ELBO" if number == 0 else None,
            zorder=1,
        )
        # where the line leaves the picture, at the bottom or at the right
        x = min(total - low, right)
        if x > left:
            text = f"{-total:.0f}".replace("-", "\N{MINUS SIGN}")
            axes.annotate(
                text,
                (x, total - x),
                xytext=(-3, 3),
                textcoords="offset points",
                ha="right",
                fontsize=TEXT_SIZE,
                color=MUTED,
                bbox={"facecolor": PAPER, "edgecolor": "none", "pad": 1},
                zorder=1.5,
            )


def _tangent(axes: Axes, point: RatePoint, label: str | None) -> None:
    """A short piece of the line through the point, of equal length on paper for every slope."""
    (left, right), (low, high) = axes.get_xlim(), axes.get_ylim()
    width, height = right - left, high - low
    slope = -point.beta * width / height  # in units of the axes
    step = 0.06 / np.hypot(1.0, slope)
    across, up = step * width, step * slope * height
    axes.plot(
        (point.rate - across, point.rate + across),
        (point.distortion - up, point.distortion + up),
        color=MODEL,
        linewidth=2,
        label=label,
        zorder=2,
    )
