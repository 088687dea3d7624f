"""`.parquet`: a table, read whole."""

from __future__ import annotations

from pathlib import Path

from ancestral.data.loaders.csv import raw_from_frame
from ancestral.data.parquet import open_parquet
from ancestral.data.raw import Raw, ReadOptions

__all__ = ["read_parquet"]


def read_parquet(path: Path, options: ReadOptions) -> Raw:
    """All rows of a Parquet table."""
    frame = open_parquet(path).read().to_pandas()
    return raw_from_frame(frame, options, f"table {path.name}")
