"""The coder of a cell, whichever family it is of: `Tabled`, `Counted` or `Measured`."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from ancestral.applications.compression.cell import BASE, CellCoder, blocks_of
from ancestral.applications.compression.channels import Channel
from ancestral.applications.compression.grids import Grid, Whole
from ancestral.applications.compression.measured import Measured
from ancestral.core import IncompatibleChoices
from ancestral.distributions import CellHead, CellSite, Site
from ancestral.distributions.uniform_sites import with_event_shape

__all__ = ["Counted", "Tabled", "cell_coder"]

_COUNTS = 4096  # with masses of their own; larger ones share what is left
_LEAST = 1e-290  # a mass so small in double precision that logarithms are needed
_LEAST_SINGLE = 1e-30  # the same in single precision


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
        table = self.site.table(features, before).double().cpu().numpy()
        return channel.exchange(table, symbols, self._nats(table, features, before, symbols))

    def _nats(
        self, table: np.ndarray, features: Tensor, before: Tensor, symbols: np.ndarray | None
    ) -> np.ndarray | None:
        """-log p of symbols of which single precision has no mass left."""
        if symbols is None or features.dtype == torch.float64:
            return None
        own = np.take_along_axis(table, symbols[:, None], -1)[:, 0]
        small = np.flatnonzero(own < _LEAST_SINGLE)
        if len(small) == 0:
            return None
        rows = torch.from_numpy(small).to(features.device)
        exact = self.site.table(features[rows].double(), before[rows].double()).cpu().numpy()
        nats = np.full(len(own), np.nan)
        own = np.take_along_axis(exact, symbols[small, None], -1)[:, 0]
        nats[small] = -np.log(np.maximum(own, _LEAST))
        return nats


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
        logs = logs[..., 0].double()
        masses = logs.exp().cpu().numpy()
        # none of them has any mass in floating point, but some have still less than others
        lost = masses.sum(-1) < _LEAST if self.grid.high <= top else np.zeros(len(masses), bool)
        nats = None
        if lost.any():
            far = logs[torch.from_numpy(lost).to(logs.device)]
            masses[lost] = far.softmax(-1).cpu().numpy()
        if symbols is not None and self.grid.high <= top:
            at = torch.from_numpy(symbols).to(logs.device).unsqueeze(-1)
            nats = -logs.gather(-1, at)[:, 0].cpu().numpy()
        if self.grid.high <= top:
            return channel.exchange(masses, symbols, nats)
        rest = np.maximum(1 - masses.sum(-1, keepdims=True), 1e-9)
        known = None if symbols is None else np.minimum(symbols, top + 1)
        found = channel.exchange(np.concatenate((masses, rest), -1), known).copy()
        large = np.flatnonzero(found > top)
        if len(large):
            beyond = None if symbols is None else symbols[large] - (top + 1)
            digits = _even_digits(self.grid.high - top, len(large), channel, beyond)
            found[large] = digits + top + 1
        return found


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


def _even_digits(
    num_values: int, num: int, channel: Channel, values: np.ndarray | None
) -> np.ndarray:
    """Numbers from 0 to num_values - 1, each as likely as the others."""
    found = np.zeros(num, dtype=np.int64)
    for block in blocks_of(num_values - 1):
        left = (num_values - 1 - found)[:, None]
        begins = np.arange(BASE, dtype=np.int64)[None] * block
        masses = np.clip(left + 1 - begins, 0, block).astype(np.float64)
        masses /= masses.sum(-1, keepdims=True)
        digit = channel.exchange(masses, None if values is None else (values - found) // block)
        found = found + digit * block
    return found
