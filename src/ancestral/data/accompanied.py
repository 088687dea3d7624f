"""`Accompanied`: another source's rows, each of which brings something of its own along."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator
from typing import Self

import numpy as np
import torch
from torch import Tensor

from ancestral.core.batch import Batch
from ancestral.core.errors import DataError
from ancestral.core.estimate import Kind as EstimateKind
from ancestral.core.specification import Specification
from ancestral.data.source import Source

__all__ = ["Accompanied"]


class Accompanied(ABC):
    """A source whose batches are another's, joined with a tensor that has a row for each of them.

    Args:
        source: the rows; for batches in another order they must know their numbers, as those of
            data in memory do.
        values: [rows, ...], what comes along.
        spec: of the rows with it.
    """

    def __init__(self, source: Source, values: Tensor, spec: Specification) -> None:
        self.spec = spec
        self._source = source
        self._values = values

    @abstractmethod
    def _joined(self, batch: Batch, values: Tensor) -> Batch:
        """Some rows, with what they bring along."""

    @abstractmethod
    def _of(self, source: Source, values: Tensor) -> Self:
        """The same kind of source of other rows."""

    @property
    def source(self) -> Source:
        """The rows by themselves."""
        return self._source

    def of(self, source: Source) -> Self:
        """The same with other rows, as many; what comes along stays."""
        return self._of(source, self._values)

    @property
    def labels(self) -> np.ndarray | None:
        """[rows] class codes."""
        return self._source.labels

    @property
    def log_prob_kind(self) -> EstimateKind:
        """The other source's."""
        return self._source.log_prob_kind

    def __len__(self) -> int:
        return len(self._source)

    def batches(
        self, batch_size: int, *, seed: int, epoch: int, start: int = 0
    ) -> Iterator[Batch]:
        """One pass in shuffled order; see `Source.batches`."""
        for batch in self._source.batches(batch_size, seed=seed, epoch=epoch, start=start):
            yield self._at_its_numbers(batch)

    def ordered(self, batch_size: int) -> Iterator[Batch]:
        """All rows in their own order."""
        first = 0
        for batch in self._source.ordered(batch_size):
            yield self._joined(batch, self._values[first : first + len(batch)])
            first += len(batch)

    def rows(self, selection: slice | np.ndarray | Tensor) -> Batch:
        """Some rows by number."""
        return self._at_its_numbers(self._source.rows(selection))

    def sample_rows(self, num_rows: int, seed: int) -> Batch:
        """At most `num_rows` distinct rows at random."""
        return self._at_its_numbers(self._source.sample_rows(num_rows, seed))

    def subset(self, selection: slice | np.ndarray | Tensor) -> Self:
        """Some of the rows."""
        where = selection
        if not isinstance(where, slice):
            where = torch.as_tensor(where, device=self._values.device)
        return self._of(self._source.subset(selection), self._values[where])

    def to(self, device: torch.device | str) -> Self:
        """The same rows on another device."""
        return self._of(self._source.to(device), self._values.to(device))

    def _at_its_numbers(self, batch: Batch) -> Batch:
        if batch.index is None:
            raise DataError(
                f"expected rows in memory for {type(self).__name__.lower()} data, got rows that "
                "are streamed",
                hint="take `ordered` batches, or data that fit in memory",
            )
        return self._joined(batch, self._values[batch.index])
