"""Arrays: numbers of any type and shape, and `.npy` files of them."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
from torch import Tensor

from ancestral.applications.compression.documents.document import Document, Reading, as_symbols
from ancestral.applications.compression.gaps import Gaps, gaps_of
from ancestral.applications.compression.grids import Floats, Grid, Grids, Whole, grid_of
from ancestral.core import DataError, Kind, Specification

__all__ = ["array_document", "restore_array", "restored_array"]

_CODES = (Kind.BINARY, Kind.CATEGORICAL)
_COLUMNS = 4096  # with grids of their own; larger rows, such as images, share one


def array_document(
    array: np.ndarray,
    spec: Specification,
    *,
    dequantized: bool = False,
    context: Tensor | None = None,
    file: bytes | None = None,
    remark: str = "",
) -> Document:
    """An array whose rows a model knows.

    Args:
        array: [rows, *shape] of any numeric type; NaN where a cell is missing.
        spec: what a row is for the model.
        dequantized: whether the model was trained on whole numbers with noise from 0 to 1.
        context: [rows, context_size] that the rows are given.
        file: bytes of a `.npy` file, whose end is the array, to be restored rather than it.
        remark: for a person.

    Raises:
        DataError: the array is of a type that is not coded.
    """
    if array.dtype.kind not in "biuf" or array.dtype.itemsize > 8:
        raise DataError(
            f"expected an array of whole or floating-point numbers, got {array.dtype}",
            hint="convert it with .astype",
        )
    values = array.astype(array.dtype.newbyteorder("="), copy=False)
    values = values.reshape(len(array), *spec.shape)
    is_float = values.dtype.kind == "f"
    gaps = np.isnan(values) if is_float else np.zeros(values.shape, dtype=bool)
    zeros = np.signbit(values) & (values == 0) if is_float else np.zeros_like(gaps)
    odd = ""
    if gaps.any():
        # the bits of a NaN may say something to someone: those that are not the usual one are kept
        usual = np.full(1, np.nan, values.dtype).tobytes()
        odd = "" if all(v.tobytes() == usual for v in values[gaps]) else "bits"
    plain = np.where(zeros, np.zeros((), values.dtype), values) if zeros.any() else values
    cells = [_kind_of(spec, cell) for cell in range(spec.num_dims)]
    if set(cells) <= set(_CODES):
        symbols = np.nan_to_num(plain).astype(np.int64)
        grids = Grids()
    elif spec.columns is None and (spec.num_dims > _COLUMNS or len(spec.shape) > 1):
        symbols, grid = _on_grid(plain, gaps, cells[0], spec.num_levels, dequantized)
        grids = Grids((grid,))
    else:
        flat, holes = plain.reshape(len(plain), -1), gaps.reshape(len(plain), -1)
        parts = [
            _on_grid(flat[:, c], holes[:, c], cells[c], _levels_of(spec, c), dequantized)
            for c in range(spec.num_dims)
        ]
        symbols = np.stack([part for part, _ in parts], 1).reshape(values.shape)
        found = tuple(grid for _, grid in parts)
        grids = Grids(found if len(set(found)) > 1 else found[:1])
    missing = gaps_of(symbols, ~gaps)
    content = np.ascontiguousarray(array).tobytes()
    head = b""
    if file is not None:
        head, content = file[: len(file) - array.nbytes], file
    details = {
        "dtype": array.dtype.str,
        "shape": list(array.shape),
        "order": "F" if file is not None and _is_fortran(array) else "C",
        "file": file is not None,
    }
    side = (
        head,
        values[gaps].tobytes() if odd else b"",
        np.flatnonzero(zeros).astype("<i8").tobytes(),
    )
    return Document(
        "array",
        content,
        as_symbols(symbols),
        grids,
        details,
        side,
        context=context,
        rival=_packed(symbols, cells, array),
        pixels=_pixels(symbols, spec),
        remark=remark,
        gaps=missing,
    )


def restore_array(
    details: dict[str, Any],
    side: list[bytes],
    symbols: np.ndarray,
    grids: Grids,
    reading: Reading,
    gaps: Gaps | None = None,
) -> bytes:
    """The bytes of the array, or of its file."""
    del reading
    head, odd, zeros = side
    dtype = np.dtype(details["dtype"])
    values = _numbers(symbols, grids, dtype)
    flat = values.reshape(-1)
    flat[np.frombuffer(zeros, "<i8")] = -0.0 if zeros else 0
    if gaps is not None:
        flat[~gaps.seen] = np.frombuffer(odd, dtype.newbyteorder("=")) if odd else np.nan
    array = flat.reshape(details["shape"])
    return head + array.tobytes(order=details["order"])


def restored_array(details: dict[str, Any], content: bytes) -> np.ndarray:
    """The array of restored bytes."""
    import io

    if details["file"]:
        return np.load(io.BytesIO(content), allow_pickle=False)
    return np.frombuffer(content, np.dtype(details["dtype"])).reshape(details["shape"]).copy()


def _kind_of(spec: Specification, cell: int) -> Kind:
    kind = spec.kind if spec.columns is None else spec.columns[cell].kind
    assert kind is not None
    return kind


def _levels_of(spec: Specification, cell: int) -> int | None:
    return spec.num_levels if spec.columns is None else spec.columns[cell].num_levels


def _on_grid(
    values: np.ndarray,
    gaps: np.ndarray,
    kind: Kind,
    num_levels: int | None,
    dequantized: bool,  # noqa: FBT001
) -> tuple[np.ndarray, Grid | None]:
    """Symbols of the shape of the values, and their grid."""
    seen = values[~gaps]
    if kind.is_discrete:
        symbols = np.nan_to_num(values).astype(np.int64)
        if kind in _CODES:
            return symbols, None
        top = max((num_levels or 1) - 1, int(symbols.max(initial=0)))
        return symbols, Whole(0, top)
    grid, found = grid_of(seen)
    if isinstance(grid, Whole) and dequantized:
        grid = replace(grid, dequantized=True)
    symbols = np.zeros(values.shape, dtype=np.int64)
    symbols[~gaps] = found
    return symbols, grid


def _numbers(symbols: np.ndarray, grids: Grids, dtype: np.dtype) -> np.ndarray:
    """Values of symbols in the array's own type."""
    if len(grids.cells) <= 1:
        return _in_type(symbols, grids.of(0), dtype)
    flat = symbols.reshape(len(symbols), -1)
    columns = [_in_type(flat[:, c], grids.of(c), dtype) for c in range(flat.shape[1])]
    return np.stack(columns, 1) if columns else flat.astype(dtype)


