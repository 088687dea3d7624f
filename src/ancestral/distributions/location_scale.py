"""Densities on the line that are one standard density, moved and stretched."""

from __future__ import annotations

import math
from abc import abstractmethod
from dataclasses import dataclass
from typing import ClassVar

import torch
import torch.nn.functional as F
from torch import Tensor
from torch import distributions as td

from ancestral.distributions.cells import CellHead, single
from ancestral.distributions.scales import (
    MIN_LOG_SCALE,
    bound_below,
    inverse_softplus,
    log_scale_feature,
    moments,
)
from ancestral.distributions.support import REAL, Support

__all__ = ["Cauchy", "Laplace", "LocationScale", "Logistic", "StudentT"]


class LocationScale(CellHead):
    r"""p(x) = f((x - loc) / scale) / scale for a standard density f.

    Features `(2, *event_shape)`: loc, and a number of which `bound_below` makes the log-scale,
    so that log scale > `min_log_scale`, smoothly.
    """

    min_log_scale: float
    reparameterized: ClassVar[bool] = True

    @property
    def num_parameters(self) -> int:
        """Location and log-scale."""
        return 2

    @property
    def support(self) -> Support:
        """The line."""
        return REAL

    @abstractmethod
    def _standard_log_prob(self, z: Tensor) -> Tensor:
        """Log f(z)."""

    @abstractmethod
    def _standard_icdf(self, u: Tensor) -> Tensor:
        """Quantiles of f."""

    @abstractmethod
    def _standard_cdf(self, z: Tensor) -> Tensor:
        """Cumulative function of f, which is symmetric, exact in the lower tail."""

    @abstractmethod
    def _location_and_scale(self, x: Tensor, observed: Tensor | None) -> tuple[Tensor, Tensor]:
        """Estimates of both from rows of data, [*event_shape]."""

    def location_and_log_scale(self, features: Tensor) -> tuple[Tensor, Tensor]:
        """The two parameters, [..., *event_shape]."""
        loc, log_scale = single(features).unbind(self.axis)
        return loc, bound_below(log_scale, self.min_log_scale)

    def _log_prob(self, features: Tensor, x: Tensor) -> Tensor:
        loc, log_scale = self.location_and_log_scale(features)
        return self._standard_log_prob((x - loc) * torch.exp(-log_scale)) - log_scale

    def mean(self, features: Tensor) -> Tensor:
        """The location."""
        return single(features).select(self.axis, 0)

    def icdf(self, features: Tensor, u: Tensor) -> Tensor:
        """Loc + scale * standard quantile."""
        loc, log_scale = self.location_and_log_scale(features)
        return loc + log_scale.exp() * self._standard_icdf(u)

    def tails(self, features: Tensor, x: Tensor) -> tuple[Tensor, Tensor]:
        """P(X <= x) and P(X > x) in each cell, each exact where it is small."""
        loc, log_scale = self.location_and_log_scale(features)
        z = (x - loc) * torch.exp(-log_scale)
        return self._standard_cdf(z), self._standard_cdf(-z)

    def initial_features(self, x: Tensor, observed: Tensor | None = None) -> Tensor:
        """Location and scale of the rows."""
        loc, scale = self._location_and_scale(x, observed)
        return torch.stack([loc, log_scale_feature(scale, self.min_log_scale)])


@dataclass(frozen=True)
class Laplace(LocationScale):
    """Log p(x) = -|z| - log(2 scale), z = (x - loc) / scale.

    Args:
        event_shape: shape of one x.
        min_log_scale: lower bound of the log-scale, approached smoothly.
    """

    event_shape: tuple[int, ...]
    min_log_scale: float = MIN_LOG_SCALE

    def _standard_log_prob(self, z: Tensor) -> Tensor:
        return -z.abs() - math.log(2)

    def _standard_icdf(self, u: Tensor) -> Tensor:
        centred = u - 0.5
        return -centred.sign() * torch.log1p(-2 * centred.abs())

    def _standard_cdf(self, z: Tensor) -> Tensor:
        half = 0.5 * torch.exp(-z.abs())
        return torch.where(z > 0, 1 - half, half)

    def _location_and_scale(self, x: Tensor, observed: Tensor | None) -> tuple[Tensor, Tensor]:
        mean, std = moments(x, observed)
        return mean, std / math.sqrt(2)

    def as_torch(self, features: Tensor) -> td.Distribution:
        """Torch's Laplace."""
        loc, log_scale = self.location_and_log_scale(features)
        return td.Laplace(loc, log_scale.exp(), validate_args=False)


@dataclass(frozen=True)
class Logistic(LocationScale):
    """The distribution whose cumulative function is sigmoid((x - loc) / scale).

    Args:
        event_shape: shape of one x.
        min_log_scale: lower bound of the log-scale, approached smoothly.
    """

    event_shape: tuple[int, ...]
    min_log_scale: float = MIN_LOG_SCALE

    def _standard_log_prob(self, z: Tensor) -> Tensor:
        size = z.abs()
        return -size - 2 * F.softplus(-size)

    def _standard_icdf(self, u: Tensor) -> Tensor:
        return u.logit()

    def _standard_cdf(self, z: Tensor) -> Tensor:
        return z.sigmoid()

    def _location_and_scale(self, x: Tensor, observed: Tensor | None) -> tuple[Tensor, Tensor]:
        mean, std = moments(x, observed)
        return mean, std * math.sqrt(3) / math.pi


