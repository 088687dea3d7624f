"""Binary latent variables of a lossy message: which are worth telling, and how they are told."""

from __future__ import annotations

import numpy as np
from torch import Tensor
from torch.distributions import Distribution

from ancestral.applications.compression.latent_stack import LatentStack
from ancestral.distributions import Bernoulli, HeadDistribution

__all__ = [
    "THRESHOLDS",
    "AdaptiveBits",
    "chances_of",
    "is_binary",
    "worth_telling",
]

THRESHOLDS = (1.0, 0.7, 0.5, 0.4, 0.3, 0.25, 0.2, 0.15, 0.1, 0.07, 0.05, 0.03, 0.02, 0.01, 0.0)
"""Of |q - p|, from which on a variable is told of; from the shortest message on."""

_WEIGHT = 2.0  # rows that what all columns have in common counts for, in each of them
_START = (1.0, 10.0)  # ones among bits, before any is known
_LEAST = 1e-6  # mass of a bit


def worth_telling(
    noise: np.ndarray, p: np.ndarray, q: np.ndarray, threshold: float
) -> tuple[np.ndarray, np.ndarray]:
    """Values of binary variables, and what a reader takes them for who is told nothing.

    Both are draws by the same noise: from q where it is far enough from p, else from p.

    Args:
        noise: [rows, L], uniform on [0, 1), that the reader has as well.
        p: [rows, L], P(1) under the prior.
        q: [rows, L], P(1) under the posterior.
        threshold: of |q - p|; 0 makes all values draws from q.

    Returns:
        Both [rows, L] bool.

    Example:
        >>> noise, p, q = np.full((1, 3), 0.6), np.full((1, 3), 0.5), np.array([[0.0, 0.65, 0.9]])
        >>> worth_telling(noise, p, q, 0.2)[0].tolist()
        [[False, False, True]]
    """
    untold = noise < p
    return np.where(np.abs(q - p) >= threshold, noise < q, untold), untold


def is_binary(given: Distribution) -> bool:
    """Whether variables are zero or one, each by itself."""
    return isinstance(given, HeadDistribution) and isinstance(given.head, Bernoulli)


def chances_of(given: Distribution, num_rows: int) -> Tensor:
    """P(1) of binary variables, [rows, columns]."""
    assert isinstance(given, HeadDistribution)
    chances = given.head.mean(given.features)
    return chances.expand(num_rows, chances.shape[-1])


class AdaptiveBits:
    """Bits of some columns, row after row, by what the rows before had; or by the model.

    A bit says whether a variable is not what it is taken for. A prior of 1/2 takes a bit to say so
    even where it is never the case. Two forecasts are mixed by how well they did so far: the
    prior's own, and a column's share of ones, which begins as the share in all columns.

    Args:
        size: columns.

    References:
        | Bayesian mixtures of forecasters, as in Willems, Shtarkov & Tjalkens, *The context-tree
        | weighting method* (1995)
    """

    def __init__(self, size: int) -> None:
        self._ones = np.zeros(size)
        self._rows = 0
        self._nats = np.zeros(2)

    def record(self, bits: np.ndarray, prior: np.ndarray) -> np.ndarray:
        """Masses of ones [rows, L], for bits [rows, L] whose prior masses are [rows, L]."""
        masses = np.empty(prior.shape)
        for row, (own, said) in enumerate(zip(bits, prior, strict=True)):
            masses[row] = self._masses(said)
            self._learn(own, said)
        return masses

    def pop(self, stack: LatentStack, prior: np.ndarray) -> np.ndarray:
        """Bits [rows, L] from a stack, as `record` said that they were put there."""
        bits = np.empty(prior.shape, dtype=bool)
        for row, said in enumerate(prior):
            bits[row] = stack.pop_bits(self._masses(said))
            self._learn(bits[row], said)
        return bits

    def _masses(self, prior: np.ndarray) -> np.ndarray:
        weights = np.exp(self._nats.min() - self._nats)
        weights /= weights.sum()
        return weights[0] * _inside(prior) + weights[1] * self._counted

    @property
    def _counted(self) -> np.ndarray:
        ones, number = _START
        share = (self._ones.sum() + ones) / (self._rows * len(self._ones) + number)
        return _inside((self._ones + _WEIGHT * share) / (self._rows + _WEIGHT))

    def _learn(self, bits: np.ndarray, prior: np.ndarray) -> None:
        for k, said in enumerate((_inside(prior), self._counted)):
            self._nats[k] -= np.log(np.where(bits, said, 1.0 - said)).sum()
        self._ones += bits
        self._rows += 1


def _inside(masses: np.ndarray) -> np.ndarray:
    return np.clip(masses, _LEAST, 1.0 - _LEAST)
