"""What loaders return, before it is known what the rows are."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from ancestral.core.errors import DataError, OptionError
from ancestral.core.specification import Kind
from ancestral.data.splits import Fractions
from ancestral.data.vocabulary import Symbols, Vocabulary

__all__ = ["Raw", "ReadOptions", "Rows", "coded_labels"]


@dataclass(frozen=True)
class ReadOptions:
    """What a person can ask of a loader.

    Args:
        label: the column that holds labels, in tables and `.h5ad` files.
        drop: columns to leave out, in tables.
        length: symbols of a window of text, or samples of a frame of sound; None for the
            loader's own choice (256 symbols, 64 words, 1024 samples).
        vocabulary: that of a trained model, by which text is to be coded; the text's own if
            None.
        symbols: what text is a sequence of; None for the loader's own choice.
        fractions: of a text that validate and test: words are counted in the rest.
    """

    label: str | None = None
    drop: tuple[str, ...] = ()
    length: int | None = None
    vocabulary: Vocabulary | None = None
    symbols: Symbols | None = None
    fractions: Fractions = field(default_factory=Fractions)

    def __post_init__(self) -> None:
        if self.length is not None and self.length < 1:
            raise OptionError(f"expected a length of at least 1, got {self.length}")

    def refuse_symbols(self, what: str) -> None:
        """For loaders of data that are no text, or whose symbols are given."""
        if self.symbols is not None:
            raise DataError(
                f"expected no option 'symbols' for {what}, got {str(self.symbols)!r}",
                hint="it says what a .txt file is a sequence of",
            )

    def refuse_columns(self, what: str) -> None:
        """For loaders of data without named columns."""
        if self.label is not None or self.drop:
            option = "label" if self.label is not None else "drop"
            raise DataError(
                f"expected no option {option!r} for {what}, got one",
                hint="label and drop name columns of tables",
            )


@dataclass(frozen=True)
class Rows:
    """Some rows.

    Args:
        values: [rows, *shape] numpy array (NaN where missing), or a pandas DataFrame.
        labels: [rows] int64 codes, or None.
    """

    values: Any
    labels: np.ndarray | None = None

    def __post_init__(self) -> None:
        if self.labels is not None and len(self.labels) != len(self.values):
            raise DataError(
                f"expected one label for each of {len(self.values)} rows, got {len(self.labels)}"
            )

    def __len__(self) -> int:
        return len(self.values)

    def take(self, numbers: np.ndarray) -> Rows:
        """Some of the rows."""
        is_array = isinstance(self.values, np.ndarray)
        values = self.values[numbers] if is_array else self.values.iloc[numbers]
        return Rows(values, None if self.labels is None else self.labels[numbers])


@dataclass(frozen=True)
class Raw:
    """Rows with all that the file, or the registry, says about them.

    Args:
        parts: `{"all": rows}`, or some of train, valid and test where the data bring a split.
        kind: of every cell, where the format says it.
        num_levels: of categorical data and levels.
        kinds: of some columns, by name.
        provenance: how the rows were made, in words.
        groups: [rows] integers; rows of a group (a recording) stay in one split.
        in_order: whether the split keeps the order, as for running text.
        label_names: what each label code means.
        vocabulary: of text.
        tails: of running text, whose rows are windows side by side: for each part, the symbols
            after its last window; None for other data.
        end_code: of the symbol that ends each row and fills it up, for text of several lengths.
        sample_rate: of sound, in hertz.
        lengths: for each part, rows of each sequence, where rows are steps of sequences.
    """

    parts: Mapping[str, Rows]
    kind: Kind | None = None
    num_levels: int | None = None
    kinds: Mapping[str, Kind] = field(default_factory=dict)
    provenance: str = ""
    groups: np.ndarray | None = None
    in_order: bool = False
    label_names: tuple[str, ...] | None = None
    vocabulary: Vocabulary | None = None
    tails: Mapping[str, np.ndarray] | None = None
    end_code: int | None = None
    sample_rate: int | None = None
    lengths: Mapping[str, np.ndarray] | None = None


def coded_labels(labels: np.ndarray) -> tuple[np.ndarray, tuple[str, ...] | None]:
    """Labels as int64 codes, and the text of each code where they were text.

    Example:
        >>> coded_labels(np.array(["b", "a", "b"]))
        (array([1, 0, 1]), ('a', 'b'))
    """
    labels = np.asarray(labels)
    if labels.ndim != 1:
        raise DataError(f"expected one label for each row, got an array {list(labels.shape)}")
    if labels.dtype.kind in "iub":
        return labels.astype(np.int64), None
    names, codes = np.unique(labels.astype(str), return_inverse=True)
    return codes.astype(np.int64), tuple(str(n) for n in names)
