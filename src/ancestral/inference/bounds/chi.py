"""The chi upper bound."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor

from ancestral.core import OptionError
from ancestral.inference.bounds.bound import BoundKind, check_num_samples
from ancestral.inference.bounds.renyi import log_power_mean

__all__ = ["Chi"]


@dataclass(frozen=True)
class Chi:
    r"""Chi upper bound (CUBO) of order n, estimated from K samples.

    .. math:: U_n = \frac{1}{n} \log E_q \left[ \left( \frac{p(x, z)}{q(z \mid x)} \right)^n
              \right] \ge \log p(x), \qquad
              \hat U_n = \frac{1}{n} \log \frac{1}{K} \sum_{k=1}^{K} w_k^n

    Tight where q is the posterior; grows with n. At n = 1 it is log p(x) itself. Only exp(n U) is
    estimated without bias: the estimate of U falls short of it on average, by more the heavier
    the tail of the weights, and rises to it with K. It is minimised over q, and trains no model:
    making log p(x) small is not learning. As the posterior's part of `TwoBounds` it gives a q
    that covers the whole of p(z | x). Unit: nats.

    Args:
        order: n >= 1.
        num_samples: K >= 1.

    Example:
        >>> import torch
        >>> log_w = torch.tensor([[0.0, -1.0], [-2.0, -1.0], [-4.0, -1.0]])   # [samples, batch]
        >>> Chi(2.0, 3)(log_w)
        tensor([-0.5401, -1.0000])

    References:
        | Variational Inference via chi Upper Bound Minimization (Dieng et al., 2017), equation 4;
        | section 3 for the bias
    """

    order: float = 2.0
    num_samples: int = 5

    def __post_init__(self) -> None:
        check_num_samples(self.num_samples)
        if not 1 <= self.order < float("inf"):
            raise OptionError(
                f"expected an order of at least 1, got {self.order}",
                hint="2 is usual; Renyi(alpha) has the bounds of other orders",
            )

    @property
    def kind(self) -> BoundKind:
        """An upper bound."""
        return "upper_bound"

    def __call__(self, log_w: Tensor) -> Tensor:
        """[samples, batch] -> [batch]."""
        return log_power_mean(log_w, self.order)
