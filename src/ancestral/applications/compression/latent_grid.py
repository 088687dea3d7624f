"""`LatentGrid`: the points that latent variables are rounded to, so that they have masses."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from ancestral.applications.compression.entropy import CorruptWords
from ancestral.applications.compression.latent_stack import LatentStack

__all__ = ["LatentGrid", "spread_rows"]

_STEPS = 4.0  # at least, to a standard deviation of the posterior
_SHARPEST = 0.02  # share of the rows that may be sharper than that
_UNIFORM = 12**0.5  # standard deviations that are as wide as a uniform distribution of as many
_FINEST, _COARSEST = -20, 3  # powers of 2 that a step may be
_WIDEST, _REACHES = 8.0, (3, 14)  # standard deviations that are within reach; powers of 2
_LONGEST = 21  # power of 2 of the points on either side of zero, at most
_BOUND = 32  # of exponents less their mean, for their own message
_SPREADS = tuple(2.0**k for k in range(-3, 4))  # deviations of exponents that there can be


@dataclass(frozen=True)
class LatentGrid:
    r"""z = k 2^e for whole numbers k, with an exponent e for each latent variable.

    An ELBO does not care how fine the grid is: what a finer one adds to -log p(z) it takes off
    -log q(z | x). It should be finer than the posterior, so that rounding z costs nothing, and not
    much finer, since each halving takes a bit more for each variable to begin with. Steps are
    powers of two, so that z and k are the same numbers in any precision.

    Args:
        exponents: e, [L]; 0 for variables that are zero or one.
        reach: power of 2 that no |z| exceeds.

    References:
        | Practical lossless compression with latent variables using bits back coding (Townsend,
        | Bird & Barber, 2019), section 2.5.1: discretising a latent space
    """

    exponents: tuple[int, ...]
    reach: int

    @staticmethod
    def fine(loc: Tensor, scale: Tensor) -> LatentGrid:
        """A grid on which posteriors like those of some rows are as good as not rounded.

        Args:
            loc: [rows, L], means.
            scale: [rows, L], standard deviations; infinite for variables that are zero or one.
        """
        known = scale.double().nan_to_num(1.0).clamp(2.0**_FINEST, _STEPS)
        steps = known.quantile(_SHARPEST, 0) / _STEPS
        return _reaching(steps.log2().floor(), loc, scale)

    @staticmethod
    def coarse(loc: Tensor, scale: Tensor) -> LatentGrid:
        """A grid on which rounding makes an error as large as the posterior's own.

        The arguments are those of `fine`.
        """
        steps = _UNIFORM * scale.double().clamp(2.0**_FINEST, 1.0).log().mean(0).exp()
        steps = torch.where(scale.isfinite().all(0), steps, 1.0)
        return _reaching(steps.log2().round(), loc, scale)

    @property
    def size(self) -> int:
        """L."""
        return len(self.exponents)

    @property
    def bound(self) -> int:
        """The largest k of the finest variable."""
        return 1 << (self.reach - min(self.exponents, default=0))

    def steps(self, columns: slice = slice(None)) -> np.ndarray:
        """2^e of some variables, float64."""
        return np.exp2(np.array(self.exponents[columns], dtype=np.float64))

    def numbers(self, z: Tensor, columns: slice) -> np.ndarray:
        """K of some columns of points on the grid, [rows, columns]."""
        found = z[:, columns].detach().double().cpu().numpy() / self.steps(columns)
        return np.rint(found).astype(np.int32)

    def place(self, numbers: np.ndarray, z: Tensor, columns: slice) -> None:
        """Write the points with these numbers into some columns of z [rows, L]."""
        found = numbers.reshape(len(z), -1) * self.steps(columns)
        z[:, columns] = torch.from_numpy(found).to(z)

    def push(self, stack: LatentStack, continuous: np.ndarray) -> None:
        """The grid itself: mean and spread of the exponents, and then the exponents.

        Args:
            stack: to put it on.
            continuous: [L] bool, variables that have exponents; those of others are 0.
        """
        exponents = np.array(self.exponents, dtype=np.int32)[continuous]
        if len(exponents):
            mean = round(float(exponents.mean()))
            spread = _cheapest(exponents - mean)
            stack.push_normals(exponents - mean, *_around(len(exponents), spread))
            stack.push_number(spread, len(_SPREADS))
            stack.push_number(mean - _FINEST, _COARSEST - _FINEST + 1)
        stack.push_number(self.reach, _REACHES[1] + 1)

    @staticmethod
    def pop(stack: LatentStack, continuous: np.ndarray) -> LatentGrid:
        """What `push` put there."""
        reach = stack.pop_number(_REACHES[1] + 1)
        exponents = np.zeros(len(continuous), dtype=np.int64)
        if continuous.any():
            mean = stack.pop_number(_COARSEST - _FINEST + 1) + _FINEST
            spread = stack.pop_number(len(_SPREADS))
            steps = stack.pop_normals(*_around(int(continuous.sum()), spread))
            exponents[continuous] = steps + mean
        if exponents.max() > _COARSEST or reach - exponents.min() > _LONGEST:
            raise CorruptWords("expected a grid of latent variables, got something else")
        return LatentGrid(tuple(int(e) for e in exponents), reach)


def spread_rows(num_rows: int, most: int) -> slice:
    """Some rows, spread over all of them.

    Example:
        >>> spread_rows(10, 3)
        slice(0, 9, 3)
    """
    every = max(1, num_rows // most)
    return slice(0, min(num_rows, every * most), every)


def _reaching(exponents: Tensor, loc: Tensor, scale: Tensor) -> LatentGrid:
    """With room for values far from the means of these rows."""
    spread = torch.where(scale.isfinite(), scale, 0.0)
    farthest = float((loc.abs() + _WIDEST * spread).nan_to_num(1.0).max())
    least, most = _REACHES
    reach = min(max(least, math.ceil(math.log2(max(farthest, 1.0)))), most)
    return LatentGrid(tuple(max(int(e), reach - _LONGEST) for e in exponents), reach)


def _around(size: int, spread: int) -> tuple[np.ndarray, np.ndarray, int]:
    return np.zeros(size), np.full(size, _SPREADS[spread]), _BOUND


def _cheapest(numbers: np.ndarray) -> int:
    """The deviation under which numbers take fewest bits, as a place in `_SPREADS`."""
    costs = []
    for spread in range(len(_SPREADS)):
        stack = LatentStack()
        stack.push_normals(numbers, *_around(len(numbers), spread))
        costs.append(stack.num_bits)
    return costs.index(min(costs))
