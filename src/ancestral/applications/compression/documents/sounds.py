"""Sounds: the mu-law codes that a model knows, and what they leave of each sample beside them.

A model of sound knows 256 levels of a sample, wide where it is loud. The file comes back byte for
byte all the same: which of the samples of a level it was is coded evenly, since within a level
they are about equally likely.
"""

from __future__ import annotations

import io
import json
import zipfile
import zlib
from functools import cache
from typing import Any

import numpy as np

from ancestral.applications.compression.documents.document import Document, Reading, as_symbols
from ancestral.applications.compression.documents.waves import Wave, wave_of
from ancestral.applications.compression.entropy import TOTAL, WordStack
from ancestral.applications.compression.gaps import Gaps
from ancestral.applications.compression.grids import Grids
from ancestral.core import DataError, ShapeError
from ancestral.data.loaders.sound import NUM_LEVELS, mu_law

__all__ = ["restore_sound", "sound_document"]

_AT_ONCE = 1 << 14  # samples of one level


def sound_document(
    content: bytes, reading: Reading, name: str, sample_rate: int | None, *, is_running: bool
) -> Document:
    """A `.wav` file, or a `.zip` of them.

    Args:
        content: of the file.
        reading: of the run.
        name: of the file, for messages.
        sample_rate: of the sounds that the run knows; None if it does not say.
        is_running: whether the model takes a sequence of any length, rather than frames.

    Raises:
        DataError: it is no such file, or of another sample rate.
    """
    zipped = content[:2] == b"PK"
    skeleton, waves, recipe = _unzipped(content, name) if zipped else _alone(content, name)
    for wave in waves:
        if None not in (sample_rate, wave.rate) and wave.rate != sample_rate:
            raise DataError(
                f"expected sounds of {sample_rate} Hz, as the run was trained on, got "
                f"{wave.rate} Hz",
                hint=f"resample them to {sample_rate} Hz first",
            )
    codes = np.concatenate([_levels(wave.width)[wave.places] for wave in waves])
    steps = [_step(wave) for wave in waves]
    words = _coded_rest(waves, steps)
    tail = np.zeros(0, dtype=np.uint8)
    symbols = codes
    if not is_running:
        length = reading.spec.shape[0]
        number = len(codes) // length
        if number == 0:
            raise ShapeError(
                f"expected a sound of at least {length} samples, got {len(codes)}",
                hint="such a run codes whole frames; a wavenet takes any length",
            )
        symbols, tail = codes[: number * length].reshape(number, length), codes[number * length :]
        tail = tail.astype(np.uint8)
    details = {"width": waves[0].width}
    side = (json.dumps([recipe, steps]).encode(), skeleton, words.tobytes(), tail.tobytes())
    bits = 32 * len(words) / len(codes)
    remark = (
        f"the model knows the mu-law codes of the samples; the rest of them, {bits:.2f} bits a "
        "sample, is stored beside, so that the file comes back byte for byte"
    )
    return Document(
        "sound",
        content,
        as_symbols(symbols),
        details=details,
        side=side,
        is_running=is_running,
        remark=remark,
    )


def restore_sound(
    details: dict[str, Any],
    side: list[bytes],
    symbols: np.ndarray,
    grids: Grids,
    reading: Reading,
    gaps: Gaps | None = None,
) -> bytes:
    """The bytes of the file."""
    del grids, reading, gaps
    packed, skeleton, words, tail = side
    recipe, steps = json.loads(packed)
    codes = np.concatenate((symbols.ravel(), np.frombuffer(tail, np.uint8).astype(np.int64)))
    numbers = [sound[5] for sound in recipe]
    rest = np.frombuffer(words, np.uint32)
    places = _with_rest(codes, numbers, steps, details["width"], rest)
    parts, at, start = [], 0, 0
    for offset, level, memory, head, end, number, channels in recipe:
        wave = Wave(details["width"], channels, None, places[start : start + number])
        inside = bytes.fromhex(head) + wave.data + bytes.fromhex(end)
        parts += [skeleton[at:offset], _deflated(inside, level, memory)]
        at, start = offset, start + number
    return b"".join((*parts, skeleton[at:]))


@cache
def _levels(width: int) -> np.ndarray:
    """The code of every sample of so many bytes, from the least sample on; it never falls."""
    half = 1 << (8 * width - 1)
    codes = mu_law(np.arange(-half, half) / half).astype(np.int64)
    assert (np.diff(codes) >= 0).all()
    return codes


@cache
def _ranges(width: int, step: int) -> tuple[np.ndarray, np.ndarray]:
    """Of each code the first sample, in steps from silence, and how many have it."""
    half = 1 << (8 * width - 1)
    samples = np.arange(-half, half)
    codes = _levels(width)[samples % step == 0]
    first = samples[samples % step == 0][0] // step
    return first + np.searchsorted(codes, np.arange(NUM_LEVELS)), np.bincount(
        codes, minlength=NUM_LEVELS
    )


def _step(wave: Wave) -> int:
    """What divides all samples: 256, for one, where a sound of 8 bits was written in 16."""
    half = 1 << (8 * wave.width - 1)
    return max(1, int(np.gcd.reduce(np.unique(wave.places) - half)))


