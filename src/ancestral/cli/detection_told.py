"""What `detect` tells: odd rows, or how well scores tell sets of rows apart."""

from __future__ import annotations

import json
import math
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ancestral.applications.detection import (
    SCORES,
    Detector,
    Separation,
    Statistics,
    separation,
)
from ancestral.cli.detected import Found
from ancestral.cli.detection_data import Asked
from ancestral.cli.opened import OpenedRun
from ancestral.cli.tables import print_table
from ancestral.estimator.detecting import Ties

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["Told", "picture_of_separations", "rows_told", "separations_told"]

_SIGNIFICANT = 0.01
_FEWEST = 20  # rows, for a word on all of them
_DECIMALS = 3  # by which scores are told apart


@dataclass(frozen=True)
class Told:
    """Tables, how to read them, and the same as an object.

    Args:
        tables: head and rows of each.
        sentences: plain text.
        content: for JSON.
    """

    tables: Sequence[tuple[Sequence[str], Sequence[Sequence[str]]]]
    sentences: Sequence[str]
    content: Mapping[str, Any] = field(default_factory=dict)

    def print(self, *, as_object: bool) -> None:
        """The tables on stdout and the sentences on stderr, or the object on stdout."""
        if as_object:
            print(json.dumps(_finite(self.content), indent=2, allow_nan=False))
            return
        for number, (head, rows) in enumerate(self.tables):
            if number:
                print()
            print_table(head, rows)
        for sentence in self.sentences:
            print(sentence, file=sys.stderr)

    def write_page(self, path: Path, title: str, figure: Figure | None, caption: str) -> None:
        """One self-contained page, which loads nothing from anywhere."""
        from html import escape

        from ancestral.evaluation.page import document
        from ancestral.plots import png_fragment

        parts = [f"<h1>{escape(title)}</h1>", "<ul>"]
        parts += [f"<li>{escape(sentence)}</li>" for sentence in self.sentences]
        parts.append("</ul>")
        for head, rows in self.tables:
            # heads of many columns share the width; the tables of reports have two
            cells = "".join(f'<th style="width: auto">{escape(cell)}</th>' for cell in head)
            parts += ["<table>", f"<tr>{cells}</tr>"]
            for row in rows:
                parts.append("<tr>" + "".join(f"<td>{escape(c)}</td>" for c in row) + "</tr>")
            parts.append("</table><p></p>")
        if figure is not None:
            parts.append(png_fragment(figure, "anomalies", caption))
        path.write_text(document(title, "\n".join(parts)), encoding="utf-8")


