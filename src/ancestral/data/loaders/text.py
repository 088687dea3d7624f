"""`.txt`: characters, bytes or words in windows of fixed length; or a datum on each line."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from ancestral.core.errors import DataError
from ancestral.core.specification import Kind
from ancestral.data.raw import Raw, ReadOptions, Rows
from ancestral.data.splits import split_in_order
from ancestral.data.vocabulary import Symbols, Vocabulary, as_words

__all__ = ["DEFAULT_LENGTH", "lines", "read_plain", "read_text", "tail", "windows"]

DEFAULT_LENGTH = 256


def read_text(path: Path, options: ReadOptions) -> Raw:
    """Windows of running text, side by side; or the lines of a file."""
    options.refuse_columns(f"the text {path}")
    symbols = options.symbols or Symbols.CHARACTERS
    if symbols is Symbols.LINES:
        return _read_lines(path, options)
    length = options.length or DEFAULT_LENGTH
    codes, vocabulary = _coded(path, symbols, options, length)
    seen = {
        Symbols.CHARACTERS: ", those of the whole file",
        Symbols.WORDS: ", those that occur twice in the training part, the others <unk>",
    }
    of = seen.get(symbols, "") if options.vocabulary is None else ""
    return Raw(
        {"all": Rows(windows(codes, length))},
        kind=Kind.CATEGORICAL,
        num_levels=len(vocabulary),
        provenance=f"{len(codes):,} {symbols} of {path.name}, {len(vocabulary):,} known{of}, "
        f"in windows of {length}",
        in_order=True,
        vocabulary=vocabulary,
        tails={"all": tail(codes, length)},
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
            hint="is it a text file? convert it with iconv -t utf-8, or read it as bytes",
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


def tail(codes: np.ndarray, length: int) -> np.ndarray:
    """What `windows` leaves over."""
    return codes[len(codes) // length * length :]


def lines(
    texts: Sequence[str], vocabulary: Vocabulary | None = None, length: int | None = None
) -> tuple[np.ndarray, Vocabulary]:
    """[lines, length] codes: each line, then the end symbol (code 0) up to the length.

    Log p of a row is that of the line with its end for models that know that nothing but ends
    follows the first one (`UntilEnd`); others pay for the rest of the row.

    Args:
        texts: without their line ends.
        vocabulary: that of a trained model; the characters of the texts if None.
        length: of a row; that of the longest text and its end if None.
    """
    if vocabulary is None:
        letters = Vocabulary.of("".join(texts))
        vocabulary = Vocabulary(("\n", *letters.symbols))
    longest = max(map(len, texts)) + 1
    if length is not None and longest > length:
        raise DataError(
            f"expected lines of at most {length - 1} characters, got one of {longest - 1}",
            hint="give a larger length, or shorten the lines",
        )
    codes = np.zeros((len(texts), length or longest), dtype=np.int64)
    for row, text in zip(codes, texts, strict=True):
        row[: len(text)] = vocabulary.encode(text)
    return codes, vocabulary


def _read_lines(path: Path, options: ReadOptions) -> Raw:
    texts = [line for line in read_plain(path).splitlines() if line]
    if not texts:
        raise DataError(f"expected lines of text in {path}, got none")
    codes, vocabulary = lines(texts, options.vocabulary, options.length)
    return Raw(
        {"all": Rows(codes)},
        kind=Kind.CATEGORICAL,
        num_levels=len(vocabulary),
        provenance=f"{len(texts):,} lines of {path.name}, {len(vocabulary)} distinct characters "
        "in the whole file, each line followed by the end symbol",
        vocabulary=vocabulary,
        end_code=0,
    )


def _coded(
    path: Path, symbols: Symbols, options: ReadOptions, length: int
) -> tuple[np.ndarray, Vocabulary]:
    known = options.vocabulary
    if symbols is Symbols.BYTES:
        vocabulary = known or Vocabulary.of_bytes()
        return vocabulary.encode(path.read_bytes()), vocabulary
    text = read_plain(path)
    if symbols is Symbols.WORDS:
        words = as_words(text)
        # words that only held-out text has must not be known beforehand
        num_training = len(split_in_order(len(words) // length, options.fractions)["train"])
        trained = words[: num_training * length]
        vocabulary = known or Vocabulary.of_words(trained, least=2)
        few = f"{symbols} that occur twice in the training part of {path}, got none"
    else:
        vocabulary = known or Vocabulary.of(text)
        few = f"at least 2 different {symbols} in {path}, got 1"
    if len(vocabulary) < 2:
        raise DataError(f"expected {few}", hint="give a longer text, or --symbols bytes")
    return vocabulary.encode(text), vocabulary
