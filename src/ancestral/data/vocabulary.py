"""`Vocabulary`: text as codes, and back."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from ancestral.core.errors import DataError

__all__ = ["Vocabulary"]


@dataclass(frozen=True)
class Vocabulary:
    """Symbols and their codes.

    Args:
        symbols: the symbol of each code: characters, or words.
        separator: what stands between symbols in text: "" for characters, " " for words.

    Example:
        >>> vocabulary = Vocabulary.of("abracadabra")
        >>> vocabulary.encode("cab"), vocabulary.decode([2, 0, 1])
        (array([2, 0, 1]), 'cab')
    """

    symbols: tuple[str, ...]
    separator: str = ""

    @staticmethod
    def of(symbols: Iterable[str], separator: str = "") -> Vocabulary:
        """The distinct symbols, sorted."""
        return Vocabulary(tuple(sorted(set(symbols))), separator)

    def __len__(self) -> int:
        return len(self.symbols)

    def encode(self, text: str | Iterable[str]) -> np.ndarray:
        """[symbols] int64.

        Args:
            text: characters, or an iterable of words.

        Raises:
            DataError: a symbol is not known.
        """
        codes = self._codes
        try:
            return np.array([codes[symbol] for symbol in text], dtype=np.int64)
        except KeyError as error:
            raise DataError(
                f"expected text of the {len(self)} known symbols, got {error.args[0]!r}",
                hint="the vocabulary is that of the training text",
            ) from None

    def decode(self, codes: Iterable[int]) -> str:
        """The text."""
        return self.separator.join(self.symbols[int(code)] for code in codes)

    @cached_property
    def _codes(self) -> dict[str, int]:
        return {symbol: code for code, symbol in enumerate(self.symbols)}
