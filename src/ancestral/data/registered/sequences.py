"""Music, sound and time series."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from pathlib import PurePosixPath

import numpy as np

from ancestral.core.specification import Kind
from ancestral.data.download import Download
from ancestral.data.loaders.csv import read_csv
from ancestral.data.loaders.npz import load_arrays, raw_from_arrays
from ancestral.data.loaders.sound import DEFAULT_LENGTH, NUM_LEVELS, frames, read_sounds
from ancestral.data.raw import Raw, ReadOptions, Rows
from ancestral.data.registered.row import Finder, RegisteredSet

__all__ = ["ROWS"]

_MOST_TEST_INDEX = 4  # recordings 0 to 4 of each speaker and digit test: the official rule
_VALID_INDEX = 14


def _music(find: Finder, options: ReadOptions, *, file: str, title: str) -> Raw:
    arrays = load_arrays(find(f"music/{file}.npz"))
    lengths = {part: arrays[f"{part}_lengths"] for part in ("train", "valid", "test")}
    raw = raw_from_arrays(arrays, title)
    note = "rows are time steps of 88 keys, pieces end to end (`lengths`); the papers' split"
    return replace(raw, kind=Kind.BINARY, lengths=lengths, provenance=f"{title}; {note}")


def _nile(find: Finder, options: ReadOptions) -> Raw:
    frame = read_csv(find("timeseries/nile.csv"), ReadOptions()).parts["all"].values
    flow = frame["value"].to_numpy(dtype=np.float64)
    note = "yearly flow of the Nile at Aswan, 1871-1970, 1e8 cubic metres: one series, no split"
    return Raw({"train": Rows(flow.reshape(1, -1, 1))}, Kind.REAL, provenance=note)


def _spoken_digits(find: Finder, options: ReadOptions) -> Raw:
    recordings = read_sounds(find("audio/fsdd_subset.zip"))
    length = options.length or DEFAULT_LENGTH
    parts = {}
    names = [PurePosixPath(r.name).stem.split("_") for r in recordings]
    for part in ("train", "valid", "test"):
        numbers = [k for k, (_, _, index) in enumerate(names) if _part_of(int(index)) == part]
        values, owners = frames([recordings[k] for k in numbers], length)
        digits = np.array([int(names[k][0]) for k in numbers], dtype=np.int64)
        parts[part] = Rows(values, digits[owners])
    rate = recordings[0].sample_rate
    note = (
        f"300 recordings of two speakers, {rate} Hz, mu-law codes in frames of {length} samples; "
        "recordings 0-4 test (the official rule), 14 validates, the others train"
    )
    return Raw(parts, Kind.LEVELS, NUM_LEVELS, provenance=note, sample_rate=rate)


def _part_of(index: int) -> str:
    if index <= _MOST_TEST_INDEX:
        return "test"
    return "valid" if index == _VALID_INDEX else "train"


_BOULANGER = "Modeling temporal dependencies in high-dimensional sequences"
_POLYPHONIC = f"{_BOULANGER} (Boulanger-Lewandowski et al., 2012)"

ROWS: dict[str, RegisteredSet] = {
    "jsb": RegisteredSet(
        "chorales of J. S. Bach, 88 keys a time step",
        _POLYPHONIC,
        partial(_music, file="jsb_chorales", title="JSB chorales"),
    ),
    "piano-midi": RegisteredSet(
        "classical piano music, 88 keys a time step",
        _POLYPHONIC,
        partial(_music, file="piano_midi", title="Piano-midi.de"),
    ),
    "musedata": RegisteredSet(
        "orchestral and piano music, 88 keys a time step",
        _POLYPHONIC,
        partial(_music, file="musedata", title="MuseData"),
    ),
    "nile": RegisteredSet(
        "yearly flow of the Nile, 100 years: one series",
        "Time series analysis by state space methods (Durbin & Koopman, 2012)",
        _nile,
        downloads=(
            Download(
                "https://raw.githubusercontent.com/vincentarelbundock/Rdatasets/"
                "1dcc2bf5f955cc1224a3e1307256e1fe86b68dae/csv/datasets/Nile.csv",
                "d0452bea38c61e796a4eeb950bf91d20fb5c7f13d5822eadf5990fe54f9c8d07",
                "timeseries/nile.csv",
            ),
        ),
    ),
    "fsdd": RegisteredSet(
        "spoken digits of two speakers, 8 kHz",
        "Free Spoken Digit Dataset (Jackson et al., 2018), CC BY-SA 4.0",
        _spoken_digits,
    ),
}
