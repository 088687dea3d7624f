"""Conditionals over latent variables that a head reads: free parameters, or a network."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.distributions import Distribution

from ancestral.core import Conditional
from ancestral.core.shapes import at_least_float32
from ancestral.distributions import Head

__all__ = ["FreePrior", "LatentConditional"]


class FreePrior(Conditional):
    """p(z) = head(features), the features being learnt: independent units with free biases.

    Args:
        head: the family of z, such as `Bernoulli((L,))` or `Normal((L,))`; features start at 0.

    Example:
        >>> from ancestral.distributions import Bernoulli
        >>> FreePrior(Bernoulli((3,))).log_prob(torch.ones(3)).exp()
        tensor(0.1250, grad_fn=...)
    """

    def __init__(self, head: Head) -> None:
        super().__init__()
        self.head = head
        self.features = nn.Parameter(torch.zeros(head.feature_shape))

    def forward(self, context: Tensor | None = None) -> Distribution:
        """The distribution of z, with an empty batch shape."""
        return self.head(self.features)

    def log_prob(
        self, y: Tensor, context: Tensor | None = None, observed: Tensor | None = None
    ) -> Tensor:
        """Log p(z) in nats."""
        return self.head.log_prob(self.features, y, observed)


class LatentConditional(Conditional):
    """p(z | c) = head(network(c)), for a z that no data set holds.

    It is `NetworkConditional` without what that takes from the data: units and a starting bias.

    Args:
        network: [..., *context] -> [..., head.num_features].
        head: features -> distribution, such as `Bernoulli((L,))`.

    Example:
        >>> from ancestral.distributions import Bernoulli
        >>> layer = LatentConditional(nn.Linear(2, 3), Bernoulli((3,)))
        >>> layer(torch.zeros(5, 2)).sample().shape
        torch.Size([5, 3])
    """

    def __init__(self, network: nn.Module, head: Head) -> None:
        super().__init__()
        self.network = network
        self.head = head

    def forward(self, context: Tensor | None = None) -> Distribution:
        """The distribution of z given the context."""
        return self.head(self._features(context))

    def log_prob(
        self, y: Tensor, context: Tensor | None = None, observed: Tensor | None = None
    ) -> Tensor:
        """Log p(z | c) in nats."""
        return self.head.log_prob(self._features(context), y, observed)

    def _features(self, context: Tensor | None) -> Tensor:
        output = at_least_float32(self.network(context))
        return output.unflatten(-1, self.head.feature_shape)
