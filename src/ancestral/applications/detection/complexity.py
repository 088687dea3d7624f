"""How many bits a datum takes by itself: the length of its smallest lossless file."""

from __future__ import annotations

import bz2
import io
import lzma
import zlib
from collections.abc import Callable

import numpy as np
from PIL import Image

from ancestral.core import Kind, Specification

__all__ = ["complexity_bits"]

_LONG = 4096  # bytes from which on setting up the slower compressors pays
_DIGITS = "%.7g"


def complexity_bits(x: np.ndarray, spec: Specification) -> np.ndarray:
    r"""L(x) of each row in bits: the shortest of several lossless files that hold it.

    PNG for images of at most 256 levels; deflate, and bz2 and lzma where a row is over 4 kB long.
    Real numbers are written out in decimals of seven digits, other cells as bytes, with a code of
    its own where a cell is missing. What every file begins with counts alike for all rows, and
    so does not matter to a comparison. The length is a function of the row and of `spec`: the
    rows beside it do not matter.

    An upper bound on the Kolmogorov complexity of the row, up to a constant. About 0.1 ms for a
    picture of 28 x 28.

    Args:
        x: [rows, *shape]; NaN where a cell is missing.
        spec: what a row is.

    Returns:
        [rows].

    Source: Serra et al., *Input complexity and out-of-distribution detection with
    likelihood-based generative models*, 2020, sec. 3.1.

    Example:
        >>> spec = Specification(Kind.LEVELS, (28, 28), num_levels=256)
        >>> noise = np.random.default_rng(0).integers(0, 256, (28, 28))
        >>> flat, noisy = complexity_bits(np.stack([np.full((28, 28), 9), noise]), spec)
        >>> bool(flat < 800), bool(noisy == 28 * 28 * 8)
        (True, True)
    """
    is_image = spec.image_shape is not None and spec.kind in (Kind.BINARY, Kind.LEVELS)
    write = _writer(spec)
    if is_image and (spec.num_levels or 2) <= 256:
        height, width, channels = spec.image_shape  # type: ignore[misc]
        shortest = _shortest_picture(spec)

        def length(row: np.ndarray) -> int:
            if not np.isfinite(row).all():
                return _shortest(write(row))
            pixels = np.ascontiguousarray(row.astype(np.uint8).reshape(height, width, channels))
            return shortest(pixels)

        lengths = [length(row) for row in x]
    else:
        lengths = [_shortest(write(row)) for row in x]
    return 8.0 * np.array(lengths, dtype=np.float64)


def _shortest_picture(spec: Specification) -> Callable[[np.ndarray], int]:
    if spec.kind is Kind.BINARY:
        return lambda p: min(_png(p[..., 0] > 0), _shortest(np.packbits(p, axis=1).tobytes()))
    return lambda p: min(_png(p[..., 0] if p.shape[2] == 1 else p), _shortest(p.tobytes()))


def _png(pixels: np.ndarray) -> int:
    """Bytes of a PNG: of one bit a pixel where they are bool."""
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "PNG")
    return file.tell()


def _shortest(data: bytes) -> int:
    # deflate without the head and the checksum of zlib, which are longer than some rows
    deflate = zlib.compressobj(9, zlib.DEFLATED, -zlib.MAX_WBITS)
    shortest = len(deflate.compress(data)) + len(deflate.flush())
    if len(data) > _LONG:
        shortest = min(shortest, len(bz2.compress(data)), len(lzma.compress(data)))
    return min(shortest, len(data))


def _writer(spec: Specification) -> Callable[[np.ndarray], bytes]:
    """How a row becomes bytes: codes where all cells are codes, decimals elsewhere."""
    coded = {Kind.BINARY, Kind.CATEGORICAL, Kind.LEVELS}
    if not spec.kinds <= coded:
        return lambda row: ",".join(_DIGITS % v for v in row.ravel().tolist()).encode()
    levels = [spec.num_levels or 2, *(column.num_levels or 2 for column in spec.columns or ())]
    missing = max(levels)
    size = np.uint8 if missing < 256 else np.uint32
    return lambda row: np.where(np.isfinite(row), row, missing).astype(size).tobytes()
