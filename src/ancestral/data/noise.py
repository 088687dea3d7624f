"""Fixed noise: a number for each cell that is a function of (seed, row, cell) alone.

A generator gives the n-th number of a stream; to read row 70,000 it must draw all before. A
hash gives any cell at once, the same on every device, for any batch size and order of rows.
"""

from __future__ import annotations

import torch
from torch import Tensor

from ancestral.core.hashing import low32, mixed32, mixed64, wrapped
from ancestral.core.seeding import derived_seed

__all__ = ["fixed_levels", "fixed_uniforms"]

_CELLS = 0xCE11  # streams of seeds
_ROWS = 0x2075


def fixed_uniforms(seed: int, index: Tensor, shape: tuple[int, ...]) -> Tensor:
    """[rows, *shape] float32 uniform in [0, 1), multiples of 2**-24.

    Args:
        seed: which noise.
        index: [rows] int64, row numbers.
        shape: of a row.

    Example:
        >>> u = fixed_uniforms(0, torch.tensor([3, 5]), (2,))
        >>> bool((u[1] == fixed_uniforms(0, torch.tensor([5]), (2,))[0]).all())
        True
    """
    return (_hashed(seed, index, shape) & 0xFFFFFF).float() * 2.0**-24


def fixed_levels(seed: int, index: Tensor, shape: tuple[int, ...], num_levels: int) -> Tensor:
    """[rows, *shape] int32, uniform on 0 .. num_levels - 1 (to within num_levels / 2**23)."""
    bits = 31 - (num_levels - 1).bit_length()
    fraction = _hashed(seed, index, shape) & ((1 << bits) - 1)
    return (fraction * num_levels) >> bits


def _hashed(seed: int, index: Tensor, shape: tuple[int, ...]) -> Tensor:
    """[rows, *shape] int32 of well-mixed bits."""
    num_cells = int(torch.Size(shape).numel())
    rows = mixed64(index.long() + wrapped(derived_seed(seed, _ROWS)))
    cells = torch.arange(num_cells, device=index.device) + wrapped(derived_seed(seed, _CELLS))
    # The low halves of two hashes are added and hashed again: 32-bit arithmetic on the big
    # array is several times as fast as 64-bit.
    mixed = low32(rows)[:, None] + low32(mixed64(cells))
    return mixed32(mixed).reshape(len(index), *shape)
