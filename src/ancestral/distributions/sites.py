"""`SiteHead`: the sites of an autoregressive model, one at a time or all at once."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import torch
from torch import Tensor

from ancestral.core.errors import IncompatibleChoices, ShapeError
from ancestral.distributions.cells import CellHead
from ancestral.distributions.head import Head
from ancestral.distributions.product import Product

__all__ = ["CellSite", "ColumnSites", "Site", "SiteHead", "UniformSites", "site_head"]


class Site(ABC):
    """p(x_t | features of site t), for a batch of one site.

    A site holds W sub-symbols, which may depend on each other: the three colours of a pixel.

    Attributes:
        width: W.
        num_uniforms: uniform numbers that `draw` makes one site of.
        num_codes: K, if every sub-symbol is one of 0 .. K - 1; else None.
    """

    width: int
    num_uniforms: int
    num_codes: int | None

    @abstractmethod
    def log_prob(self, features: Tensor, value: Tensor) -> Tensor:
        """Log p in nats.

        Args:
            features: [..., P].
            value: [..., W].

        Returns:
            [...], summed over the sub-symbols.
        """

    @abstractmethod
    def draw(self, features: Tensor, uniforms: Tensor) -> Tensor:
        """A draw as a function of its noise.

        Args:
            features: [..., P].
            uniforms: [..., num_uniforms], in (0, 1).

        Returns:
            [..., W].
        """

    @abstractmethod
    def table(self, features: Tensor, prefix: Tensor) -> Tensor:
        """Masses of the next sub-symbol, given the earlier ones of this site.

        Args:
            features: [..., P].
            prefix: [..., c], the c < W sub-symbols that are known.

        Returns:
            [..., K], P(x_c = k | features, prefix).

        Raises:
            NotImplementedError: the support is not 0 .. K - 1.
        """

    def mean(self, features: Tensor) -> Tensor:
        """E[x_t | features], [..., W]: for pictures.

        Args:
            features: [..., P].

        Raises:
            NotImplementedError: it is not known.
        """
        raise NotImplementedError(f"{type(self).__name__} does not know its mean")


class SiteHead(ABC):
    """p(x_t | features_t) of every site of a datum. It holds no weights.

    Sites are numbered as they are stored, whatever the order they are drawn in.

    Attributes:
        num_sites: T.
        width: W, sub-symbols of a site.
        num_features: P, the largest number of features of a site.
        num_uniforms: uniform numbers that a site is drawn from, at most.
    """

    num_sites: int
    width: int
    num_features: int
    num_uniforms: int

    @abstractmethod
    def site(self, index: int) -> Site:
        """The conditional of one site."""

    @abstractmethod
    def log_prob(self, features: Tensor, x: Tensor) -> Tensor:
        """Log p of each site, in nats.

        Args:
            features: [..., T, P].
            x: [..., T, W].

        Returns:
            [..., T].
        """

    @abstractmethod
    def draw(self, features: Tensor, uniforms: Tensor) -> Tensor:
        """All sites at once, each given its own features.

        Args:
            features: [..., T, P].
            uniforms: [..., T, num_uniforms], in (0, 1).

        Returns:
            [..., T, W].
        """

    def mean(self, features: Tensor) -> Tensor:
        """E[x_t | features_t] of each site, [..., T, W]: for pictures.

        Args:
            features: [..., T, P].

        Raises:
            NotImplementedError: some site does not know it.
        """
        return torch.stack(
            [self.site(t).mean(features[..., t, :]) for t in range(self.num_sites)], -2
        )

    @abstractmethod
    def initial_features(self, x: Tensor) -> Tensor:
        """Features [T, P] that fit the rows x, [rows, T, W], when they are the same for all."""

    @abstractmethod
    def check(self, x: Tensor, observed: Tensor | None = None) -> None:
        """Refuse rows, [rows, T, W], outside the support.

        Raises:
            DataError: in the user's words, with a hint.
        """

    def num_site_features(self, index: int) -> int:
        """Features that site `index` looks at; the rest of its P are padding."""
        del index
        return self.num_features

    def with_length(self, num_sites: int) -> SiteHead:
        """The same for another number of sites.

        Raises:
            IncompatibleChoices: sites differ, so that more of them would be like none.
        """
        raise IncompatibleChoices(
            f"expected {self.num_sites} sites, each with its own family, got a length of "
            f"{num_sites}",
            hint="only sequences of equal sites have another length",
        )


@dataclass(frozen=True)
class CellSite(Site):
    """A site whose sub-symbols are independent given the features.

    Args:
        head: with event shape (W,). Features of a site are [P_cell, W], flattened.
    """

    head: CellHead

    @property
    def width(self) -> int:  # pyright: ignore[reportIncompatibleVariableOverride]
        """W."""
        return self.head.event_shape[0]

    @property
    def num_uniforms(self) -> int:  # pyright: ignore[reportIncompatibleVariableOverride]
        """Those of the sub-symbols together."""
        return self.head.num_uniforms * self.width

    @property
    def num_codes(self) -> int | None:  # pyright: ignore[reportIncompatibleVariableOverride]
        """Of the head's support."""
        return self.head.support.num_codes

    def log_prob(self, features: Tensor, value: Tensor) -> Tensor:
        """The head's."""
        return self.head.log_prob(self._cells(features), value)

    def draw(self, features: Tensor, uniforms: Tensor) -> Tensor:
        """The head's."""
        noise = uniforms[..., : self.num_uniforms]
        return self.head.draw(self._cells(features), noise.unflatten(-1, (-1, self.width)))

    def mean(self, features: Tensor) -> Tensor:
        """The head's."""
        return self.head.mean(self._cells(features))

    def table(self, features: Tensor, prefix: Tensor) -> Tensor:
        """The head's, for the next cell; earlier ones do not matter."""
        return self.head.table(self._cells(features))[..., prefix.shape[-1]]

    def _cells(self, features: Tensor) -> Tensor:
        return features[..., : self.head.num_features].unflatten(-1, self.head.feature_shape)


