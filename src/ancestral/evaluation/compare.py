"""`compare`: several models on the same data, in one table and one unit."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, Literal

import numpy as np

from ancestral.core import IncompatibleChoices, OptionError
from ancestral.core.estimate import Kind
from ancestral.evaluation.fingerprint import refuse_other_rows
from ancestral.evaluation.result import Evaluation

__all__ = ["ComparisonRow", "Cost", "DifferenceKind", "compare", "difference_kind"]

DifferenceKind = Literal["exact", "at_most", "at_least", "of_two_bounds", "estimate"]

_CLEAR = 2.0  # standard errors beyond which a difference is more than chance (5 % of cases)
_CERTAIN = 4.0  # beyond which it is so in all but 1 of 16,000, however many runs are compared


@dataclass(frozen=True)
class Cost:
    """What a model takes.

    Args:
        num_parameters: numbers that were trained, those of q included.
        training_seconds: until it was finished; None where that is not known.
        scoring_seconds: for log p of all rows, as it was just done; None likewise.
    """

    num_parameters: int | None = None
    training_seconds: float | None = None
    scoring_seconds: float | None = None


@dataclass(frozen=True)
class ComparisonRow:
    """One model; nats per datum.

    Args:
        name: of the run.
        recipe: of the run.
        log_prob: mean log p(x), or what is known of it; None for models without a likelihood.
        std_error: of that mean, over the data.
        kind: what `log_prob` is; "none" for models without a likelihood.
        samples: of z behind each datum's value, if any.
        bits_per_dim: the same mean in bits for each cell; None where rows are padded for free.
        below_best: best log_prob minus this one.
        below_best_std_error: of the mean of the differences in pairs, which is smaller than
            that of either mean; None where the values of each datum are not at hand.
        difference_kind: what `below_best` is of the true difference; "exact" for the best row.
        verdict: what is certain, in words.
        cost: parameters and seconds.
    """

    name: str
    recipe: str
    log_prob: float | None
    std_error: float | None
    kind: Kind | str
    samples: int | None
    bits_per_dim: float | None
    below_best: float | None
    below_best_std_error: float | None
    difference_kind: DifferenceKind | None = None
    verdict: str = ""
    cost: Cost = Cost()

    def to_dict(self) -> dict[str, Any]:
        """For JSON: every number is finite or null."""
        found = asdict(self)
        found |= found.pop("cost")
        return {
            name: None if isinstance(value, float) and not math.isfinite(value) else value
            for name, value in found.items()
        }


def compare(
    evaluations: Mapping[str, Evaluation], costs: Mapping[str, Cost] | None = None
) -> list[ComparisonRow]:
    """Rows of a table, the best first; models without a likelihood come last, without numbers.

    Differences are taken in pairs, datum by datum. What they say of the true difference depends
    on the kinds of both numbers, and `verdict` says it: where an exact number lies above a lower
    bound, the other model may still be the better one.

    Args:
        evaluations: of each run, by its name.
        costs: of each run, by its name.

    Raises:
        OptionError: there is nothing to compare.
        IncompatibleChoices: the rows, their binarisation or their units differ.
    """
    if not evaluations:
        raise OptionError("expected runs to compare, got none")
    _refuse_unlike(evaluations)
    costs = costs or {}
    scored = {name: e for name, e in evaluations.items() if e.log_prob is not None}
    order = sorted(scored, key=lambda name: -_rank(scored[name]))
    rows = [_row(name, scored[name], order[0], scored, costs.get(name, Cost())) for name in order]
    for name, e in evaluations.items():
        if e.log_prob is None:
            blank = (None, None, "none", None, None, None, None, None, "it has no likelihood")
            rows.append(
                ComparisonRow(name, e.setting.recipe, *blank, cost=costs.get(name, Cost()))
            )
    return rows


def difference_kind(better: str, other: str) -> DifferenceKind:
    """What (a - b) is of the true difference, for a of one kind and b of another.

    Example:
        >>> difference_kind("exact", "lower_bound"), difference_kind("lower_bound", "exact")
        ('at_most', 'at_least')
        >>> difference_kind("lower_bound", "lower_bound")
        'of_two_bounds'
    """
    estimates = {"unbiased", "consistent"}
    if better in estimates or other in estimates:
        return "estimate"
    signs = {"exact": 0, "lower_bound": -1, "upper_bound": 1}
    a, b = signs[better], signs[other]
    if a == b == 0:
        return "exact"
    if a >= 0 >= b:  # a is too high if anything, or b too low: the difference is too large
        return "at_most"
    return "at_least" if a <= 0 <= b else "of_two_bounds"


def _refuse_unlike(evaluations: Mapping[str, Evaluation]) -> None:
    """Refuse to compare numbers that are of different rows."""
    (first_name, first), *others = evaluations.items()
    for name, other in others:
        a, b = first.setting, other.setting
        known = first.fingerprint is not None and other.fingerprint is not None
        for what, one, another in (
            # a name says nothing where the rows themselves are known
            *(() if known else (("data", a.data, b.data),)),
            ("split", a.split, b.split),
            ("binarization", a.binarization, b.binarization),
            ("number of data", first.n, other.n),
        ):
            if one != another:
                raise IncompatibleChoices(
                    f"expected runs evaluated on the same rows, got another {what}: {one!r} for "
                    f"{first_name}, {another!r} for {name}",
                    hint="evaluate all of them on one split of one data set",
                )
        if first.fingerprint is not None and other.fingerprint is not None:
            refuse_other_rows({first_name: first.fingerprint, name: other.fingerprint})


def _rank(evaluation: Evaluation) -> float:
    assert evaluation.log_prob is not None
    value = evaluation.log_prob.value
    return -math.inf if math.isnan(value) else value


def _row(
    name: str, evaluation: Evaluation, best_name: str, all_: Mapping[str, Evaluation], cost: Cost
) -> ComparisonRow:
    best, number = all_[best_name].log_prob, evaluation.log_prob
    assert number is not None
    assert best is not None
    difference = best.value - number.value
    is_best = name == best_name
    error = 0.0 if is_best else _paired_std_error(all_[best_name].values, evaluation.values)
    kind = "exact" if is_best else difference_kind(best.kind, number.kind)
    one = evaluation.n == 1
    why_unknown = "not known: " + (
        "one row has no spread" if one else "there are no values of each datum"
    )
    return ComparisonRow(
        name,
        evaluation.setting.recipe,
        number.value,
        None if one else number.std_error,
        number.kind,
        number.samples,
        evaluation.bits_per_dim,
        difference,
        error,
        kind,
        _best_verdict(all_) if is_best else _verdict(difference, error, kind, why_unknown),
        cost,
    )


def _best_verdict(all_: Mapping[str, Evaluation]) -> str:
    return "the highest number" if len(all_) > 1 else "nothing to compare it with"


def _verdict(
    difference: float, error: float | None, kind: DifferenceKind, why_unknown: str
) -> str:
    """What the difference to the best says for certain."""
    if not math.isfinite(difference):
        return "no finite log p: the model gives some data no probability"
    if error is None:
        return why_unknown
    clear = difference > _CLEAR * error
    certain = difference > _CERTAIN * error
    worse = "certainly worse" if certain else "clearly worse"
    errors = f"(more than {_CERTAIN if certain else _CLEAR:.0f} standard errors)"
    if kind == "exact":
        return f"{worse} {errors}" if clear else "no clear difference"
    if kind == "at_least":
        return f"{worse}, by this or more {errors}" if clear else "no clear difference, or worse"
    if kind == "at_most":
        return "worse by this or less, or better: its number is a bound"
    if kind == "of_two_bounds":
        return "not certain: a difference of two bounds" + ("" if clear else ", and a small one")
    return "probably worse: an estimate, no bound" if clear else "no clear difference"


def _paired_std_error(a: np.ndarray | None, b: np.ndarray | None) -> float | None:
    if a is None or b is None or len(a) < 2:
        return None
    with np.errstate(invalid="ignore"):
        return float((a - b).std(ddof=1) / math.sqrt(len(a)))
