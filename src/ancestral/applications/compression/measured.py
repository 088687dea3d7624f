"""`Measured`: numbers on a grid under a density, as digits."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from ancestral.applications.compression.cell import BASE, CellCoder, blocks_of
from ancestral.applications.compression.channels import Channel
from ancestral.applications.compression.grids import Grid
from ancestral.applications.compression.tails import log_masses, tails
from ancestral.distributions import CellHead

__all__ = ["Measured"]

_NOISE = 1e-10  # share of a tail below which differences of cumulative functions are rounding
_LEAST = 1e-290  # a mass so small in double precision that logarithms are needed
_RESOLUTION = 1e-13  # of an end, below which differences between ends are rounding


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
        for number, block in enumerate(blocks_of(last)):
            count = min(BASE, last // block + 1)
            sizes, edges = self._intervals(start, block, count, last)
            edges = edges.to(parameters.device)
            masses, logs = self._masses(parameters, edges, sizes, is_first=number == 0)
            if number:  # given the digits before
                masses /= masses.sum(-1, keepdims=True)
            size = np.uint64(block)
            known = nats = None
            if place is not None:
                known = ((place - start) // size).astype(np.int64)
                nats = self._nats(parameters, edges, masses, logs, known, is_first=number == 0)
            digit = channel.exchange(masses, known, nats)
            start = start + digit.astype(np.uint64) * size
        return (start + low).view(np.int64)

    def _intervals(
        self, start: np.ndarray, block: int, count: int, last: int
    ) -> tuple[np.ndarray, Tensor]:
        """Places in `count` intervals of `block` places from `start` on, and where they end.

        Both in the head's units, [n, count] and [n, count + 1].
        """
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
        return sizes, torch.from_numpy((edges - self.loc) / self.scale)

    def _masses(
        self,
        parameters: Tensor,
        edges: Tensor,
        sizes: np.ndarray,
        *,
        is_first: bool,
    ) -> tuple[np.ndarray, np.ndarray]:
        """Of all intervals, [n, count], up to a factor whose logarithm comes second, [n]."""
        below, above = tails(self.head, parameters.unsqueeze(-3), edges.unsqueeze(-1))
        below, above = below[..., 0].cpu().numpy(), above[..., 0].cpu().numpy()
        # on the side where the cumulative function is small it has all its digits
        lower = below[:, 1:] < 0.5
        masses = np.where(lower, np.diff(below, axis=-1), -np.diff(above, axis=-1))
        masses = np.maximum(masses, 0.0)
        total = masses.sum(-1, keepdims=True)
        size = np.minimum(below[:, -1:], above[:, :1])
        clear = (total > _NOISE * size) & (total > _LEAST) & np.isfinite(total)
        # nor where ends lie so close that floats hardly tell them apart
        wide = edges.diff(dim=-1).cpu().numpy().min(-1, initial=np.inf, where=sizes > 0)
        farthest = edges.abs().amax(-1).cpu().numpy()
        coarse = wide < _RESOLUTION * farthest
        clear[:, 0] &= ~coarse
        # an interval so small that its masses are rounding: its numbers are alike
        masses = np.where(clear, masses, sizes / sizes.sum(-1, keepdims=True))
        logs = np.zeros(len(masses))
        # but where they are so far out that nothing is left, or all of them are in a small
        # interval, logarithms tell them apart
        lost = ~clear[:, 0] & (is_first | (size[:, 0] <= _LEAST)) & ~coarse
        rows = torch.from_numpy(np.flatnonzero(lost)).to(edges.device)
        if len(rows):
            found = log_masses(self.head, parameters[rows], edges[rows])
            peak = found.amax(-1, keepdim=True)
            told = peak[:, 0].isfinite()
            rows, found, peak = (part[told].cpu() for part in (rows, found, peak))
            masses[rows.numpy()] = (found - peak).exp().numpy()
            logs[rows.numpy()] = peak[:, 0].numpy()
        if is_first and coarse.any():
            rows = torch.from_numpy(np.flatnonzero(coarse)).to(edges.device)
            ends = edges[rows][:, [0, -1]]
            found = log_masses(self.head, parameters[rows], ends)[:, 0].cpu().numpy()
            logs[coarse] = np.where(np.isfinite(found), found, 0.0)
        return masses, logs

    def _nats(
        self,
        parameters: Tensor,
        edges: Tensor,
        masses: np.ndarray,
        logs: np.ndarray,
        symbols: np.ndarray,
        *,
        is_first: bool,
    ) -> np.ndarray:
        """-log of the masses of symbols, of the first digit with their factor, [n]."""
        own = np.take_along_axis(masses, symbols[:, None], -1)[:, 0]
        nats = -np.log(np.maximum(own, _LEAST)) - (logs if is_first else 0.0)
        small = np.flatnonzero(own < _LEAST)
        if len(small):
            rows = torch.from_numpy(small).to(edges.device)
            found = log_masses(self.head, parameters[rows], edges[rows])
            total = 0.0 if is_first else found.logsumexp(-1)
            at = torch.from_numpy(symbols[small]).to(found.device).unsqueeze(-1)
            exact = (total - found.gather(-1, at)[:, 0]).cpu().numpy()
            nats[small] = np.where(np.isfinite(exact), exact, nats[small])
        return nats
