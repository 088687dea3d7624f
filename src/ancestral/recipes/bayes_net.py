"""Bayesian networks of tables, with a graph that is given, a tree, or learnt."""

from __future__ import annotations

import itertools
import re

from ancestral.core import Column, DataError, Kind, OptionError, Specification
from ancestral.core.registry import nearest
from ancestral.distributions import Categorical, Product, SiteHead, site_head
from ancestral.estimator import Assembly
from ancestral.inference.objectives import ClosedForm
from ancestral.models import BayesNet, ChowLiuTree, FixedStructure, HillClimbing
from ancestral.models.bayes_net import Structure
from ancestral.networks.causal import TabularCausal
from ancestral.recipes.site_parts import require_complete

__all__ = ["bayes_net", "chow_liu"]

_CODED = (Kind.BINARY, Kind.CATEGORICAL, Kind.LEVELS)


def bayes_net(
    spec: Specification,
    *,
    structure: str = "",
    max_parents: int = 3,
    smoothing: float | None = None,
) -> Assembly:
    """A Bayesian network: each cell has a table over the cells it depends on.

    Args:
        spec: what the data are: complete, binary, categorical or of levels.
        structure: the arrows, such as "rain->wet, sprinkler->wet" or "0->1->2"; columns by name,
            or by number from 0. Learnt from the data if it is empty.
        max_parents: of a cell, where the arrows are learnt.
        smoothing: pseudo-count of each entry of a table; chosen by leave-one-out if not given.
    """
    found: Structure
    if structure.strip():
        found = FixedStructure(_parents_in(structure, spec))
    else:
        found = HillClimbing(max_parents)
    return _tables(spec, found, smoothing)


def chow_liu(spec: Specification, *, root: str = "", smoothing: float | None = None) -> Assembly:
    """The best tree of pairwise dependences: exact, and fitted in two passes over the data.

    Args:
        spec: what the data are: complete, binary, categorical or of levels.
        root: the cell from which the arrows go out, by name, or by number from 0; the first if
            it is not given.
        smoothing: pseudo-count of each entry of a table; chosen by leave-one-out if not given.
    """
    return _tables(spec, ChowLiuTree(_column(root, spec) if root.strip() else 0), smoothing)


def _tables(spec: Specification, structure: Structure, smoothing: float | None) -> Assembly:
    require_complete(spec)
    sizes = _cardinalities(spec)
    model = BayesNet(TabularCausal(sizes), _head(spec, sizes), spec.shape, structure, smoothing)
    return Assembly(model, ClosedForm())


def _cardinalities(spec: Specification) -> list[int]:
    """Codes of each cell.

    Raises:
        DataError: a cell has no finite number of them.
    """
    if spec.kind is not None:
        columns = (Column("the data", spec.kind, spec.num_levels),) * spec.num_dims
    else:
        columns = spec.columns or ()
    for column in columns:
        if column.kind not in _CODED:
            what = "cells" if spec.kind is not None else f"column {column.name!r}"
            raise DataError(
                f"expected cells of finitely many values for tables, got {what} of kind "
                f"{column.kind}",
                hint="discretise numbers into a few bins and give them as whole numbers "
                "(--kind categorical), leave the columns out (--drop), or use `fvsbn`",
            )
    return [column.num_levels or 2 for column in columns]


def _head(spec: Specification, sizes: list[int]) -> SiteHead:
    if len(set(sizes)) == 1:
        return site_head(Categorical(spec.shape, sizes[0]), len(sizes))
    groups: dict[int, list[int]] = {}
    for index, size in enumerate(sizes):
        groups.setdefault(size, []).append(index)
    parts = tuple((tuple(its), Categorical((len(its),), size)) for size, its in groups.items())
    names = tuple(column.name for column in spec.columns or ())
    return site_head(Product(parts, names), len(sizes))


def _parents_in(text: str, spec: Specification) -> tuple[tuple[int, ...], ...]:
    """The parents of each cell, from arrows in words."""
    parents: list[list[int]] = [[] for _ in range(spec.num_dims)]
    for chain in re.split(r"[,;\n]", text):
        if not chain.strip():
            continue
        names = chain.split("->")
        if len(names) < 2:
            raise OptionError(
                f"expected arrows between columns, got {chain.strip()!r}",
                hint="such as --structure 'rain->wet, sprinkler->wet'",
            )
        sites = [_column(name, spec) for name in names]
        for start, end in itertools.pairwise(sites):
            if start not in parents[end]:
                parents[end].append(start)
    _refuse_cycles(parents, spec)
    return tuple(tuple(its) for its in parents)


def _refuse_cycles(parents: list[list[int]], spec: Specification) -> None:
    """Follow the arrows backwards from each cell; coming back to it is a cycle."""
    finished: set[int] = set()

    def visit(site: int, below: list[int]) -> None:
        if site in below:
            cycle = [site, *reversed(below[below.index(site) :])]
            raise OptionError(
                "expected arrows without a cycle, got "
                + " -> ".join(_name(s, spec) for s in cycle),
                hint="turn one of these arrows round, or leave it out",
            )
        if site not in finished:
            for parent in parents[site]:
                visit(parent, [*below, site])
            finished.add(site)

    for site in range(len(parents)):
        visit(site, [])


def _name(site: int, spec: Specification) -> str:
    return str(site) if spec.columns is None else spec.columns[site].name


def _column(text: str, spec: Specification) -> int:
    """The number of a column, by its name or its number.

    Raises:
        OptionError: there is none.
    """
    wanted = text.strip()
    names = [column.name for column in spec.columns or ()]
    if wanted in names:
        return names.index(wanted)
    if wanted.isascii() and wanted.isdigit() and int(wanted) < spec.num_dims:
        return int(wanted)
    numbers = f"a column is one of 0 to {spec.num_dims - 1}"
    raise OptionError(
        f"expected a column of the data, got {wanted!r}",
        hint=nearest(wanted, names) if names else numbers,
    )
