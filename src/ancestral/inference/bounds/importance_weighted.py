"""The importance-weighted bound."""

from __future__ import annotations

import math
from dataclasses import dataclass

from torch import Tensor

from ancestral.inference.bounds.bound import BoundKind, check_num_samples

__all__ = ["ImportanceWeighted"]


@dataclass(frozen=True)
class ImportanceWeighted:
    r"""Importance-weighted bound on the evidence.

    .. math:: L_K = \log \frac{1}{K} \sum_{k=1}^{K} \frac{p(x, z_k)}{q(z_k \mid x)}

    `Elbo` at K = 1; increases with K towards log p(x). Unit: nats.

    Args:
        num_samples: K >= 1. Memory grows linearly in K.

    Example:
        >>> import torch
        >>> log_w = torch.tensor([[0.0, -1.0], [-2.0, -1.0], [-4.0, -1.0]])   # [samples, batch]
        >>> ImportanceWeighted(3)(log_w)
        tensor([-0.9557, -1.0000])

    References:
        | Importance Weighted Autoencoders (Burda et al., 2016), equation 8
    """

    num_samples: int = 5

    def __post_init__(self) -> None:
        check_num_samples(self.num_samples)

    @property
    def kind(self) -> BoundKind:
        """A lower bound."""
        return "lower_bound"

    def __call__(self, log_w: Tensor) -> Tensor:
        """[samples, batch] -> [batch]."""
        return log_w.logsumexp(0) - math.log(len(log_w))
