"""`TabularCausal`: the features of a site are a row of a table, which its parents choose."""

from __future__ import annotations

import heapq
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ancestral.core.errors import IncompatibleChoices, OptionError
from ancestral.core.pytrees import Shared
from ancestral.networks.causal.network import CausalNetwork, check_context

__all__ = ["MOST_ENTRIES", "TabularCausal", "topological_order"]

MOST_ENTRIES = 1 << 26
"""Numbers that the tables of a network may hold together: 256 MB."""


class TabularCausal(CausalNetwork):
    r"""features_t = table_t[i(x_{pa(t)})]: conditional probability tables over a given graph.

    A site whose parents p_1 .. p_m have K_1 .. K_m codes has K_1 ... K_m rows; the row is the
    number whose digits are the parents' codes, in the mixed radix of their numbers of codes, the
    last parent's counting ones. All tables are one, [rows, P], one under the other as the sites
    are stored. As log-probabilities, they are what a categorical head reads.

    Args:
        cardinalities: K of each site.
        parents: of each site, by number as stored; None: nobody has any.
        order: of the steps, parents first; None: the first such order.

    Raises:
        IncompatibleChoices: the graph has a cycle, or the order puts a site before a parent.
        OptionError: a parent that is not there, or tables of more than `MOST_ENTRIES` numbers.

    Example:
        >>> network = TabularCausal([2, 3], [(1,), ()])
        >>> network.order.tolist(), network.table.shape
        ([1, 0], torch.Size([4, 3]))
    """

    table: nn.Parameter
    most: Tensor
    parents: Tensor
    looked_up: Tensor
    strides: Tensor
    offsets: Tensor

    def __init__(
        self,
        cardinalities: Sequence[int],
        parents: Sequence[Sequence[int]] | None = None,
        *,
        order: Sequence[int] | Tensor | None = None,
    ) -> None:
        super().__init__(len(cardinalities), max(cardinalities))
        self.cardinalities = tuple(cardinalities)
        self.register_buffer("most", torch.tensor(cardinalities) - 1, persistent=False)
        self.set_parents(parents or [()] * self.num_sites, order)

    def set_parents(
        self, parents: Sequence[Sequence[int]], order: Sequence[int] | Tensor | None = None
    ) -> None:
        """Another graph over the same sites, with tables of zeros: uniform distributions."""
        graph = _checked_graph(parents, self.num_sites)
        steps = topological_order(graph) if order is None else torch.as_tensor(order).tolist()
        _refuse_late_parents(graph, steps)
        num_rows = [math.prod(self.cardinalities[p] for p in ps) for ps in graph]
        if sum(num_rows) * self.num_features > MOST_ENTRIES:
            site = max(range(self.num_sites), key=num_rows.__getitem__)
            raise OptionError(
                f"expected tables of at most {MOST_ENTRIES:,} numbers, got "
                f"{sum(num_rows) * self.num_features:,}, most of them of column {site} with its "
                f"{len(graph[site])} parents",
                hint="give that column fewer parents",
            )
        most_parents = max(1, *map(len, graph))
        index = torch.zeros(self.num_sites, most_parents, dtype=torch.int64)
        strides = torch.zeros_like(index)
        for site, its in enumerate(graph):
            stride = 1
            for k, parent in reversed(list(enumerate(its))):
                index[site, k], strides[site, k] = parent, stride
                stride *= self.cardinalities[parent]
        device = self.order.device
        self.graph = graph
        self.num_rows = tuple(num_rows)
        self._set_order(torch.tensor(steps, device=device))
        # -1 fills up rows in what is saved, so that a graph can be read back from it
        count = torch.tensor([len(its) for its in graph]).unsqueeze(1)
        padding = torch.arange(most_parents) >= count
        self.register_buffer("parents", index.masked_fill(padding, -1).to(device))
        self.register_buffer("looked_up", index.to(device), persistent=False)
        self.register_buffer("strides", strides.to(device), persistent=False)
        offsets = torch.tensor([0, *num_rows[:-1]]).cumsum(0)
        self.register_buffer("offsets", offsets.to(device), persistent=False)
        self.table = nn.Parameter(torch.zeros(sum(num_rows), self.num_features, device=device))

    def codes(self, x: Tensor) -> Tensor:
        """[batch, T, 1] as numbers of codes, [batch, T] int64."""
        return x.squeeze(-1).long().clamp_min(0).minimum(self.most)

    def rows(self, codes: Tensor) -> Tensor:
        """The row of the table that each site's parents choose, [batch, T]."""
        return (codes[:, self.looked_up] * self.strides).sum(-1) + self.offsets

    def forward(self, x: Tensor, context: Tensor | None = None) -> Tensor:
        """A row of the table for each site."""
        check_context(context, 0, len(x))
        return F.embedding(self.rows(self.codes(x)), self.table)

    @property
    def step_products(self) -> int:
        """A sample takes as many as a pass."""
        return super().step_products // self.num_sites

    def init_state(self, batch_size: int, context: Tensor | None = None) -> _Codes:
        """No site has a code yet."""
        check_context(context, 0, batch_size)
        codes = torch.zeros(batch_size, self.num_sites, dtype=torch.int64, device=self.device)
        offsets = self.offsets.tolist()
        # what a step looks at: the site before it, its own rows, its parents and their strides
        steps = [
            (
                offsets[site],
                torch.tensor(self.graph[site], dtype=torch.int64, device=self.device),
                self.strides[site, : len(self.graph[site])],
            )
            for site in self.order.tolist()
        ]
        return _Codes(codes, Shared(steps), Shared(self.order.tolist()))

    def step(self, state: _Codes, t: int, prev: Tensor | None) -> tuple[Tensor, _Codes]:
        """Write down the code of the site before; one look into this site's table."""
        if prev is not None:
            site = state.order.value[t - 1]
            most = self.cardinalities[site] - 1
            state.codes[:, site] = prev[:, 0].long().clamp(0, most)
        offset, parents, strides = state.steps.value[t]
        if len(parents) == 0:
            return self.table[offset].expand(len(state.codes), -1), state
        chosen = state.codes.index_select(1, parents)
        rows = (chosen * strides).sum(1).add_(offset)
        return self.table.index_select(0, rows), state

    def with_order(self, order: Sequence[int] | Tensor) -> TabularCausal:
        """The same tables, read in another order that puts parents first."""
        network = TabularCausal(self.cardinalities, self.graph, order=order)
        network.table = self.table
        return network.to(self.device).train(self.training)

    def _load_from_state_dict(
        self, state_dict: dict[str, Any], prefix: str, *args: Any, **kwargs: Any
    ) -> None:
        """Weights of another graph bring it with them."""
        saved = state_dict.get(f"{prefix}parents")
        if saved is not None and saved.shape[0] == self.num_sites:
            graph = [[p for p in row if p >= 0] for row in saved.tolist()]
            self.set_parents(graph, state_dict.get(f"{prefix}order"))
        super()._load_from_state_dict(state_dict, prefix, *args, **kwargs)


