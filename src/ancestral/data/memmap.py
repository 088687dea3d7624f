"""`MemmapSource`: rows of a `.npy` file that need not fit in memory."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from ancestral.core.errors import DataError
from ancestral.core.specification import Specification
from ancestral.data.loaders.npy import NpyHeader, read_npy_header
from ancestral.data.numbers import NumberSummary
from ancestral.data.streaming import StreamedSource

__all__ = ["MemmapSource", "NpyReader", "summarize_blocks"]

_BLOCK_BYTES = 4 << 20


class NpyReader:
    """Reads row ranges of a `.npy` file.

    Plain reads into fresh memory, not a memory map: pages of a map count as resident memory of
    the process for as long as the system cares to keep them.

    Args:
        path: of the file.
    """

    def __init__(self, path: str | Path) -> None:
        self._path = Path(path)
        self._header: NpyHeader = read_npy_header(self._path)
        header = self._header
        if header.fortran_order and len(header.shape) > 1:
            raise DataError(
                f"expected {self._path} row by row, got it column by column (Fortran order)",
                hint="save it again with numpy.save(path, numpy.ascontiguousarray(x))",
            )
        per_block = max(1, _BLOCK_BYTES // max(1, self.row_bytes))
        num_rows = header.num_rows
        self.boundaries = np.r_[np.arange(0, num_rows, per_block), num_rows].astype(np.int64)

    @property
    def shape(self) -> tuple[int, ...]:
        """Of one row."""
        return self._header.shape[1:]

    @property
    def dtype(self) -> np.dtype:
        """As stored."""
        return self._header.dtype

    @property
    def row_bytes(self) -> int:
        """Bytes of one row."""
        return int(np.prod(self.shape, dtype=np.int64)) * self._header.dtype.itemsize

    def read(self, start: int, stop: int) -> np.ndarray:
        """[stop - start, *shape], in fresh memory."""
        with self._path.open("rb", buffering=0) as file:
            file.seek(self._header.offset + start * self.row_bytes)
            count = (stop - start) * int(np.prod(self.shape, dtype=np.int64))
            values = np.fromfile(file, dtype=self._header.dtype, count=count)
        if len(values) < count:
            raise DataError(f"expected rows {start} to {stop} in {self._path}, got fewer")
        return values.reshape(-1, *self.shape)


class MemmapSource(StreamedSource):
    """Rows of a `.npy` file, streamed and shuffled in bounded memory.

    Args:
        path: of a `.npy` file, one row per entry of its first axis.
        spec: what a row is; found by one pass through the file if None.
        labels: [rows] integers, or None.
    """

    def __init__(
        self,
        path: str | Path,
        spec: Specification | None = None,
        *,
        labels: np.ndarray | None = None,
    ) -> None:
        reader = NpyReader(path)
        if spec is None:
            spec = summarize_blocks(reader).specification(reader.shape)
        super().__init__(reader, spec, labels=labels)


def summarize_blocks(reader: NpyReader) -> NumberSummary:
    """What the numbers of a file are, block by block."""
    summary = NumberSummary.empty(reader.dtype)
    for a, b in zip(reader.boundaries[:-1], reader.boundaries[1:], strict=True):
        summary = summary.updated(reader.read(int(a), int(b)))
    return summary
