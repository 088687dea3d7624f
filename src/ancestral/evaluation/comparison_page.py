"""A comparison as a picture, a table and a page."""

from __future__ import annotations

import math
from collections.abc import Sequence
from html import escape
from typing import TYPE_CHECKING

from ancestral.evaluation.compare import ComparisonRow
from ancestral.evaluation.page import document
from ancestral.evaluation.words import counted
from ancestral.plots import Difference, differences, svg_fragment

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["HEAD", "cells_of", "comparison_page", "comparison_picture"]

_BOUNDS = {"lower_bound": 1, "upper_bound": -1}
_MINUS = "\N{MINUS SIGN}"
_CAPTION = (
    "Mean log p(x) less that of the best, in nats per datum; bars are two standard errors of the "
    "differences in pairs. Filled dots are exact (or estimates), open ones are bounds: the true "
    "value lies where the arrow points, or at the dot."
)

HEAD = (
    "run",
    "recipe",
    "log p (nats)",
    "below best",
    "bits/dim",
    "kind",
    "parameters",
    "trained",
    "scored",
    "what is certain",
)


def cells_of(row: ComparisonRow) -> tuple[str, ...]:
    """One row of the table, for `HEAD`."""
    cost = row.cost
    costs = (
        "" if cost.num_parameters is None else f"{cost.num_parameters:,}",
        _duration(cost.training_seconds),
        _duration(cost.scoring_seconds),
    )
    if row.log_prob is None or row.below_best is None:
        return (row.name, row.recipe, "none", "", "", "no likelihood", *costs, row.verdict)
    error = row.below_best_std_error
    below = f"{row.below_best:.2f}" + ("" if not error else f" ± {error:.2f}")
    bits = "" if row.bits_per_dim is None else f"{row.bits_per_dim:.3f}"
    samples = "" if row.samples is None else f", {counted(row.samples, 'sample')}"
    kind = row.kind.replace("_", " ") + samples
    value = _value(row.log_prob, row.std_error)
    return (row.name, row.recipe, value, below, bits, kind, *costs, row.verdict)


def comparison_picture(rows: Sequence[ComparisonRow]) -> Figure | None:
    """Dots with error bars; None if there is no finite number."""
    drawn = [
        Difference(
            row.name,
            f"{_value(row.log_prob, row.std_error)}, {row.kind.replace('_', ' ')}".replace(
                "-", _MINUS
            ),
            -row.below_best,
            row.below_best_std_error,
            _BOUNDS.get(row.kind, 0),
        )
        for row in rows
        if row.log_prob is not None
        and row.below_best is not None
        and math.isfinite(row.below_best)
    ]
    if not drawn:
        return None
    return differences(drawn, "log p(x) less that of the best, nats per datum")


def comparison_page(rows: Sequence[ComparisonRow], title: str, about: str) -> str:
    """A self-contained page.

    Args:
        rows: what `compare` gave.
        title: of the page.
        about: which rows were evaluated, in a sentence.
    """
    figure = comparison_picture(rows)
    picture = "" if figure is None else svg_fragment(figure, "differences", _CAPTION)
    head = "".join(f'<th scope="col">{escape(name)}</th>' for name in HEAD)
    body = "".join(
        f"<tr>{''.join(f'<td>{escape(cell)}</td>' for cell in cells_of(row))}</tr>" for row in rows
    )
    table = f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"
    return document(
        title,
        f'<h1>{escape(title)}</h1><p class="lead">{escape(about)}</p>{picture}'
        f'<div style="overflow-x: auto">{table}</div>',
    )


def _value(value: float | None, std_error: float | None) -> str:
    if value is None:
        return "none"
    if std_error is None or math.isnan(std_error):  # one row has no spread
        return f"{value:.2f}"
    return f"{value:.2f} ± {std_error:.2f}"


def _duration(seconds: float | None) -> str:
    if seconds is None:
        return ""
    if seconds < 120:
        if seconds < 1:
            return f"{1000 * seconds:.0f} ms"
        return f"{seconds:.1f} s" if seconds < 10 else f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 7200 else f"{seconds / 3600:.1f} h"