@dataclass
class _Codes:
    """Codes of the sites so far, [batch, T]; and what each step looks at."""

    codes: Tensor
    steps: Shared[list[tuple[int, Tensor, Tensor]]]
    order: Shared[list[int]]


def topological_order(parents: Sequence[Sequence[int]]) -> list[int]:
    """The sites with parents first; among several such orders the one by smallest numbers.

    Raises:
        IncompatibleChoices: there is none.

    Example:
        >>> topological_order([(2,), (), (1,)])
        [1, 2, 0]
    """
    waits_for = [len(its) for its in parents]
    children: list[list[int]] = [[] for _ in parents]
    for site, its in enumerate(parents):
        for parent in its:
            children[parent].append(site)
    ready = [site for site, number in enumerate(waits_for) if number == 0]
    order = []
    while ready:
        site = heapq.heappop(ready)
        order.append(site)
        for child in children[site]:
            waits_for[child] -= 1
            if waits_for[child] == 0:
                heapq.heappush(ready, child)
    if len(order) < len(parents):
        rest = sorted(set(range(len(parents))) - set(order))
        raise IncompatibleChoices(
            "expected a graph without cycles, got one through the columns "
            + " -> ".join(map(str, _a_cycle(parents, rest))),
            hint="turn one of its arrows round, or leave it out",
        )
    return order


def _a_cycle(parents: Sequence[Sequence[int]], rest: list[int]) -> list[int]:
    """Sites along the arrows, the first again at the end; each of `rest` has a parent in it."""
    path, inside = [rest[0]], set(rest)
    while True:
        site = next(p for p in parents[path[-1]] if p in inside)
        if site in path:
            return [site, *reversed(path[path.index(site) :])]
        path.append(site)


def _checked_graph(
    parents: Sequence[Sequence[int]], num_sites: int
) -> tuple[tuple[int, ...], ...]:
    if len(parents) != num_sites:
        raise OptionError(
            f"expected the parents of {num_sites} sites, got those of {len(parents)}"
        )
    graph = tuple(tuple(int(p) for p in its) for its in parents)
    for site, its in enumerate(graph):
        wrong = [p for p in its if not 0 <= p < num_sites]
        if wrong or len(set(its)) < len(its):
            raise OptionError(
                f"expected different parents from 0 to {num_sites - 1} for site {site}, "
                f"got {list(its)}"
            )
    return graph


def _refuse_late_parents(graph: Sequence[Sequence[int]], order: Sequence[int]) -> None:
    topological_order(graph)  # names a cycle, which no order could put right
    rank = {site: t for t, site in enumerate(order)}
    if sorted(rank) != list(range(len(graph))):
        raise OptionError(f"expected an order of {len(graph)} sites, each once, got {order}")
    for site, its in enumerate(graph):
        late = [p for p in its if rank[p] > rank[site]]
        if late:
            raise IncompatibleChoices(
                f"expected parents first, got an order with site {site} before its parent "
                f"{late[0]}",
                hint="the tables are of one direction of each arrow",
            )
