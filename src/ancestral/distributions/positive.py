"""Cells that are at least, or greater than, zero."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor
from torch import distributions as td

from ancestral.distributions.cells import CellHead, single
from ancestral.distributions.gaussian import LOG_2PI
from ancestral.distributions.scales import (
    MIN_LOG_SCALE,
    bound_below,
    log_scale_feature,
    moments,
)
from ancestral.distributions.support import NON_NEGATIVE, POSITIVE, Support

__all__ = ["Exponential", "LogNormal"]

_LEAST_MEAN = 1e-3


@dataclass(frozen=True)
class Exponential(CellHead):
    """Log p(x) = -log m - x / m, features `(1, *event_shape)`: log m, the log of the mean.

    Args:
        event_shape: shape of one x.
    """

    event_shape: tuple[int, ...]
    reparameterized: ClassVar[bool] = True

    @property
    def num_parameters(self) -> int:
        """The log of the mean."""
        return 1

    @property
    def support(self) -> Support:
        """0 and above."""
        return NON_NEGATIVE

    def _log_prob(self, features: Tensor, x: Tensor) -> Tensor:
        log_mean = features.select(self.axis, 0)
        return -log_mean - x * torch.exp(-log_mean)

    def mean(self, features: Tensor) -> Tensor:
        """Exp of the feature."""
        return single(features).select(self.axis, 0).exp()

    def icdf(self, features: Tensor, u: Tensor) -> Tensor:
        """-m log(1 - u)."""
        return -self.mean(features) * torch.log1p(-u)

    def initial_features(self, x: Tensor, observed: Tensor | None = None) -> Tensor:
        """Log of the rows' mean, of at least 0.001."""
        mean, _ = moments(x, observed)
        return mean.clamp_min(_LEAST_MEAN).log().unsqueeze(0)

    def as_torch(self, features: Tensor) -> td.Distribution:
        """Torch's Exponential."""
        return td.Exponential(torch.exp(-features.select(self.axis, 0)), validate_args=False)


@dataclass(frozen=True)
class LogNormal(CellHead):
    """log x is Gaussian; features `(2, *event_shape)`: mean and log-scale of log x.

    The density is that of x itself: it counts the Jacobian, -log x.

    Args:
        event_shape: shape of one x.
        min_log_scale: lower bound of the log-scale, approached smoothly.
    """

    event_shape: tuple[int, ...]
    min_log_scale: float = MIN_LOG_SCALE
    reparameterized: ClassVar[bool] = True
    inside: ClassVar[float] = 1.0

    @property
    def num_parameters(self) -> int:
        """Location and log-scale of log x."""
        return 2

    @property
    def support(self) -> Support:
        """Above 0; a single 0 would have density 0."""
        return POSITIVE

    def location_and_log_scale(self, features: Tensor) -> tuple[Tensor, Tensor]:
        """The two parameters of log x, [..., *event_shape]."""
        loc, log_scale = single(features).unbind(self.axis)
        return loc, bound_below(log_scale, self.min_log_scale)

    def _log_prob(self, features: Tensor, x: Tensor) -> Tensor:
        loc, log_scale = self.location_and_log_scale(features)
        y = x.log()
        z = (y - loc) * torch.exp(-log_scale)
        return -torch.addcmul(log_scale, z, z, value=0.5) - 0.5 * LOG_2PI - y

    def mean(self, features: Tensor) -> Tensor:
        """exp(loc + scale^2 / 2), which is infinite in practice for scales above ten."""
        loc, log_scale = self.location_and_log_scale(features)
        return torch.exp(loc + 0.5 * (2 * log_scale).exp())

    def icdf(self, features: Tensor, u: Tensor) -> Tensor:
        """Exp of the Gaussian's quantile."""
        loc, log_scale = self.location_and_log_scale(features)
        return torch.exp(torch.addcmul(loc, log_scale.exp(), torch.special.ndtri(u)))

    def initial_features(self, x: Tensor, observed: Tensor | None = None) -> Tensor:
        """Mean and deviation of the rows' logarithms."""
        inside = x if observed is None else torch.where(observed, x, self.inside)
        mean, std = moments(inside.log(), observed)
        return torch.stack([mean, log_scale_feature(std, self.min_log_scale)])