def _in_type(symbols: np.ndarray, grid: Grid | None, dtype: np.dtype) -> np.ndarray:
    if grid is None or isinstance(grid, Whole):
        return symbols.astype(dtype)  # whole numbers of 64 bits have no place in float64
    if isinstance(grid, Floats) or dtype.kind == "f":
        return grid.number(symbols).astype(dtype)
    return np.rint(grid.number(symbols)).astype(dtype)


def _packed(symbols: np.ndarray, cells: list[Kind], array: np.ndarray) -> bytes:
    """The array as a compressor would like it best: a bit for each cell of two values."""
    if set(cells) == {Kind.BINARY}:
        return np.packbits(symbols.astype(bool)).tobytes()
    if all(kind.is_discrete for kind in cells) and symbols.size and int(symbols.max()) < 256:
        return symbols.astype(np.uint8).tobytes()
    return np.ascontiguousarray(array).tobytes()


def _pixels(symbols: np.ndarray, spec: Specification) -> np.ndarray | None:
    """The rows as pictures, if they are."""
    shape = spec.image_shape
    if (
        shape is None
        or spec.kind not in (Kind.BINARY, Kind.LEVELS)
        or (spec.num_levels or 2) > 256
    ):
        return None
    return symbols.astype(np.uint8).reshape(-1, *(shape if shape[2] > 1 else shape[:2]))


def _is_fortran(array: np.ndarray) -> bool:
    return array.flags.f_contiguous and not array.flags.c_contiguous
