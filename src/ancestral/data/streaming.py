"""Data larger than memory: read in blocks, shuffled in bounded memory."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import torch
from torch import Tensor

from ancestral.core.batch import Batch, as_batch
from ancestral.core.estimate import Kind as EstimateKind
from ancestral.core.seeding import derived_seed
from ancestral.core.specification import Specification
from ancestral.data.compact import native
from ancestral.data.source import check_batching, permutation

__all__ = ["RowReader", "StreamedSource"]

_WINDOW_BYTES = 96 << 20
_SAMPLED_BLOCKS = 64


class RowReader(Protocol):
    """Rows on disk, in blocks that are cheap to read whole."""

    @property
    def boundaries(self) -> np.ndarray:
        """[blocks + 1] int64: block k holds rows boundaries[k] .. boundaries[k + 1] - 1."""
        ...

    @property
    def row_bytes(self) -> int:
        """Bytes of one row in memory."""
        ...

    def read(self, start: int, stop: int) -> np.ndarray:
        """[stop - start, *shape]: rows of one block, in fresh memory; NaN where missing."""
        ...


class StreamedSource:
    """Rows read from disk as they are needed; resident memory does not grow with their number.

    An epoch visits the blocks in shuffled order, holds a window of several of them (96 MB), and
    shuffles the rows within the window. The order is a function of (seed, epoch). Rows that lie
    far apart in the file can only meet in a batch if their blocks share a window, so a file
    that is sorted in some way is mixed less well than in memory.

    Args:
        reader: of the rows.
        spec: what a row is.
        pieces: [pieces, 2] row ranges of the file, ascending and disjoint, for a source of some
            of its rows; all rows if None. Nothing is copied.
        labels: [rows of the file] integers, or None.
        device: where batches lie.
    """

    log_prob_kind: EstimateKind = "exact"

    def __init__(
        self,
        reader: RowReader,
        spec: Specification,
        *,
        pieces: np.ndarray | None = None,
        labels: np.ndarray | None = None,
        device: torch.device | str = "cpu",
    ) -> None:
        if pieces is None:
            pieces = np.array([[0, reader.boundaries[-1]]], dtype=np.int64)
        self.spec = spec
        self._reader = reader
        self._file_labels = labels
        self._device = torch.device(device)
        self._layout = _Layout.of(pieces, reader.boundaries)

    def __len__(self) -> int:
        return int(self._layout.offsets[-1])

    @property
    def labels(self) -> np.ndarray | None:
        """[rows] class codes."""
        if self._file_labels is None:
            return None
        return np.concatenate([self._file_labels[a:b] for a, b in self._layout.pieces])

    def batches(
        self, batch_size: int, *, seed: int, epoch: int, start: int = 0
    ) -> Iterator[Batch]:
        """One pass in shuffled order; see `Source.batches`. Skipped windows are not read."""
        check_batching(batch_size, start)
        units = permutation(self._layout.num_units, seed, epoch).numpy()
        width = self._units_per_window()
        skip = start * batch_size
        windows = []
        for number, first in enumerate(range(0, len(units), width)):
            chosen = units[first : first + width]
            num_rows = int(self._layout.unit_rows[chosen].sum())
            if skip >= num_rows:
                skip -= num_rows
                continue
            windows.append(
                (chosen, permutation(num_rows, derived_seed(seed, number), epoch).numpy())
            )
        yield from self._regrouped(windows, batch_size, skip)

    def ordered(self, batch_size: int) -> Iterator[Batch]:
        """All rows in file order."""
        check_batching(batch_size)
        units = np.arange(self._layout.num_units)
        yield from self._regrouped([(units[k : k + 1], None) for k in units], batch_size, 0)

    def rows(self, selection: slice | np.ndarray | Tensor) -> Batch:
        """Some rows by number; each block that holds one is read once."""
        numbers = self._numbers(selection)
        wanted, inverse = np.unique(numbers, return_inverse=True)
        file_rows = self._layout.file_rows(wanted)
        blocks = np.searchsorted(self._reader.boundaries, file_rows, side="right")
        parts = []
        for part in np.split(file_rows, np.flatnonzero(np.diff(blocks)) + 1):
            if len(part):
                span = self._reader.read(int(part[0]), int(part[-1]) + 1)
                parts.append(span[part - part[0]])
        empty = np.empty((0, *self.spec.shape), dtype=np.float32)
        found = np.concatenate(parts)[inverse] if parts else empty
        return self._batch(found, numbers)

    def sample_rows(self, num_rows: int, seed: int) -> Batch:
        """Rows at random from at most 64 blocks drawn at random, so that few are read."""
        units = permutation(self._layout.num_units, seed, 0).numpy()
        counts = np.cumsum(self._layout.unit_rows[units])
        enough = max(_SAMPLED_BLOCKS, int(np.searchsorted(counts, num_rows)) + 1)
        numbers = np.concatenate([self._layout.unit_numbers(u) for u in units[:enough]])
        chosen = permutation(len(numbers), seed, 1).numpy()[:num_rows]
        return self.rows(numbers[chosen])

    def subset(self, selection: slice | np.ndarray | Tensor) -> StreamedSource:
        """A view of some of the rows, in file order."""
        file_rows = self._layout.file_rows(np.unique(self._numbers(selection)))
        return self.subset_of_file(_runs(file_rows))

    def subset_of_file(self, pieces: np.ndarray) -> StreamedSource:
        """A view of some row ranges [pieces, 2] of the file."""
        return StreamedSource(
            self._reader,
            self.spec,
            pieces=pieces,
            labels=self._file_labels,
            device=self._device,
        )

    @property
    def pieces(self) -> np.ndarray:
        """[pieces, 2] row ranges of the file that make up this source, cut at its blocks."""
        return self._layout.pieces

    def to(self, device: torch.device | str) -> StreamedSource:
        """The same rows, with batches on another device."""
        return StreamedSource(
            self._reader,
            self.spec,
            pieces=self._layout.pieces,
            labels=self._file_labels,
            device=device,
        )

    def _numbers(self, selection: slice | np.ndarray | Tensor) -> np.ndarray:
        if isinstance(selection, slice):
            return np.arange(*selection.indices(len(self)))
        numbers = np.asarray(selection.cpu() if isinstance(selection, Tensor) else selection)
        return np.flatnonzero(numbers) if numbers.dtype == bool else numbers.astype(np.int64)

    def _units_per_window(self) -> int:
        largest = int(self._layout.unit_rows.max(initial=1)) * self._reader.row_bytes
        return max(1, _WINDOW_BYTES // max(1, largest))

    def _window(self, units: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Rows of some units, and their numbers."""
        numbers = np.concatenate([self._layout.unit_numbers(u) for u in units])
        values, filled = None, 0
        for unit in units:
            pieces = self._layout.pieces[slice(*self._layout.units[unit])]
            first = int(pieces[0, 0])
            span = self._reader.read(first, int(pieces[-1, 1]))
            for a, b in pieces - first:
                if values is None:
                    values = np.empty((len(numbers), *span.shape[1:]), dtype=span.dtype)
                values[filled : filled + b - a] = span[a:b]
                filled += b - a
        assert values is not None
        return values, numbers

    def _regrouped(
        self,
        windows: list[tuple[np.ndarray, np.ndarray | None]],
        batch_size: int,
        skip: int,
    ) -> Iterator[Batch]:
        """Batches of equal size from windows of unequal size."""
        held: list[tuple[np.ndarray, np.ndarray]] = []  # the rows of a batch not yet full
        num_held = 0
        for units, order in windows:
            values, numbers = self._window(units)
            if order is None:
                order = np.arange(len(numbers))
            at, skip = skip, 0
            while at < len(order):
                take = order[at : at + batch_size - num_held]
                held.append((values[take], numbers[take]))
                num_held += len(take)
                at += len(take)
                if num_held == batch_size:
                    yield self._joined(held)
                    held, num_held = [], 0
            del values  # before the next window is read, or two would be in memory
        if num_held:
            yield self._joined(held)

    def _joined(self, held: list[tuple[np.ndarray, np.ndarray]]) -> Batch:
        if len(held) == 1:
            return self._batch(*held[0])
        return self._batch(*(np.concatenate(parts) for parts in zip(*held, strict=True)))

    def _batch(self, values: np.ndarray, numbers: np.ndarray) -> Batch:
        x = torch.from_numpy(native(values)).to(self._device, torch.get_default_dtype())
        index = torch.from_numpy(numbers).to(self._device)
        batch = as_batch(x) if self.spec.missing else Batch(x)
        return batch.with_index(index)


