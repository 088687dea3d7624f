"""`Dirichlet`: vectors of positive numbers that sum to 1."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import torch
import torch.nn.functional as F
from torch import Tensor
from torch import distributions as td

from ancestral.core.errors import DataError, IncompatibleChoices
from ancestral.core.shapes import expect_event
from ancestral.distributions.cells import single
from ancestral.distributions.head import Head
from ancestral.distributions.scales import inverse_softplus

__all__ = ["Dirichlet"]

_LEAST = 1e-2


@dataclass(frozen=True)
class Dirichlet(Head):
    r"""p(x) = \Gamma(\sum_i a_i) \prod_i x_i^{a_i - 1} / \Gamma(a_i) on the simplex.

    Features `(D,)`: numbers f with a = 0.01 + softplus(f). The density is that of the first D - 1
    of the numbers. Draws pass implicit gradients; torch knows the divergence of two of them.

    Args:
        event_shape: (D,), D >= 2.

    References:
        | Implicit Reparameterization Gradients (Figurnov et al., 2018), section 4
    """

    event_shape: tuple[int, ...]
    reparameterized: ClassVar[bool] = True

    @property
    def feature_shape(self) -> tuple[int, ...]:
        """(D,)."""
        return self.event_shape

    def concentration(self, features: Tensor) -> Tensor:
        """A, [..., D]."""
        return _LEAST + F.softplus(single(features))

    def log_prob(self, features: Tensor, x: Tensor, observed: Tensor | None = None) -> Tensor:
        """Log-density, [...].

        Raises:
            IncompatibleChoices: cells are missing.
        """
        if observed is not None and not bool(observed.all()):
            raise IncompatibleChoices(
                "a Dirichlet cannot integrate out missing cells", hint="give whole rows"
            )
        return self(features).log_prob(x)

    def __call__(self, features: Tensor) -> _Kept:
        """Torch's, with draws that stay off the border."""
        return _Kept(self.concentration(features), validate_args=False)

    def mean(self, features: Tensor) -> Tensor:
        """A over its sum."""
        a = self.concentration(features)
        return a / a.sum(-1, keepdim=True)

    def sample(self, features: Tensor) -> Tensor:
        """A draw; with small a some of its numbers are at their least."""
        return self(features).rsample()

    def initial_features(self, x: Tensor, observed: Tensor | None = None) -> Tensor:
        """The rows' mean, in the concentration that its first number's variance asks for."""
        del observed
        mean, variance = x.mean(0).clamp_min(1e-4), x.var(0, correction=0).clamp_min(1e-8)
        total = (mean * (1 - mean) / variance - 1).median().clamp(0.5, 1e3)
        return inverse_softplus((mean * total).clamp_min(2 * _LEAST) - _LEAST)

    def check(self, x: Tensor, observed: Tensor | None = None) -> None:
        """Refuse rows that are not positive or do not sum to 1."""
        del observed
        expect_event(x, self.event_shape, "data")
        inside = bool((x > 0).all()) and bool(((x.sum(-1) - 1).abs() < 1e-4).all())
        if not inside:
            raise DataError(
                "expected rows of positive numbers that sum to 1 for the Dirichlet likelihood",
                hint="divide each row by its sum; zeros need another likelihood",
            )


class _Kept(td.Dirichlet):
    """Its draws are at least the square root of the least number, where densities are finite."""

    def rsample(self, sample_shape: torch.Size | tuple[int, ...] = ()) -> Tensor:
        least = torch.finfo(self.concentration.dtype).tiny ** 0.5
        return super().rsample(torch.Size(sample_shape)).clamp_min(least)

    def expand(  # type: ignore[override]
        self, batch_shape: torch.Size | tuple[int, ...], _instance: td.Distribution | None = None
    ) -> _Kept:
        shape = torch.Size((*batch_shape, *self.event_shape))
        return _Kept(self.concentration.expand(shape), validate_args=False)
