"""Sites that are all of one family."""

from __future__ import annotations

from dataclasses import dataclass, replace

from torch import Tensor

from ancestral.distributions.cells import CellHead
from ancestral.distributions.sites import Site, SiteHead

__all__ = ["CellSite", "UniformSites", "with_event_shape"]


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
        >>> import torch
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


def with_event_shape(head: CellHead, event_shape: tuple[int, ...]) -> CellHead:
    """The same family for events of another shape."""
    component = getattr(head, "component", None)
    if component is not None:
        return replace(head, component=with_event_shape(component, event_shape))  # type: ignore[type-var]
    return replace(head, event_shape=event_shape)  # type: ignore[type-var]
