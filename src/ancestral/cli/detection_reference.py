"""Calibration of a run's scores: on rows that it kept from training, and remembered."""

from __future__ import annotations

import hashlib
import json
import os
import time
import zipfile
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from ancestral.applications.detection import Detector, Mutated, Statistics
from ancestral.cli.data_choice import DataChoice
from ancestral.cli.opened import OpenedRun, random_rows
from ancestral.cli.progress import row_bar
from ancestral.core import OptionError, RunError
from ancestral.data import Source

__all__ = ["CalibrationChoice", "calibrated", "train_background"]

_FILE = "detection.npz"
_SLOW = 5.0  # seconds from which on the numbers are worth a file
_KIND, _KEY, _USUAL, _BACKGROUND_KIND = "kind", "key", "usual", "background_kind"
_OTHERS = (_KIND, _KEY, _USUAL, _BACKGROUND_KIND)


@dataclass(frozen=True)
class CalibrationChoice:
    """Which rows, and how they are looked at.

    Args:
        rows: of the validation split at most, at random.
        samples: of q for each row, where log p is a bound.
        seed: of the samples.
    """

    rows: int = 5000
    samples: int = 16
    seed: int = 0

    def __post_init__(self) -> None:
        if self.samples < 1:
            raise OptionError(f"expected at least 1 sample, got {self.samples}")
        if self.rows < 10:
            raise OptionError(f"expected at least 10 calibration rows, got {self.rows}")


def calibrated(
    opened: OpenedRun,
    choice: CalibrationChoice,
    background: OpenedRun | None,
    data_dir: Path | None,
) -> Detector:
    """The detector of a run, from `detection.npz` in its folder if that is of this very model.

    The file is written where the work took long, and never trusted if the run's weights or
    configuration, the choice, or the background have changed since.

    Raises:
        RunError: the run's data have no validation split.
    """
    path = opened.folder / _FILE
    key = _key(opened, choice, background, data_dir)
    known = _remembered(path, key)
    if known is None:
        source = random_rows(_kept_rows(opened, data_dir), choice.rows)
        began = time.monotonic()
        with row_bar("calibrating", len(source)) as on_rows:
            known = opened.estimator.statistics(
                source,
                background=None if background is None else background.estimator,
                num_samples=choice.samples,
                seed=choice.seed,
                on_rows=on_rows,
            )
        if time.monotonic() - began > _SLOW:
            _remember(path, key, known)
    return Detector(known, opened.config.spec)


def train_background(
    opened: OpenedRun,
    folder: Path,
    *,
    rate: float,
    minutes: float,
    overwrite: bool,
    data_dir: Path | None,
    reporter: Any,
) -> None:
    """Train the run's recipe on its data with cells replaced, into a run folder of its own."""
    from ancestral.recipes import build

    config = opened.config
    data = opened.data(None, data_dir)
    training = config.training.to_dict() | {"max_minutes": minutes}
    estimator = build(
        config.recipe, device=opened.estimator.device, **{**config.options, **training}
    )
    valid = data.splits.get("valid")
    estimator.fit(
        Mutated(data.train, rate),
        validation=None if valid is None else Mutated(valid, rate, stream=1),
        folder=folder,
        overwrite=overwrite,
        reporter=reporter,
        provenance=config.data | {"mutation_rate": rate},
    )


def _kept_rows(opened: OpenedRun, data_dir: Path | None) -> Source:
    data = opened.data(None, data_dir)
    if "valid" not in data.splits or len(data.valid) == 0:
        raise RunError(
            f"the data of {opened.folder} have no validation split to calibrate on",
            hint="fit again with some rows kept for validation",
        )
    return data.valid


def _key(
    opened: OpenedRun,
    choice: CalibrationChoice,
    background: OpenedRun | None,
    data_dir: Path | None,
) -> str:
    """What the numbers rest on: the models' weights and configurations, and the choice."""
    parts = {
        "run": _fingerprint(opened.folder),
        "background": None if background is None else _fingerprint(background.folder),
        "choice": asdict(choice),
        "data_dir": data_dir and str(data_dir.absolute()),
        "data": _state(DataChoice.from_dict(opened.config.data).name),
        "format": 2,
    }
    return json.dumps(parts, sort_keys=True)


def _fingerprint(folder: Path) -> str:
    digest = hashlib.sha256()
    for name in ("config.json", "model.safetensors"):
        with (folder / name).open("rb") as file:
            while block := file.read(1 << 20):
                digest.update(block)
    return digest.hexdigest()


def _state(name: str) -> list[int] | str | None:
    """Size and time of a file of data, or a hash of those of all files in a folder.

    They may be other ones by now.
    """
    path = Path(name)
    if path.is_file():
        stat = path.stat()
        return [stat.st_size, stat.st_mtime_ns]
    if not path.is_dir():
        return None
    digest = hashlib.sha256()
    for file in sorted(path.rglob("*")):
        stat = file.stat()
        line = f"{file.relative_to(path)}\0{stat.st_size}\0{stat.st_mtime_ns}\n"
        digest.update(line.encode("utf-8", "surrogateescape"))
    return digest.hexdigest()


def _remembered(path: Path, key: str) -> Statistics | None:
    try:
        with np.load(path, allow_pickle=False) as file:
            if str(file[_KEY]) != key:
                return None
            columns = {n: file[n] for n in file.files if n not in _OTHERS}
            usual = file[_USUAL] if _USUAL in file.files else None
            behind = str(file[_BACKGROUND_KIND]) if _BACKGROUND_KIND in file.files else None
            return Statistics(columns, str(file[_KIND]), usual, behind)  # type: ignore[arg-type]
    except (OSError, ValueError, KeyError, zipfile.BadZipFile, EOFError):
        return None  # absent or damaged: made anew


def _remember(path: Path, key: str, statistics: Statistics) -> None:
    arrays: dict[str, Any] = {**statistics.columns, _KEY: key, _KIND: statistics.kind}
    if statistics.usual is not None:
        arrays[_USUAL] = statistics.usual
    if statistics.background_kind is not None:
        arrays[_BACKGROUND_KIND] = statistics.background_kind
    temporary = path.with_suffix(f".{os.getpid()}.tmp")
    try:
        with temporary.open("wb") as file:
            np.savez_compressed(file, **arrays)
        os.replace(temporary, path)
    except OSError:
        temporary.unlink(missing_ok=True)  # a folder that cannot be written to: work is repeated
