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
    Real numbers are written out in decimals of seven digits, other cells as bytes. What every
    file begins with counts alike for all rows, and so does not matter to a comparison.

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
    whole = np.isfinite(x).all()
    if is_image and whole and (spec.num_levels or 2) <= 256:
        height, width, channels = spec.image_shape  # type: ignore[misc]
        pixels = np.ascontiguousarray(x.astype(np.uint8).reshape(len(x), height, width, channels))
        shortest = _shortest_picture(spec)
        lengths = [shortest(picture) for picture in pixels]
    else:
        lengths = [_shortest(data) for data in _written(x, spec)]
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


def _written(x: np.ndarray, spec: Specification) -> list[bytes]:
    """Each row as bytes: codes where all cells are codes, decimals elsewhere."""
    flat = x.reshape(len(x), -1)
    coded = {Kind.BINARY, Kind.CATEGORICAL, Kind.LEVELS}
    if spec.kinds <= coded and np.isfinite(flat).all():
        size = np.uint8 if flat.max(initial=0) < 256 else np.uint32
        return [row.tobytes() for row in flat.astype(size)]
    return [",".join(_DIGITS % value for value in row).encode() for row in flat.tolist()]
