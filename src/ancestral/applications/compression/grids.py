"""`Grid`: the numbers that a cell can be, counted; so that there are masses, and no densities."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ancestral.applications.compression.decimals import Decimals
from ancestral.core import DataError

__all__ = ["Decimals", "Floats", "Fractions", "Grid", "Grids", "Whole", "grid_of"]

_LARGEST = 1 << 52  # symbols beyond which float64 does not tell whole numbers apart
_DENOMINATORS = (
    *(10**k for k in range(10)),
    *(2**k for k in range(1, 17)),
    *(255, 3, 6, 7, 9, 12, 15, 17, 20, 24, 25, 30, 50, 60, 63, 127, 200, 250, 500, 65535),
)


@dataclass(frozen=True)
class Whole:
    """The whole numbers from `low` to `high`.

    Args:
        low: the least.
        high: the greatest.
        dequantized: whether a model of real numbers saw x + u, u uniform on [0, 1), for the whole
            number x: its mass is then that of [x, x + 1).
    """

    low: int
    high: int
    dequantized: bool = False

    def number(self, symbols: np.ndarray) -> np.ndarray:
        """What a model is shown, float64."""
        return symbols.astype(np.float64) + (0.5 if self.dequantized else 0.0)

    def edge(self, symbols: np.ndarray) -> np.ndarray:
        """The lower end of the interval that stands for a symbol, float64."""
        return symbols.astype(np.float64) - (0.0 if self.dequantized else 0.5)


@dataclass(frozen=True)
class Fractions:
    """i / denominator for whole i; denominator 100 is of numbers with two decimal places.

    Args:
        low: the least i.
        high: the greatest i.
        denominator: at least 1.
    """

    low: int
    high: int
    denominator: int

    def number(self, symbols: np.ndarray) -> np.ndarray:
        """The nearest float64, which is what a reader of decimals makes of them."""
        return symbols.astype(np.float64) / self.denominator

    def edge(self, symbols: np.ndarray) -> np.ndarray:
        """Half a step below."""
        return (symbols.astype(np.float64) - 0.5) / self.denominator


@dataclass(frozen=True)
class Floats:
    """All floating-point numbers of some bits, in their order; for data without a coarser grid.

    The symbol of a float is its bits read as a whole number, turned over below zero, so that
    the order is that of the floats; -0 comes right before 0.

    Args:
        low: the least symbol.
        high: the greatest.
        bits: 32 or 64.
    """

    low: int
    high: int
    bits: int = 64

    @staticmethod
    def symbols_of(values: np.ndarray) -> np.ndarray:
        """Floats as symbols, int64."""
        wide = values.dtype.itemsize == 8
        bits = values.view(np.int64 if wide else np.int32).astype(np.int64)
        return np.where(bits < 0, bits ^ (2**63 - 1 if wide else 2**31 - 1), bits)

    def number(self, symbols: np.ndarray) -> np.ndarray:
        """The floats, as float64."""
        kind, real = (np.int64, np.float64) if self.bits == 64 else (np.int32, np.float32)
        bits = symbols.astype(kind)
        bits = np.where(bits < 0, bits ^ np.iinfo(kind).max, bits)
        return bits.view(real).astype(np.float64)

    def edge(self, symbols: np.ndarray) -> np.ndarray:
        """The float itself: its interval goes up to the next one."""
        return self.number(symbols)


Grid = Whole | Fractions | Floats | Decimals


def grid_of(values: np.ndarray) -> tuple[Grid, np.ndarray]:
    """The coarsest grid on which all values lie, and their symbols on it.

    Args:
        values: any shape, finite; whole numbers or floats.

    Raises:
        DataError: a value is not finite.

    Example:
        >>> grid_of(np.array([0.25, 7.5, 1.0]))
        (Fractions(low=1, high=30, denominator=4), array([ 1, 30,  4]))
        >>> grid_of(np.array([0.1, 7.5, 1.0]))[0]
        Fractions(low=1, high=75, denominator=10)
    """
    if values.size == 0:
        return Whole(0, 0), values.astype(np.int64)
    if values.dtype.kind in "iub":
        symbols = values.astype(np.int64)
        return Whole(int(symbols.min()), int(symbols.max())), symbols
    if not np.isfinite(values).all():
        raise DataError("expected finite numbers, got NaN or infinity")
    if values.dtype.itemsize < 4:
        values = values.astype(np.float32)
    values = np.ascontiguousarray(values)
    found: tuple[Grid, np.ndarray] | None = None
    # a zero below zero is on no grid but its own
    if not (np.signbit(values) & (values == 0)).any():
        found = _fractions(values)
    symbols = Floats.symbols_of(values)
    own = Floats(int(symbols.min()), int(symbols.max()), 8 * values.dtype.itemsize)
    if found is None or own.high - own.low < found[0].high - found[0].low:
        return own, symbols
    return found


def _fractions(values: np.ndarray) -> tuple[Grid, np.ndarray] | None:
    """The smallest denominator under which every value is a whole number of steps."""
    largest = float(np.abs(values).max())
    wide = values.astype(np.float64)
    sample = wide.ravel()[:: max(1, wide.size // 1000)]
    for denominator in sorted(_DENOMINATORS):
        if largest * denominator >= _LARGEST:
            return None
        if not _fits(sample, denominator, values.dtype):
            continue
        if _fits(wide, denominator, values.dtype):
            symbols = np.rint(wide * denominator).astype(np.int64)
            low, high = int(symbols.min()), int(symbols.max())
            if denominator == 1:
                return Whole(low, high), symbols
            return Fractions(low, high, denominator), symbols
    return None


def _fits(values: np.ndarray, denominator: int, dtype: np.dtype) -> bool:
    back = np.rint(values * denominator) / denominator
    return bool((back.astype(dtype) == values.astype(dtype)).all())


@dataclass(frozen=True)
class Grids:
    """Those of all cells of a row.

    Args:
        cells: one for each cell in the order of storage, None for a cell of codes; or one for all
            of them alike; or none, if all cells are codes.
    """

    cells: tuple[Grid | None, ...] = ()

    def of(self, cell: int) -> Grid | None:
        """That of one cell; None: codes."""
        if len(self.cells) > 1:
            return self.cells[cell]
        return self.cells[0] if self.cells else None

    @property
    def is_codes(self) -> bool:
        """Whether no cell has a grid."""
        return all(grid is None for grid in self.cells)

    def numbers(self, symbols: Tensor) -> Tensor:
        """What a model is shown, float64 of the shape of the symbols, [rows, *shape]."""
        if self.is_codes:
            return symbols.double()
        found = symbols.cpu().numpy()
        if len(self.cells) == 1:
            assert self.cells[0] is not None
            return torch.from_numpy(self.cells[0].number(found))
        flat = found.reshape(len(found), -1)
        numbers = flat.astype(np.float64)
        for cell, grid in enumerate(self.cells):
            if grid is not None:
                numbers[:, cell] = grid.number(flat[:, cell])
        return torch.from_numpy(numbers.reshape(found.shape))

    def log_steps(self, symbols: Tensor, observed: Tensor | None = None) -> float:
        """Minus the log of each number's interval, summed: nats of masses less those of densities.

        Args:
            symbols: [rows, *shape].
            observed: [rows, *shape] bool, cells that count; None: all.
        """
        if self.is_codes:
            return 0.0
        seen = None if observed is None else observed.flatten(1).numpy()
        flat = symbols.reshape(len(symbols), -1).cpu().numpy()
        total = 0.0
        for cell in range(flat.shape[1]):
            grid = self.of(cell)
            if grid is not None:
                own = flat[:, cell] if seen is None else flat[seen[:, cell], cell]
                total -= float(np.log(grid.edge(own + 1) - grid.edge(own)).sum())
        return total

    def to_json(self) -> list[Any]:
        """For a header; `from_json` undoes it."""
        return [None if g is None else [type(g).__name__, *vars(g).values()] for g in self.cells]

    @staticmethod
    def from_json(found: list[Any]) -> Grids:
        """Undo `to_json`."""
        kinds = {kind.__name__: kind for kind in (Whole, Fractions, Floats, Decimals)}
        return Grids(tuple(None if g is None else kinds[g[0]](*g[1:]) for g in found))
