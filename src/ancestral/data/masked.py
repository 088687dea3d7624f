"""`Masked`: rows of which more cells are missing than in the source they come from."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import numpy as np
import torch
from torch import Tensor

from ancestral.core.batch import Batch
from ancestral.core.errors import DataError, ShapeError
from ancestral.core.estimate import Kind as EstimateKind
from ancestral.data.source import Source

__all__ = ["Masked"]


class Masked:
    """Another source's rows, known only where a mask says so: to try imputation on them.

    Args:
        source: the rows; their batches must know row numbers, as those of data in memory do.
        observed: [rows, *shape] bool; what the source lacks stays missing.

    Raises:
        ShapeError: the mask is not of the shape of the rows.

    Example:
        >>> from ancestral.core import Kind, Specification
        >>> from ancestral.data import TensorSource
        >>> rows = TensorSource(np.ones((2, 2), np.uint8), Specification(Kind.BINARY, (2,)))
        >>> masked = Masked(rows, torch.tensor([[True, False], [True, True]]))
        >>> masked.rows(slice(0, 1)).x, masked.spec.missing
        (tensor([[1., 0.]]), True)
    """

    def __init__(self, source: Source, observed: Tensor) -> None:
        if tuple(observed.shape) != (len(source), *source.spec.shape):
            raise ShapeError(
                f"expected a mask of shape {[len(source), *source.spec.shape]}, that of the "
                f"rows, got {list(observed.shape)}"
            )
        self.spec = replace(source.spec, missing=True)
        self._source = source
        self._observed = observed

    @property
    def labels(self) -> np.ndarray | None:
        """[rows] class codes."""
        return self._source.labels

    @property
    def log_prob_kind(self) -> EstimateKind:
        """As without the mask."""
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
            yield _masked(batch, self._observed[first : first + len(batch)])
            first += len(batch)

    def rows(self, selection: slice | np.ndarray | Tensor) -> Batch:
        """Some rows by number."""
        return self._at_its_numbers(self._source.rows(selection))

    def sample_rows(self, num_rows: int, seed: int) -> Batch:
        """At most `num_rows` distinct rows at random."""
        return self._at_its_numbers(self._source.sample_rows(num_rows, seed))

    def subset(self, selection: slice | np.ndarray | Tensor) -> Masked:
        """Some of the rows."""
        where = selection
        if not isinstance(where, slice):
            where = torch.as_tensor(where, device=self._observed.device)
        return Masked(self._source.subset(selection), self._observed[where])

    def to(self, device: torch.device | str) -> Masked:
        """The same rows on another device."""
        return Masked(self._source.to(device), self._observed.to(device))

    def _at_its_numbers(self, batch: Batch) -> Batch:
        if batch.index is None:
            raise DataError(
                "expected rows in memory to hide cells of, got rows that are streamed",
                hint="take `ordered` batches, or a part of the data",
            )
        return _masked(batch, self._observed[batch.index])


def _masked(batch: Batch, observed: Tensor) -> Batch:
    seen = observed if batch.observed is None else observed & batch.observed
    return replace(batch, x=batch.x.masked_fill(~seen, 0.0), observed=seen)
