"""How rare scores are that are higher than all that were seen."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

__all__ = ["ParetoTail"]

_SHARE = 0.1  # of the scores, the highest, that make the tail
_FEWEST = 10


@dataclass(frozen=True)
class ParetoTail:
    r"""P(score >= s) = k / n (1 + xi (s - u) / sigma)^(-1 / xi) above a threshold u.

    The generalised Pareto distribution of the k highest of n scores, which tails of nearly all
    distributions come to look like (Pickands 1975), by probability-weighted moments. Shapes
    below 0, under which no score beyond some limit would be possible at all, become 0: an
    exponential tail.

    Sources: Hosking & Wallis, *Parameter and quantile estimation for the generalized Pareto
    distribution*, 1987, sec. 2; for p-values, Knijnenburg et al. 2009.

    Attributes:
        share: k / n.
        threshold: u.
        scale: sigma, positive; 0 if the highest scores are all the same.
        shape: xi, from 0 to below 1.

    Example:
        >>> scores = np.random.default_rng(0).exponential(size=10_000)
        >>> tail = ParetoTail.fit(scores)
        >>> bool(1e-7 < tail.p_values([14.0])[0] < 1e-5), round(float(np.exp(-14.0)), 7)
        (True, 8e-07)
    """

    share: float
    threshold: float
    scale: float
    shape: float

    @staticmethod
    def fit(scores: ArrayLike) -> ParetoTail:
        """To the highest tenth of some scores, ten at least."""
        ordered = np.sort(np.asarray(scores, dtype=np.float64))
        size = min(len(ordered) - 1, max(_FEWEST, round(_SHARE * len(ordered))))
        threshold = float(ordered[-size - 1])
        excess = ordered[-size:] - threshold
        mean = float(excess.mean())
        places = (np.arange(1, size + 1) - 0.35) / size
        weighted = float(((1 - places) * excess).mean())
        if mean <= 0 or not np.isfinite(mean):
            return ParetoTail(size / len(ordered), threshold, 0.0, 0.0)
        shape = 2 - mean / (mean - 2 * weighted) if mean > 2 * weighted else 0.0
        shape = float(np.clip(shape, 0.0, 0.95))
        return ParetoTail(size / len(ordered), threshold, mean * (1 - shape), shape)

    def p_values(self, scores: ArrayLike) -> np.ndarray:
        """P(score >= s) for each s above the threshold; the share of the tail below it."""
        excess = np.maximum(np.asarray(scores, dtype=np.float64) - self.threshold, 0.0)
        if self.scale == 0:
            return np.where(excess > 0, 0.0, self.share)
        relative = excess / self.scale
        if self.shape < 1e-6:
            return self.share * np.exp(-relative)
        with np.errstate(over="ignore"):
            return self.share * (1 + self.shape * relative) ** (-1 / self.shape)
