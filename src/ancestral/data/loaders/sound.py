"""`.wav` and `.zip` of `.wav`: frames of mu-law codes."""

from __future__ import annotations

import io
import wave
import zipfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

import numpy as np

from ancestral.core.errors import DataError
from ancestral.core.specification import Kind
from ancestral.data.raw import Raw, ReadOptions, Rows, coded_labels

__all__ = [
    "Recording",
    "frames",
    "mu_law",
    "mu_law_inverse",
    "read_sounds",
    "read_wav",
    "read_zip",
]

DEFAULT_LENGTH = 1024
NUM_LEVELS = 256


@dataclass(frozen=True)
class Recording:
    """A sound: its name, [samples] float64 from -1 to 1, and samples per second."""

    name: str
    samples: np.ndarray
    sample_rate: int


def read_wav(path: Path, options: ReadOptions) -> Raw:
    """The frames of one recording, split in order."""
    options.refuse_columns(f"the sound {path}")
    recording = _decode(path.read_bytes(), path.name)
    return _raw([recording], None, options, f"sound {path.name}")


def read_zip(path: Path, options: ReadOptions) -> Raw:
    """The frames of all recordings in an archive; folders in it are classes."""
    options.refuse_columns(f"the sounds of {path}")
    recordings = read_sounds(path)
    classes = [str(PurePosixPath(r.name).parent) for r in recordings]
    labels = None if all(c == "." for c in classes) else np.array(classes)
    return _raw(recordings, labels, options, f"{len(recordings)} sounds of {path.name}")


def read_sounds(path: Path) -> list[Recording]:
    """All recordings in a zip archive, in order of name."""
    try:
        with zipfile.ZipFile(path) as archive:
            names = sorted(n for n in archive.namelist() if n.lower().endswith(".wav"))
            recordings = [_decode(archive.read(name), f"{name} of {path}") for name in names]
    except zipfile.BadZipFile as error:
        raise DataError(
            f"expected a zip archive, got a damaged one: {path}",
            hint="copy or download the file again",
        ) from error
    if not recordings:
        raise DataError(f"expected .wav files in {path}, got none")
    rates = sorted({r.sample_rate for r in recordings})
    if len(rates) > 1:
        raise DataError(
            f"expected sounds of one sample rate in {path}, got {rates[0]} and {rates[1]} Hz",
            hint="resample them to one rate first",
        )
    return [
        Recording(name, r.samples, r.sample_rate)
        for name, r in zip(names, recordings, strict=True)
    ]


def frames(recordings: Sequence[Recording], length: int) -> tuple[np.ndarray, np.ndarray]:
    """[frames, length] uint8 mu-law codes, and [frames] the number of each frame's recording.

    Samples that do not fill a recording's last frame are left out; a recording shorter than a
    frame is continued with silence.
    """
    values, owners = [], []
    for number, recording in enumerate(recordings):
        codes = mu_law(recording.samples)
        if len(codes) < length:
            codes = np.pad(codes, (0, length - len(codes)), constant_values=NUM_LEVELS // 2)
        num = len(codes) // length
        values.append(codes[: num * length].reshape(num, length))
        owners.append(np.full(num, number))
    return np.concatenate(values), np.concatenate(owners)


def mu_law(samples: np.ndarray) -> np.ndarray:
    """Samples from -1 to 1 as 256 codes, finer near silence (ITU-T G.711; WaveNet, section 2.2).

    Example:
        >>> mu_law(np.array([-1.0, 0.0, 1.0]))
        array([  0, 128, 255], dtype=uint8)
    """
    mu = NUM_LEVELS - 1
    squashed = np.sign(samples) * np.log1p(mu * np.abs(samples)) / np.log1p(mu)
    return np.floor((squashed + 1) / 2 * mu + 0.5).astype(np.uint8)


def mu_law_inverse(codes: np.ndarray) -> np.ndarray:
    """Codes as samples from -1 to 1."""
    mu = NUM_LEVELS - 1
    squashed = 2 * np.asarray(codes, dtype=np.float64) / mu - 1
    return np.sign(squashed) * np.expm1(np.abs(squashed) * np.log1p(mu)) / mu


def _raw(
    recordings: list[Recording], labels: np.ndarray | None, options: ReadOptions, text: str
) -> Raw:
    length = options.length or DEFAULT_LENGTH
    values, owners = frames(recordings, length)
    codes, names = (None, None) if labels is None else coded_labels(labels[owners])
    rate = recordings[0].sample_rate
    return Raw(
        {"all": Rows(values, codes)},
        kind=Kind.LEVELS,
        num_levels=NUM_LEVELS,
        provenance=f"{text}, {rate} Hz, mu-law codes in frames of {length} samples",
        groups=owners if len(recordings) >= 3 else None,
        in_order=len(recordings) < 3,
        label_names=names,
        sample_rate=rate,
    )


def _decode(content: bytes, what: str) -> Recording:
    try:
        with wave.open(io.BytesIO(content)) as sound:
            width, channels = sound.getsampwidth(), sound.getnchannels()
            rate, num, data = sound.getframerate(), sound.getnframes(), sound.readframes(-1)
    except (wave.Error, EOFError) as error:
        raise DataError(
            f"expected a .wav file of plain samples (PCM), got: {error or 'a damaged file'} "
            f"({what})",
            hint="convert it to 16-bit PCM",
        ) from error
    if len(data) != num * width * channels:
        raise DataError(
            f"expected {num * width * channels} bytes of sound in {what}, got {len(data)}",
            hint="copy or download the file again",
        )
    if num == 0:
        raise DataError(f"expected samples in {what}, got none")
    if width == 1:
        samples = np.frombuffer(data, np.uint8).astype(np.float64) - 128
    elif width in (2, 4):
        samples = np.frombuffer(data, f"<i{width}").astype(np.float64)
    else:
        raise DataError(f"expected 8, 16 or 32 bits a sample in {what}, got {8 * width}")
    mono = samples.reshape(-1, channels).mean(axis=1) / 2.0 ** (8 * width - 1)
    return Recording(what, mono, rate)
