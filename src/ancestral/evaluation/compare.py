"""`compare`: several models on the same data, in one table and one unit."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from ancestral.core import IncompatibleChoices, OptionError
from ancestral.core.estimate import Kind
from ancestral.evaluation.result import Evaluation, Setting

__all__ = ["ComparisonRow", "compare", "refuse_unlike"]


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

    def to_dict(self) -> dict[str, Any]:
        """For JSON."""
        return asdict(self)


def compare(evaluations: Mapping[str, Evaluation]) -> list[ComparisonRow]:
    """Rows of a table, the best first; models without a likelihood come last, without numbers.

    The difference of two lower bounds says nothing certain about the difference of the true
    values: look at `kind`.

    Args:
        evaluations: of each run, by its name.

    Raises:
        OptionError: there is nothing to compare.
        IncompatibleChoices: data, split, binarisation or number of data differ.
    """
    if not evaluations:
        raise OptionError("expected runs to compare, got none")
    refuse_unlike({name: (e.setting, e.n) for name, e in evaluations.items()})
    scored = {name: e for name, e in evaluations.items() if e.log_prob is not None}
    order = sorted(scored, key=lambda name: -_rank(scored[name]))
    rows = [_row(name, scored[name], scored[order[0]]) for name in order]
    for name, e in evaluations.items():
        if e.log_prob is None:
            blank = ComparisonRow(
                name, e.setting.recipe, None, None, "none", None, None, None, None
            )
            rows.append(blank)
    return rows


def refuse_unlike(settings: Mapping[str, tuple[Setting, int]]) -> None:
    """Refuse to compare numbers that are of different rows.

    Args:
        settings: by name of the run: what is evaluated, and on how many data.

    Raises:
        IncompatibleChoices: data, split, binarisation or number of data differ.
    """
    (first_name, (first, first_n)), *others = settings.items()
    for name, (other, other_n) in others:
        for what, a, b in (
            ("data", first.data, other.data),
            ("split", first.split, other.split),
            ("binarization", first.binarization, other.binarization),
            ("number of data", first_n, other_n),
        ):
            if a != b:
                raise IncompatibleChoices(
                    f"expected runs evaluated on the same rows, got another {what}: {a!r} for "
                    f"{first_name}, {b!r} for {name}",
                    hint="evaluate all of them on one split of one data set",
                )


def _rank(evaluation: Evaluation) -> float:
    assert evaluation.log_prob is not None
    value = evaluation.log_prob.value
    return -math.inf if math.isnan(value) else value


def _row(name: str, evaluation: Evaluation, best: Evaluation) -> ComparisonRow:
    number = evaluation.log_prob
    assert number is not None
    assert best.log_prob is not None
    return ComparisonRow(
        name,
        evaluation.setting.recipe,
        number.value,
        number.std_error,
        number.kind,
        number.samples,
        evaluation.bits_per_dim,
        best.log_prob.value - number.value,
        0.0 if evaluation is best else _paired_std_error(best.values, evaluation.values),
    )


def _paired_std_error(a: np.ndarray | None, b: np.ndarray | None) -> float | None:
    if a is None or b is None or len(a) < 2:
        return None
    return float((a - b).std(ddof=1) / math.sqrt(len(a)))
