"""Gaussian cells, with a predicted or a fixed scale."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor
from torch import distributions as td
from torch.distributions import Distribution

from ancestral.core.errors import OptionError
from ancestral.core.noise import normal_noise
from ancestral.distributions.cells import CellHead, single
from ancestral.distributions.gaussian import LOG_2PI, DiagonalNormal
from ancestral.distributions.scales import (
    MIN_LOG_SCALE,
    bound_below,
    log_scale_feature,
    moments,
)
from ancestral.distributions.support import REAL, Support
from ancestral.distributions.wrapper import HeadDistribution

__all__ = ["FixedScaleNormal", "Normal", "normal_cdf"]

_HALF_ROOT = math.sqrt(0.5)


def normal_cdf(z: Tensor) -> Tensor:
    """Phi(z), with all its digits also far below zero.

    `torch.special.ndtr` is (1 + erf) / 2, which is nothing at all below about -8.3 in double
    precision; this is nothing below -38, in single precision below -14. Farther out there is
    `log_normal_mass`.

    Example:
        >>> normal_cdf(torch.tensor(-20.0, dtype=torch.float64))
        tensor(2.7536e-89, dtype=torch.float64)
    """
    return 0.5 * torch.special.erfc(z * -_HALF_ROOT)


@dataclass(frozen=True)
class Normal(CellHead):
    """N(loc, scale^2) in each cell, features `(2, *event_shape)`: loc and log-scale.

    The log-scale is `min_log_scale + softplus(feature - min_log_scale)`: a smooth lower bound,
    without which the likelihood of data on a line or a grid has no maximum. The bound is in
    the data's units, so standardise data whose spread is far from 1. For a scale shared by all
    rows let the network append a parameter to its features.

    Args:
        event_shape: shape of one x. For vectors the head returns a `DiagonalNormal`, whose
            divergences are known in closed form: this is the head of a Gaussian encoder.
        min_log_scale: the bound; `-math.inf` for none.

    Example:
        >>> import torch
        >>> Normal((3,))(torch.zeros(5, 2, 3)).stddev.shape
        torch.Size([5, 3])
    """

    event_shape: tuple[int, ...]
    min_log_scale: float = MIN_LOG_SCALE
    reparameterized: ClassVar[bool] = True

    @property
    def num_parameters(self) -> int:
        """Location and log-scale."""
        return 2

    @property
    def support(self) -> Support:
        """The line."""
        return REAL

    def __call__(self, features: Tensor) -> Distribution:
        """A `DiagonalNormal` for vectors, else a `HeadDistribution`."""
        if len(self.event_shape) == 1:
            return DiagonalNormal(*self.location_and_log_scale(features))
        return HeadDistribution(self, features)

    def location_and_log_scale(self, features: Tensor) -> tuple[Tensor, Tensor]:
        """The two parameters, [..., *event_shape]."""
        loc, log_scale = single(features).unbind(self.axis)
        return loc, bound_below(log_scale, self.min_log_scale)

    def _log_prob(self, features: Tensor, x: Tensor) -> Tensor:
        loc, log_scale = self.location_and_log_scale(features)
        z = (x - loc) * torch.exp(-log_scale)
        return -torch.addcmul(log_scale, z, z, value=0.5) - 0.5 * LOG_2PI

    def mean(self, features: Tensor) -> Tensor:
        """The location."""
        return single(features).select(self.axis, 0)

    def sample(self, features: Tensor) -> Tensor:
        """Loc + scale * noise."""
        loc, log_scale = self.location_and_log_scale(features)
        return torch.addcmul(loc, log_scale.exp(), normal_noise(loc.shape, loc))

    def icdf(self, features: Tensor, u: Tensor) -> Tensor:
        """Loc + scale * standard quantile."""
        loc, log_scale = self.location_and_log_scale(features)
        return torch.addcmul(loc, log_scale.exp(), torch.special.ndtri(u))

    def tails(self, features: Tensor, x: Tensor) -> tuple[Tensor, Tensor]:
        """P(X <= x) and P(X > x) in each cell, each exact where it is small."""
        loc, log_scale = self.location_and_log_scale(features)
        z = (x - loc) * torch.exp(-log_scale)
        return normal_cdf(z), normal_cdf(-z)

    def initial_features(self, x: Tensor, observed: Tensor | None = None) -> Tensor:
        """Mean and deviation of the rows."""
        mean, std = moments(x, observed)
        return torch.stack([mean, log_scale_feature(std, self.min_log_scale)])

    def as_torch(self, features: Tensor) -> td.Distribution:
        """Torch's Normal."""
        loc, log_scale = self.location_and_log_scale(features)
        return td.Normal(loc, log_scale.exp(), validate_args=False)


@dataclass(frozen=True)
class FixedScaleNormal(CellHead):
    """N(loc, scale^2) with one scale, given in advance; features `(1, *event_shape)`.

    Up to a constant and the factor 1 / (2 scale^2) this is minus the squared error.

    Args:
        event_shape: shape of one x.
        scale: standard deviation, in the data's units.
    """

    event_shape: tuple[int, ...]
    scale: float = 1.0
    reparameterized: ClassVar[bool] = True

    def __post_init__(self) -> None:
        if not self.scale > 0:
            raise OptionError(f"expected a scale greater than 0, got {self.scale}")

    @property
    def num_parameters(self) -> int:
        """The location."""
        return 1

    @property
    def support(self) -> Support:
        """The line."""
        return REAL

    def __call__(self, features: Tensor) -> Distribution:
        """A `DiagonalNormal` for vectors, else a `HeadDistribution`."""
        if len(self.event_shape) == 1:
            loc = self.mean(features)
            return DiagonalNormal(loc, loc.new_tensor(math.log(self.scale)).expand(loc.shape))
        return HeadDistribution(self, features)

    def _log_prob(self, features: Tensor, x: Tensor) -> Tensor:
        z = (x - features.select(self.axis, 0)) / self.scale
        return -0.5 * z.square() - (math.log(self.scale) + 0.5 * LOG_2PI)

    def mean(self, features: Tensor) -> Tensor:
        """The location."""
        return single(features).select(self.axis, 0)

    def sample(self, features: Tensor) -> Tensor:
        """Loc + scale * noise."""
        loc = self.mean(features)
        return loc + self.scale * normal_noise(loc.shape, loc)

    def icdf(self, features: Tensor, u: Tensor) -> Tensor:
        """Loc + scale * standard quantile."""
        return self.mean(features) + self.scale * torch.special.ndtri(u)

    def initial_features(self, x: Tensor, observed: Tensor | None = None) -> Tensor:
        """Mean of the rows."""
        mean, _ = moments(x, observed)
        return mean.unsqueeze(0)

    def as_torch(self, features: Tensor) -> td.Distribution:
        """Torch's Normal."""
        loc = self.mean(features)
        return td.Normal(loc, torch.full_like(loc, self.scale), validate_args=False)
