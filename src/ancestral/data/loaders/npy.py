"""`.npy`: one numpy array."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ancestral.core.errors import DataError
from ancestral.data.raw import Raw, ReadOptions, Rows

__all__ = ["NpyHeader", "read_npy", "read_npy_header"]


@dataclass(frozen=True)
class NpyHeader:
    """What a `.npy` file says of itself: `offset` is the byte at which the numbers begin."""

    shape: tuple[int, ...]
    dtype: np.dtype
    fortran_order: bool
    offset: int

    @property
    def num_rows(self) -> int:
        """Entries of the first axis."""
        return next(iter(self.shape))

    @property
    def num_bytes(self) -> int:
        """Of the numbers."""
        return int(np.prod(self.shape, dtype=np.int64)) * self.dtype.itemsize


def read_npy(path: Path, options: ReadOptions) -> Raw:
    """All rows of a `.npy` file."""
    options.refuse_columns(f"the array {path}")
    read_npy_header(path)
    return Raw({"all": Rows(np.load(path, allow_pickle=False))}, provenance=f"array {path.name}")


def read_npy_header(path: Path) -> NpyHeader:
    """The header, checked against the size of the file.

    Raises:
        DataError: not a `.npy` file, a pickle, a single number, or bytes are missing.
    """
    readers = {
        (1, 0): np.lib.format.read_array_header_1_0,
        (2, 0): np.lib.format.read_array_header_2_0,
    }
    with path.open("rb") as file:
        try:
            version = np.lib.format.read_magic(file)
            shape, fortran_order, dtype = readers[version](file)
        except (ValueError, KeyError, EOFError) as error:
            raise DataError(
                f"expected a .npy file, got something else: {path}",
                hint="write it with numpy.save",
            ) from error
        header = NpyHeader(shape, dtype, fortran_order, file.tell())
    if dtype.hasobject:
        raise DataError(
            f"expected an array of numbers in {path}, got Python objects, which are never read",
            hint="convert to float32 or an integer type before numpy.save",
        )
    if not shape:
        raise DataError(f"expected an array of rows in {path}, got a single number")
    got = path.stat().st_size - header.offset
    if got < header.num_bytes:
        raise DataError(
            f"expected {header.num_bytes} bytes of numbers in {path}, got {got}: it is cut short",
            hint="copy or download the file again",
        )
    return header