def rows_told(found: Found, asked: Asked, top: int) -> Told:
    """The oddest rows, and what p-values say of all of them."""
    judged = _uniformity(found) if asked.held_out and len(found.source) >= _FEWEST else None
    difference, together = found.detector.together(found.statistics)
    chosen = [found.row(int(i)) for i in found.order[:top]]
    content: dict[str, Any] = _setting(found.opened, asked, found.detector, found.statistics)
    content |= {
        "n": len(found.source),
        "score": found.score,
        "ties": str(found.ties),
        "together": {"mean_log_p_difference": difference, "p_value": together},
    }
    if judged is not None:
        content["uniformity"] = {"distance": judged[0], "p_value": judged[1]}
    if found.flags is not None:
        content["fdr"] = {"rate": found.rate, "flagged": int(found.flags.sum())}
        content["fdr"]["by"] = "tail_p_value" if found.is_extrapolated else "ranks"
    shown = [n for n in found.head if n not in SCORES or n == found.score]
    rows = [[_cell(row[name]) for name in shown] for row in chosen]
    kind = found.statistics.kind.replace("_", " ")
    sign = "above" if difference > 0 else "below"
    normal = len(found.detector.reference)
    sentences = [
        f"{len(found.source):,} rows of {asked.in_words}, sorted by the score {found.score}: "
        + SCORES[found.score],
        f"p-values: ranks among {normal:,} rows that the run kept for validation"
        + _ties_told(found),
        f"log_p: nats of the data as given, {kind}",
        *_ratio_told(found.statistics),
    ]
    if "odd_cell" in found.statistics:
        sentences.append(
            "odd_cell: the cell whose surprise is largest beyond what is usual of it, in nats"
        )
    impossible = int(np.isneginf(found.statistics["log_prob"]).sum())
    if impossible:
        sentences.append(
            f"{impossible:,} of the rows cannot be under the model: log p is minus infinity"
        )
    else:
        sentences.append(
            f"all rows together: mean log p {abs(difference):.2f} nats {sign} that of the "
            f"calibration rows, p = {together:.2g}"
        )
    if judged is not None:
        verdict = (
            "are not uniform: as a whole these rows are not like the calibration rows"
            if judged[1] < _SIGNIFICANT
            else "give no sign against being uniform, as those of rows like the calibration rows "
            "are"
        )
        sentences.append(
            f"the p-values {verdict} (Kolmogorov-Smirnov distance {judged[0]:.3f}, "
            f"p = {judged[1]:.2g})"
        )
    elif not asked.held_out:
        sentences.append(
            "warning: some of these rows were trained on, or are those that p-values were "
            "calibrated on; a model expects them more than new ones, and their p-values are too "
            "large"
        )
    if found.flags is not None:
        sentences += _flags_told(found)
    return Told([(shown, rows)] if rows else [], sentences, content | {"rows": chosen})


def _ties_told(found: Found) -> str:
    if Ties(found.ties) is Ties.RANDOM:
        return "; a row takes a random place among those of the same score"
    different = np.unique(np.round(found.scores[found.score], _DECIMALS))
    if 2 * len(different) > len(found.source):
        return ""
    return (
        "; many rows have the same score, all of which count as being as odd: p-values are larger "
        "than uniform ones, and --ties random makes them uniform"
    )


def _ratio_told(statistics: Statistics) -> list[str]:
    """What a likelihood ratio is worth, where there is one of bounds."""
    kinds = {statistics.kind, statistics.background_kind or "exact"}
    if statistics.background_kind is None or kinds == {"exact"}:
        return []
    return [
        "likelihood_ratio: a difference of lower bounds on log p (or of one and an exact log p), "
        "and so no bound on the ratio itself"
    ]


def _flags_told(found: Found) -> list[str]:
    assert found.flags is not None
    number, normal = int(found.flags.sum()), len(found.detector.reference)
    rows = "1 row" if number == 1 else f"{number:,} rows"
    if not found.is_extrapolated:
        return [
            f"flagged {rows}, of which at most {found.rate:g} are normal on average "
            "(Benjamini-Hochberg on ranks; needs no assumption on the scores)"
        ]
    return [
        f"flagged {rows}, of which at most {found.rate:g} should be normal on average "
        "(Benjamini-Hochberg); this is no guarantee, since "
        f"{normal:,} calibration rows are too few to flag a row of {len(found.source):,} by rank",
        "tail_p_value: where a row is odder than all calibration rows, a bound of 95 % "
        "confidence on its p-value instead of the rank, if the scores have a generalised Pareto "
        "tail",
    ]


def _uniformity(found: Found) -> tuple[float, float]:
    """Kolmogorov and Smirnov's distance of the p-values from uniform, and its p-value.

    Of p-values with ties broken at random, which are uniform even where scores repeat. The
    calibration rows are a sample too: the scores of n rows and of m calibration rows are
    compared as two samples, with n m / (n + m) rows' worth of evidence.
    """
    p_values = np.sort(found.smoothed_p_values)
    n, m = len(p_values), len(found.detector.reference)
    steps = np.arange(1, n + 1) / n
    distance = float(max((steps - p_values).max(), (p_values - (steps - 1 / n)).max()))
    t = math.sqrt(n * m / (n + m)) * distance
    if t < 0.3:
        return distance, 1.0
    tail = 2 * sum((-1) ** (k - 1) * math.exp(-2 * (k * t) ** 2) for k in range(1, 101))
    return distance, min(1.0, max(0.0, tail))