def _coded_rest(waves: list[Wave], steps: list[int]) -> np.ndarray:
    """Which sample of its level each one is, level by level."""
    width = waves[0].width
    stack = WordStack()
    for step in sorted(set(steps), reverse=True):
        own = [wave.places for wave, s in zip(waves, steps, strict=True) if s == step]
        places = np.concatenate(own)
        codes = _levels(width)[places]
        first, sizes = _ranges(width, step)
        rest = (places - (1 << (8 * width - 1))) // step - first[codes]
        for code in reversed(np.unique(codes).tolist()):
            size = int(sizes[code])
            if size > 1:
                own_rest = rest[codes == code]
                start = own_rest * TOTAL // size
                stack.push_intervals(start, (own_rest + 1) * TOTAL // size - start)
    return stack.words


def _with_rest(
    codes: np.ndarray, numbers: list[int], steps: list[int], width: int, words: np.ndarray
) -> np.ndarray:
    """Undo `_coded_rest`: places of the samples of all sounds, one after the other.

    Args:
        codes: of all sounds.
        numbers: of samples, of each sound.
        steps: of each sound.
        width: bytes of a sample.
        words: as they were coded.
    """
    each = np.repeat(steps, numbers)
    places = np.zeros(len(codes), dtype=np.int64)
    stack = WordStack(words)
    for step in sorted(set(steps)):
        first, sizes = _ranges(width, step)
        own = np.flatnonzero(each == step)
        for code in np.unique(codes[own]).tolist():
            where, size = own[codes[own] == code], int(sizes[code])
            found = np.zeros(len(where), dtype=np.int64)
            if size > 1:
                table = np.diff(np.arange(size + 1, dtype=np.int64) * TOTAL // size)
                for at in range(0, len(where), _AT_ONCE):
                    number = len(where[at : at + _AT_ONCE])
                    found[at : at + number] = stack.pop(np.broadcast_to(table, (number, size)))
            places[where] = (first[code] + found) * step + (1 << (8 * width - 1))
    return places


_Recipe = list[tuple[int, int, int, str, str, int, int]]
"""Of each sound: where it goes in the skeleton, how it is deflated, what surrounds its samples,
how many there are, and of how many channels."""


def _alone(content: bytes, name: str) -> tuple[bytes, list[Wave], _Recipe]:
    head, wave, end = wave_of(content, name)
    recipe = [(0, -1, 0, head.hex(), end.hex(), len(wave.places), wave.channels)]
    return b"", [wave], recipe


def _unzipped(content: bytes, name: str) -> tuple[bytes, list[Wave], _Recipe]:
    """The archive without its sounds, and these.

    A sound that was deflated in a way that zlib does not repeat, or that is no plain sound, stays
    in the archive as it is.
    """
    try:
        archive = zipfile.ZipFile(io.BytesIO(content))
        members = [
            (member, archive.read(member))
            for member in sorted(archive.infolist(), key=lambda m: m.header_offset)
            if member.filename.lower().endswith(".wav")
        ]
    except (zipfile.BadZipFile, RuntimeError, NotImplementedError, zlib.error) as error:
        raise DataError(
            f"expected a zip archive of sounds, got: {error} ({name})",
            hint="copy or download the file again",
        ) from None
    skeleton, waves, recipe, at, removed = [], [], [], 0, 0
    refused: DataError | None = None
    for member, inside in members:
        begin = _begin(content, member.header_offset)
        raw = content[begin : begin + member.compress_size]
        way = _way(inside, raw)
        try:
            head, wave, end = wave_of(inside, f"{member.filename} of {name}")
        except DataError as error:
            refused = refused or error
            continue
        if way is None or (waves and wave.width != waves[0].width):
            continue
        skeleton.append(content[at:begin])
        where = begin - removed
        number = len(wave.places)
        recipe.append((where, *way, head.hex(), end.hex(), number, wave.channels))
        waves.append(wave)
        at, removed = begin + len(raw), removed + len(raw)
    if not waves and refused is not None:
        raise refused
    if not waves:
        raise DataError(
            f"expected .wav files in {name} that can be packed again as they were, got none",
            hint="unpack the archive, and compress the sounds",
        )
    return b"".join((*skeleton, content[at:])), waves, recipe


def _begin(content: bytes, header: int) -> int:
    """Where the bytes of a member begin, after its local header."""
    name, extra = (
        int.from_bytes(content[header + k : header + k + 2], "little") for k in (26, 28)
    )
    return header + 30 + name + extra


def _way(inside: bytes, raw: bytes) -> tuple[int, int] | None:
    """Level and memory of the deflation that makes `raw`; -1 for none; None if it is not found."""
    if raw == inside:
        return -1, 0
    for level in (6, 9, 1, 5, 4, 7, 8, 3, 2):
        for memory in (8, 9):
            if _deflated(inside, level, memory) == raw:
                return level, memory
    return None


def _deflated(inside: bytes, level: int, memory: int) -> bytes:
    if level < 0:
        return inside
    deflate = zlib.compressobj(level, zlib.DEFLATED, -15, memory)
    return deflate.compress(inside) + deflate.flush()
