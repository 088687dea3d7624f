"""`CellCoder`: the masses of one cell, whichever family it is of, met with its symbol."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from ancestral.applications.compression.channels import Channel
from ancestral.applications.compression.grids import Grid, Whole
from ancestral.applications.compression.tails import tails
from ancestral.core import IncompatibleChoices
from ancestral.distributions import CellHead, CellSite, Site
from ancestral.distributions.uniform_sites import with_event_shape

__all__ = ["CellCoder", "Counted", "Measured", "Tabled", "cell_coder"]

_BASE = 256  # intervals that a number is looked for among, at once
_COUNTS = 4096  # with masses of their own; larger ones share what is left
_NOISE = 1e-10  # share of a tail below which differences of cumulative functions are rounding


class CellCoder(ABC):
    """One sub-symbol of a site."""

    @abstractmethod
    def code(
        self, features: Tensor, before: Tensor, channel: Channel, symbols: np.ndarray | None
    ) -> np.ndarray:
        """The symbols of n cells, exchanged with a channel.

        Args:
            features: [n, P], of the site.
            before: [n, c], numbers of the site's earlier sub-symbols.
            channel: to exchange with.
            symbols: [n] int64 if they are known.

        Returns:
            [n] int64.
        """


@dataclass(frozen=True)
class Tabled(CellCoder):
    """Codes 0 .. K - 1, each with its mass.

    Args:
        site: that has a table.
    """

    site: Site

    def code(
        self, features: Tensor, before: Tensor, channel: Channel, symbols: np.ndarray | None
    ) -> np.ndarray:
        """One exchange, of the table."""
        table = self.site.table(features, before)
        return channel.exchange(table.double().cpu().numpy(), symbols)


@dataclass(frozen=True)
class Counted(CellCoder):
    """Counts up to a largest that is known of the data; the first 4096 each with its mass.

    Larger ones share the mass of the tail evenly, by digits to the base 256.

    Args:
        head: of a count, with event shape (1,).
        grid: from the least to the greatest of the data.
    """

    head: CellHead
    grid: Whole

    def code(
        self, features: Tensor, before: Tensor, channel: Channel, symbols: np.ndarray | None
    ) -> np.ndarray:
        """A table with an end that stands for the tail, then digits for what is in it."""
        del before
        top = min(self.grid.high, _COUNTS - 1)
        counts = torch.arange(top + 1, dtype=features.dtype, device=features.device)
        cells = features[..., : self.head.num_features].unflatten(-1, self.head.feature_shape)
        logs = self.head.log_prob_cells(cells.unsqueeze(-3), counts.unsqueeze(-1))  # [n, K, 1]
        masses = logs[..., 0].double().exp().cpu().numpy()
        if self.grid.high <= top:
            return channel.exchange(masses, symbols)
        rest = np.maximum(1 - masses.sum(-1, keepdims=True), 1e-9)
        known = None if symbols is None else np.minimum(symbols, top + 1)
        found = channel.exchange(np.concatenate((masses, rest), -1), known).copy()
        large = np.flatnonzero(found > top)
        if len(large):
            beyond = None if symbols is None else symbols[large] - (top + 1)
            digits = _even_digits(self.grid.high - top, len(large), channel, beyond)
            found[large] = digits + top + 1
        return found


@dataclass(frozen=True)
class Measured(CellCoder):
    """Numbers on a grid, under a density: the mass of each is that of the interval around it.

    An interval is found among 256, then one of 256 in it, until it holds one number. So a number
    of any precision costs a few tables, and a cumulative function is all that the density needs.
    The masses are those given that the number lies within the range of the data.

    Args:
        head: of a number, with event shape (1,).
        grid: of the numbers, in the data's units.
        loc: that the data's units begin at, for the head.
        scale: of the data's units.
        index: of the sub-symbol, whose features are among those of its site.
        width: of the site.
    """

    head: CellHead
    grid: Grid
    loc: float = 0.0
    scale: float = 1.0
    index: int = 0
    width: int = 1

    def code(
        self, features: Tensor, before: Tensor, channel: Channel, symbols: np.ndarray | None
    ) -> np.ndarray:
        """Digits to the base 256, the first first."""
        del before
        num = self.head.num_parameters
        cells = features[..., : num * self.width].unflatten(-1, (num, self.width))
        parameters = cells[..., self.index : self.index + 1].double()
        # places in the range, from 0, as whole numbers without a sign: of floats there are
        # nearly 2^64
        low = np.int64(self.grid.low).view(np.uint64)
        last = self.grid.high - self.grid.low
        place = None if symbols is None else symbols.view(np.uint64) - low
        start = np.zeros(len(features), dtype=np.uint64)
        for number, block in enumerate(_blocks(last)):
            count = min(_BASE, last // block + 1)
            masses = self._masses(parameters, start, block, count, last)
            if number:  # given the digits before
                masses /= masses.sum(-1, keepdims=True)
            size = np.uint64(block)
            digit = channel.exchange(
                masses, None if place is None else ((place - start) // size).astype(np.int64)
            )
            start = start + digit.astype(np.uint64) * size
        return (start + low).view(np.int64)

    def _masses(
        self, parameters: Tensor, start: np.ndarray, block: int, count: int, last: int
    ) -> np.ndarray:
        """Of `count` intervals of `block` places each from `start` on, [n, count]."""
        left = np.uint64(last) - start  # places after the first
        steps = np.arange(1, count + 1, dtype=np.uint64)[None]
        # the last place of each interval, then one more: what may be 2^64 never comes up
        ends = (steps - np.uint64(1)) * np.uint64(block) + np.uint64(block - 1)
        ends = np.minimum(ends, left[:, None])
        begins = np.concatenate((np.zeros_like(ends[:, :1]), ends[:, :-1] + np.uint64(1)), -1)
        begins = np.minimum(begins, left[:, None] + np.uint64(1))
        sizes = (ends + np.uint64(1) - begins).astype(np.float64)
        low = np.int64(self.grid.low).view(np.uint64)
        first = (start[:, None] + low).view(np.int64)
        after = (start[:, None] + ends + low + np.uint64(1)).view(np.int64)
        edges = self.grid.edge(np.concatenate((first, after), -1))
        edges = torch.from_numpy((edges - self.loc) / self.scale).to(parameters.device)
        below, above = tails(self.head, parameters.unsqueeze(-3), edges.unsqueeze(-1))
        below, above = below[..., 0].cpu().numpy(), above[..., 0].cpu().numpy()
        # on the side where the cumulative function is small it has all its digits
        lower = below[:, 1:] < 0.5
        masses = np.where(lower, np.diff(below, axis=-1), -np.diff(above, axis=-1))
        masses = np.maximum(masses, 0.0)
        total = masses.sum(-1, keepdims=True)
        size = np.minimum(below[:, -1:], above[:, :1])
        # an interval so small that its masses are rounding: its numbers are alike
        clear = (total > _NOISE * size) & (total > 1e-290) & np.isfinite(total)
        return np.where(clear, masses, sizes / sizes.sum(-1, keepdims=True))


def cell_coder(
    site: Site, grid: Grid | None, index: int = 0, loc: float = 0.0, scale: float = 1.0
) -> CellCoder:
    """The coder of a site's sub-symbol.

    Args:
        site: whose features it is given.
        grid: of the cell; None for codes.
        index: of the sub-symbol.
        loc: of the units that the site is in.
        scale: of these units.

    Raises:
        IncompatibleChoices: the site cannot be coded.
    """
    if site.num_codes is not None:
        return Tabled(site)
    if not isinstance(site, CellSite) or grid is None:
        raise IncompatibleChoices(
            f"{type(site).__name__} has no masses to code by",
            hint="choose a likelihood of separate cells",
        )
    head = with_event_shape(site.head, (1,))
    if head.is_discrete:
        if not isinstance(grid, Whole) or grid.low < 0 or site.width != 1:
            raise IncompatibleChoices("expected counts to code, got other numbers")
        return Counted(head, grid)
    return Measured(head, grid, loc, scale, index, site.width)


def _blocks(last: int) -> list[int]:
    """Places in an interval, at each digit of a place from 0 to `last`."""
    blocks = [1]
    while last // blocks[0] >= _BASE:
        blocks.insert(0, blocks[0] * _BASE)
    return blocks


def _even_digits(
    num_values: int, num: int, channel: Channel, values: np.ndarray | None
) -> np.ndarray:
    """Numbers from 0 to num_values - 1, each as likely as the others."""
    found = np.zeros(num, dtype=np.int64)
    for block in _blocks(num_values - 1):
        left = (num_values - 1 - found)[:, None]
        begins = np.arange(_BASE, dtype=np.int64)[None] * block
        masses = np.clip(left + 1 - begins, 0, block).astype(np.float64)
        masses /= masses.sum(-1, keepdims=True)
        digit = channel.exchange(masses, None if values is None else (values - found) // block)
        found = found + digit * block
    return found
