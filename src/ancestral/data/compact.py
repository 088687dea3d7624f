"""The smallest type that holds an array's numbers."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

__all__ = ["compact", "native"]

_INTEGERS = (torch.uint8, torch.int16, torch.int32)


def compact(x: Tensor | np.ndarray) -> Tensor:
    """Integers in the smallest type that holds them all; floating point as it came.

    Example:
        >>> compact(np.array([0, 255])).dtype, compact(np.array([0.5])).dtype
        (torch.uint8, torch.float64)
    """
    tensor = x if isinstance(x, Tensor) else torch.from_numpy(native(x))
    if tensor.dtype == torch.bool:
        return tensor.to(torch.uint8)
    if tensor.is_floating_point() or tensor.dtype == torch.uint8 or tensor.numel() == 0:
        return tensor
    low, high = (int(v) for v in torch.aminmax(tensor))
    for dtype in _INTEGERS:
        limits = torch.iinfo(dtype)
        if limits.min <= low and high <= limits.max:
            return tensor.to(dtype)
    return tensor


def native(x: np.ndarray) -> np.ndarray:
    """The same numbers in a type and byte order that torch knows, writable and contiguous."""
    dtype = x.dtype.newbyteorder("=")
    if dtype.kind == "u" and dtype.itemsize > 1:
        dtype = np.dtype(np.int32 if dtype.itemsize == 2 else np.int64)
    if dtype.kind == "f" and dtype.itemsize > 8:
        dtype = np.dtype(np.float64)
    return np.require(x, dtype=dtype, requirements=["C", "W"])
