"""`ParquetSource`: rows of a Parquet table that need not fit in memory."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ancestral.core.errors import DataError
from ancestral.core.specification import Column, Kind, Specification
from ancestral.data.streaming import StreamedSource
from ancestral.data.tables import encode_table, infer_table, take_label, without_columns

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["ParquetReader", "ParquetSource", "open_parquet"]

_MOST_GROUP_BYTES = 256 << 20
_MOST_KEPT = 256  # distinct values of a text column kept from each row group


class ParquetReader:
    """Reads row groups of a Parquet file as float64 cells, text as codes.

    Args:
        path: of the file.
        columns: of the table that the rows become.

    Raises:
        DataError: not a Parquet file, or a row group is too large to be read whole.
    """

    def __init__(self, path: str | Path, columns: Iterable[Column]) -> None:
        self._path = Path(path)
        self._columns = tuple(columns)
        file = open_parquet(self._path)
        groups = [file.metadata.row_group(k) for k in range(file.num_row_groups)]
        self.boundaries = np.cumsum([0, *(g.num_rows for g in groups)]).astype(np.int64)
        largest = int(np.diff(self.boundaries).max(initial=0)) * self.row_bytes
        if largest > _MOST_GROUP_BYTES:
            raise DataError(
                f"expected row groups of at most {_MOST_GROUP_BYTES >> 20} MB in {self._path}, "
                f"got {largest >> 20} MB, and a row group cannot be read in parts",
                hint="write the file again with row_group_size=65536",
            )

    @property
    def row_bytes(self) -> int:
        """Bytes of one row."""
        return 8 * len(self._columns)

    def read(self, start: int, stop: int) -> np.ndarray:
        """[stop - start, columns] float64, from the one row group that holds the rows."""
        group = int(np.searchsorted(self.boundaries, start, side="right")) - 1
        first = int(self.boundaries[group])
        names = [column.name for column in self._columns]
        table = open_parquet(self._path).read_row_group(group, columns=names, use_threads=False)
        frame = table.slice(start - first, stop - start).to_pandas(use_threads=False)
        return encode_table(frame, self._columns)


class ParquetSource(StreamedSource):
    """Rows of a Parquet table, streamed and shuffled in bounded memory.

    Row groups are the blocks: those of 10,000 to 100,000 rows shuffle well and read fast.

    Args:
        path: of a `.parquet` file.
        spec: what a row is; found by one pass through the file if None.
        label: a column to keep from models, for pictures.
        drop: columns to leave out.
        kinds: what some columns are, by name.
    """

    def __init__(
        self,
        path: str | Path,
        spec: Specification | None = None,
        *,
        label: str | None = None,
        drop: Iterable[str] = (),
        kinds: Mapping[str, Kind] | None = None,
        kind: Kind | None = None,
    ) -> None:
        labels, self.label_names = None, None
        if label is not None:
            frame = open_parquet(Path(path)).read(columns=[label]).to_pandas()
            _, labels, self.label_names = take_label(frame, label)
        if spec is None:
            digest = _digest(Path(path))
            digest, _, _ = take_label(without_columns(digest, drop), label)
            spec = infer_table(digest, kinds, kind)
        if spec.columns is None:
            raise DataError("expected a specification with columns for a table, got none")
        super().__init__(ParquetReader(path, spec.columns), spec, labels=labels)


def open_parquet(path: Path) -> Any:
    """A `pyarrow.parquet.ParquetFile`.

    Raises:
        DataError: pyarrow is not installed, or the file is damaged.
    """
    try:
        import pyarrow as arrow
        from pyarrow import parquet
    except ImportError as error:
        raise DataError(
            "expected pyarrow, which reads .parquet files, got no such package",
            hint="pip install 'ancestral[arrow]'",
        ) from error
    try:
        # Neither a map nor read-ahead: both count as memory of the process.
        return parquet.ParquetFile(path, memory_map=False, pre_buffer=False)
    except (arrow.ArrowInvalid, OSError) as error:
        raise DataError(f"expected a Parquet file, got a damaged one: {path}") from error


def _digest(path: Path) -> pd.DataFrame:
    """A small table with the same kinds, categories, gaps and extremes in every column."""
    import pandas as pd

    file = open_parquet(path)
    kept: dict[str, list[pd.Series]] = {}
    for group in range(file.num_row_groups):
        frame = file.read_row_group(group, use_threads=False).to_pandas(use_threads=False)
        for name in frame.columns:
            kept.setdefault(str(name), []).append(_telling(frame[name]))
    columns = {
        name: pd.concat(parts, ignore_index=True).drop_duplicates() for name, parts in kept.items()
    }
    # Each value at least twice, or text columns would look like names of rows.
    length = 2 * max((len(c) for c in columns.values()), default=0)
    return pd.DataFrame({name: list(_cycled(c, length)) for name, c in columns.items()})


def _telling(series: pd.Series) -> pd.Series:
    """The few values of a column that decide what it is."""
    import pandas as pd

    if isinstance(series.dtype, pd.CategoricalDtype):
        series = series.astype(object)
    if series.dtype.kind not in "iuf":
        return pd.Series(series.unique()[:_MOST_KEPT])
    values = series.to_numpy()
    present = values[~np.isnan(values)] if values.dtype.kind == "f" else values
    telling = [values[values != values][:1]]
    if len(present):
        fractions = present[present != np.floor(present)][:1]
        telling += [np.array([present.min(), present.max()]), fractions]
    return pd.Series(np.concatenate(telling))


def _cycled(column: pd.Series, length: int) -> Iterator[Any]:
    values = column.tolist()
    for position in range(length):
        yield values[position % len(values)]
