"""`Container`: a compressed file, in which no bit can change without being noticed."""

from __future__ import annotations

import hashlib
import json
import struct
import zlib
from dataclasses import dataclass
from typing import Any

import numpy as np

from ancestral.core import DataError

__all__ = ["FORMAT_VERSION", "Container", "CorruptFile"]

FORMAT_VERSION = 2

_MAGIC = (
    b"\x89ANC\r\n"  # a first byte that no text has, and ends of lines that careless copies change
)
_FIXED = struct.Struct("<6sHQQQ16s")  # magic, version, sizes of three sections, digest

# what headers are made of, so that those of small files are small too: part of the format
_WORDS = (
    b'"Floats",,64],["Whole",,true],["Fractions",,100],["Fractions",,10],["Fractions",,1000],["Whole"'
    b'{"version":"0.1.0","form":"table","form":"text","form":"sound","form":"array","details":'
    b'{"dtype":"<f8","dtype":"<f4","dtype":"|u1","shape":[,28,28],"order":"C","file":true},"file":'
    b'false},"rows":10000,"running":false,"running":true,"grids":[],"batch":500,"seed":0,"context":'
    b'null,"recipe":"char_rnn","recipe":"ppca","recipe":"vae","recipe":"made","model":"",'
    b'"arithmetic":{"torch":"2.13.0+cpu","threads":2,"device":"cpu","dtype":"float64","dtype":'
    b'"float32","matmul":"highest","processor":"x86_64 AVX2","processor":"x86_64 AVX512","native":'
    b'true},"size":,"sha256":"'
)


class CorruptFile(DataError):
    """A compressed file that is damaged, of another version, or none at all."""


@dataclass(frozen=True)
class Container:
    """What a compressed file holds.

    Layout, little-endian: magic (6 bytes), version (2), sizes of header, side information and
    words in bytes (8 each), the first 16 bytes of the SHA-256 of all else; then the header, JSON
    deflated; the side information; the words.

    Args:
        header: numbers and names by which the words are to be read.
        side: what the model says nothing about, packed.
        words: [number] uint32.
    """

    header: dict[str, Any]
    side: bytes
    words: np.ndarray

    def to_bytes(self) -> bytes:
        """The file."""
        text = json.dumps(self.header, separators=(",", ":"), allow_nan=False)
        deflate = zlib.compressobj(9, zlib.DEFLATED, -15, 9, zlib.Z_DEFAULT_STRATEGY, _WORDS)
        header = deflate.compress(text.encode()) + deflate.flush()
        words = self.words.astype("<u4").tobytes()
        sizes = (len(header), len(self.side), len(words))
        body = header + self.side + words
        fixed = _FIXED.pack(_MAGIC, FORMAT_VERSION, *sizes, b"")
        return _FIXED.pack(_MAGIC, FORMAT_VERSION, *sizes, _digest(fixed, body)) + body

    @staticmethod
    def from_bytes(data: bytes) -> Container:
        """Read a file.

        Raises:
            CorruptFile: it is none, of another version, cut short, or some bit of it changed.
        """
        if data[:6] != _MAGIC[: len(data)] or not data:
            raise CorruptFile(
                "expected a file that `ancestral compress` wrote, got another or a damaged one",
                hint="its first bytes are not those of such a file",
            )
        if len(data) < _FIXED.size:
            raise CorruptFile(*_cut_short(_FIXED.size, len(data)), hint=_AGAIN)
        _, version, *sizes, digest = _FIXED.unpack_from(data)
        if version != FORMAT_VERSION:
            raise CorruptFile(
                f"expected a compressed file of format version {FORMAT_VERSION}, got {version}",
                hint="it was written by another version of ancestral, or is damaged",
            )
        body = data[_FIXED.size :]
        if len(body) < sum(sizes):
            raise CorruptFile(*_cut_short(_FIXED.size + sum(sizes), len(data)), hint=_AGAIN)
        fixed = _FIXED.pack(_MAGIC, version, *sizes, b"")
        if len(body) > sum(sizes) or _digest(fixed, body) != digest:
            raise CorruptFile(
                "expected a compressed file as it was written, got one that was changed: its "
                "checksum is not that of its content",
                hint=_AGAIN,
            )
        first, second = sizes[0], sizes[0] + sizes[1]
        try:
            header = json.loads(zlib.decompressobj(-15, _WORDS).decompress(body[:first]))
            words = np.frombuffer(body[second:], "<u4").astype(np.uint32)
        except (zlib.error, ValueError):
            raise CorruptFile("expected a header of JSON, got other bytes", hint=_AGAIN) from None
        return Container(header, body[first:second], words)


_AGAIN = "copy the file again from where it came from"


def _cut_short(expected: int, got: int) -> tuple[str]:
    return (
        f"expected a compressed file of at least {expected:,} bytes, got one cut off at {got:,}",
    )


def _digest(fixed: bytes, body: bytes) -> bytes:
    return hashlib.sha256(fixed + body).digest()[:16]
