"""Rows as files: arrays, tables, pictures, text, sound."""

from __future__ import annotations

import csv
import wave
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import torch

from ancestral.cli.data_choice import KeptText
from ancestral.cli.written_text import text_of
from ancestral.core import Batch, Column, Specification
from ancestral.data import Source, mu_law_inverse

__all__ = ["Content", "array_of", "cells_of", "labels_of", "save_arrays", "write_csv"]

_COLUMNS = 8
_SILENCE = 0.25  # seconds between sounds


@dataclass(frozen=True)
class Content:
    """Rows of data made by a model, which can be written in several formats.

    Args:
        spec: what a row is.
        text: what rows need to become text or sound.
    """

    spec: Specification
    text: KeptText = field(default_factory=KeptText)

    @property
    def formats(self) -> dict[str, Callable[[Path, np.ndarray], None]]:
        """Writers by suffix, of (path, [rows, *shape]); only those that make sense."""
        found: dict[str, Callable[[Path, np.ndarray], None]] = {
            ".npz": lambda path, rows: save_arrays(path, {"samples": rows}),
            ".npy": lambda path, rows: save_arrays(path, {"": rows}),
        }
        if self.spec.image_shape is not None:
            found[".png"] = self._write_grid
        if len(self.spec.shape) == 1:
            found[".csv"] = self.write_table
        if self.text.vocabulary is not None:
            found[".txt"] = self._write_text
        if self.text.sample_rate is not None:
            found[".wav"] = self._write_sound
        return found

    @property
    def formats_of_any_length(self) -> dict[str, Callable[[Path, np.ndarray], None]]:
        """The same, without those that need rows of the run's own shape."""
        fixed = (".png", ".csv")
        return {suffix: write for suffix, write in self.formats.items() if suffix not in fixed}

    def pixels(self, rows: np.ndarray) -> np.ndarray:
        """[rows, height, width, 3] from 0 to 1."""
        from ancestral.evaluation.image_pictures import Pixels

        x = torch.as_tensor(rows)
        seen = ~torch.isnan(x)
        filled = x.nan_to_num()
        return Pixels(self.spec, Batch(filled, seen))(filled, None if seen.all() else seen)

    def write_table(
        self, path: Path, rows: np.ndarray, leading: Mapping[str, Sequence[object]] | None = None
    ) -> None:
        """A csv file with the names of the columns, and with categories as text.

        Args:
            path: of the file.
            rows: [rows, columns].
            leading: columns to stand before those of the data, by name.
        """
        columns = self.spec.columns
        if columns is None:
            names = [f"column_{i + 1}" for i in range(self.spec.num_dims)]
            kind = self.spec.kind
            assert kind is not None
            columns = tuple(Column(name, kind, self.spec.num_levels) for name in names)
        cells = [cells_of(column, rows[:, i]) for i, column in enumerate(columns)]
        before = leading or {}
        names = [*before, *(column.name for column in columns)]
        write_csv(path, names, list(zip(*before.values(), *cells, strict=True)))

    def write_grids(self, path: Path, grids: Mapping[str, np.ndarray]) -> None:
        """A picture of grids of images, one beside the other, each under its name."""
        from ancestral.plots import image_grids, save

        num_rows = len(next(iter(grids.values())))
        columns = min(num_rows, max(_COLUMNS, round(num_rows**0.5)))
        figure = image_grids([(name, self.pixels(r)) for name, r in grids.items()], columns)
        save(figure, path)

    def _write_grid(self, path: Path, rows: np.ndarray) -> None:
        self.write_grids(path, {"samples": rows})

    def _write_text(self, path: Path, rows: np.ndarray) -> None:
        vocabulary = self.text.vocabulary
        assert vocabulary is not None
        path.write_text(text_of(rows, vocabulary, self.spec), encoding="utf-8")

    def _write_sound(self, path: Path, rows: np.ndarray) -> None:
        rate = self.text.sample_rate or 0
        sounds = mu_law_inverse(rows).reshape(len(rows), -1)
        # one after the other, with silence between
        silence = np.zeros((len(rows), round(_SILENCE * rate)))
        joined = np.hstack((sounds, silence)).ravel()[: -silence.shape[1] or None]
        samples = (joined * 32767).round().astype("<i2")
        with wave.open(str(path), "wb") as file:
            file.setnchannels(1)
            file.setsampwidth(2)
            file.setframerate(rate)
            file.writeframes(samples.tobytes())


def array_of(source: Source) -> np.ndarray:
    """[rows, *shape], NaN where a cell is missing."""
    parts = []
    for batch in source.ordered(1000):
        x = batch.x if batch.observed is None else batch.x.masked_fill(~batch.observed, torch.nan)
        parts.append(x.cpu().numpy())
    return np.concatenate(parts)


def labels_of(source: Source, names: Sequence[str] | None = None) -> dict[str, np.ndarray]:
    """The labels as an array by name, where there are any; as text, where they have names."""
    if source.labels is None:
        return {}
    labels = source.labels if names is None else np.array(names)[source.labels]
    return {"labels": labels}


def save_arrays(path: Path, arrays: dict[str, np.ndarray]) -> None:
    """An `.npz` of named arrays, or the first of them as `.npy`."""
    with path.open("wb") as file:
        if path.suffix.lower() == ".npy":
            np.save(file, next(iter(arrays.values())))
        else:
            np.savez_compressed(file, **arrays)  # type: ignore[arg-type]


def write_csv(path: Path, names: Sequence[str], rows: Sequence[Sequence[object]]) -> None:
    """A head and rows."""
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(names)
        writer.writerows(rows)


def cells_of(column: Column, values: np.ndarray) -> list[str]:
    """One column as text: categories by their names, integers without a point."""
    if column.categories is not None:
        last = len(column.categories) - 1
        categories = column.categories
        return [
            "" if np.isnan(v) else categories[min(max(round(float(v)), 0), last)] for v in values
        ]
    whole = bool((values == np.round(values)).all())
    return ["" if np.isnan(v) else (str(int(v)) if whole else f"{v:.7g}") for v in values]
