"""`Gamma`: cells greater than zero, whose draws pass implicit gradients."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import torch
import torch.nn.functional as F
from torch import Tensor
from torch import distributions as td

from ancestral.distributions.cells import CellHead, single
from ancestral.distributions.scales import MIN_LOG_SCALE, bound_below, inverse_softplus, moments
from ancestral.distributions.support import POSITIVE, Support

__all__ = ["Gamma"]

_LEAST = 1e-2


@dataclass(frozen=True)
class Gamma(CellHead):
    """p(x) = x^(a - 1) exp(-x / s) / (Gamma(a) s^a), concentration a and scale s.

    Features `(2, *event_shape)`: a number f with a = 0.01 + softplus(f), and one of which
    `bound_below` makes log s.

    Args:
        event_shape: shape of one x.
        min_log_scale: lower bound of log s, approached smoothly.

    References:
        | Implicit Reparameterization Gradients (Figurnov et al., 2018), section 4
    """

    event_shape: tuple[int, ...]
    min_log_scale: float = MIN_LOG_SCALE
    reparameterized: ClassVar[bool] = True
    inside: ClassVar[float] = 1.0

    @property
    def num_parameters(self) -> int:
        """Concentration and scale."""
        return 2

    @property
    def support(self) -> Support:
        """Above 0."""
        return POSITIVE

    def concentration_and_log_scale(self, features: Tensor) -> tuple[Tensor, Tensor]:
        """A and log s, [..., *event_shape]."""
        shape, scale = single(features).unbind(self.axis)
        return _LEAST + F.softplus(shape), bound_below(scale, self.min_log_scale)

    def _log_prob(self, features: Tensor, x: Tensor) -> Tensor:
        a, log_scale = self.concentration_and_log_scale(features)
        # in double: for large a the terms are many times their sum
        a, log_scale, x = a.double(), log_scale.double(), x.double()
        terms = (a - 1) * x.log() - x * (-log_scale).exp() - torch.lgamma(a) - a * log_scale
        return terms.to(features.dtype)

    def mean(self, features: Tensor) -> Tensor:
        """A s."""
        a, log_scale = self.concentration_and_log_scale(features)
        return a * log_scale.exp()

    def sample(self, features: Tensor) -> Tensor:
        """A draw above 0, even where rounding would make it 0 for small a."""
        a, log_scale = self.concentration_and_log_scale(features)
        # a square root of the least number, so that neither its log nor 1 / x is infinite
        least = torch.finfo(a.dtype).tiny ** 0.5
        return torch._standard_gamma(a).clamp_min(least) * log_scale.exp()

    def initial_features(self, x: Tensor, observed: Tensor | None = None) -> Tensor:
        """The a and s that have the rows' mean and variance."""
        mean, std = moments(x, observed)
        mean = mean.clamp_min(1e-3)
        a = (mean / std.clamp_min(1e-3)).square().clamp(2 * _LEAST, 1e3)
        log_scale = (mean / a).log()
        above = (log_scale - self.min_log_scale).clamp_min(0.05)
        return torch.stack(
            [inverse_softplus(a - _LEAST), self.min_log_scale + inverse_softplus(above)]
        )

    def as_torch(self, features: Tensor) -> td.Distribution:
        """Torch's Gamma."""
        a, log_scale = self.concentration_and_log_scale(features)
        return td.Gamma(a, (-log_scale).exp(), validate_args=False)
