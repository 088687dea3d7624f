"""`SiteCoders`: the sites of a datum, met with their symbols one by one or all at once."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import torch
from torch import Tensor

from ancestral.applications.compression.cell import CellCoder
from ancestral.applications.compression.cells import Tabled, cell_coder
from ancestral.applications.compression.channels import Channel
from ancestral.applications.compression.grids import Grids
from ancestral.distributions import SiteHead, UniformSites
from ancestral.models import Units

__all__ = ["SiteCoders", "Unseen"]

_MASSES = 1 << 22  # at once: 32 MB


@dataclass(frozen=True)
class Unseen:
    """Cells of some rows that are missing.

    Args:
        observed: [n, W] or [n, T, W] bool.
        guess: int64 of the same shape; what counts is where nothing is observed.
    """

    observed: np.ndarray
    guess: np.ndarray

    def rows(self, selection: slice) -> Unseen:
        """Of some rows."""
        return Unseen(self.observed[selection], self.guess[selection])


@dataclass(frozen=True)
class SiteCoders:
    """How each site of a datum is coded, given its features.

    It serves autoregressive models, whose sites come one after the other, and heads under which
    cells are independent: `site_head(head, T, W)` makes sites of these, and `code_all` takes all
    of them at once.

    Args:
        head: of the sites.
        grids: of the cells, in the order of storage.
        units: between the data's units and the head's; None if they are the same.
    """

    head: SiteHead
    grids: Grids
    units: Units | None = None
    _found: dict[int, list[CellCoder]] = field(default_factory=dict, repr=False, compare=False)

    def code(
        self,
        index: int,
        features: Tensor,
        channel: Channel,
        symbols: np.ndarray | None,
        unseen: Unseen | None = None,
    ) -> np.ndarray:
        """One site of n rows.

        Args:
            index: of the site, as stored.
            features: [n, P].
            channel: to exchange with.
            symbols: [n, W] int64 if they are known.
            unseen: [n, W], cells that are not exchanged; None: all are.

        Returns:
            [n, W] int64.
        """
        width = self.head.width
        found = np.zeros((len(features), width), dtype=np.int64)
        before = features.new_zeros(len(features), 0)
        for c, coder in enumerate(self._coders(index)):
            known = None if symbols is None else np.ascontiguousarray(symbols[:, c])
            if unseen is None or unseen.observed[:, c].all():
                found[:, c] = coder.code(features, before, channel, known)
            else:
                rows = np.flatnonzero(unseen.observed[:, c])
                found[:, c] = unseen.guess[:, c]
                if len(rows):
                    own = torch.from_numpy(rows).to(features.device)
                    known = None if known is None else known[rows]
                    found[rows, c] = coder.code(features[own], before[own], channel, known)
            if c + 1 < width:
                number = torch.from_numpy(found[:, : c + 1].astype(np.float64))
                before = number.to(features)
        return found

    def code_all(
        self,
        features: Tensor,
        channel: Channel,
        symbols: np.ndarray | None,
        unseen: Unseen | None = None,
    ) -> np.ndarray:
        """All sites of n rows, each given its own features.

        Args:
            features: [n, T, P].
            channel: to exchange with.
            symbols: [n, T, W] int64 if they are known.
            unseen: [n, T, W], cells that are not exchanged; None: all are.

        Returns:
            [n, T, W] int64.
        """
        num_rows, num_sites = features.shape[:2]
        first = self._coders(0)[0]
        if isinstance(self.head, UniformSites) and isinstance(first, Tabled):
            # sites that are alike are as many rows of one
            flat = features.flatten(0, 1)
            known = None if symbols is None else symbols.reshape(len(flat), -1)
            flat_unseen = None
            if unseen is not None:
                parts = (unseen.observed, unseen.guess)
                flat_unseen = Unseen(*(part.reshape(len(flat), -1) for part in parts))
            at_once = max(1, _MASSES // (first.site.num_codes or 1))
            parts = [
                self.code(
                    0,
                    flat[at : at + at_once],
                    channel,
                    None if known is None else known[at : at + at_once],
                    None if flat_unseen is None else flat_unseen.rows(slice(at, at + at_once)),
                )
                for at in range(0, len(flat), at_once)
            ]
            return np.concatenate(parts).reshape(num_rows, num_sites, -1)
        sites = [
            self.code(
                t,
                features[:, t, : self.head.num_site_features(t)],
                channel,
                None if symbols is None else symbols[:, t],
                None if unseen is None else Unseen(unseen.observed[:, t], unseen.guess[:, t]),
            )
            for t in range(num_sites)
        ]
        return np.stack(sites, 1)

    def numbers(self, index: int, symbols: np.ndarray, like: Tensor) -> Tensor:
        """Of symbols [n, W] of a site, what a network is shown, [n, W] in the head's units."""
        width = self.head.width
        columns = []
        for c in range(width):
            grid = self.grids.of(index * width + c)
            own = symbols[:, c]
            columns.append(own.astype(np.float64) if grid is None else grid.number(own))
        numbers = torch.from_numpy(np.stack(columns, -1)).to(like)
        if self.units is None:
            return numbers
        cells = slice(index * width, (index + 1) * width)
        return (numbers - self.units.loc.flatten()[cells]) / self.units.scale.flatten()[cells]

    def _coders(self, index: int) -> list[CellCoder]:
        if index not in self._found:
            site, width = self.head.site(index), self.head.width
            self._found[index] = [
                cell_coder(site, self.grids.of(cell), c, *self._unit(cell))
                for c, cell in enumerate(range(index * width, (index + 1) * width))
            ]
        return self._found[index]

    def _unit(self, cell: int) -> tuple[float, float]:
        """Beginning and scale of a cell's units."""
        if self.units is None:
            return 0.0, 1.0
        return float(self.units.loc.flatten()[cell]), float(self.units.scale.flatten()[cell])
