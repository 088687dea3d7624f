"""What a person names, taken apart into what a run's model codes and what it does not know."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import torch

from ancestral.applications.compression import Document, Reading
from ancestral.applications.compression.documents import (
    sound_document,
    table_document,
    text_document,
)
from ancestral.applications.compression.running import takes_running
from ancestral.cli.opened import OpenedRun, first_rows
from ancestral.core import DataError, IncompatibleChoices, OptionError
from ancestral.data import DATASETS, Source
from ancestral.data.loaders import check_file
from ancestral.data.text_windows import TextWindows
from ancestral.estimator.compressing import document_of_source

__all__ = ["document_of"]

_TABLES, _SOUNDS = (".csv", ".tsv"), (".wav", ".zip")


def document_of(
    opened: OpenedRun,
    data: str | None,
    split: str | None,
    num: int | None,
    data_dir: Path | None,
) -> tuple[Document, str]:
    """The data, and what they are in words.

    A file is taken whole, unless it brings splits of its own, or one is asked for.

    Raises:
        DataError: they are not what the run's model knows.
        OptionError: a part was asked of a file that comes back whole.
    """
    name = str(opened.config.data.get("name", "")) if data is None else data
    path = Path(name).expanduser()
    suffix = path.suffix.lower()
    if split is None and path.is_file() and suffix in (*_TABLES, *_SOUNDS, ".txt", ".npy"):
        if num is not None:
            raise OptionError(
                f"expected no --num, got {num}: a {suffix} file comes back whole",
                hint="with --split the rows of the data set that it makes are compressed",
            )
        check_file(path)
        return _of_file(opened, path, suffix), path.name
    is_whole = split is None and path.exists() and name not in DATASETS
    dataset = opened.data_with_gaps(name, data_dir) if is_whole else opened.data(data, data_dir)
    part = split or ("test" if "test" in dataset.splits else next(iter(dataset.splits)))
    source = dataset.split(part)
    what = dataset.name if is_whole and len(dataset.splits) == 1 else f"{dataset.name}, {part}"
    source = source if num is None else first_rows(source, num)
    if opened.text.vocabulary is not None:
        return _of_text(source, opened), what
    remark = ""
    if opened.text.sample_rate is not None:
        remark = (
            "the rows are frames of mu-law codes, and these come back; a .wav or .zip file comes "
            "back sample for sample"
        )
    elif source.spec.binarization:
        remark = "the rows are binarised, and zeros and ones come back"
    return document_of_source(source, opened.config.spec, remark), what


def _of_file(opened: OpenedRun, path: Path, suffix: str) -> Document:
    """A file that is to come back byte for byte."""
    text, spec = opened.text, opened.config.spec
    reading = Reading(spec, text.vocabulary)
    is_running = takes_running(opened.estimator.model_)
    if suffix == ".npy":
        return _of_array(opened, path)
    if suffix == ".txt":
        _refuse_unless(text.vocabulary is not None, "text", path, opened)
        return text_document(path.read_bytes(), reading, is_running=is_running)
    if suffix in _SOUNDS:
        _refuse_unless(text.sample_rate is not None, "sound", path, opened)
        return sound_document(
            path.read_bytes(), reading, path.name, text.sample_rate, is_running=is_running
        )
    is_table = len(spec.shape) == 1 and text.vocabulary is None and text.sample_rate is None
    _refuse_unless(is_table, "a table", path, opened)
    document = table_document(path.read_bytes(), reading, path.name)
    if spec.context:
        raise IncompatibleChoices(
            f"expected a run that is not conditional for the table {path.name}, got one given "
            f"{', '.join(spec.context)}",
            hint="--split test compresses the rows of that split with their classes",
        )
    return document


def _of_array(opened: OpenedRun, path: Path) -> Document:
    content = path.read_bytes()
    try:
        array = np.load(io.BytesIO(content), allow_pickle=False)
    except (ValueError, EOFError, OSError) as error:
        raise DataError(
            f"expected an array of numbers in {path}, got: {error}",
            hint="numpy.save(path, array) writes one",
        ) from None
    if len(array.shape) == 0 or len(array) == 0:
        raise DataError(f"expected rows in {path}, got an array of shape {list(array.shape)}")
    return opened.estimator.document(array, file=content)


def _of_text(source: Source, opened: OpenedRun) -> Document:
    """The text of a split, as a file of it would hold it."""
    vocabulary, spec = opened.text.vocabulary, opened.config.spec
    assert vocabulary is not None
    reading = Reading(spec, vocabulary)
    if spec.end_code is not None:
        rows = torch.cat([batch.x for batch in source.ordered(1000)]).long().tolist()
        lines = ["".join(vocabulary.symbols[c] for c in row if c != spec.end_code) for row in rows]
        return text_document(("\n".join(lines) + "\n").encode(), reading)
    if isinstance(source, TextWindows):
        codes = source.text.long().tolist()
    else:
        codes = torch.cat([batch.x.flatten() for batch in source.ordered(1000)]).long().tolist()
    content = bytes(codes) if vocabulary.encoding else vocabulary.decode(codes).encode()
    return text_document(content, reading, is_running=takes_running(opened.estimator.model_))


def _refuse_unless(fits: bool, wanted: str, path: Path, opened: OpenedRun) -> None:  # noqa: FBT001
    if not fits:
        raise IncompatibleChoices(
            f"expected a run of {wanted} for {path.name}, got one of "
            f"{opened.config.recipe!r} on {opened.config.data.get('name', 'other data')!r}",
            hint="a model compresses data of the kind that it was trained on",
        )
