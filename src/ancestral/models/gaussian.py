"""Gaussian conditionals over latent variables: priors and encoders."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from ancestral.core import Conditional
from ancestral.core.shapes import at_least_float32
from ancestral.distributions import DiagonalNormal, FullNormal, StandardNormal

__all__ = ["DiagonalGaussian", "FullGaussian", "StandardNormalPrior"]

# exp(-7) is far below the noise of any decoder; beyond it only rounding errors grow
_MIN_LOG_SCALE, _MAX_LOG_SCALE = -7.0, 7.0


class StandardNormalPrior(Conditional):
    """p(z) = N(0, I), which knows no context.

    Args:
        num_dims: latent variables L.

    Example:
        >>> StandardNormalPrior(3)().event_shape
        torch.Size([3])
    """

    zeros: Tensor

    def __init__(self, num_dims: int) -> None:
        super().__init__()
        self.register_buffer("zeros", torch.zeros(num_dims), persistent=False)

    def forward(self, context: Tensor | None = None) -> StandardNormal:
        """N(0, I) with an empty batch shape."""
        return StandardNormal(len(self.zeros), self.zeros)


class DiagonalGaussian(Conditional):
    """q(z | c) = N(loc(c), diag(scale(c)^2)).

    Args:
        network: [..., *context] -> [..., 2 L], the location and then the log-scale.
    """

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network

    def forward(self, context: Tensor | None = None) -> DiagonalNormal:
        """The distribution of z given the context."""
        loc, log_scale = at_least_float32(self.network(context)).chunk(2, -1)
        return DiagonalNormal(loc, log_scale.clamp(_MIN_LOG_SCALE, _MAX_LOG_SCALE))


class FullGaussian(Conditional):
    """q(z | c) = N(loc(c), L(c) L(c)^T) with L lower triangular and positive on its diagonal.

    Args:
        network: [..., *context] -> [..., L + L (L + 1) / 2]: location, log of the diagonal of
            the factor, the factor below the diagonal row by row.
        num_dims: latent variables L.
    """

    below: Tensor

    def __init__(self, network: nn.Module, num_dims: int) -> None:
        super().__init__()
        self.network = network
        self.num_dims = num_dims
        below = torch.tril_indices(num_dims, num_dims, offset=-1)
        self.register_buffer("below", below, persistent=False)

    @staticmethod
    def num_outputs(num_dims: int) -> int:
        """What the network must give: L + L (L + 1) / 2.

        Example:
            >>> FullGaussian.num_outputs(3)
            9
        """
        return num_dims + num_dims * (num_dims + 1) // 2

    def forward(self, context: Tensor | None = None) -> FullNormal:
        """The distribution of z given the context."""
        output = at_least_float32(self.network(context))
        n = self.num_dims
        loc, log_diagonal, below = output.split([n, n, n * (n - 1) // 2], -1)
        diagonal = log_diagonal.clamp(_MIN_LOG_SCALE, _MAX_LOG_SCALE).exp()
        factor = torch.diag_embed(diagonal)
        factor[..., self.below[0], self.below[1]] = below
        return FullNormal(loc, factor)
