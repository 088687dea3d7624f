"""Bounds between the ELBO and the importance-weighted bound of the same samples."""

from __future__ import annotations

import math
from dataclasses import dataclass

from torch import Tensor

from ancestral.core import OptionError, ShapeError
from ancestral.inference.bounds.bound import BoundKind, check_num_samples

__all__ = ["Ciwae", "Miwae"]


@dataclass(frozen=True)
class Miwae:
    r"""Mean of M importance-weighted bounds of K samples each (MIWAE).

    .. math:: L_{M,K} = \frac{1}{M} \sum_{m=1}^{M} \log \frac{1}{K} \sum_{k=1}^{K}
              \frac{p(x, z_{m,k})}{q(z_{m,k} \mid x)}

    As tight as `ImportanceWeighted(K)` and with a gradient M times less noisy, at the price of
    M K samples. M = 1 is `ImportanceWeighted`, K = 1 is `Elbo(M)`. Unit: nats.

    Args:
        num_bounds: M, over which is averaged.
        samples_each: K, inside each logarithm.

    Example:
        >>> import torch
        >>> log_w = torch.tensor([[0.0], [-2.0], [-4.0], [-4.0]])   # [M K samples, batch]
        >>> Miwae(2, 2)(log_w)   # of samples 1 and 2, and of samples 3 and 4
        tensor([-2.2831])

    References:
        | Tighter Variational Bounds are Not Necessarily Better (Rainforth et al., 2018), MIWAE
    """

    num_bounds: int = 8
    samples_each: int = 8

    def __post_init__(self) -> None:
        for name in ("num_bounds", "samples_each"):
            if getattr(self, name) < 1:
                raise OptionError(f"expected {name} >= 1, got {getattr(self, name)}")

    @property
    def num_samples(self) -> int:
        """M K."""
        return self.num_bounds * self.samples_each

    @property
    def kind(self) -> BoundKind:
        """A lower bound."""
        return "lower_bound"

    def __call__(self, log_w: Tensor) -> Tensor:
        """[samples, batch] -> [batch]."""
        if len(log_w) != self.num_samples:
            raise ShapeError(
                f"expected {self.num_bounds} x {self.samples_each} log-weights for each datum, "
                f"got {len(log_w)}"
            )
        groups = log_w.unflatten(0, (self.num_bounds, self.samples_each))
        return groups.logsumexp(1).mean(0) - math.log(self.samples_each)


@dataclass(frozen=True)
class Ciwae:
    r"""Combination of the ELBO and the importance-weighted bound of the same samples (CIWAE).

    .. math:: L_\beta = \beta \frac{1}{K} \sum_k \log w_k
              + (1 - \beta) \log \frac{1}{K} \sum_k w_k

    Unit: nats.

    Args:
        elbo_weight: beta, from 0 (`ImportanceWeighted`) to 1 (`Elbo`).
        num_samples: K >= 1.

    Example:
        >>> import torch
        >>> log_w = torch.tensor([[0.0], [-2.0], [-4.0]])   # [samples, batch]
        >>> Ciwae(0.0, 3)(log_w), Ciwae(0.5, 3)(log_w), Ciwae(1.0, 3)(log_w)
        (tensor([-0.9557]), tensor([-1.4778]), tensor([-2.]))

    References:
        | Tighter Variational Bounds are Not Necessarily Better (Rainforth et al., 2018), CIWAE
    """

    elbo_weight: float = 0.5
    num_samples: int = 5

    def __post_init__(self) -> None:
        check_num_samples(self.num_samples)
        if not 0 <= self.elbo_weight <= 1:
            raise OptionError(f"expected elbo_weight from 0 to 1, got {self.elbo_weight}")

    @property
    def kind(self) -> BoundKind:
        """A lower bound."""
        return "lower_bound"

    def __call__(self, log_w: Tensor) -> Tensor:
        """[samples, batch] -> [batch]."""
        if self.elbo_weight == 1:
            return log_w.mean(0)
        tight = log_w.logsumexp(0) - math.log(len(log_w))
        if self.elbo_weight == 0:  # and not 0 times minus infinity
            return tight
        return self.elbo_weight * log_w.mean(0) + (1 - self.elbo_weight) * tight
