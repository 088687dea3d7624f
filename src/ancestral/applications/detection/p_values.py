"""Ranks among calibration rows as p-values, and which of them to flag."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import ArrayLike

from ancestral.core import DataError, OptionError

__all__ = ["Calibration", "flagged"]

_SAME, _DIGITS = 1e-5, 1e-6  # of the spread of scores, and of their size: single precision


@dataclass(frozen=True)
class Calibration:
    r"""Scores of rows that are known to be normal, among which others are ranked.

    With n calibration scores s_1 .. s_n, the p-value of a score s on the left is

        p(s) = (1 + #{i : s_i <= s}) / (n + 1)

    and on the right the same with >=. If s and the s_i are exchangeable, as they are for a normal
    row that was, as they were, kept from training, then P(p <= a) <= a for each a, with equality
    at multiples of 1 / (n + 1) where there are no ties: p is uniform. No assumption is made on
    the distribution of the scores. Nothing below 1 / (n + 1) can be told apart. Ties make p
    larger than uniform, which is safe; `smoothed` is uniform even then.

    Scores that differ by what single precision adds to them (a hundred-thousandth of their
    spread, a millionth of their size) are taken for equal, or equal rows would have other ranks
    in batches of another size.

    Sources: Vovk, Gammerman & Shafer, *Algorithmic Learning in a Random World*, 2005, eq. 2.18;
    Song et al., PixelDefend, 2018, sec. 3.3.

    Attributes:
        scores: [n], ascending.

    Example:
        >>> calibration = Calibration.of([1.0, 2.0, 3.0, 4.0])
        >>> calibration.left([0.0, 2.5, 9.0]).tolist()
        [0.2, 0.6, 1.0]
        >>> calibration.right([0.0, 2.5, 9.0]).tolist()
        [1.0, 0.6, 0.2]
        >>> calibration.two_sided([0.0, 2.5, 9.0]).tolist()
        [0.4, 1.0, 0.4]
    """

    scores: np.ndarray

    @staticmethod
    def of(scores: ArrayLike) -> Calibration:
        """From the scores of normal rows in any order, as an array or a tensor on the CPU.

        Raises:
            DataError: there are none, or some are not numbers.
        """
        given = np.asarray(scores, dtype=np.float64).ravel()
        if given.size == 0:
            raise DataError(
                "expected calibration rows, got none",
                hint="keep some normal rows from training, as --validation-fraction does",
            )
        if np.isnan(given).any():
            raise DataError(f"{int(np.isnan(given).sum())} calibration scores are not numbers")
        return Calibration(np.sort(given))

    def __len__(self) -> int:
        """Number of calibration rows."""
        return len(self.scores)

    @cached_property
    def tolerance(self) -> float:
        """Difference up to which two scores are the same."""
        finite = self.scores[np.isfinite(self.scores)]
        if finite.size == 0:
            return 0.0
        low, high = np.quantile(finite, (0.25, 0.75))  # the bulk: outliers spread without end
        return float(_SAME * (high - low) + _DIGITS * np.median(np.abs(finite)))

    def at_least(self, scores: ArrayLike) -> np.ndarray:
        """How many calibration scores are as high as each, or higher."""
        given = _numbers(scores) - self.tolerance
        return len(self) - np.searchsorted(self.scores, given, side="left")

    def above(self, scores: ArrayLike) -> np.ndarray:
        """How many calibration scores are higher than each."""
        given = _numbers(scores) + self.tolerance
        return len(self) - np.searchsorted(self.scores, given, side="right")

    def left(self, scores: ArrayLike) -> np.ndarray:
        """p-values that are small where a score is low, such as log p of an odd row."""
        return (1 + len(self) - self.above(scores)) / (len(self) + 1)

    def right(self, scores: ArrayLike) -> np.ndarray:
        """p-values that are small where a score is high, such as an anomaly score."""
        return (1 + self.at_least(scores)) / (len(self) + 1)

    def two_sided(self, scores: ArrayLike) -> np.ndarray:
        """p-values that are small on either side: twice the smaller of the two, at most 1."""
        given = _numbers(scores)
        return np.minimum(1.0, 2 * np.minimum(self.left(given), self.right(given)))

    def smoothed(self, scores: ArrayLike, uniforms: ArrayLike) -> np.ndarray:
        """`right` with ties broken at random, so that p is uniform even where scores repeat.

            p = (#{i : s_i > s} + u (1 + #{i : s_i = s})) / (n + 1)

        Source: Vovk et al., eq. 2.20.

        Args:
            scores: of rows.
            uniforms: as many numbers u in (0, 1).
        """
        above = self.above(scores)
        equal = self.at_least(scores) - above
        return (above + np.asarray(uniforms) * (1 + equal)) / (len(self) + 1)


def flagged(p_values: ArrayLike, false_discovery_rate: float) -> np.ndarray:
    r"""Which rows to call anomalous, so that of those at most a share are normal on average.

    The k rows of smallest p are flagged, k the largest with p_(k) <= rate * k / rows. The rows
    may share one calibration: their p-values depend on one another in a way that keeps the bound.

    Sources: Benjamini & Hochberg 1995, theorem 1; for shared calibration rows, Bates et al. 2023,
    theorem 2.

    Args:
        p_values: [rows].
        false_discovery_rate: the share, in (0, 1).

    Returns:
        [rows] bool.

    Raises:
        OptionError: the share is not one.

    Example:
        >>> flagged([0.001, 0.04, 0.9, 0.02], 0.1).tolist()
        [True, True, False, True]
    """
    if not 0 < false_discovery_rate < 1:
        raise OptionError(
            f"expected a false discovery rate between 0 and 1, got {false_discovery_rate}",
            hint="0.05 lets 1 in 20 of the flagged rows be normal, on average",
        )
    given = _numbers(p_values)
    ordered = np.sort(given)
    bounds = false_discovery_rate * np.arange(1, len(given) + 1) / max(1, len(given))
    passed = np.flatnonzero(ordered <= bounds)
    threshold = ordered[passed[-1]] if passed.size else -np.inf
    return given <= threshold


def _numbers(scores: ArrayLike) -> np.ndarray:
    return np.asarray(scores, dtype=np.float64)
