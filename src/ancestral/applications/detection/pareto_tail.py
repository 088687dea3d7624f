"""How rare scores are at most that are higher than all that were seen."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

__all__ = ["ParetoTail"]

_SHARE = 0.1  # of the scores, the highest, that make the tail
_FEWEST = 10
_SHAPES = np.linspace(0.0, 1.0, 41)  # above 1 scores would have no mean
_SCALES = np.exp(np.linspace(np.log(0.1), np.log(6.0), 60))  # of the mean excess
_LIKELIHOOD = 2.71  # quantile of chi squared, one degree: 95 % on one side


@dataclass(frozen=True)
class ParetoTail:
    r"""An upper bound on P(score >= s) above a threshold u, of 95 % confidence.

    The k highest of n scores, less u, are taken to follow a generalised Pareto distribution, which
    tails of nearly all distributions come to look like (Pickands 1975). Ten or even 500 of them
    say little about how heavy the tail is further out; so the bound is the largest

        k / n (1 + xi (s - u) / sigma)^(-1 / xi)

    over all (xi, sigma) that the scores allow: those whose log-likelihood is within 2.71 / 2 of
    the greatest, with xi from 0 (an exponential tail) to 1. Where the highest scores
    are all the same, they say nothing on what lies beyond, and the bound is k / n everywhere.

    Sources: Coles, *An introduction to statistical modeling of extreme values*, 2001, sec. 4.3.3
    (profile likelihood); for p-values, without the bound, Knijnenburg et al. 2009.

    Attributes:
        share: k / n.
        threshold: u.
        shapes: [pairs], xi.
        scales: [pairs], the largest sigma that goes with each; none if all is the same.

    Example:
        >>> scores = np.random.default_rng(0).exponential(size=10_000)
        >>> tail = ParetoTail.fit(scores)
        >>> bool(np.exp(-14.0) < tail.p_values([14.0])[0] < 1e-4), round(float(np.exp(-14.0)), 7)
        (True, 8e-07)
    """

    share: float
    threshold: float
    shapes: np.ndarray
    scales: np.ndarray

    @staticmethod
    def fit(scores: ArrayLike) -> ParetoTail:
        """To the highest tenth of some scores, ten at least."""
        ordered = np.sort(np.asarray(scores, dtype=np.float64))
        size = min(len(ordered) - 1, max(_FEWEST, round(_SHARE * len(ordered))))
        threshold = float(ordered[-size - 1])
        excess = ordered[-size:] - threshold
        mean = float(excess.mean())
        share = size / len(ordered)
        if not (0 < mean < np.inf):
            return ParetoTail(share, threshold, np.empty(0), np.empty(0))
        scales = mean * _SCALES
        log_likelihood = np.stack([_log_likelihood(excess, xi, scales) for xi in _SHAPES])
        allowed = 2 * (log_likelihood.max() - log_likelihood) <= _LIKELIHOOD
        known = allowed.any(1)
        largest = np.where(allowed, scales, 0.0).max(1)
        return ParetoTail(share, threshold, _SHAPES[known], largest[known])

    def p_values(self, scores: ArrayLike) -> np.ndarray:
        """The bound for each s; the share of the tail for those below the threshold."""
        given = np.asarray(scores, dtype=np.float64)
        excess = np.maximum(given - self.threshold, 0.0)
        found = np.zeros(given.shape)
        for shape, scale in zip(self.shapes, self.scales, strict=True):
            found = np.maximum(found, np.exp(-_exponent(excess / scale, shape)))
        return self.share * (found if len(self.shapes) else np.ones(given.shape))


def _exponent(relative: np.ndarray, shape: float) -> np.ndarray:
    """-log P(excess / scale >= relative)."""
    return relative if shape == 0 else np.log1p(shape * relative) / shape


def _log_likelihood(excess: np.ndarray, shape: float, scales: np.ndarray) -> np.ndarray:
    """Of the excesses, for each scale."""
    exponents = _exponent(excess / scales[:, None], shape)
    return -(1 + shape) * exponents.sum(1) - len(excess) * np.log(scales)
