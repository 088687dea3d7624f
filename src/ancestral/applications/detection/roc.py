"""How well a score tells anomalous rows from normal ones."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from ancestral.core import DataError

__all__ = ["Separation", "separation"]


@dataclass(frozen=True)
class Separation:
    """What a score is worth on some normal and some anomalous rows.

    Attributes:
        auroc: chance that an anomalous row scores higher than a normal one; 0.5 is a coin's.
        std_error: of the AUROC, over the choice of both kinds of rows.
        fpr_at_95_tpr: share of normal rows above the threshold that catches 95 % of the
            anomalous ones.
        num_normal: rows.
        num_anomalous: rows.
    """

    auroc: float
    std_error: float
    fpr_at_95_tpr: float
    num_normal: int
    num_anomalous: int

    def to_dict(self) -> dict[str, Any]:
        """For JSON."""
        return asdict(self)


def separation(normal: ArrayLike, anomalous: ArrayLike) -> Separation:
    r"""AUROC with its standard error, and the false positives at 95 % true positives.

        AUROC = P(s_anomalous > s_normal) + P(s_anomalous = s_normal) / 2

    The error is DeLong's: with V_i the share of normal rows below anomalous row i (ties a half),
    and W_j the share of anomalous rows above normal row j, its square is
    var(V) / num_anomalous + var(W) / num_normal.

    Args:
        normal: [rows] scores, higher is odder; infinity is allowed.
        anomalous: [rows] scores.

    Raises:
        DataError: there are no rows of one of the two, or scores that are not numbers.

    Sources: Hanley & McNeil 1982; DeLong, DeLong & Clarke-Pearson 1988, eq. 2-5; computed from
    ranks as Sun & Xu 2014.

    Example:
        >>> separation([1.0, 2.0, 3.0], [2.5, 4.0, 5.0]).auroc.__round__(3)
        0.889
    """
    low, high = (np.asarray(s, dtype=np.float64).ravel() for s in (normal, anomalous))
    if low.size == 0 or high.size == 0:
        raise DataError(
            f"expected normal and anomalous rows, got {low.size} and {high.size}",
            hint="both kinds are needed to compare their scores",
        )
    if np.isnan(low).any() or np.isnan(high).any():
        raise DataError("expected scores that are numbers, got NaN")
    below = _share_below(np.sort(low), high)
    above = 1 - _share_below(np.sort(high), low)
    variance = sum(v.var(ddof=1) / len(v) for v in (below, above) if len(v) > 1)
    # the largest threshold that at least 95 % of the anomalous rows reach
    threshold = np.sort(high)[int(np.floor(0.05 * len(high)))]
    return Separation(
        auroc=float(below.mean()),
        std_error=float(np.sqrt(variance)),
        fpr_at_95_tpr=float((low >= threshold).mean()),
        num_normal=len(low),
        num_anomalous=len(high),
    )


def _share_below(ordered: np.ndarray, values: np.ndarray) -> np.ndarray:
    """For each value, the share of the others below it; a tie counts a half."""
    under = np.searchsorted(ordered, values, side="left")
    not_above = np.searchsorted(ordered, values, side="right")
    return (under + not_above) / (2 * len(ordered))