def separations_told(
    opened: OpenedRun, asked: Asked, detector: Detector, found: Mapping[str, Statistics]
) -> Told:
    """AUROC and false positives of each score for each set, against the first of the sets."""
    normal, *others = found
    table = {
        name: {
            score: _separation(detector, found, normal, name, score) for score in detector.scores
        }
        for name in others
    }
    content: dict[str, Any] = _setting(opened, asked, detector, found[normal])
    content |= {
        "n": len(found[normal]),
        "against": {
            name: {score: one.to_dict() for score, one in row.items()}
            for name, row in table.items()
        },
    }
    tables = []
    for title, cell in (
        ("AUROC", lambda one: f"{one.auroc:.3f} ± {one.std_error:.3f}"),
        ("FPR at 95 % TPR", lambda one: f"{one.fpr_at_95_tpr:.3f}"),
    ):
        rows = [
            (name, f"{len(found[name]):,}", *(cell(one) for one in row.values()))
            for name, row in table.items()
        ]
        tables.append(((title, "rows", *detector.scores), rows))
    sentences = [
        f"against {len(found[normal]):,} rows of {asked.in_words}, which stand for normal ones",
        "AUROC: the chance that an odd row scores higher than a normal one; 0.5 is a coin's",
        *(f"{score}: {SCORES[score]}" for score in detector.scores),
        *_ratio_told(found[normal]),
    ]
    return Told(tables, sentences, content)


def picture_of_separations(
    detector: Detector, found: Mapping[str, Statistics], score: str
) -> Figure:
    """How -log p and another score are spread over the sets."""
    from ancestral.plots import score_strips

    normal = next(iter(found))
    panels, notes = [], []
    for name in ("log_prob", "corrected" if score == "log_prob" else score):
        scores = {s: detector.score(f, name) for s, f in found.items()}
        panels.append((f"{name}, odder to the right", _drawn(scores)))
        notes.append(
            {
                other: f"{_separation(detector, found, normal, other, name).auroc:.2f}"
                for other in found
                if other != normal
            }
            | {normal: "AUROC"}
        )
    return score_strips(panels, notes)


def _drawn(scores: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Scores that have a place on paper: infinite ones stand where the highest others do."""
    everything = np.concatenate(list(scores.values()))
    highest = everything[np.isfinite(everything)].max(initial=0.0)
    return {name: np.where(np.isfinite(own), own, highest) for name, own in scores.items()}


def _separation(
    detector: Detector, found: Mapping[str, Statistics], normal: str, other: str, score: str
) -> Separation:
    return separation(detector.score(found[normal], score), detector.score(found[other], score))


def _setting(
    opened: OpenedRun, asked: Asked, detector: Detector, statistics: Statistics
) -> dict[str, Any]:
    return {
        "recipe": opened.config.recipe,
        "data": asked.name,
        "split": asked.split,
        "held_out": asked.held_out,
        "log_p": {"kind": statistics.kind, "unit": "nats"},
        "calibration": {"split": "valid", "rows": len(detector.reference)},
        "scores": {name: SCORES[name] for name in detector.scores},
        "corrected_from": list(detector.basis),
    }


def _finite(content: Any) -> Any:
    """For JSON, which has no word for infinity: null."""
    if isinstance(content, Mapping):
        return {name: _finite(value) for name, value in content.items()}
    if isinstance(content, list | tuple):
        return [_finite(value) for value in content]
    return None if isinstance(content, float) and not math.isfinite(content) else content


def _cell(value: Any) -> str:
    return f"{value:.4g}" if isinstance(value, float) else str(value)