@dataclass(frozen=True)
class _Layout:
    """Which rows of the file are in a source, in units that lie in one block each."""

    pieces: np.ndarray  # [pieces, 2] row ranges of the file, none across two blocks
    offsets: np.ndarray  # [pieces + 1] number, in the source, of each piece's first row
    units: np.ndarray  # [units, 2] ranges of pieces
    unit_rows: np.ndarray  # [units] rows of each unit

    @staticmethod
    def of(pieces: np.ndarray, boundaries: np.ndarray) -> _Layout:
        pieces = np.asarray(pieces, dtype=np.int64).reshape(-1, 2)
        pieces = pieces[pieces[:, 1] > pieces[:, 0]]
        cuts = [boundaries[(boundaries > a) & (boundaries < b)] for a, b in pieces]
        if len(pieces):
            starts = np.concatenate([np.r_[a, c] for (a, _), c in zip(pieces, cuts, strict=True)])
            stops = np.concatenate([np.r_[c, b] for (_, b), c in zip(pieces, cuts, strict=True)])
            pieces = np.stack([starts, stops], axis=1)
        sizes = pieces[:, 1] - pieces[:, 0]
        offsets = np.r_[0, np.cumsum(sizes)]
        block = np.searchsorted(boundaries, pieces[:, 0], side="right")
        first = np.flatnonzero(np.diff(block, prepend=-1))
        units = np.stack([first, np.r_[first[1:], len(pieces)][: len(first)]], axis=1)
        unit_rows = offsets[units[:, 1]] - offsets[units[:, 0]]
        return _Layout(pieces, offsets, units, unit_rows)

    @property
    def num_units(self) -> int:
        return len(self.units)

    def unit_numbers(self, unit: int) -> np.ndarray:
        first, last = self.units[unit]
        return np.arange(int(self.offsets[first]), int(self.offsets[last]))

    def file_rows(self, numbers: np.ndarray) -> np.ndarray:
        piece = np.searchsorted(self.offsets, numbers, side="right") - 1
        return self.pieces[piece, 0] + numbers - self.offsets[piece]


def _runs(rows: np.ndarray) -> np.ndarray:
    """[runs, 2]: ascending row numbers as ranges of consecutive ones."""
    breaks = np.flatnonzero(np.diff(rows) != 1)
    return np.stack([rows[np.r_[0, breaks + 1]], rows[np.r_[breaks, len(rows) - 1]] + 1], axis=1)
