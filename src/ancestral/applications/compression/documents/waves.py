"""`.wav` files: samples, and the bytes around them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ancestral.core import DataError

__all__ = ["Wave", "wave_of"]

_PCM, _EXTENSIBLE = 1, 0xFFFE
_ENDLESS = 0xFFFFFFFF


@dataclass(frozen=True)
class Wave:
    """Samples.

    Attributes:
        width: bytes of a sample, 1 or 2.
        channels: that were interleaved.
        rate: samples a second, or None.
        places: [samples] int64, one channel after the other; each sample less the least there is.
    """

    width: int
    channels: int
    rate: int | None
    places: np.ndarray

    @property
    def data(self) -> bytes:
        """The samples as in a file."""
        mixed = self.places.reshape(self.channels, -1).T.ravel()
        if self.width == 1:
            return mixed.astype(np.uint8).tobytes()
        return (mixed - (1 << 15)).astype("<i2").tobytes()


def wave_of(content: bytes, name: str) -> tuple[bytes, Wave, bytes]:
    """The samples of a file, and the bytes before and after them.

    Raises:
        DataError: it is no sound of plain samples of 8 or 16 bits.
    """
    if content[:4] != b"RIFF" or content[8:12] != b"WAVE":
        raise _refusal("a file of another format", name)
    at, form = 12, None
    while at + 8 <= len(content):
        kind, size = content[at : at + 4], int.from_bytes(content[at + 4 : at + 8], "little")
        begin = at + 8
        if kind == b"fmt ":
            if len(content) < begin + 16:
                raise _refusal(f"one cut off at {len(content)} bytes", name)
            tag, channels, rate, _, _, bits = np.frombuffer(
                content[begin : begin + 16], "<u2, <u2, <u4, <u4, <u2, <u2"
            )[0].tolist()
            form = (tag, channels, rate, bits)
        if kind == b"data":
            return _samples(content, begin, size, form, name)
        at = begin + size + size % 2
    raise _refusal("a file without samples", name)


def _samples(
    content: bytes, begin: int, size: int, form: tuple[int, int, int, int] | None, name: str
) -> tuple[bytes, Wave, bytes]:
    if form is None or form[0] not in (_PCM, _EXTENSIBLE) or form[3] not in (8, 16):
        raise _refusal("other samples" if form is None else f"samples of {form[3]} bits", name)
    _, channels, rate, bits = form
    width = bits // 8
    frame = width * channels
    if channels < 1:
        raise _refusal("one of no channels", name)
    if size == _ENDLESS:  # written as it was recorded, before anybody knew how long it would be
        size = len(content) - begin
    if begin + size > len(content):
        raise DataError(
            f"expected {size} bytes of sound in {name}, got {len(content) - begin}",
            hint="copy or download the file again",
        )
    end = begin + size // frame * frame
    if end == begin:
        raise DataError(f"expected samples in {name}, got none")
    data = content[begin:end]
    if width == 1:
        places = np.frombuffer(data, np.uint8).astype(np.int64)
    else:
        places = np.frombuffer(data, "<i2").astype(np.int64) + (1 << 15)
    lanes = places.reshape(-1, channels).T.ravel()
    return content[:begin], Wave(width, channels, rate, lanes), content[end:]


def _refusal(got: str, name: str) -> DataError:
    return DataError(
        f"expected a .wav file of plain samples (PCM) of 8 or 16 bits, got {got} ({name})",
        hint="convert it to 16-bit PCM",
    )
