"""`Vocabulary`: text as codes, and back."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum
from functools import cached_property

import numpy as np

from ancestral.core.errors import DataError

__all__ = ["END_OF_LINE", "UNKNOWN", "Symbols", "Vocabulary", "as_words"]

END_OF_LINE, UNKNOWN = "<eos>", "<unk>"  # as words (Mikolov et al., 2010)


class Symbols(StrEnum):
    """What a text is a sequence of."""

    CHARACTERS = "characters"
    BYTES = "bytes"  # of its UTF-8 form: 256 codes, for any text and any file
    WORDS = "words"  # separated by spaces; an end of line is the word <eos>
    LINES = "lines"  # each line is a datum of its own: characters and an end symbol


@dataclass(frozen=True)
class Vocabulary:
    """Symbols and their codes.

    Args:
        symbols: the symbol of each code: characters, or words.
        separator: what stands between symbols in text: "" for characters, " " for words.
        encoding: of bytes as text, such as "utf-8", where symbols are bytes; else "".

    Example:
        >>> vocabulary = Vocabulary.of("abracadabra")
        >>> vocabulary.encode("cab"), vocabulary.decode([2, 0, 1])
        (array([2, 0, 1]), 'cab')
    """

    symbols: tuple[str, ...]
    separator: str = ""
    encoding: str = ""

    @staticmethod
    def of(symbols: Iterable[str], separator: str = "") -> Vocabulary:
        """The distinct symbols, sorted."""
        return Vocabulary(tuple(sorted(set(symbols))), separator)

    @staticmethod
    def of_bytes() -> Vocabulary:
        """All 256 bytes; text is read and written as UTF-8."""
        return Vocabulary(tuple(map(chr, range(256))), encoding="utf-8")

    @staticmethod
    def of_words(words: Iterable[str], most: int = 10_000, least: int = 1) -> Vocabulary:
        """The most frequent words, sorted; the others are one symbol, <unk>.

        Args:
            words: of a text.
            most: symbols, <unk> among them.
            least: times that a word must occur. With 2, the share of <unk> in the text is the
                chance that a word of a text to come is new, as Good and Turing estimate it
                (Good, 1953, The population frequencies of species, equation 9); and there is an
                <unk> for new words, even where all known ones are frequent.

        Example:
            >>> Vocabulary.of_words(["a", "rose", "is", "a"], most=2).symbols
            ('<unk>', 'a')
        """
        counts = Counter(words)
        if least <= 1 and len(counts) <= most:
            return Vocabulary.of(counts, " ")
        counts.pop(UNKNOWN, None)
        known = [word for word in counts if counts[word] >= least]
        frequent = sorted(known, key=lambda word: (-counts[word], word))[: most - 1]
        return Vocabulary.of([*frequent, UNKNOWN], " ")

    @property
    def kind(self) -> Symbols:
        """Characters, bytes or words."""
        if self.encoding:
            return Symbols.BYTES
        return Symbols.WORDS if self.separator else Symbols.CHARACTERS

    def __len__(self) -> int:
        return len(self.symbols)

    def encode(self, text: str | bytes | Iterable[str]) -> np.ndarray:
        """[symbols] int64.

        Args:
            text: a text, which is taken apart as the vocabulary says; or its symbols, in turn.

        Raises:
            DataError: a symbol is not known.
        """
        codes = self._codes
        if self.encoding:
            content = text if isinstance(text, bytes) else "".join(text).encode(self.encoding)
            return np.frombuffer(content, dtype=np.uint8).astype(np.int64)
        assert not isinstance(text, bytes)
        if self.separator and isinstance(text, str):
            text = as_words(text)
        unknown = codes.get(UNKNOWN) if self.separator else None
        try:
            return np.array(
                [codes[s] if unknown is None else codes.get(s, unknown) for s in text],
                dtype=np.int64,
            )
        except KeyError as error:
            raise DataError(
                f"expected text of the {len(self)} known symbols, got {error.args[0]!r}",
                hint="the vocabulary is that of the training text",
            ) from None

    def decode(self, codes: Iterable[int]) -> str:
        """The text."""
        if self.encoding:
            return bytes(int(code) for code in codes).decode(self.encoding, errors="replace")
        text = self.separator.join(self.symbols[int(code)] for code in codes)
        return re.sub(f" ?{END_OF_LINE} ?", "\n", text) if self.separator else text

    @cached_property
    def _codes(self) -> dict[str, int]:
        return {symbol: code for code, symbol in enumerate(self.symbols)}


def as_words(text: str) -> list[str]:
    """Words and ends of lines.

    Example:
        >>> as_words("to be or" + chr(10) + "not")
        ['to', 'be', 'or', '<eos>', 'not']
    """
    return text.replace("\n", f" {END_OF_LINE} ").split()
