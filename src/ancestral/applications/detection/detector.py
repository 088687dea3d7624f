"""`Detector`: scores of oddness, each calibrated on rows that the model was not trained on."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from ancestral.applications.detection.density_of_states import DensityOfStates
from ancestral.applications.detection.p_values import Calibration, flagged
from ancestral.applications.detection.pareto_tail import ParetoTail
from ancestral.applications.detection.statistics import Statistics
from ancestral.applications.detection.typicality import batch_typicality
from ancestral.core import Kind, OptionError, Specification
from ancestral.core.registry import nearest

__all__ = ["SCORES", "Detector", "check_score"]

SCORES: Mapping[str, str] = {
    "corrected": "how rare log p, complexity and spread of surprise are together in normal rows",
    "log_prob": "-log p(x): blind to outliers that are simple",
    "complexity": "-log2 p(x) minus the bits of the smallest lossless file of x",
    "typicality": "|log p(x) - its mean over normal rows|",
    "likelihood_ratio": "log p(x) of the background model minus log p(x) of this one",
}
"""Explanation of each score by name, the default first. Higher is odder."""

_SHORT = 16  # cells below which the length of a file says nothing
_CODED = frozenset({Kind.BINARY, Kind.CATEGORICAL, Kind.LEVELS})


@dataclass(frozen=True)
class Detector:
    """Scores and p-values of rows, given statistics of calibration rows.

    Args:
        reference: of normal rows that were kept from training. Those of rows that were trained
            on would not do: a model expects them more than it expects new ones.
        spec: what a row is.

    Attributes:
        basis: the statistics of the corrected score: log p; the complexity, where rows are of
            codes and long enough for the length of a file to say something; spread and largest
            excess of the cells' surprise; the KL of latent-variable models.
    """

    reference: Statistics
    spec: Specification

    def __post_init__(self) -> None:
        assert self._calibrations  # too few rows are refused now, not at the first question

    @property
    def basis(self) -> tuple[str, ...]:
        """Names of the statistics behind the corrected score."""
        spec = self.spec.integers or self.spec
        has_length = spec.kinds <= _CODED and spec.num_dims >= _SHORT
        length = ("complexity",) if has_length else ()
        wanted = ("log_prob", *length, "spread", "largest_excess", "kl")
        return tuple(name for name in wanted if name in self.reference)

    @property
    def scores(self) -> tuple[str, ...]:
        """Names of the scores there are, the default first."""
        ratio = "background" in self.reference
        return tuple(name for name in SCORES if ratio or name != "likelihood_ratio")

    def score(self, statistics: Statistics, name: str = "corrected") -> np.ndarray:
        """One score of each row, [rows]; higher is odder.

        Raises:
            OptionError: there is no such score, or its background model is missing.
        """
        self.check(name)
        if name == "corrected":
            return self._density.score(self._states(statistics))
        if name == "likelihood_ratio" and "background" not in statistics:
            raise OptionError(
                "expected the background model that the calibration rows were looked at with, "
                "got none",
                hint="background=that estimator",
            )
        return self._plain(statistics)[name]

    def p_values(self, statistics: Statistics, name: str = "corrected") -> np.ndarray:
        """P-values of each row, [rows]: the share of normal rows that are as odd, or odder.

        They are uniform for rows like the calibration rows: exactly for `log_prob`, `complexity`
        and `likelihood_ratio`, which are ranks; nearly for `typicality`, which takes the mean
        of the same rows, and for `corrected`, five ranks counted together (tests measure it).
        Where scores repeat they are larger than that; `smoothed_p_values` are uniform even then.
        """
        self.check(name)
        if name == "corrected":
            return self._density.p_values(self._states(statistics))
        return self._calibrations[name].right(self.score(statistics, name))

    def smoothed_p_values(self, statistics: Statistics, name: str = "corrected") -> np.ndarray:
        """The same with ties broken at random: uniform for normal rows even where scores repeat.

        `p_values` counts all calibration rows that score the same, so that in data of few
        different rows p-values are larger than uniform ones, which is safe. Here a row takes a
        random place among its equals, always the same: the randomness is a hash of the row. For
        `corrected` that is a place in one of five parts of the calibration rows.
        """
        self.check(name)
        uniforms = statistics["uniform"]
        if name == "corrected":
            return self._density.smoothed_p_values(self._states(statistics), uniforms)
        return self._calibrations[name].smoothed(self.score(statistics, name), uniforms)

    def tail_p_values(self, statistics: Statistics, name: str = "corrected") -> np.ndarray:
        """The same as `p_values`, but below 1 / (n + 1) where a row is odder than all n others.

        There they are extrapolated, by the heaviest generalised Pareto tail that goes with the
        highest tenth of the calibration scores: an upper bound of 95 % confidence if the tail is
        such, which ranks need not assume.
        """
        ranks = self.p_values(statistics, name)
        tail = ParetoTail.fit(self._calibrations[name].scores)
        extrapolated = tail.p_values(self.score(statistics, name))
        lowest = ranks <= 1 / (len(self.reference) + 1)
        return np.where(lowest, np.minimum(ranks, extrapolated), ranks)

    def ranks_suffice(self, num_rows: int, rate: float) -> bool:
        """Whether ranks are fine enough to flag a single row of so many at a rate."""
        return rate * (len(self.reference) + 1) >= num_rows

    def flagged(self, statistics: Statistics, rate: float, name: str = "corrected") -> np.ndarray:
        """Which rows to flag so that at most this share of them is normal on average: [rows] bool.

        By ranks where there are enough calibration rows for it, else by `tail_p_values`.
        """
        if self.ranks_suffice(len(statistics), rate):
            return flagged(self.p_values(statistics, name), rate)
        return flagged(self.tail_p_values(statistics, name), rate)

    def together(self, statistics: Statistics) -> tuple[float, float]:
        """Whether some rows are typical as a batch: see `batch_typicality`."""
        return batch_typicality(statistics["log_prob"], self.reference["log_prob"])

    def check(self, name: str) -> None:
        """Refuse a score that there is not: see `check_score`."""
        check_score(name, has_background="background" in self.reference)

    @cached_property
    def _density(self) -> DensityOfStates:
        return DensityOfStates.fit(self._states(self.reference))

    @cached_property
    def _calibrations(self) -> dict[str, Calibration]:
        fitted = {**self._plain(self.reference), "corrected": self._density.left_out}
        return {name: Calibration.of(fitted[name]) for name in self.scores}

    def _plain(self, statistics: Statistics) -> dict[str, np.ndarray]:
        log_prob, usual = statistics["log_prob"], self.reference["log_prob"]
        found = {
            "log_prob": -log_prob,
            "complexity": -log_prob / math.log(2) - statistics["complexity"],
            "typicality": np.abs(log_prob - usual[np.isfinite(usual)].mean()),
        }
        if "background" in statistics:
            background = statistics["background"]
            impossible = np.isneginf(log_prob)
            ratio = background - np.where(impossible, 0.0, log_prob)
            found["likelihood_ratio"] = np.where(impossible, np.inf, ratio)
        return found

    def _states(self, statistics: Statistics) -> np.ndarray:
        return np.stack([statistics[name] for name in self.basis], 1)


def check_score(name: str, *, has_background: bool) -> None:
    """Refuse a score that there is not.

    Raises:
        OptionError: its name is unknown, or it needs a background model.
    """
    if name not in SCORES:
        raise OptionError(f"unknown score {name!r}", hint=nearest(name, list(SCORES)))
    if name == "likelihood_ratio" and not has_background:
        raise OptionError(
            f"the score {name!r} needs a background model, and there is none",
            hint="--background RUN names one; --train-background RUN makes one",
        )
