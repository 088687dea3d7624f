"""Numbers that a model makes of z, as symbols of what cells can be."""

from __future__ import annotations

import numpy as np

from ancestral.applications.compression.decimals import Decimals
from ancestral.applications.compression.grids import Floats, Fractions, Grid, Whole

__all__ = ["symbols_near"]


def symbols_near(grid: Grid, values: np.ndarray) -> np.ndarray:
    """Symbols of the points of a grid that are next to some values."""
    if isinstance(grid, Floats):
        kind = np.float64 if grid.bits == 64 else np.float32
        found = Floats.symbols_of(np.ascontiguousarray(values, dtype=kind))
    elif isinstance(grid, Decimals):
        found = grid.nearest(values)
    elif isinstance(grid, Fractions):
        found = np.rint(values * grid.denominator)
    else:
        assert isinstance(grid, Whole)
        found = np.floor(values) if grid.dequantized else np.rint(values)
    low, high = float(grid.low), float(grid.high)
    inside = np.clip(np.nan_to_num(found), low, high) if found.dtype.kind == "f" else found
    return np.clip(inside.astype(np.int64), grid.low, grid.high)
