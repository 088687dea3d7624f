"""`RedrawnSource`: rows with noise, fresh while training and fixed while evaluating."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator
from typing import Self

import numpy as np
import torch
from torch import Tensor

from ancestral.core.batch import Batch
from ancestral.core.estimate import Kind as EstimateKind
from ancestral.core.seeding import derived_seed
from ancestral.core.specification import Specification
from ancestral.data.source import Source

__all__ = ["RedrawnSource"]


class RedrawnSource(ABC):
    """Another source's rows, with noise added as they are read.

    The noise of a training batch is a function of (seed, epoch, number of the batch). `ordered`,
    `rows` and `sample_rows` show one fixed draw, so that evaluation is repeatable. Subclasses
    write `fresh` and `fixed`.

    Args:
        source: the rows without noise.
        spec: what they are with noise.
        noise_stream: of derived seeds, so that kinds of noise do not share theirs.
        fixed_seed: decides the fixed draw.
        stream: number of the split, so that equal rows of two splits are drawn apart.
    """

    log_prob_kind: EstimateKind = "exact"

    def __init__(
        self, source: Source, spec: Specification, noise_stream: int, fixed_seed: int, stream: int
    ) -> None:
        self._source = source
        self.spec = spec
        self._noise_stream = noise_stream
        self._fixed = (fixed_seed, stream)
        self._fixed_seed = derived_seed(fixed_seed, noise_stream, stream)

    @abstractmethod
    def fresh(self, batch: Batch, generator: torch.Generator) -> Tensor:
        """The cells of a training batch with new noise."""

    @abstractmethod
    def fixed(self, batch: Batch, seed: int) -> Tensor:
        """The cells of a batch with noise that depends on the seed and the row numbers alone."""

    @property
    def labels(self) -> np.ndarray | None:
        """[rows] class codes."""
        return self._source.labels

    def __len__(self) -> int:
        return len(self._source)

    def batches(
        self, batch_size: int, *, seed: int, epoch: int, start: int = 0
    ) -> Iterator[Batch]:
        """One pass in shuffled order, with fresh noise."""
        clean = self._source.batches(batch_size, seed=seed, epoch=epoch, start=start)
        for number, batch in enumerate(clean, start):
            generator = torch.Generator(batch.x.device)
            generator.manual_seed(derived_seed(seed, self._noise_stream, epoch, number))
            yield _masked(self.fresh(batch, generator), batch)

    def ordered(self, batch_size: int) -> Iterator[Batch]:
        """All rows in their own order, under the fixed draw."""
        for batch in self._source.ordered(batch_size):
            yield self._drawn(batch)

    def rows(self, selection: slice | np.ndarray | Tensor) -> Batch:
        """Some rows by number, under the fixed draw."""
        return self._drawn(self._source.rows(selection))

    def sample_rows(self, num_rows: int, seed: int) -> Batch:
        """Rows at random, under the fixed draw."""
        return self._drawn(self._source.sample_rows(num_rows, seed))

    def subset(self, selection: slice | np.ndarray | Tensor) -> Self:
        """Some of the rows; the fixed draw follows the new numbers."""
        return self._of(self._source.subset(selection))

    def to(self, device: torch.device | str) -> Self:
        """The same rows on another device."""
        return self._of(self._source.to(device))

    def _of(self, source: Source) -> Self:
        return type(self)(source, *self._fixed)  # type: ignore[call-arg, arg-type]

    def _drawn(self, batch: Batch) -> Batch:
        return _masked(self.fixed(batch, self._fixed_seed), batch)


def _masked(x: Tensor, batch: Batch) -> Batch:
    """Cells with zeros where they are missing."""
    if batch.observed is not None:
        x = x * batch.observed
    return Batch(x, batch.observed, batch.index, batch.context)