@dataclass(frozen=True)
class Cauchy(LocationScale):
    """Log p(x) = -log(pi scale (1 + z^2)). It has no mean: `mean` is the location.

    Args:
        event_shape: shape of one x.
        min_log_scale: lower bound of the log-scale, approached smoothly.
    """

    event_shape: tuple[int, ...]
    min_log_scale: float = MIN_LOG_SCALE

    def _standard_log_prob(self, z: Tensor) -> Tensor:
        return -torch.log1p(z.square()) - math.log(math.pi)

    def _standard_icdf(self, u: Tensor) -> Tensor:
        return torch.tan(math.pi * (u - 0.5))

    def _standard_cdf(self, z: Tensor) -> Tensor:
        # atan2(1, -z) is the angle from the negative axis, small and exact in the lower tail
        return torch.atan2(torch.ones_like(z), -z) / math.pi

    def _location_and_scale(self, x: Tensor, observed: Tensor | None) -> tuple[Tensor, Tensor]:
        # moments of a sample say nothing about a Cauchy: median and half the quartiles' distance
        values = x if observed is None else x.masked_fill(~observed, torch.nan)
        levels = torch.tensor([0.25, 0.5, 0.75], dtype=x.dtype, device=x.device)
        low, median, high = values.flatten(1).nanquantile(levels, 0).nan_to_num(0.0)
        shape = self.event_shape
        return median.reshape(shape), ((high - low) / 2).reshape(shape)

    def as_torch(self, features: Tensor) -> td.Distribution:
        """Torch's Cauchy."""
        loc, log_scale = self.location_and_log_scale(features)
        return td.Cauchy(loc, log_scale.exp(), validate_args=False)


@dataclass(frozen=True)
class StudentT(CellHead):
    r"""Student's t with location, scale and degrees of freedom of its own in each cell.

    Features `(3, *event_shape)`: loc, log-scale as in `LocationScale`, and a number f with
    degrees of freedom df = `min_degrees` + softplus(f).

    Args:
        event_shape: shape of one x.
        min_log_scale: lower bound of the log-scale, approached smoothly.
        min_degrees: lower bound of the degrees of freedom, below 5; from 1 on the mean exists,
            from 2 on the variance.
    """

    event_shape: tuple[int, ...]
    min_log_scale: float = MIN_LOG_SCALE
    min_degrees: float = 1.0

    @property
    def num_parameters(self) -> int:
        """Location, log-scale, degrees of freedom."""
        return 3

    @property
    def support(self) -> Support:
        """The line."""
        return REAL

    def parameters(self, features: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Location, log-scale and degrees of freedom, [..., *event_shape]."""
        loc, log_scale, excess = single(features).unbind(self.axis)
        df = self.min_degrees + F.softplus(excess)
        return loc, bound_below(log_scale, self.min_log_scale), df

    def _log_prob(self, features: Tensor, x: Tensor) -> Tensor:
        loc, log_scale, df = self.parameters(features)
        z = (x - loc) * torch.exp(-log_scale)
        # in double: the two log-gammas agree in nearly all their digits for many degrees
        wide = df.double()
        ratio = torch.lgamma((wide + 1) / 2) - torch.lgamma(wide / 2)
        constant = ratio.to(df.dtype) - 0.5 * torch.log(math.pi * df) - log_scale
        return constant - (df + 1) / 2 * torch.log1p(z.square() / df)

    def mean(self, features: Tensor) -> Tensor:
        """The location."""
        return single(features).select(self.axis, 0)

    @property
    def num_uniforms(self) -> int:
        """A radius and an angle."""
        return 2

    def draw(self, features: Tensor, uniforms: Tensor) -> Tensor:
        r"""Loc + scale sqrt(df (u^(-2 / df) - 1)) cos(2 pi v), the polar method.

        References:
            | Bailey (1994), Polar generation of random variates with the t-distribution,
            | Mathematics of Computation 62
        """
        loc, log_scale, df = self.parameters(features)
        u, v = uniforms.unbind(self.axis)
        radius = (df * torch.expm1(-2 / df * u.log())).sqrt()
        return loc + log_scale.exp() * radius * torch.cos(2 * math.pi * v)

    def sample(self, features: Tensor) -> Tensor:
        """A Gaussian over the root of a gamma variable."""
        loc, log_scale, df = self.parameters(features)
        half = df / 2
        precision = torch._standard_gamma(half) / half
        tiny = torch.finfo(df.dtype).tiny
        return loc + log_scale.exp() * torch.randn_like(loc) * precision.clamp_min(tiny).rsqrt()

    def initial_features(self, x: Tensor, observed: Tensor | None = None) -> Tensor:
        """Mean and deviation of the rows, under five degrees of freedom."""
        mean, std = moments(x, observed)
        scale = std * math.sqrt(3 / 5)
        excess = inverse_softplus(torch.full_like(mean, 5.0 - self.min_degrees))
        return torch.stack([mean, log_scale_feature(scale, self.min_log_scale), excess])
