"""`Source`: rows of data that a model can train on without knowing where they lie."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Protocol, runtime_checkable

import numpy as np
import torch
from torch import Tensor

from ancestral.core.batch import Batch
from ancestral.core.errors import OptionError
from ancestral.core.estimate import Kind as EstimateKind
from ancestral.core.seeding import derived_seed
from ancestral.core.specification import Specification

__all__ = ["Source", "check_batching", "permutation"]

_ORDER = 0x0DE2  # the stream of seeds that orders rows


@runtime_checkable
class Source(Protocol):
    """Rows of data in memory, on disk, or derived from another source.

    Row numbers count from 0 within the source, whatever it is a part of.
    """

    @property
    def spec(self) -> Specification:
        """What one row is."""
        ...

    @property
    def labels(self) -> np.ndarray | None:
        """[rows] int64 class codes, for pictures; never shown to a model."""
        ...

    @property
    def log_prob_kind(self) -> EstimateKind:
        """What an exact log p of these rows is, for the data as given (dequantised: a bound)."""
        ...

    def __len__(self) -> int:
        """Number of rows."""
        ...

    def batches(
        self, batch_size: int, *, seed: int, epoch: int, start: int = 0
    ) -> Iterator[Batch]:
        """One pass over all rows in shuffled order; the last batch may be smaller.

        Args:
            batch_size: rows of a batch.
            seed: with `epoch`, decides the order and any noise, and nothing else does.
            epoch: number of the pass.
            start: batches to skip. What follows is bit for bit what it would have been.
        """
        ...

    def ordered(self, batch_size: int) -> Iterator[Batch]:
        """All rows in their own order, the same at every call."""
        ...

    def rows(self, selection: slice | np.ndarray | Tensor) -> Batch:
        """Some rows by number, the same at every call."""
        ...

    def sample_rows(self, num_rows: int, seed: int) -> Batch:
        """At most `num_rows` distinct rows at random, in bounded memory: for statistics."""
        ...

    def subset(self, selection: slice | np.ndarray | Tensor) -> Source:
        """A source of some of the rows, numbered anew from 0."""
        ...

    def to(self, device: torch.device | str) -> Source:
        """A source whose batches lie on another device."""
        ...


def permutation(num_rows: int, seed: int, epoch: int) -> Tensor:
    """[num_rows] int64: the order of the rows, a function of (seed, epoch) on every device.

    Example:
        >>> bool((permutation(5, 0, 1) == permutation(5, 0, 1)).all())
        True
    """
    generator = torch.Generator().manual_seed(derived_seed(seed, _ORDER, epoch))
    return torch.randperm(num_rows, generator=generator)


def check_batching(batch_size: int, start: int = 0) -> None:
    """Refuse sizes that cannot be."""
    if batch_size < 1:
        raise OptionError(f"expected a batch size of at least 1, got {batch_size}")
    if start < 0:
        raise OptionError(f"expected a number of batches to skip, got {start}")
