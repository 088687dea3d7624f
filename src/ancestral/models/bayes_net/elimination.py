"""Exact inference in Bayesian networks: which sums to make in which order, and making them."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import torch
from torch import Tensor

__all__ = ["Bucket", "Elimination", "Graph", "Plan", "plan_elimination"]

Graph = tuple[tuple[int, ...], ...]


@dataclass(frozen=True)
class Bucket:
    """One sum of variable elimination.

    Args:
        site: that is summed out.
        others: hidden sites of the same table, all of which are summed out later.
    """

    site: int
    others: tuple[int, ...]


@dataclass(frozen=True)
class Plan:
    """Sums that leave nothing of the hidden sites.

    Args:
        buckets: in order.
        most_cells: entries of the largest table.
        num_cells: of all tables together.
    """

    buckets: tuple[Bucket, ...]
    most_cells: int
    num_cells: int


@lru_cache(maxsize=64)
def plan_elimination(graph: Graph, cardinalities: tuple[int, ...], hidden: frozenset[int]) -> Plan:
    """An order by the min-fill heuristic, which is best on trees.

    Sites with at most one neighbour come first, which costs nothing later; of the others always
    the one whose removal adds the fewest edges.

    Args:
        graph: parents of each site.
        cardinalities: codes of each site.
        hidden: sites to sum out; the others are known.

    References:
        | Koller & Friedman (2009), Probabilistic Graphical Models, algorithms 9.1 and 9.4
    """
    near: dict[int, set[int]] = {site: set() for site in hidden}
    for site, parents in enumerate(graph):
        family = [s for s in (site, *parents) if s in hidden]
        for s in family:
            near[s].update(family)
            near[s].discard(s)
    fills: dict[int, tuple[int, int]] = {}
    buckets, cells = [], []
    loose = sorted((s for s in near if len(near[s]) <= 1), reverse=True)
    while near:
        site = loose.pop() if loose else _least_fill(near, fills, cardinalities)
        if site not in near:
            continue
        others = near.pop(site)
        fills.pop(site, None)
        stale = set(others)
        for s in others:
            added = others - near[s] - {s}
            near[s] |= added
            near[s].discard(site)
            if added:
                stale |= near[s]
        for s in stale:
            fills.pop(s, None)
        loose.extend(s for s in others if len(near[s]) <= 1)
        buckets.append(Bucket(site, tuple(sorted(others))))
        cells.append(math.prod(cardinalities[s] for s in (site, *others)))
    return Plan(tuple(buckets), max(cells, default=1), sum(cells))


class Elimination:
    r"""The sums of a plan, for a batch of rows.

    Each bucket holds log psi_v(v, S_v), the log of the product of all that is known of v and of
    the sites S_v; its sum over v goes to the bucket of S_v that comes next. Logarithms
    throughout: products of many small numbers would vanish. From then on everything is at hand:

    - log p(evidence), the sums that are left;
    - p(v | S_v, evidence) = psi_v(v, S_v) / sum_v psi_v(v, S_v): draws, last bucket first;
    - marginals, last bucket first, since S_v lies in the table of a later bucket.

    Args:
        plan: of the sites that are hidden in some row.
        graph: parents of each site.
        tables: log p of each site's codes, [rows of the table, K], normalised.
        codes: [batch, T] int64; anything where not observed.
        observed: [batch, T] bool.

    References:
        | Koller & Friedman (2009), Probabilistic Graphical Models, sections 9.3 and 10.2
        | (the buckets are the cliques of a tree)
    """

    def __init__(
        self, plan: Plan, graph: Graph, tables: Sequence[Tensor], codes: Tensor, observed: Tensor
    ) -> None:
        self.codes, self.observed, self.buckets = codes, observed, plan.buckets
        self._cardinalities = [table.shape[1] for table in tables]
        self._rank = {bucket.site: i for i, bucket in enumerate(plan.buckets)}
        waiting: list[list[tuple[tuple[int, ...], Tensor]]] = [[] for _ in plan.buckets]
        total = tables[0].new_zeros(len(codes))
        for site, parents in enumerate(graph):
            scope, factor = self._family(site, parents, tables[site])
            if scope:
                waiting[min(self._rank[s] for s in scope)].append((scope, factor))
            else:
                total = total + factor
        allowed = torch.zeros(len(codes), 1, dtype=torch.bool, device=codes.device)
        self._psi: list[Tensor] = []
        for number, bucket in enumerate(plan.buckets):
            scope = (bucket.site, *bucket.others)
            psi = torch.zeros((), dtype=total.dtype, device=total.device)
            for its, factor in waiting[number]:
                psi = psi + _aligned(factor, its, scope)
            waiting[number].clear()
            seen = observed[:, bucket.site]
            if bool(seen.any()):
                # where it is known after all, only its code is left
                levels = torch.arange(self._cardinalities[bucket.site], device=codes.device)
                allowed = ~seen.unsqueeze(1) | (levels == codes[:, bucket.site].unsqueeze(1))
                evidence = torch.zeros_like(allowed, dtype=total.dtype)
                evidence = evidence.masked_fill(~allowed, -torch.inf)
                psi = psi + _aligned(evidence, (bucket.site,), scope)
            self._psi.append(psi)
            message = psi.logsumexp(1)
            if bucket.others:
                waiting[min(self._rank[s] for s in bucket.others)].append((bucket.others, message))
            else:
                total = total + message
        self.log_evidence = total
        """Log p of the observed sites, [batch]."""

    def draw(self, uniforms: Tensor) -> Tensor:
        """Exact draws of what is missing given what is observed.

        Args:
            uniforms: [batch, samples, T], in (0, 1).

        Returns:
            [batch, samples, T] codes; observed ones as they are.
        """
        batch, num_samples, _ = uniforms.shape
        drawn = self.codes.unsqueeze(1).repeat(1, num_samples, 1)
        for bucket, psi in zip(reversed(self.buckets), reversed(self._psi), strict=True):
            logits = psi.flatten(2) if bucket.others else psi.unsqueeze(2)
            logits = logits.transpose(1, 2).expand(batch, -1, -1)  # [batch, others, K]
            number = torch.zeros(batch, num_samples, dtype=torch.int64, device=psi.device)
            for s in bucket.others:
                number = number * self._cardinalities[s] + drawn[..., s]
            index = number.unsqueeze(-1).expand(-1, -1, logits.shape[-1])
            cumulative = logits.gather(1, index).softmax(-1).cumsum(-1)
            # the last sum may round to less than 1, so that the last code is what remains
            u = uniforms[..., bucket.site].unsqueeze(-1)
            drawn[..., bucket.site] = (cumulative[..., :-1] < u).sum(-1)
        # a uniform number at the very edge may pick a code of no mass next to the known one
        return torch.where(self.observed.unsqueeze(1), self.codes.unsqueeze(1), drawn)

    def marginals(self) -> Tensor:
        """P(x_t = k | observed), exact, [batch, T, largest K]; one-hot where observed."""
        batch, num_sites = self.codes.shape
        found = self.log_evidence.new_zeros(batch, num_sites, max(self._cardinalities))
        known = self.codes.clamp_min(0).unsqueeze(-1)
        found.scatter_(2, known, 1.0)
        beliefs: dict[int, tuple[tuple[int, ...], Tensor]] = {}
        children = {b.site: set[int]() for b in self.buckets}
        for bucket in self.buckets:
            if bucket.others:
                children[min(bucket.others, key=self._rank.__getitem__)].add(bucket.site)
        for bucket, psi in zip(reversed(self.buckets), reversed(self._psi), strict=True):
            belief = psi.softmax(1)
            if bucket.others:
                above = min(bucket.others, key=self._rank.__getitem__)
                scope, joint = beliefs[above]
                belief = belief * _margin(joint, scope, bucket.others).unsqueeze(1)
                children[above].discard(bucket.site)
                if not children[above]:
                    del beliefs[above]
            if children[bucket.site]:
                beliefs[bucket.site] = ((bucket.site, *bucket.others), belief)
            alone = belief.flatten(2).sum(2) if bucket.others else belief
            found[:, bucket.site, : alone.shape[1]] = alone
        return found

    def _family(
        self, site: int, parents: tuple[int, ...], table: Tensor
    ) -> tuple[tuple[int, ...], Tensor]:
        """Log p(site | parents), as a function of those that are hidden: their scope, a tensor.

        The tensor is [batch or 1, *K of the scope].
        """
        sizes = [self._cardinalities[p] for p in parents]
        hidden = [p in self._rank for p in parents]
        scope = tuple(p for p in parents if p in self._rank)
        if all(hidden):
            grid = table.reshape(1, *sizes, table.shape[1])
        else:
            row = torch.zeros(len(self.codes), 1, dtype=torch.int64, device=table.device)
            for parent, size, is_hidden in zip(parents, sizes, hidden, strict=True):
                if is_hidden:
                    levels = torch.arange(size, device=table.device)
                    row = (row.unsqueeze(-1) * size + levels).flatten(1)
                else:
                    row = row * size + self.codes[:, parent].unsqueeze(1)
            grid = table[row].reshape(len(row), *(self._cardinalities[p] for p in scope), -1)
        if site in self._rank:
            return (site, *scope), grid.movedim(-1, 1)
        grid = grid.expand(len(self.codes), *grid.shape[1:])
        index = self.codes[:, site].reshape(-1, *[1] * (grid.ndim - 1))
        return scope, grid.gather(-1, index.expand(*grid.shape[:-1], 1)).squeeze(-1)


def _least_fill(
    near: dict[int, set[int]], fills: dict[int, tuple[int, int]], cardinalities: tuple[int, ...]
) -> int:
    for site in near.keys() - fills.keys():
        others = near[site]
        missing = sum(len(others) - 1 - len(near[s] & others) for s in others)
        size = math.prod(cardinalities[s] for s in (site, *others))
        fills[site] = (missing, size)
    return min(fills, key=lambda site: (*fills[site], site))


def _aligned(factor: Tensor, its: tuple[int, ...], scope: tuple[int, ...]) -> Tensor:
    """[batch, *its] -> [batch, *scope], with 1 for the sites that the factor does not know."""
    where = sorted(range(len(its)), key=lambda i: scope.index(its[i]))
    ordered = factor.permute(0, *(i + 1 for i in where))
    sizes = iter(ordered.shape[1:])
    shape = [next(sizes) if s in its else 1 for s in scope]
    return ordered.reshape(len(factor), *shape)


def _margin(joint: Tensor, scope: tuple[int, ...], kept: tuple[int, ...]) -> Tensor:
    """[batch, *scope] -> [batch, *kept]: the others are summed out."""
    gone = [i + 1 for i, s in enumerate(scope) if s not in kept]
    margin = joint.sum(gone) if gone else joint
    left = [s for s in scope if s in kept]
    return margin.permute(0, *(left.index(s) + 1 for s in kept))
