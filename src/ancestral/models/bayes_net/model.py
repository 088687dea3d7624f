"""`BayesNet`: tables over a graph, fitted by counting, asked by exact sums."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable, Iterator, Sequence

import torch
from torch import Tensor

from ancestral.core import Batch, DataError, NotExact, OptionError
from ancestral.core.shapes import expect_event
from ancestral.distributions import SiteHead
from ancestral.models.autoregressive import AutoregressiveModel
from ancestral.models.bayes_net.counting import leave_one_out_smoothing
from ancestral.models.bayes_net.elimination import (
    Elimination,
    Graph,
    Plan,
    plan_elimination,
)
from ancestral.models.bayes_net.structure import FixedStructure, Structure
from ancestral.networks.causal import TabularCausal

__all__ = ["BayesNet"]

_EASY_CELLS = 1 << 12  # a table so small that rows with different gaps share their sums
_MOST_CELLS = 1 << 24  # of one table, or of all tables of some rows: 64 MB
_MOST_IN_ALL = 1 << 26  # of all tables of one row: 256 MB


class BayesNet(AutoregressiveModel):
    r"""p(x) = \prod_t p(x_t | x_{pa(t)}), each factor a table: a Bayesian network.

    Everything is exact: log p with any cells missing, posterior marginals and posterior draws,
    by variable elimination, whose cost is exponential in the width of the graph: trees are
    always cheap, dense graphs may be refused. The fit is counting.

    Args:
        network: tables over a graph.
        head: categorical sites, K codes each.
        shape: of one datum.
        structure: how the graph is learnt; None: it is the network's.
        smoothing: pseudo-count of each entry of a table (a Dirichlet prior); None: the one under
            which each training row is predicted best by the others.

    Raises:
        OptionError: the smoothing is not positive.

    References:
        | Pearl (1988), Probabilistic Reasoning in Intelligent Systems
        | Chow & Liu (1968), Approximating discrete probability distributions with dependence
        | trees

    Example:
        >>> from ancestral.distributions import Categorical, site_head
        >>> network = TabularCausal([2, 2, 2], [(), (0,), (1,)])
        >>> net = BayesNet(network, site_head(Categorical((3,), 2), 3), (3,), smoothing=1.0)
        >>> x = torch.tensor([[0.0, 0, 0], [1, 1, 1]])
        >>> net.fit_batches(lambda: [Batch(x)])
        'counts of 2 rows over the given graph of 2 arrows, pseudo-count 1'
        >>> first = torch.tensor([[True, False, False]])
        >>> net.marginals(x[:1], first)[0, 2]  # the last given the first: 2/3 2/3 + 1/3 1/3
        tensor([0.5556, 0.4444])
    """

    network: TabularCausal

    def __init__(
        self,
        network: TabularCausal,
        head: SiteHead,
        shape: tuple[int, ...],
        structure: Structure | None = None,
        smoothing: float | None = None,
    ) -> None:
        super().__init__(network, head, shape)
        if smoothing is not None and not smoothing > 0:
            raise OptionError(
                f"expected a smoothing greater than 0, got {smoothing}",
                hint="0.01 is little; without any, a row with a code never seen has p = 0",
            )
        self.structure = structure or FixedStructure(network.graph)
        self.smoothing = smoothing

    # ------------------------------------------------------------------ fitting

    @torch.no_grad()
    def fit_batches(self, batches: Callable[[], Iterable[Batch]]) -> str:
        """Learn the graph, then count; both in passes over the rows that need not hold them.

        Args:
            batches: gives the training rows anew at each call; no cell may be missing.

        Returns:
            What was done, in words.
        """

        def codes() -> Iterator[Tensor]:
            for batch in batches():
                if batch.observed is not None and not bool(batch.observed.all()):
                    raise NotExact(
                        "expected complete rows to count, got missing cells",
                        hint="`vae` and `ppca` take gaps; or fill in or leave out their rows",
                    )
                yield self.network.codes(self.to_sites(batch.x))

        network = self.network
        parents = self.structure.learn(codes, network.cardinalities, self.smoothing)
        network.set_parents(parents)
        size = network.num_features
        counts = torch.zeros(network.table.numel(), dtype=torch.int64, device=network.device)
        num_rows = 0
        for some in codes():
            cells = (network.rows(some) * size + some).flatten()
            counts += torch.bincount(cells, minlength=len(counts))
            num_rows += len(some)
        smoothing = self._set_tables(counts.reshape(-1, size))
        return (
            f"counts of {num_rows:,} rows over {self.structure.describe(parents)}, "
            f"pseudo-count {smoothing:.2g}"
        )

    def _set_tables(self, counts: Tensor) -> float:
        network = self.network
        repeats = torch.tensor(network.num_rows, device=counts.device)
        sizes = (network.most + 1).repeat_interleave(repeats)
        smoothing = self.smoothing or leave_one_out_smoothing(counts, sizes)
        log_prob = (counts + smoothing).double().log()
        log_prob -= (counts.sum(1) + smoothing * sizes.double()).log().unsqueeze(1)
        padding = torch.arange(network.num_features, device=counts.device) >= sizes.unsqueeze(1)
        network.table.copy_(log_prob.masked_fill(padding, 0.0))
        return smoothing

    # ------------------------------------------------------------------ exact answers

    def log_prob(
        self, y: Tensor, context: Tensor | None = None, observed: Tensor | None = None
    ) -> Tensor:
        """Exact log p in nats, [...]; missing cells are summed out, wherever they are.

        Args:
            y: [..., *shape].
            context: None; tables take none.
            observed: [..., *shape] bool.

        Raises:
            NotExact: the graph is too dense for the sums.
            DataError: an observed cell holds a code that its table does not have.
        """
        if observed is None:
            return super().log_prob(y, context)
        expect_event(y, self.shape, "data")
        expect_event(observed, self.shape, "observed")
        whole = torch.broadcast_shapes(y.shape, observed.shape)
        leading = whole[: len(whole) - len(self.shape)]
        flat = y.expand(whole).reshape(-1, *self.shape)
        found = flat.new_zeros(len(flat))
        seen = observed.expand(whole).reshape(flat.shape)
        for rows, sums, _ in self.conditioned_above(flat, seen):
            found = found.index_copy(0, rows, sums.log_evidence)
        return found.reshape(leading)

    @torch.no_grad()
    def marginals(self, y: Tensor, observed: Tensor) -> Tensor:
        """P(x_t = k | observed cells), exact: [batch, T, largest K]; one-hot where observed.

        Args:
            y: [batch, *shape], anything where not observed.
            observed: [batch, *shape] bool.
        """
        found = y.new_zeros(len(y), self.network.num_sites, self.network.num_features)
        for rows, sums in self.conditioned(y, observed):
            found[rows] = sums.marginals()
        return found

    @torch.no_grad()
    def posterior_samples(self, y: Tensor, observed: Tensor, uniforms: Tensor) -> Tensor:
        """Exact draws from p(missing cells | observed cells), [batch, samples, *shape].

        Args:
            y: [batch, *shape], anything where not observed.
            observed: [batch, *shape] bool.
            uniforms: [batch, samples, T], in (0, 1).
        """
        found = y.new_zeros(*uniforms.shape[:2], *self.shape)
        for rows, sums in self.conditioned(y, observed, uniforms.shape[1]):
            found[rows] = sums.draw(uniforms[rows]).to(y.dtype).unflatten(-1, self.shape)
        return found

    def conditioned(
        self, y: Tensor, observed: Tensor, num_samples: int = 1
    ) -> Iterator[tuple[Tensor, Elimination]]:
        """The sums of some rows at a time: their numbers, and what is exact about them.

        Rows with different gaps share their sums where the graph is narrow; where it is not,
        rows of one pattern are taken together, whose observed cells make it narrower.

        Args:
            y: [batch, *shape].
            observed: [batch, *shape] bool.
            num_samples: that will be drawn for each row, so that memory is bounded.

        Raises:
            NotExact: the graph is too dense for the sums.
        """
        for rows, sums, _ in self._sums(y, observed, num_samples, torch.zeros_like):
            yield rows, sums

    def conditioned_above(
        self, y: Tensor, observed: Tensor, num_samples: int = 1
    ) -> Iterator[tuple[Tensor, Elimination, Tensor]]:
        """The same without barren sites, those that are neither observed nor above one that is.

        Whatever they are, their conditionals sum to one, so that log p of the observed sites
        needs no sums over them; they are drawn from their conditionals after the others.

        Args:
            y: [batch, *shape].
            observed: [batch, *shape] bool.
            num_samples: that will be drawn for each row, so that memory is bounded.

        Returns:
            Numbers of rows, their sums, and which sites were left out, [T] bool; none need be
            where the graph is narrow.

        Raises:
            NotExact: the graph is too dense for the sums.

        References:
            Shachter (1986), Evaluating influence diagrams (barren nodes)
        """
        yield from self._sums(y, observed, num_samples, self._barren)

    def with_order(self, order: Sequence[int] | Tensor) -> BayesNet:
        """The same tables, drawn in another order that puts parents first."""
        network = self.network.with_order(order)
        return BayesNet(network, self.head, self.shape, self.structure, self.smoothing)

    def _sums(
        self,
        y: Tensor,
        observed: Tensor,
        num_samples: int,
        left_out: Callable[[Tensor], Tensor],
    ) -> Iterator[tuple[Tensor, Elimination, Tensor]]:
        codes = self.network.codes(self.to_sites(torch.where(observed, y, 0.0)))
        seen = observed.reshape(codes.shape)
        tables = self._tables()
        num_sites, size = self.network.num_sites, self.network.num_features
        for rows, without in self._groups(seen, left_out):
            certain = without.tolist()
            # log 1 = 0, whatever its code: as if it were known, and of no consequence
            its = [
                t.new_zeros(1, t.shape[1]) if sure else t
                for t, sure in zip(tables, certain, strict=True)
            ]
            graph = self._graph_without(without)
            plan = self._plan(~(seen[rows].all(0) | without), without)
            cells = plan.num_cells + num_samples * max(num_sites, size) + num_sites * size
            for some in rows.split(max(1, _MOST_CELLS // cells)):
                yield (
                    some,
                    Elimination(plan, graph, its, codes[some], seen[some] | without),
                    without,
                )

    def _groups(
        self, seen: Tensor, left_out: Callable[[Tensor], Tensor]
    ) -> Iterator[tuple[Tensor, Tensor]]:
        """Row numbers that share a plan of which sums to make, and the sites it leaves out."""
        if len(seen) == 0:
            return
        nothing = torch.zeros_like(seen[0])
        together = self._plan(~seen.all(0), nothing)
        if together.most_cells <= _EASY_CELLS and together.num_cells <= _MOST_IN_ALL:
            yield torch.arange(len(seen), device=seen.device), nothing
            return
        patterns, which = seen.unique(dim=0, return_inverse=True)
        for number, pattern in enumerate(patterns):
            without = left_out(pattern)
            plan = self._plan(~(pattern | without), without)
            if plan.most_cells > _MOST_CELLS or plan.num_cells > _MOST_IN_ALL:
                raise NotExact(
                    f"expected sums of at most {_MOST_CELLS:,} terms, {_MOST_IN_ALL:,} in all, "
                    f"got {plan.most_cells:,}, {plan.num_cells:,} in all: "
                    f"with {int((~pattern).sum())} cells missing, the graph is too dense",
                    hint="fewer parents (--max-parents 2), or `chow_liu`, which is always exact",
                )
            yield (which == number).nonzero().squeeze(1), without

    def _barren(self, pattern: Tensor) -> Tensor:
        """Neither observed nor above a site that is, [T] bool."""
        above = pattern.tolist()
        for site in reversed(self.network.order.tolist()):
            if above[site]:
                for parent in self.network.graph[site]:
                    above[parent] = True
        return ~torch.tensor(above, device=pattern.device)

    def _graph_without(self, without: Tensor) -> Graph:
        return tuple(
            () if gone else parents
            for parents, gone in zip(self.network.graph, without.tolist(), strict=True)
        )

    def _plan(self, hidden: Tensor, without: Tensor) -> Plan:
        sites = frozenset(hidden.nonzero().squeeze(1).tolist())
        graph = self._graph_without(without)
        return plan_elimination(graph, self.network.cardinalities, sites)

    def _to_sites(self, y: Tensor) -> Tensor:
        """Refuses codes that the tables do not have; what is missing comes as a zero.

        Raises:
            DataError: a cell holds no code of its column.
        """
        sites = super()._to_sites(y)
        values, most = sites.squeeze(-1), self.network.most
        wrong = ~((values >= 0) & (values <= most) & (values == values.floor()))
        if bool(wrong.any()):
            row, site = wrong.nonzero()[0].tolist()
            raise DataError(
                f"expected codes from 0 to {int(most[site])} in column {site}, "
                f"got {float(values[row, site]):g}",
                hint="the tables have no entry for it: mark the cell as missing, or fit again "
                "with data that have this code",
            )
        return sites

    def _tables(self) -> list[Tensor]:
        """Log p of each site's codes, [its rows, K]."""
        network = self.network
        starts = itertools.accumulate((0, *network.num_rows))
        return [
            network.table[start : start + rows, :size].log_softmax(-1)
            for start, rows, size in zip(
                starts, network.num_rows, network.cardinalities, strict=False
            )
        ]
