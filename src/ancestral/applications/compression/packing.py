"""General-purpose compression: of what a model says nothing about, and as a yardstick."""

from __future__ import annotations

import bz2
import gzip
import io
import itertools
import lzma
import math
import struct
import zlib
from collections.abc import Callable, Sequence

import numpy as np

from ancestral.applications.compression.entropy import CorruptWords

__all__ = ["pack", "png_size", "rivals", "unpack"]

_BEST = {"id": lzma.FILTER_LZMA2, "preset": 9 | lzma.PRESET_EXTREME}
_LEAST_MEMORY, _MEMORY = 1 << 12, 1 << 26  # that LZMA looks back


def _memory(content: bytes) -> int:
    """What is worth looking back: more than that only takes time to set up."""
    return min(max(len(content), _LEAST_MEMORY), _MEMORY)


# without the checksums of their file formats: the container has its own
_METHODS: tuple[tuple[Callable[[bytes], bytes], Callable[[bytes], bytes]], ...] = (
    (bytes, bytes),
    (lambda b: zlib.compress(b, 9, -15), lambda b: zlib.decompress(b, -15)),
    (lambda b: bz2.compress(b, 9), bz2.decompress),
    (
        lambda b: lzma.compress(b, lzma.FORMAT_RAW, filters=[_BEST | {"dict_size": _memory(b)}]),
        lambda b: lzma.decompress(b, lzma.FORMAT_RAW, filters=[_BEST | {"dict_size": _MEMORY}]),
    ),
)


def pack(parts: Sequence[bytes]) -> bytes:
    """Some strings of bytes as one, by whichever of deflate, bzip2 and LZMA is shortest.

    Example:
        >>> unpack(pack([b"side", b"", b"information"]))
        [b'side', b'', b'information']
    """
    if not any(parts):
        return bytes([len(parts)])
    joined = struct.pack(f"<{len(parts)}Q", *map(len, parts)) + b"".join(parts)
    packed = [compress(joined) for compress, _ in _METHODS]
    shortest = min(range(len(packed)), key=lambda k: len(packed[k]))
    return bytes([len(parts), shortest]) + packed[shortest]


def unpack(packed: bytes) -> list[bytes]:
    """Undo `pack`.

    Raises:
        CorruptWords: the bytes are not what `pack` gives.
    """
    try:
        number = packed[0]
        if len(packed) == 1:
            return [b""] * number
        joined = _METHODS[packed[1]][1](packed[2:])
        sizes = struct.unpack(f"<{number}Q", joined[: 8 * number])
    except (IndexError, struct.error, zlib.error, OSError, EOFError, lzma.LZMAError, ValueError):
        raise CorruptWords("expected side information, got other bytes") from None
    ends = 8 * number + np.cumsum((0, *sizes))
    return [joined[a:b] for a, b in itertools.pairwise(ends.tolist())]


def rivals(content: bytes) -> dict[str, int]:
    """Bytes that gzip, bz2 and xz make of some, each at its best setting."""
    return {
        "gzip": len(gzip.compress(content, 9)),
        "bz2": len(bz2.compress(content, 9)),
        "xz": len(lzma.compress(content, preset=9 | lzma.PRESET_EXTREME)),
    }


def png_size(pixels: np.ndarray) -> int:
    """Bytes of all images as one PNG, side by side in a square.

    Args:
        pixels: [images, height, width] or [images, height, width, 3] uint8; of two levels 0 and 1
            a bit a pixel is written.
    """
    from PIL import Image

    across = math.ceil(math.sqrt(len(pixels)))
    filling = np.zeros((-len(pixels) % across, *pixels.shape[1:]), pixels.dtype)
    grid = np.concatenate((pixels, filling)).reshape(-1, across, *pixels.shape[1:])
    sheet = np.ascontiguousarray(grid.swapaxes(1, 2)).reshape(
        -1, across * pixels.shape[2], *pixels.shape[3:]
    )
    is_binary = sheet.ndim == 2 and int(sheet.max(initial=0)) <= 1
    image = Image.fromarray(sheet * 255).convert("1") if is_binary else Image.fromarray(sheet)
    file = io.BytesIO()
    image.save(file, "png", optimize=True)
    return len(file.getvalue())
