"""`CellHead`: heads under which the cells of an event are independent given the features."""

from __future__ import annotations

from abc import abstractmethod
from typing import ClassVar

import torch
from torch import Tensor
from torch.distributions import Distribution

from ancestral.core.noise import uniform_noise
from ancestral.core.shapes import sum_event
from ancestral.distributions.head import Head
from ancestral.distributions.support import Support, check_support
from ancestral.distributions.wrapper import HeadDistribution

__all__ = ["CellHead", "open_uniform", "single"]

_HALF = (torch.bfloat16, torch.float16)


class CellHead(Head):
    """Log p(x | features) = sum over cells of log p(x_cell | its own parameters).

    Features have shape `[..., P, *event_shape]`, P parameters to a cell. A family writes
    `_log_prob`, and `icdf` or `sample`; densities are computed in float32 at least, whatever
    the features' precision.

    Attributes:
        inside: a number of the support. It stands in for x where x is not observed, so that
            neither the value nor the gradient of an ignored cell can be NaN.
    """

    inside: ClassVar[float] = 0.0

    @property
    @abstractmethod
    def num_parameters(self) -> int:
        """P, the number of features of one cell."""

    @property
    @abstractmethod
    def support(self) -> Support:
        """Where each cell must be."""

    @abstractmethod
    def _log_prob(self, features: Tensor, x: Tensor) -> Tensor:
        """Log p of each cell, [..., *event_shape]; nothing is missing or in half precision."""

    @property
    def feature_shape(self) -> tuple[int, ...]:
        """(P, *event_shape)."""
        return (self.num_parameters, *self.event_shape)

    @property
    def is_discrete(self) -> bool:
        """That of the support."""
        return self.support.is_discrete

    @property
    def axis(self) -> int:
        """The axis of the features that holds the parameters, from the right."""
        return -1 - len(self.event_shape)

    @property
    def num_uniforms(self) -> int:
        """Uniform numbers that `draw` makes one cell of."""
        return 1

    def log_prob_cells(
        self, features: Tensor, x: Tensor, observed: Tensor | None = None
    ) -> Tensor:
        """Log p of each cell, [..., *event_shape], in nats; 0 where it is not observed.

        Args:
            features: [..., P, *event_shape].
            x: [..., *event_shape].
            observed: [..., *event_shape] bool, or None.
        """
        features = single(features)
        if observed is None:
            return self._log_prob(features, x)
        x = torch.where(observed, x, self.inside)
        return torch.where(observed, self._log_prob(features, x), 0.0)

    def log_prob(self, features: Tensor, x: Tensor, observed: Tensor | None = None) -> Tensor:
        """Sum of `log_prob_cells` over the event, [...]."""
        return sum_event(self.log_prob_cells(features, x, observed), len(self.event_shape))

    def __call__(self, features: Tensor) -> Distribution:
        """The distribution; see `HeadDistribution`."""
        return HeadDistribution(self, features)

    def sample(self, features: Tensor) -> Tensor:
        """One draw for each leading index, from uniform noise through `icdf`."""
        features = single(features)
        return self.icdf(features, open_uniform(features.select(self.axis, 0)))

    def draw(self, features: Tensor, uniforms: Tensor) -> Tensor:
        """A draw as a function of its noise: the same noise, the same draw, by any sampler.

        Args:
            features: [..., P, *event_shape].
            uniforms: [..., num_uniforms, *event_shape], in (0, 1), independent.

        Returns:
            [..., *event_shape].
        """
        return self.icdf(single(features), uniforms.select(self.axis, 0))

    def table(self, features: Tensor) -> Tensor:
        """P(x = k) of each cell for every code k, [..., K, *event_shape].

        Args:
            features: [..., P, *event_shape].

        Raises:
            NotImplementedError: the support is not 0 .. K - 1 for some K.
        """
        num_codes = self.support.num_codes
        if num_codes is None:
            raise NotImplementedError(f"{type(self).__name__} has no finite table of masses")
        levels = torch.arange(num_codes, dtype=single(features).dtype, device=features.device)
        levels = levels.reshape(-1, *[1] * len(self.event_shape))
        return self.log_prob_cells(features.unsqueeze(self.axis - 1), levels).exp()

    def icdf(self, features: Tensor, u: Tensor) -> Tensor:
        """The quantile function: the smallest x with P(X <= x) >= u, for each cell.

        Args:
            features: [..., P, *event_shape].
            u: [..., *event_shape], in (0, 1).

        Raises:
            NotImplementedError: the family has no cheap one.
        """
        raise NotImplementedError(f"{type(self).__name__} has no closed-form quantiles")

    def check(self, x: Tensor, observed: Tensor | None = None) -> None:
        """Refuse rows outside `support`."""
        check_support(type(self).__name__, self.support, self.event_shape, x, observed)


def single(features: Tensor) -> Tensor:
    """Half precision becomes float32: sums over hundreds of cells need it."""
    return features.float() if features.dtype in _HALF else features


def open_uniform(like: Tensor) -> Tensor:
    """Uniform noise strictly between 0 and 1, where quantile functions are finite."""
    epsilon = torch.finfo(like.dtype).eps / 2
    return uniform_noise(like.shape, like).clamp(epsilon, 1 - epsilon)
