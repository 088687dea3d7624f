r"""Ordered levels under logistic cells, bit by bit: the first bit says which half, and so on.

A table of K masses for each cell costs K exponentials; halving takes log2 K cumulative functions,
one for each bit, whose chance given the bits before is

.. math:: P(x \ge m | l \le x < h) = \frac{F(h) - F(m)}{F(h) - F(l)}

with F(k) = P(x < k), m the middle of l and h.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import torch
from torch import Tensor

from ancestral.applications.compression.latent_stack import LatentStack
from ancestral.distributions import CellHead, DiscretizedLogistic, SiteMixture
from ancestral.distributions.scales import bound_below

__all__ = ["pop_levels", "push_levels"]

_CLEAR = 1e-280  # a mass below which its parts are alike


def push_levels(stack: LatentStack, head: CellHead, features: Tensor, symbols: np.ndarray) -> None:
    """Put levels on a stack.

    Args:
        stack: to put them on.
        head: `DiscretizedLogistic`, or a `SiteMixture` of it.
        features: [P, cells].
        symbols: [cells], 0 .. K - 1.
    """
    cells = _Halving(head, features)
    chances, bits = [], []
    for size in cells.sizes:
        bits.append((symbols & size) != 0)
        chances.append(cells.upper(size))
        cells.choose(size, bits[-1])
    for chance, bit in zip(reversed(chances), reversed(bits), strict=True):
        stack.push_bits(bit, chance)


def pop_levels(stack: LatentStack, head: CellHead, features: Tensor) -> np.ndarray:
    """Take levels from a stack, [cells] int64; arguments as of `push_levels`."""
    cells = _Halving(head, features)
    for size in cells.sizes:
        cells.choose(size, stack.pop_bits(cells.upper(size)) != 0)
    return cells.low.numpy()


class _Halving:
    """Intervals [low, low + 2 size) that hold the levels, and the mass on either side of them."""

    def __init__(self, head: CellHead, features: Tensor) -> None:
        features = features.double().cpu()
        cell, logits = head, None
        if isinstance(head, SiteMixture):
            cell, count = head.component, head.num_components
            logits, rest = features[:count], features[count:]
            features = rest.unflatten(0, (count, -1))
        assert isinstance(cell, DiscretizedLogistic)
        loc, log_scale = features.unbind(-2)  # [cells], or [K, cells]
        log_scale = bound_below(log_scale, cell.min_log_scale)
        self._top = cell.num_levels - 1
        # F at the edge below level k is sigmoid(slope k + start)
        self._slope = (2.0 / self._top) * torch.exp(-log_scale)
        self._start = (-1.0 - 1.0 / self._top - loc) * torch.exp(-log_scale)
        self._weights = None if logits is None else logits.softmax(0)
        num_cells = features.shape[-1]
        self.low = torch.zeros(num_cells, dtype=torch.int64)
        self._below = torch.zeros(num_cells, dtype=torch.float64)  # P(x < low)
        self._above = torch.ones(num_cells, dtype=torch.float64)  # P(x >= low)
        self._below_end = self._above.clone()  # the same of the end of the interval
        self._above_end = self._below.clone()

    @property
    def sizes(self) -> Iterator[int]:
        """Halves of the intervals, from the largest."""
        size = 1 << (self._top.bit_length() - 1)
        while size:
            yield size
            size //= 2

    def upper(self, size: int) -> np.ndarray:
        """P(the upper half) given the interval, [cells]."""
        middle = self.low + size
        self._below_middle, self._above_middle = self._tails(middle)
        # on the side where the cumulative function is small it has all its digits
        left = self._below_middle < 0.5
        upper = torch.where(
            left, self._below_end - self._below_middle, self._above_middle - self._above_end
        )
        lower = torch.where(
            left, self._below_middle - self._below, self._above - self._above_middle
        )
        upper, lower = upper.clamp_min(0.0), lower.clamp_min(0.0)
        total = upper + lower
        even = torch.where(middle <= self._top, 0.5, 0.0)
        return torch.where(total > _CLEAR, upper / total, even).numpy()

    def choose(self, size: int, bits: np.ndarray) -> None:
        """Go on with one half of each interval."""
        up = torch.from_numpy(bits)
        self.low += up * size
        self._below = torch.where(up, self._below_middle, self._below)
        self._above = torch.where(up, self._above_middle, self._above)
        self._below_end = torch.where(up, self._below_end, self._below_middle)
        self._above_end = torch.where(up, self._above_end, self._above_middle)

    def _tails(self, level: Tensor) -> tuple[Tensor, Tensor]:
        """P(x < level) and P(x >= level)."""
        at = self._start + self._slope * level
        below, above = at.sigmoid(), (-at).sigmoid()
        if self._weights is not None:
            below, above = ((self._weights * part).sum(0) for part in (below, above))
        beyond = level > self._top
        return torch.where(beyond, 1.0, below), torch.where(beyond, 0.0, above)
