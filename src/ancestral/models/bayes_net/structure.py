"""Which site depends on which: given, a best tree, or found by greedy search."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from ancestral.core import OptionError
from ancestral.models.bayes_net.counting import CodeBatches, mutual_information

__all__ = ["ChowLiuTree", "FixedStructure", "Structure", "spanning_tree"]

Parents = list[tuple[int, ...]]

_PAIR_SMOOTHING = 0.01


class Structure(Protocol):
    """How the parents of each site come about."""

    def learn(
        self, batches: CodeBatches, cardinalities: Sequence[int], smoothing: float | None
    ) -> Parents:
        """The parents of each site.

        Args:
            batches: training rows.
            cardinalities: K of each site.
            smoothing: pseudo-count of the tables; None if it is yet to be chosen.
        """
        ...

    def describe(self, parents: Parents) -> str:
        """What was found, in words."""
        ...


@dataclass(frozen=True)
class FixedStructure:
    """The parents that somebody names.

    Args:
        parents: of each site.
    """

    parents: tuple[tuple[int, ...], ...]

    def learn(
        self, batches: CodeBatches, cardinalities: Sequence[int], smoothing: float | None
    ) -> Parents:
        """As they are."""
        del batches, cardinalities, smoothing
        return list(self.parents)

    def describe(self, parents: Parents) -> str:
        """How many arrows."""
        return f"the given graph of {sum(map(len, parents)):,} arrows"


@dataclass(frozen=True)
class ChowLiuTree:
    """The tree of greatest likelihood: a spanning tree of greatest mutual information.

    Args:
        root: the site without a parent. It changes nothing but the direction of the arrows.

    References:
        | Chow & Liu (1968), Approximating discrete probability distributions with dependence
        | trees: equation 17 and the procedure after it
    """

    root: int = 0

    def learn(
        self, batches: CodeBatches, cardinalities: Sequence[int], smoothing: float | None
    ) -> Parents:
        """Pairs are smoothed as the tables are, or by 0.01 where that is not yet known."""
        if not 0 <= self.root < len(cardinalities):
            raise OptionError(
                f"expected a root from 0 to {len(cardinalities) - 1}, got {self.root}"
            )
        amount = _PAIR_SMOOTHING if smoothing is None else smoothing
        information = mutual_information(batches, cardinalities, amount)
        return spanning_tree(information.cpu().numpy(), self.root)

    def describe(self, parents: Parents) -> str:
        """Its size."""
        return f"the best tree of {len(parents):,} columns"


def spanning_tree(weights: np.ndarray, root: int) -> Parents:
    """The parents of each site in a spanning tree of greatest total weight (Prim, 1957).

    Args:
        weights: [T, T], symmetric.
        root: has no parent.

    Example:
        >>> spanning_tree(np.array([[0.0, 1, 3], [1, 0, 2], [3, 2, 0]]), root=0)
        [(), (2,), (0,)]
    """
    num_sites = len(weights)
    parents: Parents = [() for _ in range(num_sites)]
    best = weights[root].astype(np.float64).copy()
    source = np.full(num_sites, root)
    best[root] = -np.inf
    outside = np.ones(num_sites, dtype=bool)
    outside[root] = False
    for _ in range(num_sites - 1):
        site = int(best.argmax())
        parents[site] = (int(source[site]),)
        outside[site] = False
        best[site] = -np.inf
        better = outside & (weights[site] > best)
        best[better] = weights[site][better]
        source[better] = site
    return parents
