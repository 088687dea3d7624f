"""`DataChoice`: which data, and how they are read; kept in a run so that it can be read again."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from ancestral.core import DataError, OptionError, RunError, Specification
from ancestral.core.specification import Kind
from ancestral.data import (
    DATASETS,
    Dataset,
    Fractions,
    Vocabulary,
    given_labels,
    load_dataset,
)

__all__ = ["DataChoice", "KeptText", "kept_text"]


@dataclass(frozen=True)
class DataChoice:
    """What was typed about the data.

    Args:
        name: registered, or a path.
        label: column of labels.
        drop: columns to leave out.
        kind: of every cell.
        binarization: of grey values.
        dequantize: whether uniform noise makes real numbers of integers.
        data_dir: folder of data sets, where one was named.
        length: of windows of text, or of frames of sound.
        text_symbols: what a text is a sequence of.
        given: "label" for rows that are modelled given their class.
    """

    name: str
    label: str | None = None
    drop: tuple[str, ...] = ()
    kind: str | None = None
    binarization: str | None = None
    dequantize: bool = False
    data_dir: str | None = None
    given: str | None = None
    length: int | None = None
    text_symbols: str | None = None

    def __post_init__(self) -> None:
        if self.dequantize and self.kind not in (None, str(Kind.REAL)):
            raise OptionError(
                f"expected no kind, or real, with dequantize, got {self.kind}",
                hint="dequantised integers are real numbers",
            )

    @property
    def short_name(self) -> str:
        """For the name of a folder."""
        return self.name if self.name in DATASETS else Path(self.name).name.split(".")[0]

    def read(
        self,
        *,
        like: Specification | None = None,
        vocabulary: Vocabulary | None = None,
        fractions: Fractions = Fractions(),  # noqa: B008 - frozen
    ) -> Dataset:
        """The data.

        Args:
            like: what the data of a trained model are; others are refused.
            vocabulary: of a trained model of text.
            fractions: of rows that validate and test, where the data bring no split.

        Raises:
            DataError: the data cannot be read, or are not what was asked for.
        """
        data = load_dataset(
            self.name,
            data_dir=self.data_dir,
            kind=Kind.REAL if self.dequantize else self.kind,
            label=self.label,
            drop=self.drop,
            binarization=self.binarization,
            length=self.length if vocabulary is None else None,
            symbols=self.text_symbols if vocabulary is None else None,
            like=like,
            vocabulary=vocabulary,
            validation=fractions.validation,
            test=fractions.test,
        )
        exact = any(source.log_prob_kind == "exact" for source in data.splits.values())
        if self.dequantize and exact:
            raise DataError(
                f"expected an array of whole numbers to dequantise, got {self.name}",
                hint="leave out --dequantize; columns of tables are not dequantised",
            )
        return data if self.given is None else _given_labels(data, like)

    def instead(self, name: str | None, data_dir: Path | None) -> DataChoice:
        """The same choice for other data, or for the same data in another place.

        Other data need not have the columns that were left out, nor labels, unless each row is
        given its own.
        """
        choice = self
        if name is not None and name != self.name:
            label = None if self.given is None else self.label
            choice = replace(choice, name=name, label=label, drop=())
        return choice if data_dir is None else replace(choice, data_dir=str(data_dir))

    def names(self, typed: str) -> bool:
        """Whether a name or a path that was typed is that of these data."""
        if typed in DATASETS or self.name in DATASETS:
            return typed == self.name
        return os.path.abspath(os.path.expanduser(typed)) == os.path.abspath(self.name)

    def to_dict(self) -> dict[str, Any]:
        """For JSON, with absolute paths, so that it means the same in every folder."""
        found = asdict(self) | {"drop": list(self.drop)}
        if self.name not in DATASETS:
            found["name"] = os.path.abspath(os.path.expanduser(self.name))
        if self.data_dir is not None:
            found["data_dir"] = os.path.abspath(os.path.expanduser(self.data_dir))
        return found

    @staticmethod
    def from_dict(d: Mapping[str, Any]) -> DataChoice:
        """Undo `to_dict`.

        Raises:
            RunError: the run does not say which data it is of.
        """
        if "name" not in d:
            raise RunError(
                "the run does not say which data it was trained on",
                hint="name them after the run: `ancestral evaluate RUN DATA`",
            )
        names = DataChoice.__dataclass_fields__
        known: dict[str, Any] = {key: value for key, value in d.items() if key in names}
        known["drop"] = tuple(known.get("drop", ()))
        return DataChoice(**known)


def _given_labels(data: Dataset, like: Specification | None) -> Dataset:
    """The data set, each of whose rows comes with its class."""
    names = _classes(data) if like is None else like.context
    meant = data.label_names or ()  # a number means itself
    splits = {part: given_labels(source, names, meant) for part, source in data.splits.items()}
    return replace(data, splits=splits, spec=replace(data.spec, context=names))


def _classes(data: Dataset) -> tuple[str, ...]:
    """Names of the classes that can be trained on.

    Raises:
        DataError: rows to validate or test are of a class without a row to train on.
    """
    if data.label_names is not None:
        return data.label_names
    found = {
        part: set() if source.labels is None else set(np.unique(source.labels).tolist())
        for part, source in data.splits.items()
    }
    trained = found["train"]
    for part, codes in found.items():
        strange = min(codes - trained, default=None)
        if strange is not None:
            raise DataError(
                f"expected the classes of the training rows, got {strange} in {part}",
                hint="leave its rows out, or give splits yourself in which each class has rows "
                "to train on: an .npz with train, valid and test",
            )
    return tuple(map(str, sorted(trained)))


@dataclass(frozen=True)
class KeptText:
    """What samples need to become text or sound again.

    Args:
        vocabulary: of text.
        sample_rate: of sound, in hertz.
    """

    vocabulary: Vocabulary | None = None
    sample_rate: int | None = None

    def to_dict(self) -> dict[str, Any]:
        """For JSON."""
        found: dict[str, Any] = {}
        if self.vocabulary is not None:
            found["symbols"] = list(self.vocabulary.symbols)
            found["separator"] = self.vocabulary.separator
            found["encoding"] = self.vocabulary.encoding
        if self.sample_rate is not None:
            found["sample_rate"] = self.sample_rate
        return found


def kept_text(d: Mapping[str, Any]) -> KeptText:
    """Undo `KeptText.to_dict`."""
    vocabulary = None
    if "symbols" in d:
        vocabulary = Vocabulary(tuple(d["symbols"]), d["separator"], d.get("encoding", ""))
    return KeptText(vocabulary, d.get("sample_rate"))
