"""`Bernoulli`: cells that are 0 or 1."""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor
from torch import distributions as td

from ancestral.distributions.cells import CellHead, single
from ancestral.distributions.fused_bernoulli import LINEAR, bernoulli_log_prob
from ancestral.distributions.scales import moments
from ancestral.distributions.support import ZERO_ONE, Support

__all__ = ["Bernoulli"]

# Burda et al. (2016) clip the training mean likewise, so that pixels that are always black
# start with finite logits
_LEAST_MEAN = 1e-3


@dataclass(frozen=True)
class Bernoulli(CellHead):
    """P(x = 1) = sigmoid(logit), with one logit to a cell, features `(1, *event_shape)`.

    `log_prob` on soft targets in [0, 1] is minus the cross-entropy, which is not a density of
    grey values: `check` refuses them.

    Args:
        event_shape: shape of one x.

    Example:
        >>> import torch
        >>> head = Bernoulli((2,))
        >>> head.log_prob(torch.zeros(1, 2), torch.tensor([0.0, 1.0])).exp()
        tensor(0.2500)
    """

    event_shape: tuple[int, ...]

    @property
    def num_parameters(self) -> int:
        """The logit."""
        return 1

    @property
    def support(self) -> Support:
        """0 or 1."""
        return ZERO_ONE

    def log_prob(self, features: Tensor, x: Tensor, observed: Tensor | None = None) -> Tensor:
        """Sum over cells of x * logit - softplus(logit), see `bernoulli_log_prob`."""
        logits = features.select(self.axis, 0)
        num_event_dims = len(self.event_shape)
        if num_event_dims != 1:
            logits = _flat_event(logits, num_event_dims)
            x = _flat_event(x, num_event_dims)
            observed = None if observed is None else _flat_event(observed, num_event_dims)
        return bernoulli_log_prob(logits, x, observed)

    def _log_prob(self, features: Tensor, x: Tensor) -> Tensor:
        logits = features.select(self.axis, 0)
        return x * logits - F.softplus(logits, threshold=LINEAR)

    def mean(self, features: Tensor) -> Tensor:
        """P(x = 1)."""
        return single(features).select(self.axis, 0).sigmoid()

    def icdf(self, features: Tensor, u: Tensor) -> Tensor:
        """1 where u exceeds P(x = 0)."""
        return (u > torch.sigmoid(-features.select(self.axis, 0))).to(u.dtype)

    def initial_features(self, x: Tensor, observed: Tensor | None = None) -> Tensor:
        """Logits of the training mean, clipped to [0.001, 0.999]."""
        mean, _ = moments(x, observed)
        return mean.clamp(_LEAST_MEAN, 1 - _LEAST_MEAN).logit().unsqueeze(0)

    def as_torch(self, features: Tensor) -> td.Distribution:
        """Torch's Bernoulli."""
        return td.Bernoulli(logits=features.select(self.axis, 0), validate_args=False)


def _flat_event(tensor: Tensor, num_event_dims: int) -> Tensor:
    if num_event_dims == 0:
        return tensor.unsqueeze(-1)
    return tensor.flatten(tensor.ndim - num_event_dims)
