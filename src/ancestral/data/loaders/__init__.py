"""One loader for each format, and which file is for which."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

from ancestral.core.errors import DataError
from ancestral.core.registry import nearest
from ancestral.data.loaders.csv import read_csv
from ancestral.data.loaders.h5ad import read_h5ad
from ancestral.data.loaders.idx import is_idx, read_idx
from ancestral.data.loaders.images import read_folder
from ancestral.data.loaders.npy import read_npy
from ancestral.data.loaders.npz import read_npz
from ancestral.data.loaders.parquet import read_parquet
from ancestral.data.loaders.sound import read_wav, read_zip
from ancestral.data.loaders.text import read_text
from ancestral.data.raw import Raw, ReadOptions

__all__ = ["LOADERS", "check_file", "read_path"]

LOADERS: dict[str, Callable[[Path, ReadOptions], Raw]] = {
    ".npy": read_npy,
    ".npz": read_npz,
    ".csv": read_csv,
    ".csv.gz": read_csv,
    ".tsv": read_csv,
    ".parquet": read_parquet,
    ".h5ad": read_h5ad,
    ".txt": read_text,
    ".wav": read_wav,
    ".zip": read_zip,
}


def read_path(path: Path, options: ReadOptions) -> Raw:
    """The rows of a file or folder, by the loader for its format.

    Raises:
        DataError: no such file, an empty one, an unknown format, or damaged content.
    """
    check_file(path)
    if not path.name.lower().endswith(".txt"):
        options.refuse_symbols(str(path))
    if path.is_dir():
        return read_folder(path, options)
    if is_idx(path):
        return read_idx(path, options)
    name = path.name.lower()
    suffix = next((s for s in sorted(LOADERS, key=len, reverse=True) if name.endswith(s)), None)
    if suffix is None:
        raise DataError(
            f"expected a file of a known format, got {path}",
            hint="known are: " + " ".join(LOADERS) + " idx(.gz), or a folder of pictures",
        )
    return LOADERS[suffix](path, options)


def check_file(path: Path) -> None:
    """Refuse a path that is not there, or has nothing in it."""
    if not path.exists():
        siblings = [p.name for p in path.parent.iterdir()] if path.parent.is_dir() else []
        hint = nearest(path.name, siblings) if siblings else f"there is no folder {path.parent}"
        raise DataError(
            f"expected a file or folder, got none: {path}", hint=hint if len(hint) < 300 else None
        )
    if not os.access(path, os.R_OK):
        raise DataError(f"expected permission to read {path}, got none")
    if path.is_file() and path.stat().st_size == 0:
        raise DataError(
            f"expected data in {path}, got an empty file", hint="write or download the file again"
        )
