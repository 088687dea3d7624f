"""`.txt`: characters in windows of fixed length; or one name to a line."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from ancestral.core.errors import DataError
from ancestral.core.specification import Kind
from ancestral.data.raw import Raw, ReadOptions, Rows
from ancestral.data.vocabulary import Vocabulary

__all__ = ["DEFAULT_LENGTH", "lines", "read_plain", "read_text", "windows"]

DEFAULT_LENGTH = 64


def read_text(path: Path, options: ReadOptions) -> Raw:
    """Windows of characters, side by side; symbols that do not fill the last one are left out."""
    options.refuse_columns(f"the text {path}")
    text = read_plain(path)
    vocabulary = options.vocabulary or Vocabulary.of(text)
    if len(vocabulary) < 2:
        raise DataError(f"expected at least 2 different characters in {path}, got 1")
    length = options.length or DEFAULT_LENGTH
    return Raw(
        {"all": Rows(windows(vocabulary.encode(text), length))},
        kind=Kind.CATEGORICAL,
        num_levels=len(vocabulary),
        provenance=f"{len(text):,} characters of {path.name}, {len(vocabulary)} distinct, "
        f"in windows of {length}",
        in_order=True,
        vocabulary=vocabulary,
    )


def read_plain(path: Path) -> str:
    """The text of a file.

    Raises:
        DataError: it is not UTF-8.
    """
    try:
        return path.read_text(encoding="utf-8")
    except UnicodeDecodeError as error:
        raise DataError(
            f"expected UTF-8 text in {path}, got other bytes at {error.start}",
            hint="is it a text file? convert it with iconv -t utf-8",
        ) from error


def windows(codes: np.ndarray, length: int) -> np.ndarray:
    """[windows, length]: codes side by side.

    Example:
        >>> windows(np.arange(7), 3)
        array([[0, 1, 2],
               [3, 4, 5]])
    """
    num = len(codes) // length
    if length < 1 or num == 0:
        raise DataError(
            f"expected a text of at least one window of {length} symbols, got {len(codes)}",
            hint="give a smaller length",
        )
    return codes[: num * length].reshape(num, length)


def lines(texts: Sequence[str], end: str = "\n") -> tuple[np.ndarray, Vocabulary]:
    """[lines, longest + 1] codes: each line, then the end symbol (code 0) up to the length.

    The end symbol is repeated, so every row has one length: a model learns at once that the
    end follows the end, and log p of a row is log p of the line with its end.
    """
    letters = Vocabulary.of("".join(texts))
    vocabulary = Vocabulary((end, *letters.symbols))
    length = max(map(len, texts)) + 1
    codes = np.zeros((len(texts), length), dtype=np.int64)
    for row, text in zip(codes, texts, strict=True):
        row[: len(text)] = vocabulary.encode(text)
    return codes, vocabulary
