"""Sites of different families: the columns of a table."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import torch
from torch import Tensor

from ancestral.core.errors import IncompatibleChoices, ShapeError
from ancestral.core.shapes import numel
from ancestral.distributions.cells import CellHead
from ancestral.distributions.head import Head
from ancestral.distributions.product import Product
from ancestral.distributions.sites import Site, SiteHead
from ancestral.distributions.uniform_sites import CellSite, UniformSites, with_event_shape

__all__ = ["ColumnSites", "site_head"]


@dataclass(frozen=True)
class ColumnSites(SiteHead):
    """Sites of different families: the columns of a table, W = 1.

    Features of a site are padded to those of the site that has most.

    Args:
        product: a head for whole rows, whose groups are cell heads.

    Example:
        >>> from ancestral.distributions.bernoulli import Bernoulli
        >>> from ancestral.distributions.normal import Normal
        >>> head = ColumnSites(Product((((0, 2), Normal((2,))), ((1,), Bernoulli((1,))))))
        >>> head.num_features, [head.num_site_features(t) for t in range(3)]
        (2, [2, 1, 2])
    """

    product: Product

    @property
    def num_sites(self) -> int:  # pyright: ignore[reportIncompatibleVariableOverride]
        """Columns."""
        return self.product.event_shape[0]

    @property
    def width(self) -> int:  # pyright: ignore[reportIncompatibleVariableOverride]
        """1."""
        return 1

    @property
    def num_features(self) -> int:  # pyright: ignore[reportIncompatibleVariableOverride]
        """The most features of a column."""
        return max(site.head.num_features for site in self._sites)

    @property
    def num_uniforms(self) -> int:  # pyright: ignore[reportIncompatibleVariableOverride]
        """The most noise of a column."""
        return max(site.num_uniforms for site in self._sites)

    def num_site_features(self, index: int) -> int:
        """Features that the column's head has."""
        return self._sites[index].head.num_features

    def site(self, index: int) -> Site:
        """The column's own."""
        return self._sites[index]

    def log_prob(self, features: Tensor, x: Tensor) -> Tensor:
        """Group by group of columns."""
        groups = [
            head.log_prob_cells(self._group(features, columns, head), x[..., columns, 0])
            for columns, head in self._groups
        ]
        return self._assembled(groups)

    def draw(self, features: Tensor, uniforms: Tensor) -> Tensor:
        """Group by group of columns."""
        groups = []
        for columns, head in self._groups:
            noise = uniforms[..., columns, : head.num_uniforms].movedim(-1, -2)
            groups.append(head.draw(self._group(features, columns, head), noise))
        return self._assembled(groups).unsqueeze(-1)

    def initial_features(self, x: Tensor) -> Tensor:
        """Those of each group, padded with zeros."""
        initial = x.new_zeros(self.num_sites, self.num_features)
        for columns, head in self._groups:
            part = head.initial_features(x[:, columns, 0]).T  # [columns, P]
            initial[torch.tensor(columns), : part.shape[1]] = part
        return initial

    def check(self, x: Tensor, observed: Tensor | None = None) -> None:
        """The product's, which names columns."""
        self.product.check(x.squeeze(-1), None if observed is None else observed.squeeze(-1))

    @cached_property
    def _groups(self) -> list[tuple[list[int], CellHead]]:
        groups = []
        for columns, head in self.product.parts:
            if not isinstance(head, CellHead):
                raise IncompatibleChoices(
                    f"the columns of a {type(head).__name__} are not independent given the others",
                    hint="choose a likelihood of separate columns",
                )
            groups.append((list(columns), head))
        return groups

    @cached_property
    def _sites(self) -> list[CellSite]:
        sites: dict[int, CellSite] = {}
        for columns, head in self._groups:
            site = CellSite(with_event_shape(head, (1,)))
            sites.update(dict.fromkeys(columns, site))
        return [sites[t] for t in range(self.num_sites)]

    def _group(self, features: Tensor, columns: Sequence[int], head: CellHead) -> Tensor:
        """[..., T, P] -> [..., P_cell, columns]."""
        return features[..., columns, : head.num_parameters].movedim(-1, -2)

    def _assembled(self, groups: list[Tensor]) -> Tensor:
        joined = torch.cat(groups, -1)
        order = [column for columns, _ in self._groups for column in columns]
        if order == sorted(order):
            return joined
        return joined.index_select(-1, torch.tensor(order, device=joined.device).argsort())


def site_head(head: Head, num_sites: int, width: int = 1) -> SiteHead:
    """The sites of a datum whose cells a head describes.

    Args:
        head: of a whole datum: a cell head, or a product of them.
        num_sites: T.
        width: W; T W is the number of cells.

    Raises:
        IncompatibleChoices: the head's cells are not independent given their features.
    """
    if isinstance(head, Product):
        return ColumnSites(head)
    if not isinstance(head, CellHead):
        raise IncompatibleChoices(
            f"{type(head).__name__} describes a row as a whole, and an autoregressive model needs "
            "the conditional of one cell",
            hint="choose a likelihood of separate cells",
        )
    if numel(head.event_shape) != num_sites * width:
        raise ShapeError(f"expected a head of {num_sites * width} cells, got {head.event_shape}")
    return UniformSites.of(head, num_sites, width)