@dataclass(frozen=True)
class UniformSites(SiteHead):
    """Sites that are all of one family.

    Args:
        conditional: of any site; for instance `CellSite(Bernoulli((1,)))`.
        num_sites: T.
        num_features: P.
        cell: a head with event shape (T, W), for checks and first features; None for none.

    Example:
        >>> from ancestral.distributions.bernoulli import Bernoulli
        >>> head = UniformSites.of(Bernoulli((5,)), num_sites=5)
        >>> head.log_prob(torch.zeros(2, 5, 1), torch.ones(2, 5, 1)).exp()
        tensor([[0.5000, 0.5000, 0.5000, 0.5000, 0.5000],
                [0.5000, 0.5000, 0.5000, 0.5000, 0.5000]])
    """

    conditional: Site
    num_sites: int
    num_features: int
    cell: CellHead | None = None

    @staticmethod
    def of(head: CellHead, num_sites: int, width: int = 1) -> UniformSites:
        """Sites under a head of any event shape, whose family is kept and whose shape is not."""
        site = CellSite(with_event_shape(head, (width,)))
        cells = with_event_shape(head, (num_sites, width))
        return UniformSites(site, num_sites, site.head.num_features, cells)

    @property
    def width(self) -> int:  # pyright: ignore[reportIncompatibleVariableOverride]
        """W."""
        return self.conditional.width

    @property
    def num_uniforms(self) -> int:  # pyright: ignore[reportIncompatibleVariableOverride]
        """Of any site."""
        return self.conditional.num_uniforms

    def with_length(self, num_sites: int) -> UniformSites:
        """More or fewer of the same."""
        cell = self.cell
        if cell is not None:
            cell = with_event_shape(cell, (num_sites, self.width))
        return replace(self, num_sites=num_sites, cell=cell)

    def site(self, index: int) -> Site:
        """The same for all."""
        del index
        return self.conditional

    def log_prob(self, features: Tensor, x: Tensor) -> Tensor:
        """The site's, for all at once."""
        return self.conditional.log_prob(features, x)

    def draw(self, features: Tensor, uniforms: Tensor) -> Tensor:
        """The site's, for all at once."""
        return self.conditional.draw(features, uniforms)

    def mean(self, features: Tensor) -> Tensor:
        """The site's, for all at once."""
        return self.conditional.mean(features)

    def initial_features(self, x: Tensor) -> Tensor:
        """The head's, site by site."""
        if self.cell is None:
            return x.new_zeros(self.num_sites, self.num_features)
        # [P_cell, T, W] -> [T, P_cell W]
        return self.cell.initial_features(x).movedim(0, 1).flatten(1)

    def check(self, x: Tensor, observed: Tensor | None = None) -> None:
        """The head's."""
        if self.cell is not None:
            self.cell.check(x, observed)


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
    cells = 1
    for size in head.event_shape:
        cells *= size
    if cells != num_sites * width:
        raise ShapeError(f"expected a head of {num_sites * width} cells, got {head.event_shape}")
    return UniformSites.of(head, num_sites, width)


def with_event_shape(head: CellHead, event_shape: tuple[int, ...]) -> CellHead:
    """The same family for events of another shape."""
    component = getattr(head, "component", None)
    if component is not None:
        return replace(head, component=with_event_shape(component, event_shape))  # type: ignore[type-var]
    return replace(head, event_shape=event_shape)  # type: ignore[type-var]
