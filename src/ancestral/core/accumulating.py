"""Numbers of many batches, kept in bounded memory."""

from __future__ import annotations

from array import array

import torch
from torch import Tensor

__all__ = ["Accumulated"]


class Accumulated:
    """One float64 for each datum, grown in place.

    A list of small tensors does not do: kept between large ones that come and go, they leave
    the heap full of holes, and memory grows with the data by many times their size.

    Example:
        >>> values = Accumulated()
        >>> values.extend(torch.tensor([1.0, 2.0]))
        >>> values.extend(torch.tensor([3.0]))
        >>> values.tensor()
        tensor([1., 2., 3.], dtype=torch.float64)
    """

    def __init__(self) -> None:
        self._numbers = array("d")

    def extend(self, values: Tensor) -> None:
        """Add the numbers of a batch, [batch]."""
        self._numbers.extend(values.tolist())

    def tensor(self) -> Tensor:
        """All numbers so far, [rows] on the CPU."""
        return torch.tensor(self._numbers, dtype=torch.float64)
