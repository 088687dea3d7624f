"""Hashes of integers, as tensors: the same on every device, for any number of rows at once."""

from __future__ import annotations

import torch
from torch import Tensor

from ancestral.core.batch import Batch
from ancestral.core.seeding import derived_seed

__all__ = ["low32", "mixed32", "mixed64", "row_hashes", "wrapped"]

_CELLS, _MISSING, _CONTEXT = 0xCE12, 0x3155, 0xC0  # streams of seeds


def row_hashes(batch: Batch) -> Tensor:
    """A hash of cells, gaps and context of each row, [batch] int64.

    Numbers are taken in single precision, so that it is the same in either.

    Example:
        >>> hashes = row_hashes(Batch(torch.tensor([[1.0, 2.0], [2.0, 1.0], [1.0, 2.0]])))
        >>> bool(hashes[0] == hashes[2]), bool(hashes[0] == hashes[1])
        (True, False)
    """
    content = _hashed_cells(batch.x, _CELLS)
    if batch.observed is not None and not bool(batch.observed.all()):
        content = content + _hashed_cells((~batch.observed).float(), _MISSING)
    if batch.context is not None:
        content = content + _hashed_cells(batch.context, _CONTEXT)
    return mixed64(content)


def _hashed_cells(x: Tensor, stream: int) -> Tensor:
    """A multilinear hash of each row, [batch] int64: sums of integers know no order."""
    bits = (x.float() + 0.0).contiguous().view(torch.int32).flatten(1)  # -0 is 0
    places = torch.arange(bits.shape[1], device=bits.device) + wrapped(derived_seed(stream))
    return (bits.long() * (mixed64(places) | 1)).sum(1)


def mixed64(z: Tensor) -> Tensor:
    """The finaliser of SplitMix64 (Steele et al., 2014) on int64, which wraps."""
    z = (z ^ ((z >> 30) & 0x3FFFFFFFF)) * wrapped(0xBF58476D1CE4E5B9)
    z = (z ^ ((z >> 27) & 0x1FFFFFFFFF)) * wrapped(0x94D049BB133111EB)
    return z ^ ((z >> 31) & 0x1FFFFFFFF)


def mixed32(z: Tensor) -> Tensor:
    """The integer hash `lowbias32` (Wellons, 2018) on int32, which wraps; overwrites z."""
    for shift, factor in ((16, 0x7FEB352D), (15, 0x846CA68B - (1 << 32))):
        z ^= (z >> shift) & ((1 << (32 - shift)) - 1)
        z *= factor
    z ^= (z >> 16) & 0xFFFF
    return z


def low32(z: Tensor) -> Tensor:
    """The low half of int64, as int32."""
    return (((z & 0xFFFFFFFF) ^ 0x80000000) - 0x80000000).to(torch.int32)


def wrapped(value: int) -> int:
    """An unsigned 64-bit integer as the signed one of the same bits."""
    return value - (1 << 64) if value >= 1 << 63 else value
