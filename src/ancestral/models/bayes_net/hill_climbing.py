"""`HillClimbing`: parents found by adding, dropping and turning one arrow at a time."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from ancestral.core import OptionError
from ancestral.models.bayes_net.counting import (
    CodeBatches,
    indicators,
    refuse_many_codes,
    sum_by_site,
)
from ancestral.models.bayes_net.structure import Parents
from ancestral.networks.causal.tabular import topological_order

__all__ = ["HillClimbing", "bic"]

_MOST_CELLS = 50_000_000  # of the rows that are searched by: 200 MB
_MOST_COUNTS = 1 << 24  # of a site's table with each other site added to its parents
_LEAST_GAIN = 1e-6  # nats; rounding must not turn arrows round for ever


@dataclass(frozen=True)
class HillClimbing:
    r"""Greedy search by the Bayesian information criterion, from no arrows on.

    .. math:: \text{BIC} = \log p(\text{data}) - \tfrac{1}{2} \log N \cdot \text{free numbers}

    Each step adds, drops or turns round the arrow that raises it most, and none that would close
    a cycle, until nothing does. The criterion is a sum over sites, so a step scores anew only
    the site whose parents changed: one product of its codes' indicators with all sites' for all
    arrows into it. Where rows do not fit, evenly spaced ones decide on the arrows.

    Args:
        max_parents: of a site.

    References:
        | Schwarz (1978), Estimating the dimension of a model
        | Heckerman, Geiger & Chickering (1995), Learning Bayesian networks, section 7
    """

    max_parents: int = 3

    def __post_init__(self) -> None:
        if self.max_parents < 1:
            raise OptionError(f"expected at least 1 parent at most, got {self.max_parents}")

    def learn(
        self, batches: CodeBatches, cardinalities: Sequence[int], smoothing: float | None
    ) -> Parents:
        """Parents in ascending order; counts are not smoothed, the criterion sees to that."""
        del smoothing
        refuse_many_codes(cardinalities)
        return _Search(_evenly_spaced(batches, cardinalities), cardinalities, self.max_parents)()

    def describe(self, parents: Parents) -> str:
        """How many arrows were found."""
        return f"a graph of {sum(map(len, parents)):,} arrows, by greedy search (BIC)"


def bic(codes: Tensor, cardinalities: Sequence[int], site: int, parents: Sequence[int]) -> float:
    """A site's part of the Bayesian information criterion, in nats.

    Args:
        codes: [rows, T] int64.
        cardinalities: K of each site.
        site: which.
        parents: its.
    """
    row, num_rows = _row_numbers(codes, cardinalities, parents)
    size = cardinalities[site]
    counts = torch.bincount(row * size + codes[:, site], minlength=num_rows * size).double()
    counts = counts.reshape(num_rows, size)
    log_prob = torch.xlogy(counts, counts).sum() - torch.xlogy(counts.sum(1), counts.sum(1)).sum()
    return float(log_prob) - 0.5 * math.log(len(codes)) * num_rows * (size - 1)


class _Search:
    """The state of one search.

    `adding[c, p]` and `dropping[c, p]` are what BIC gains by an arrow p -> c more or less.
    """

    def __init__(self, codes: Tensor, cardinalities: Sequence[int], max_parents: int) -> None:
        self.codes, self.cardinalities, self.max_parents = codes, cardinalities, max_parents
        self.ones = indicators(codes, cardinalities)
        num_sites = len(cardinalities)
        self.parents: list[set[int]] = [set() for _ in range(num_sites)]
        self.adding = np.full((num_sites, num_sites), -np.inf)
        self.dropping = np.full((num_sites, num_sites), -np.inf)
        self.reaches = np.eye(num_sites, dtype=bool)  # [from, to]
        self.full = np.zeros(num_sites, dtype=bool)
        for site in range(num_sites):
            self._score(site)

    def __call__(self) -> Parents:
        while self._improved():
            pass
        return [tuple(sorted(its)) for its in self.parents]

    def _improved(self) -> bool:
        """Make the best change; False if none is for the better."""
        # an arrow p -> c may be added if c does not reach p already
        possible = np.where(self.reaches | self.full[:, None], -np.inf, self.adding)
        site, parent = np.unravel_index(possible.argmax(), possible.shape)
        best, change = float(possible[site, parent]), (int(site), int(parent), "add")
        for child, its in enumerate(self.parents):
            for p in its:
                gain = float(self.dropping[child, p])
                if gain > best:
                    best, change = gain, (child, p, "drop")
                turned = gain + float(self.adding[p, child])
                if turned > best and not self.full[p] and not self._other_path(p, child):
                    best, change = turned, (child, p, "turn")
        if best < _LEAST_GAIN:
            return False
        site, parent, how = change
        if how != "add":
            self.parents[site].discard(parent)
            self._score(site)
        if how != "drop":
            child, p = (site, parent) if how == "add" else (parent, site)
            self.parents[child].add(p)
            self._score(child)
        self._trace_paths(None if how != "add" else (parent, site))
        return True

    def _score(self, site: int) -> None:
        """What each arrow into a site would gain."""
        its = sorted(self.parents[site])
        own, cardinalities = self.cardinalities[site], self.cardinalities
        now = bic(self.codes, cardinalities, site, its)
        self.full[site] = len(its) >= self.max_parents
        self.dropping[site] = -np.inf
        for p in its:
            rest = [other for other in its if other != p]
            self.dropping[site, p] = bic(self.codes, cardinalities, site, rest) - now
        row, num_rows = _row_numbers(self.codes, cardinalities, its)
        if num_rows * own * self.ones.shape[1] > _MOST_COUNTS:
            self.full[site] = True
        if self.full[site]:
            # turning an arrow round asks for this only where there is room
            self.adding[site] = -np.inf
            return
        cells = row * own + self.codes[:, site]
        counts = self.ones.new_zeros(num_rows * own, self.ones.shape[1])
        counts = counts.index_add_(0, cells, self.ones).double()
        margin = counts.reshape(num_rows, own, -1).sum(1)
        terms = torch.xlogy(counts, counts).sum(0) - torch.xlogy(margin, margin).sum(0)
        sizes = torch.tensor(cardinalities, dtype=torch.float64, device=counts.device)
        penalty = 0.5 * math.log(len(self.codes)) * num_rows * (own - 1) * sizes
        gain = (sum_by_site(terms, cardinalities) - penalty - now).cpu().numpy()
        gain[[site, *its]] = -np.inf
        self.adding[site] = gain

    def _other_path(self, start: int, end: int) -> bool:
        """Whether there is a way besides the arrow start -> end."""
        return any(
            self.reaches[p, end] and p != start and self.reaches[start, p]
            for p in self.parents[end]
        )

    def _trace_paths(self, added: tuple[int, int] | None) -> None:
        if added is not None:
            start, end = added
            self.reaches |= np.outer(self.reaches[:, start], self.reaches[end])
            return
        self.reaches = np.eye(len(self.parents), dtype=bool)
        for site in topological_order([sorted(its) for its in self.parents]):
            for p in self.parents[site]:
                self.reaches[:, site] |= self.reaches[:, p]


def _row_numbers(
    codes: Tensor, cardinalities: Sequence[int], parents: Sequence[int]
) -> tuple[Tensor, int]:
    """Which row of its table each datum looks into, [rows], and how many rows there are."""
    row, num_rows = torch.zeros(len(codes), dtype=torch.int64, device=codes.device), 1
    for p in parents:
        row = row * cardinalities[p] + codes[:, p]
        num_rows *= cardinalities[p]
    return row, num_rows


def _evenly_spaced(batches: CodeBatches, cardinalities: Sequence[int]) -> Tensor:
    """As many rows as may be held, from all over the data."""
    total = sum(len(codes) for codes in batches())
    stride = -(-total // max(1, _MOST_CELLS // sum(cardinalities)))
    kept, seen = [], 0
    for codes in batches():
        kept.append(codes[-seen % stride :: stride])
        seen += len(codes)
    return torch.cat(kept)
