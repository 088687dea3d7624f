"""`TruncatedNormal`: a Gaussian confined to an interval, exact far out in its tails."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from ancestral.core.errors import OptionError
from ancestral.distributions.cells import CellHead, open_uniform, single
from ancestral.distributions.gaussian import LOG_2PI
from ancestral.distributions.scales import (
    MIN_LOG_SCALE,
    bound_below,
    log_scale_feature,
    moments,
)
from ancestral.distributions.support import Support

__all__ = ["TruncatedNormal", "log_normal_mass", "ndtri_exp"]

_NARROW = 0.03
_NEWTON_STEPS = 6


@dataclass(frozen=True)
class TruncatedNormal(CellHead):
    r"""N(loc, scale^2) given that low < x < high, in each cell.

    Features `(2, *event_shape)`: loc and log-scale of the Gaussian before it is cut, as for
    `Normal`. loc may lie far outside the interval. Draws go through the quantile function, in
    logarithms, and are reparameterised: with x fixed to its quantile v,

    .. math:: \phi(z)\, dz = (1 - v)\, \phi(a)\, da + v\, \phi(b)\, db

    for the standardised draw z and ends a and b.

    Args:
        event_shape: shape of one x.
        low: `-math.inf` for none.
        high: `math.inf` for none.
        min_log_scale: lower bound of the log-scale, approached smoothly.

    Raises:
        OptionError: the interval is empty.

    Example:
        >>> head = TruncatedNormal((1,), low=0.0)
        >>> far = torch.tensor([[-30.0], [0.0]])      # thirty deviations below the interval
        >>> head.mean(far)
        tensor([0.0333])

    References:
        | Implicit Reparameterization Gradients (Figurnov et al., 2018), section 3
    """

    event_shape: tuple[int, ...]
    low: float = 0.0
    high: float = math.inf
    min_log_scale: float = MIN_LOG_SCALE
    reparameterized: ClassVar[bool] = True

    def __post_init__(self) -> None:
        if not self.low < self.high:
            raise OptionError(f"expected low < high, got {self.low} and {self.high}")

    @property
    def num_parameters(self) -> int:
        """Location and log-scale."""
        return 2

    @property
    def inside(self) -> float:  # pyright: ignore[reportIncompatibleVariableOverride]
        """A number of the interval."""
        if math.isinf(self.low):
            return 0.0 if math.isinf(self.high) else self.high - 1
        return self.low + 1 if math.isinf(self.high) else (self.low + self.high) / 2

    @property
    def support(self) -> Support:
        """The interval."""
        return Support(
            f"values from {self.low:g} to {self.high:g}",
            lambda x: (x >= self.low) & (x <= self.high) & x.isfinite(),
            "choose an interval that holds the data",
        )

    def location_and_log_scale(self, features: Tensor) -> tuple[Tensor, Tensor]:
        """Of the Gaussian before it is cut, [..., *event_shape]."""
        loc, log_scale = single(features).unbind(self.axis)
        return loc, bound_below(log_scale, self.min_log_scale)

    def _ends(self, features: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        # in double: far out, differences of squares of standardised ends have but few digits left
        loc, log_scale = (each.double() for each in self.location_and_log_scale(features))
        # an infinite end stays where it is: infinity times a gradient of 0 would be no number
        a, b = (
            torch.full_like(loc, end) if math.isinf(end) else (end - loc) * (-log_scale).exp()
            for end in (self.low, self.high)
        )
        return loc, log_scale, a, b

    def _log_prob(self, features: Tensor, x: Tensor) -> Tensor:
        loc, log_scale, a, b = self._ends(features)
        z = (x.double() - loc) * (-log_scale).exp()
        log_density = -0.5 * z.square() - 0.5 * LOG_2PI - log_scale - log_normal_mass(a, b)
        inside = (x >= self.low) & (x <= self.high)
        return torch.where(inside, log_density, -math.inf).to(features.dtype)

    def mean(self, features: Tensor) -> Tensor:
        """Loc + scale (phi(a) - phi(b)) / (Phi(b) - Phi(a))."""
        loc, log_scale, a, b = self._ends(features)
        log_mass = log_normal_mass(a, b)
        at_low = (-0.5 * a.square() - 0.5 * LOG_2PI - log_mass).exp()
        at_high = (-0.5 * b.square() - 0.5 * LOG_2PI - log_mass).exp()
        mean = loc + log_scale.exp() * (at_low - at_high)
        return mean.clamp(self.low, self.high).to(single(features).dtype)

    def icdf(self, features: Tensor, u: Tensor) -> Tensor:
        """Quantiles, in logarithms of the nearer tail."""
        loc, log_scale, a, b = self._ends(features)
        z = _quantile(a.detach(), b.detach(), u.double())
        x = loc + log_scale.exp() * _moved(z, a, b)
        return x.clamp(self.low, self.high).to(u.dtype)

    def sample(self, features: Tensor) -> Tensor:
        """A draw, with the implicit gradient."""
        features = single(features)
        return self.icdf(features, open_uniform(features.select(self.axis, 0)))

    def initial_features(self, x: Tensor, observed: Tensor | None = None) -> Tensor:
        """Mean and deviation of the rows, as if nothing had been cut off."""
        mean, std = moments(x, observed)
        return torch.stack([mean, log_scale_feature(std, self.min_log_scale)])


def log_normal_mass(a: Tensor, b: Tensor) -> Tensor:
    r"""Log of Phi(b) - Phi(a) for a < b, which may be infinite, with gradients to both.

    Both ends are moved into the lower tail, whose logarithm has all its digits; intervals so
    narrow that the difference of logarithms would lose theirs take the density at the middle,

    .. math:: \log \phi(m) + \log h + h^2 (m^2 - 1) / 24, \quad h = b - a
    """
    flip = a + b > 0
    low, high = torch.where(flip, -b, a), torch.where(flip, -a, b)
    middle, width = 0.5 * (low + high), high - low
    narrow = width * middle.abs().clamp_min(1.0) < _NARROW
    zero = torch.zeros_like(low)
    below, above = torch.where(narrow, zero - 1, low), torch.where(narrow, zero, high)
    log_above = torch.special.log_ndtr(above)
    # an infinite end is in the lower tail: its mass is 0, and so is its gradient
    finite = below.isfinite()
    log_below = torch.special.log_ndtr(torch.where(finite, below, zero - 40))
    gap = torch.where(finite, log_below - log_above, zero - math.inf)
    wide = log_above + torch.log1p(-gap.exp())
    m, h = torch.where(narrow, middle, zero), torch.where(narrow, width, zero + 1)
    series = -0.5 * m.square() - 0.5 * LOG_2PI + h.log() + h.square() * (m.square() - 1) / 24
    return torch.where(narrow, series, wide)


@torch.no_grad()
def ndtri_exp(log_u: Tensor) -> Tensor:
    """The z with log Phi(z) = log_u, also where u itself would be 0 in floating point.

    Newton's method on log Phi, which is concave, from its asymptote.

    Example:
        >>> ndtri_exp(torch.tensor([-1e4, -0.6931472]))
        tensor([-141.3798,    0.0000])
    """
    centre = torch.special.ndtri(log_u.exp())
    size = (-2 * log_u).clamp_min(1.0)
    z = -(size - size.log().clamp_min(0) - LOG_2PI).clamp_min(1.0).sqrt()
    for _ in range(_NEWTON_STEPS):
        log_phi = torch.special.log_ndtr(z)
        z = z - (log_phi - log_u) * (log_phi + 0.5 * z.square() + 0.5 * LOG_2PI).exp()
    return torch.where(log_u < -5, z, centre)


@torch.no_grad()
def _quantile(a: Tensor, b: Tensor, u: Tensor) -> Tensor:
    flip = a + b > 0
    low, high = torch.where(flip, -b, a), torch.where(flip, -a, b)
    v = torch.where(flip, 1 - u, u)
    # log(Phi(low) + v mass)
    log_u = torch.logaddexp(torch.special.log_ndtr(low), v.log() + log_normal_mass(low, high))
    z = ndtri_exp(log_u.clamp_max(-torch.finfo(u.dtype).eps / 2))
    z = torch.minimum(torch.maximum(z, low), high)
    return torch.where(flip, -z, z)


def _moved(z: Tensor, a: Tensor, b: Tensor) -> Tensor:
    """The draws z with their gradients to the ends of the interval."""
    if not (a.requires_grad or b.requires_grad) or not torch.is_grad_enabled():
        return z
    for end, other in ((a, b), (b, a)):
        with torch.no_grad():
            finite = end.isfinite()
            # the mass on the other side of z, over all: 1 - v for a, v for b
            pair = (z, other) if end is a else (other, z)
            log_share = log_normal_mass(*pair) - log_normal_mass(a, b)
            log_ratio = 0.5 * (z.square() - torch.where(finite, end, 0.0).square())
            weight = torch.where(finite, (log_share + log_ratio).exp(), 0.0)
        step = torch.where(finite, end, 0.0)
        z = z + weight * (step - step.detach())
    return z
