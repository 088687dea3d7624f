"""Coders of latent variables: distributions of z, or of parts of it, on a stack."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor
from torch.distributions import Distribution

from ancestral.applications.compression.entropy import integer_masses
from ancestral.applications.compression.latent_grid import LatentGrid
from ancestral.applications.compression.latent_stack import LatentStack, not_finite
from ancestral.core import IncompatibleChoices
from ancestral.distributions import (
    Bernoulli,
    DiagonalNormal,
    HeadDistribution,
    NormalMixture,
    OneHot,
)

__all__ = ["CodedCells", "Factor", "Stacked", "cells_of", "continuous_columns"]

_WINDOW = 6.0  # standard deviations around the mean, up to twice as many, to draw from


@dataclass(frozen=True)
class Factor:
    """The distribution of some of the latent variables, given those of the factors before.

    Args:
        columns: of z, that it is over.
        given: z [rows, L], all columns of factors to come being zero -> a distribution of
            batch shape [rows] or [] and event shape [columns].
    """

    columns: slice
    given: Callable[[Tensor], Distribution]


def continuous_columns(factors: Sequence[Factor], like: Tensor) -> np.ndarray:
    """Which variables are numbers on a grid, [L] bool; the others are zero or one.

    Args:
        factors: of a prior.
        like: a tensor of z's dtype and device.
    """
    size = max(factor.columns.stop for factor in factors)
    found = np.ones(size, dtype=bool)
    for factor in factors:
        given = factor.given(like.new_zeros(1, size))
        found[factor.columns] = not isinstance(given, HeadDistribution)
    return found


class Stacked:
    """A distribution of z, [rows, L] on a grid, by which it is pushed on a stack and popped.

    Its factors are popped in order, and pushed from the last to the first.

    Args:
        factors: which.
        grid: of z.
        like: a tensor of z's dtype and device.
        narrow: whether values lie near the mean: those of a posterior, which are drawn from
            it, rather than of a prior, which has to code whatever the posterior drew. The coder
            gives each number of a range at least 2^-24, so that a posterior whose range were wide
            would now and then draw a z that has nothing to do with x.
    """

    def __init__(
        self, factors: Sequence[Factor], grid: LatentGrid, like: Tensor, *, narrow: bool
    ) -> None:
        self.factors = tuple(factors)
        self.grid = grid
        self.like = like
        self.narrow = narrow

    def push(self, stack: LatentStack, z: Tensor) -> None:
        """Put z on the stack, its last factor first."""
        for index in reversed(range(len(self.factors))):
            factor = self.factors[index]
            # what a decoder has: zeros where later factors will put their values
            seen = torch.zeros_like(z)
            for earlier in self.factors[:index]:
                seen[:, earlier.columns] = z[:, earlier.columns]
            self._cells(factor, seen).push(stack, z)

    def pop(self, stack: LatentStack, num_rows: int) -> Tensor:
        """Take z from the stack, or draw it where nobody put it there; its first factor first."""
        z = self.like.new_zeros(num_rows, self.grid.size)
        for factor in self.factors:
            # a copy: the same operations on the same memory layout as in `push`
            self._cells(factor, z.clone()).pop(stack, z)
        return z

    def _cells(self, factor: Factor, seen: Tensor) -> CodedCells:
        given = factor.given(seen)
        return cells_of(given, self.grid, factor.columns, len(seen), narrow=self.narrow)


class CodedCells(ABC):
    """Some columns of z under a distribution that is known."""

    @abstractmethod
    def push(self, stack: LatentStack, z: Tensor) -> None:
        """The columns of z."""

    @abstractmethod
    def pop(self, stack: LatentStack, z: Tensor) -> None:
        """Into the columns of z."""


def cells_of(
    given: Distribution, grid: LatentGrid, columns: slice, num_rows: int, *, narrow: bool
) -> CodedCells:
    """The coder of some columns of z under their distribution, given all factors before.

    Args:
        given: batch shape [rows] or [].
        grid: of z.
        columns: of z.
        num_rows: of z.
        narrow: as for `Stacked`.

    Raises:
        IncompatibleChoices: there is none.
    """
    if isinstance(given, DiagonalNormal):
        parts = (given.loc, given.log_scale.exp())
        loc, scale = (p.expand(num_rows, p.shape[-1]) for p in parts)
        return _NormalCells(loc, scale, grid, columns, narrow=narrow)
    if isinstance(given, NormalMixture):
        return _MixtureCells(given, grid, columns, num_rows, narrow=narrow)
    if isinstance(given, HeadDistribution) and isinstance(given.head, Bernoulli):
        mean = given.head.mean(given.features)
        return _BinaryCells(mean.expand(num_rows, mean.shape[-1]), grid, columns)
    if isinstance(given, HeadDistribution) and isinstance(given.head, OneHot):
        mean = given.head.mean(given.features)
        masses = given.head.blocks(mean.expand(num_rows, mean.shape[-1]))
        return _OneHotCells(masses, columns)
    raise IncompatibleChoices(
        f"bits-back codes latent variables that are Gaussian, mixtures of Gaussians, binary or "
        f"one-hot given those before, got {type(given).__name__}",
        hint="`vae`, `iwae`, `conv_vae`, `pixel_vae` and `hierarchical_vae` have such",
    )


class _NormalCells(CodedCells):
    def __init__(
        self, loc: Tensor, scale: Tensor, grid: LatentGrid, columns: slice, *, narrow: bool
    ) -> None:
        steps = grid.steps(columns)
        self.loc = (_numpy(loc) / steps).ravel()
        self.scale = (_numpy(scale) / steps).ravel()
        self.grid, self.columns = grid, columns
        if not np.isfinite(self.loc).all() or not np.isfinite(self.scale).all():
            raise not_finite()
        farthest = grid.bound
        self.centre = np.zeros(self.loc.size, dtype=np.int32)
        self.windows = [(farthest, np.arange(self.loc.size))]
        if narrow:
            wanted = np.log2(_WINDOW * np.maximum(self.scale, 1.0))
            powers = np.minimum(np.ceil(wanted).astype(np.int64), farthest.bit_length() - 1)
            # so far from the edge that every number is one that the prior can code
            inner = farthest - (1 << powers)
            self.centre = np.rint(np.clip(self.loc, -inner, inner)).astype(np.int32)
            self.windows = [(1 << int(p), np.flatnonzero(powers == p)) for p in np.unique(powers)]

    def push(self, stack: LatentStack, z: Tensor) -> None:
        numbers = self.grid.numbers(z, self.columns).ravel() - self.centre
        offset = self.loc - self.centre
        for bound, own in reversed(self.windows):
            stack.push_normals(numbers[own], offset[own], self.scale[own], bound)

    def pop(self, stack: LatentStack, z: Tensor) -> None:
        numbers = self.centre.copy()
        offset = self.loc - self.centre
        for bound, own in self.windows:
            numbers[own] += stack.pop_normals(offset[own], self.scale[own], bound)
        self.grid.place(numbers, z, self.columns)


class _BinaryCells(CodedCells):
    def __init__(self, masses: Tensor, grid: LatentGrid, columns: slice) -> None:
        self.masses = _numpy(masses).ravel()
        self.grid, self.columns = grid, columns

    def push(self, stack: LatentStack, z: Tensor) -> None:
        stack.push_bits(self.grid.numbers(z, self.columns).ravel(), self.masses)

    def pop(self, stack: LatentStack, z: Tensor) -> None:
        self.grid.place(stack.pop_bits(self.masses), z, self.columns)


class _OneHotCells(CodedCells):
    def __init__(self, masses: Tensor, columns: slice) -> None:
        self.levels = masses.shape[-1]
        self.masses = integer_masses(_numpy(masses).reshape(-1, self.levels))
        self.columns = columns

    def push(self, stack: LatentStack, z: Tensor) -> None:
        blocks = z[:, self.columns].reshape(-1, self.levels)
        stack.push(blocks.argmax(-1).cpu().numpy(), self.masses)

    def pop(self, stack: LatentStack, z: Tensor) -> None:
        codes = torch.from_numpy(stack.pop(self.masses)).long().to(z.device)
        blocks = torch.nn.functional.one_hot(codes, self.levels)
        z[:, self.columns] = blocks.reshape(len(z), -1).to(z)


class _MixtureCells(CodedCells):
    """Bits-back once more: the component is drawn by p(k | z), and comes back from the stack.

    Together -log p(z | k) - log p(k) + log p(k | z) = -log p(z): it costs what the mixture says.
    """

    def __init__(
        self,
        mixture: NormalMixture,
        grid: LatentGrid,
        columns: slice,
        num_rows: int,
        *,
        narrow: bool,
    ) -> None:
        self.mixture = mixture.expand((num_rows,))
        self.grid, self.columns, self.narrow = grid, columns, narrow

    def push(self, stack: LatentStack, z: Tensor) -> None:
        chosen = stack.pop(self._given(z))
        self._component(chosen).push(stack, z)
        stack.push(chosen, self._weights)

    def pop(self, stack: LatentStack, z: Tensor) -> None:
        chosen = stack.pop(self._weights)
        self._component(chosen).pop(stack, z)
        stack.push(chosen, self._given(z))

    @property
    def _weights(self) -> np.ndarray:
        return integer_masses(_numpy(self.mixture.log_weights.exp()))

    def _given(self, z: Tensor) -> np.ndarray:
        """P(k | z), which need not be exact: what it costs to be wrong comes back."""
        m = self.mixture
        # a copy, so that it lies in memory as it does on the other side
        value = z[:, self.columns].clone().unsqueeze(-2)
        scaled = (value - m.loc) * (-m.log_scale).exp()
        log_joint = m.log_weights - (0.5 * scaled.square() + m.log_scale).sum(-1)
        return integer_masses(_numpy(log_joint.double().softmax(-1)))

    def _component(self, chosen: np.ndarray) -> _NormalCells:
        m = self.mixture
        rows = torch.arange(len(chosen), device=m.loc.device)
        index = torch.from_numpy(chosen).long().to(m.loc.device)
        loc, scale = m.loc[rows, index], m.log_scale[rows, index].exp()
        return _NormalCells(loc, scale, self.grid, self.columns, narrow=self.narrow)


def _numpy(values: Tensor) -> np.ndarray:
    return values.detach().double().cpu().numpy()
