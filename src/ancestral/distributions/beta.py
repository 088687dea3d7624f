"""`Beta`: cells strictly between 0 and 1."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import torch
import torch.nn.functional as F
from torch import Tensor
from torch import distributions as td

from ancestral.distributions.cells import CellHead, single
from ancestral.distributions.incomplete_beta import beta_icdf
from ancestral.distributions.scales import inverse_softplus, moments
from ancestral.distributions.support import OPEN_UNIT, Support

__all__ = ["Beta"]

_LEAST = 1e-3


@dataclass(frozen=True)
class Beta(CellHead):
    """p(x) = x^(a - 1) (1 - x)^(b - 1) / B(a, b).

    Features `(2, *event_shape)`: two numbers f with a = 0.001 + softplus(f), and b likewise.

    Args:
        event_shape: shape of one x.
    """

    event_shape: tuple[int, ...]
    reparameterized: ClassVar[bool] = True
    inside: ClassVar[float] = 0.5

    @property
    def num_parameters(self) -> int:
        """One for a, one for b."""
        return 2

    @property
    def support(self) -> Support:
        """Between 0 and 1; at 0 and 1 the density is 0 or infinite."""
        return OPEN_UNIT

    def concentrations(self, features: Tensor) -> tuple[Tensor, Tensor]:
        """A and b, [..., *event_shape]."""
        a, b = (_LEAST + F.softplus(single(features))).unbind(self.axis)
        return a, b

    def _log_prob(self, features: Tensor, x: Tensor) -> Tensor:
        a, b = self.concentrations(features)
        wide_a, wide_b = a.double(), b.double()
        # in double: the three log-gammas nearly cancel where a and b are large
        log_beta = torch.lgamma(wide_a) + torch.lgamma(wide_b) - torch.lgamma(wide_a + wide_b)
        return (a - 1) * x.log() + (b - 1) * torch.log1p(-x) - log_beta.to(a.dtype)

    def mean(self, features: Tensor) -> Tensor:
        """A / (a + b)."""
        a, b = self.concentrations(features)
        return a / (a + b)

    def sample(self, features: Tensor) -> Tensor:
        """A draw with implicit gradients, off 0 and 1, where rounding puts it for small a or b."""
        epsilon = torch.finfo(single(features).dtype).eps / 2
        return self.as_torch(features).rsample().clamp(epsilon, 1 - epsilon)

    def icdf(self, features: Tensor, u: Tensor) -> Tensor:
        """By bisection of the incomplete beta function, which takes a while."""
        a, b = self.concentrations(features)
        epsilon = torch.finfo(u.dtype).eps / 2
        return beta_icdf(a, b, u).to(u.dtype).clamp(epsilon, 1 - epsilon)

    def initial_features(self, x: Tensor, observed: Tensor | None = None) -> Tensor:
        """The a and b that have the rows' mean and variance."""
        mean, std = moments(x, observed)
        mean = mean.clamp(0.01, 0.99)
        total = mean * (1 - mean) / std.square().clamp_min(1e-4) - 1
        # at least 0.1, so that neither concentration starts at its bound
        total = total.clamp_min(0.1 / torch.minimum(mean, 1 - mean))
        concentrations = torch.stack([mean * total, (1 - mean) * total])
        return inverse_softplus(concentrations - _LEAST)

    def as_torch(self, features: Tensor) -> td.Distribution:
        """Torch's Beta."""
        return td.Beta(*self.concentrations(features), validate_args=False)
