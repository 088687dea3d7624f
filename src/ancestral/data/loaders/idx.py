"""MNIST's own format, `idx`, plain or gzipped."""

from __future__ import annotations

import gzip
import zlib
from pathlib import Path

import numpy as np

from ancestral.core.errors import DataError
from ancestral.data.raw import Raw, ReadOptions, Rows, coded_labels

__all__ = ["is_idx", "load_idx", "read_idx", "read_idx_folder"]

_TYPES = {0x08: ">u1", 0x09: ">i1", 0x0B: ">i2", 0x0C: ">i4", 0x0D: ">f4", 0x0E: ">f8"}


def is_idx(path: Path) -> bool:
    """Whether a file is called like MNIST's."""
    name = path.name.removesuffix(".gz")
    return name.endswith(("-ubyte", ".idx", ".idx1", ".idx3"))


def read_idx(path: Path, options: ReadOptions) -> Raw:
    """The images of an idx file, with the labels of its sister file if that lies beside it."""
    options.refuse_columns(f"the images {path}")
    values = load_idx(path)
    sister = _labels_of(path)
    labels = coded_labels(load_idx(sister))[0] if sister else None
    return Raw({"all": Rows(values, labels)}, provenance=f"idx file {path.name}")


def read_idx_folder(folder: Path, options: ReadOptions) -> Raw:
    """A folder with train-images-idx3-ubyte and t10k-images-idx3-ubyte, as MNIST has them."""
    options.refuse_columns(f"the images of {folder}")
    parts = {}
    for part, stem in (("train", "train"), ("test", "t10k")):
        found = sorted(folder.glob(f"{stem}-images-idx3-ubyte*"))
        if found:
            parts[part] = read_idx(found[0], options).parts["all"]
    if not parts:
        raise DataError(f"expected train-images-idx3-ubyte in {folder}, got none")
    return Raw(parts, provenance=f"idx files of {folder.name}, their own test set")


def load_idx(path: Path) -> np.ndarray:
    """The array of an idx file.

    Raises:
        DataError: another format, a damaged gzip, or bytes are missing or left over.
    """
    content = path.read_bytes()
    if content[:2] == b"\x1f\x8b" or path.suffix == ".gz":
        try:
            content = gzip.decompress(content)
        except (gzip.BadGzipFile, EOFError, zlib.error) as error:
            raise DataError(
                f"expected a gzip file, got a damaged one: {path}",
                hint="copy or download the file again",
            ) from error
    if len(content) < 4 or content[:2] != b"\0\0" or content[2] not in _TYPES:
        raise DataError(
            f"expected an idx file, which begins 00 00 08, got {content[:3].hex(' ')}: {path}"
        )
    num_axes = content[3]
    offset = 4 + 4 * num_axes
    if len(content) < offset or num_axes == 0:
        raise DataError(f"expected the sizes of {num_axes} axes in {path}, got {len(content)} B")
    shape = tuple(int(v) for v in np.frombuffer(content, ">u4", num_axes, 4))
    dtype = np.dtype(_TYPES[content[2]])
    expected = int(np.prod(shape, dtype=np.int64)) * dtype.itemsize
    if len(content) - offset != expected:
        raise DataError(
            f"expected {expected} bytes of data {list(shape)} in {path}, "
            f"got {len(content) - offset}",
            hint="copy or download the file again",
        )
    return (
        np.frombuffer(content, dtype, offset=offset).reshape(shape).astype(dtype.newbyteorder("="))
    )


def _labels_of(path: Path) -> Path | None:
    if "-images-idx3" not in path.name:
        return None
    name = path.name.replace("-images-idx3", "-labels-idx1")
    choices = (path.with_name(name), path.with_name(name.removesuffix(".gz")))
    return next((p for p in choices if p.exists()), None)
