"""The evidence lower bound."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor

from ancestral.inference.bounds.bound import BoundKind, check_num_samples

__all__ = ["Elbo"]


@dataclass(frozen=True)
class Elbo:
    r"""Evidence lower bound, averaged over K samples.

    .. math:: L = \frac{1}{K} \sum_k \log \frac{p(x, z_k)}{q(z_k \mid x)} \le \log p(x)

    More samples make it less noisy, not tighter. Unit: nats.

    Args:
        num_samples: K >= 1.

    Example:
        >>> import torch
        >>> Elbo(2)(torch.tensor([[0.0, -1.0, -2.0], [-2.0, -1.0, -4.0]]))  # [samples, batch]
        tensor([-1., -1., -3.])

    References:
        | Auto-Encoding Variational Bayes (Kingma & Welling, 2014), equation 2
    """

    num_samples: int = 1

    def __post_init__(self) -> None:
        check_num_samples(self.num_samples)

    @property
    def kind(self) -> BoundKind:
        """A lower bound."""
        return "lower_bound"

    def __call__(self, log_w: Tensor) -> Tensor:
        """[samples, batch] -> [batch]."""
        return log_w.mean(0)
