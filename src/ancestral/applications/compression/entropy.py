"""`WordStack`: an entropy coder of integer masses; the last symbols pushed are popped first.

The coder itself is the stack of asymmetric numeral systems of the package `constriction`, which
divides a range of 2^24 among the symbols. Its categorical model takes floats and makes masses of
them: symbol k gets 1 and the share of 2^24 - K that its float has of their sum. If the floats are
whole numbers m_k - 1 whose sum is 2^24 - K, then all its sums are of whole numbers below 2^24,
which float32 holds exactly, and the masses are m_k. So what is handed to it here are integers, and
no rounding of its own ever happens.

References:
    | Asymmetric numeral systems (Duda, 2009); https://arxiv.org/abs/0902.0271
    | Understanding entropy coding with asymmetric numeral systems (Bamler, 2022), section 4;
    | https://arxiv.org/abs/2201.01741
"""

from __future__ import annotations

from typing import Any

import constriction
import numpy as np

from ancestral.core import DataError

__all__ = ["PRECISION", "TOTAL", "CorruptWords", "WordStack", "integer_masses", "intervals"]

PRECISION = 24  # bits of a mass
TOTAL = 1 << PRECISION
_LEAST = 2  # mass of any symbol, so that whatever lies beside an interval can be cut in two

_STREAM: Any = constriction.stream  # pyright: ignore[reportAttributeAccessIssue]
_ANS = _STREAM.stack.AnsCoder
_FAMILY = _STREAM.model.Categorical(perfect=False, lazy=True)


class CorruptWords(DataError):
    """Words that no encoder made, or not by this model."""


def integer_masses(masses: np.ndarray) -> np.ndarray:
    r"""Masses as whole numbers of at least 2 that add up to 2^24, by a rule without ties.

    .. math:: m_k = 2 + \lfloor C_{k+1} F \rfloor - \lfloor C_k F \rfloor, \quad F = 2^{24} - 2 K

    with the cumulative share C of float64. A symbol of mass p costs at most about
    :math:`2 K 2^{-24}` nats more than -log p, and one of no mass 23 bits rather than infinitely
    many.

    Args:
        masses: [..., K], at least 0; they need not add up to 1.

    Returns:
        [..., K] int64.

    Raises:
        CorruptWords: the masses are not finite.

    Example:
        >>> integer_masses(np.array([0.25, 0.75])).tolist()
        [4194305, 12582911]
    """
    cumulative = np.cumsum(masses, axis=-1, dtype=np.float64)
    total = cumulative[..., -1:]
    if not np.isfinite(total).all() or (total <= 0).any():
        raise CorruptWords(
            "expected masses that are finite and not all zero, got others",
            hint="the model's weights may not be finite, or the data far outside what it knows",
        )
    free = TOTAL - _LEAST * masses.shape[-1]
    # what is at most the last is at most free: rounding cannot make more of it
    reached = np.floor(np.minimum(cumulative / total, 1.0) * free).astype(np.int64)
    reached[..., -1] = free
    return np.diff(reached, axis=-1, prepend=0) + _LEAST


class WordStack:
    """A stack of symbols in 32-bit words.

    Args:
        words: what is on it, from the bottom; None: nothing.

    Example:
        >>> stack = WordStack()
        >>> masses = integer_masses(np.array([[0.5, 0.25, 0.25], [0.1, 0.1, 0.8]]))
        >>> stack.push(np.array([2, 0]), masses)
        >>> WordStack(stack.words).pop(masses)
        array([2, 0], dtype=int32)
    """

    def __init__(self, words: np.ndarray | None = None) -> None:
        if words is None or len(words) == 0:
            self._ans = _ANS()
            return
        if words[-1] == 0:
            raise CorruptWords("expected words that end in one that is not 0")
        self._ans = _ANS(np.ascontiguousarray(words, dtype=np.uint32))

    @property
    def words(self) -> np.ndarray:
        """[number] uint32, a copy, from the bottom."""
        return self._ans.get_compressed()

    @property
    def num_bits(self) -> int:
        """Bits on the stack, not rounded up to words."""
        return self._ans.num_valid_bits()

    @property
    def is_empty(self) -> bool:
        """Whether nothing is left."""
        return self._ans.is_empty()

    def push(self, symbols: np.ndarray, masses: np.ndarray) -> None:
        """Put symbols on the stack, the last of them first.

        Args:
            symbols: [n], from 0 to K - 1.
            masses: [n, K], as `integer_masses` gives them.
        """
        self._ans.encode_reverse(
            np.ascontiguousarray(symbols, dtype=np.int32), _FAMILY, _floats(masses)
        )

    def pop(self, masses: np.ndarray) -> np.ndarray:
        """Take symbols from the stack: those of the last `push` of the same masses, in its order.

        Args:
            masses: [n, K], as `integer_masses` gives them.

        Returns:
            [n] int32.
        """
        return self._ans.decode(_FAMILY, _floats(masses))

    def push_intervals(self, start: np.ndarray, mass: np.ndarray) -> None:
        """`push` for which it is enough to know each symbol's own mass, and all before it.

        Args:
            start: [n], sum of the masses of earlier symbols.
            mass: [n], of the symbol.
        """
        rest = TOTAL - start - mass
        # three symbols of which one is the interval: what is beside it is cut, where it is all
        # on one side, and the least mass is 2 so that it can be
        first, last = start == 0, rest == 0
        left = np.where(first, mass, np.where(last, 1, start))
        right = np.where(last, mass, np.where(first, 1, rest))
        symbol = np.where(first, 0, np.where(last, 2, 1))
        whole = first & last  # the only symbol: nothing to say
        table = np.stack((left, TOTAL - left - right, right), -1)
        if whole.any():
            table, symbol = table[~whole], symbol[~whole]
        self.push(symbol, table)


def intervals(symbols: np.ndarray, masses: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Where symbols lie in the range: [n] start and [n] mass, for masses [n, K]."""
    at = np.asarray(symbols)[:, None]
    ends = np.take_along_axis(np.cumsum(masses, -1), at, -1)[:, 0]
    mass = np.take_along_axis(masses, at, -1)[:, 0]
    return ends - mass, mass


def _floats(masses: np.ndarray) -> np.ndarray:
    return np.ascontiguousarray(masses - 1, dtype=np.float32)
