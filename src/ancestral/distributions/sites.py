"""`Site` and `SiteHead`: conditionals of an autoregressive model, one at a time or all at once."""

from __future__ import annotations

from abc import ABC, abstractmethod

import torch
from torch import Tensor

from ancestral.core.errors import IncompatibleChoices

__all__ = ["Site", "SiteHead"]


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
