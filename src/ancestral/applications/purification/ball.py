"""`Ball`: what each cell may be, as the model writes cells."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

__all__ = ["Ball"]


@dataclass(frozen=True, eq=False)
class Ball:
    """A box of rows: an interval for each cell, in the units of the model's data.

    It is what a maximum-norm ball of some radius around a row leaves of the values that cells
    can have; `Perturbed` makes it.

    Attributes:
        low: [rows, *shape], the least value of each cell; a code where cells hold codes.
        high: [rows, *shape], the greatest, not below `low`.
        whole: [*shape] bool, where only whole numbers are values.
        reach: [*shape], the radius in each cell, in the same units; 0 where nothing may move.
    """

    low: Tensor
    high: Tensor
    whole: Tensor
    reach: Tensor

    def __len__(self) -> int:
        """Number of rows."""
        return len(self.low)

    def clamp(self, x: Tensor) -> Tensor:
        """The nearest values inside.

        Args:
            x: [rows, *shape].
        """
        nearest = x.where(~self.whole, x.round())
        return nearest.maximum(self.low).minimum(self.high)

    def with_noise(self) -> Ball:
        """That of numbers x + u, u on [0, 1), whose x are in this ball of integers."""
        high = torch.nextafter(self.high + 1, self.low)
        return Ball(self.low, high, torch.zeros_like(self.whole), self.reach)

    def rows(self, selection: slice | Tensor) -> Ball:
        """Some of the rows."""
        return Ball(self.low[selection], self.high[selection], self.whole, self.reach)

    def to(self, device: torch.device) -> Ball:
        """The same on another device."""
        parts = (self.low, self.high, self.whole, self.reach)
        return Ball(*(part.to(device) for part in parts))
