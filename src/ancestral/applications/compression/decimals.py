"""`Decimals`: a grid of numbers such as 1.25e-03."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

__all__ = ["Decimals"]


@dataclass(frozen=True)
class Decimals:
    """Numbers of so many digits after the first, times powers of ten: 1.25e-03 has two.

    Zero is 0, and the others are counted from it, up and down.

    Args:
        low: the least symbol.
        high: the greatest.
        digits: after the point, 1 to 15.

    Example:
        >>> grid = Decimals(0, 0, digits=2)
        >>> grid.number(np.array([Decimals.symbol(125, -3, digits=2)])).tolist()
        [0.00125]
    """

    low: int
    high: int
    digits: int

    @staticmethod
    def symbol(mantissa: int, exponent: int, digits: int) -> int | None:
        """Of the number with these digits, without the point; None if it is out of range."""
        least = 10**digits
        if mantissa == exponent == 0:
            return 0
        if not least <= mantissa < 10 * least or abs(exponent) >= _MOST_EXPONENT:
            return None
        return (exponent + _MOST_EXPONENT) * 9 * least + mantissa - least + 1

    @staticmethod
    def parts(symbol: int, digits: int) -> tuple[int, int]:
        """Undo `symbol`, for symbols above 0."""
        least = 10**digits
        decade, rest = divmod(symbol - 1, 9 * least)
        return rest + least, decade - _MOST_EXPONENT

    def number(self, symbols: np.ndarray) -> np.ndarray:
        """What a model is shown, float64."""
        return np.sign(symbols) * self._size(np.abs(symbols), 0.0)

    def edge(self, symbols: np.ndarray) -> np.ndarray:
        """Half a step below; that of a number below zero is half a step of its size above it."""
        above = symbols > 0
        return np.where(above, 1.0, -1.0) * self._size(np.where(above, symbols, 1 - symbols), 0.5)

    def nearest(self, values: np.ndarray) -> np.ndarray:
        """Symbols of the numbers next to some values, int64."""
        found = []
        for value in np.nan_to_num(values).ravel().tolist():
            text, power = f"{abs(value):.{self.digits}e}".split("e")
            symbol = Decimals.symbol(int(text.replace(".", "")), int(power), self.digits) or 0
            found.append(-symbol if value < 0 else symbol)
        return np.array(found, dtype=np.int64).reshape(values.shape)

    def _size(self, symbols: np.ndarray, less: float) -> np.ndarray:
        least = 10**self.digits
        decade, rest = np.divmod(np.maximum(symbols, 1) - 1, 9 * least)
        powers = np.clip(decade - _MOST_EXPONENT - self.digits, *_POWERS_OF_TEN)
        # below a power of ten steps are a tenth as wide
        half = np.where(rest == 0, 0.1 * less, less)
        return (rest + least - half) * _POWERS[powers - _POWERS_OF_TEN[0]]


_MOST_EXPONENT = 300
_POWERS_OF_TEN = (-320, 301)
# read from text, which is the nearest float on any machine
_POWERS = np.array([float(f"1e{k}") for k in range(_POWERS_OF_TEN[0], _POWERS_OF_TEN[1] + 1)])
