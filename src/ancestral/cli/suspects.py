"""Rows that may have been tampered with, from wherever they lie."""

from __future__ import annotations

import os
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from ancestral.applications.purification import is_scaled
from ancestral.cli.data_choice import DataChoice
from ancestral.cli.imputed_table import TextTable, is_table_of_text, read_table
from ancestral.cli.opened import OpenedRun, first_rows
from ancestral.core import DataError, IncompatibleChoices, Kind, OptionError
from ancestral.data import DATASETS, Source, as_given
from ancestral.data.loaders import read_path
from ancestral.data.raw import Raw, ReadOptions
from ancestral.estimator.received import in_double

__all__ = ["Suspects", "read_suspects"]


@dataclass(frozen=True)
class Suspects:
    """Rows to purify.

    Args:
        given: for the estimator: an array on any scale, or a source.
        values: [rows, ...] the same as an array, as exact as they are held.
        in_words: which they are.
        is_scaled: whether they could come on several scales.
        full_scale: the number that stands for the highest level, where the data say it.
        labels: [rows], or None.
        table: the text of these rows, where they are those of a table of text.
    """

    given: Any
    values: np.ndarray
    in_words: str
    is_scaled: bool
    full_scale: float | None = None
    labels: np.ndarray | None = None
    table: TextTable | None = None


def read_suspects(
    opened: OpenedRun,
    data: str | None,
    split: str | None,
    num: int | None,
    data_dir: Path | None,
) -> Suspects:
    """The rows that were named.

    Files of arrays and pictures are read as they are, on whatever scale; registered data and
    tables by the rules for data of that name. A table of text is taken whole and in its order,
    unless a split is asked for.

    Args:
        opened: the run.
        data: a name or a path; None for the run's own.
        split: which part, of data that have parts.
        num: rows from the start; None for all.
        data_dir: folder of data sets.
    """
    spec = opened.config.spec
    if spec.context:
        raise IncompatibleChoices(
            "expected a run whose rows are given nothing, got one given their classes: those of "
            "attacked rows are what is in question",
            hint="fit one without --given",
        )
    scaled = is_scaled(spec.integers or spec)
    if data is None or not (scaled or data.lower().endswith((".npy", ".npz"))):
        return _by_name(opened, data, split, num, data_dir, scaled=scaled)
    if data in DATASETS:  # pictures
        return _other_levels(opened, data, split, num, data_dir)
    raw = read_path(Path(data).expanduser(), ReadOptions())
    part = _part(raw, split)
    rows = raw.parts[part]
    if not isinstance(rows.values, np.ndarray):
        return _by_name(opened, data, split, num, data_dir, scaled=scaled)
    if num is not None and num < 1:
        raise OptionError(f"expected at least 1 row, got {num}")
    values = rows.values[:num]
    labels = None if rows.labels is None else _named(rows.labels[:num], raw.label_names)
    full = float(raw.num_levels - 1) if raw.num_levels and raw.kind is Kind.LEVELS else None
    name = os.path.basename(data)
    in_words = name if part == "all" else f"the {part} split of {name}"
    return Suspects(values, values, in_words, scaled, full if scaled else None, labels)


def _by_name(
    opened: OpenedRun,
    data: str | None,
    split: str | None,
    num: int | None,
    data_dir: Path | None,
    *,
    scaled: bool,
) -> Suspects:
    if data is None:
        dataset = opened.data(None, data_dir)
    else:
        dataset = opened.data_with_gaps(data, data_dir)
    part = split or ("test" if "test" in dataset.splits else next(iter(dataset.splits)))
    whole = split is None and len(dataset.splits) == 1
    in_words = dataset.name if whole else f"the {part} split of {dataset.name}"
    source = dataset.split(part)
    found = _of_source(source, num, in_words, dataset.label_names, scaled=scaled)
    path = None if data is None else Path(data).expanduser()
    if path is None or not whole or not is_table_of_text(path):
        return found
    return replace(found, table=read_table(path, len(source)).first(len(found.values)))


def _other_levels(
    opened: OpenedRun, name: str, split: str | None, num: int | None, data_dir: Path | None
) -> Suspects:
    """Registered images, whose levels may be others than the run's."""
    choice = DataChoice(name) if data_dir is None else DataChoice(name, data_dir=str(data_dir))
    kept = opened.config.data.get("data_dir")
    if data_dir is None and kept is not None:
        choice = replace(choice, data_dir=kept)
    dataset = choice.read()
    if dataset.spec.shape != opened.config.spec.shape:
        raise DataError(
            f"expected rows of shape {list(opened.config.spec.shape)}, got "
            f"{list(dataset.spec.shape)}",
            hint="the model was trained on rows of the first shape",
        )
    part = split or "test"
    in_words = f"the {part} split of {name}"
    return _of_source(dataset.split(part), num, in_words, dataset.label_names, scaled=True)


def _of_source(
    source: Source, num: int | None, in_words: str, names: Any, *, scaled: bool
) -> Suspects:
    rows = source if num is None else first_rows(source, num)
    if source.spec.integers is not None:  # with noise, as the model sees them
        rows = as_given(rows)
    labels = None if rows.labels is None else _named(rows.labels, names)
    return Suspects(rows, in_double(rows), in_words, scaled, labels=labels)


def _part(raw: Raw, split: str | None) -> str:
    """The name of the part that is meant."""
    if split is not None:
        if split not in raw.parts:
            have = ", ".join(raw.parts)
            raise OptionError(f"there is no split {split!r} in the file", hint=f"there is: {have}")
        return split
    return "test" if "test" in raw.parts else next(iter(raw.parts))


def _named(labels: np.ndarray, names: Any) -> np.ndarray:
    return labels if names is None else np.array(names)[labels]
