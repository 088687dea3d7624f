"""Gaussians over vectors, without the checks and the bookkeeping of torch's own."""

from __future__ import annotations

import math
from typing import ClassVar

import torch
from torch import Size, Tensor
from torch.distributions import Distribution, constraints

from ancestral.core.noise import normal_noise

__all__ = ["LOG_2PI", "DiagonalNormal", "FullNormal", "StandardNormal"]

LOG_2PI = math.log(2 * math.pi)


class DiagonalNormal(Distribution):
    """N(loc, diag(exp(log_scale))^2), one event being the last axis.

    Args:
        loc: [*batch_shape, D].
        log_scale: [*batch_shape, D], or anything that broadcasts to it.

    Example:
        >>> import torch
        >>> DiagonalNormal(torch.zeros(3, 2), torch.zeros(3, 2)).log_prob(torch.zeros(2))
        tensor([-1.8379, -1.8379, -1.8379])
    """

    arg_constraints: ClassVar[dict[str, constraints.Constraint]] = {}
    support: ClassVar[constraints.Constraint] = constraints.real_vector  # pyright: ignore
    has_rsample = True

    def __init__(self, loc: Tensor, log_scale: Tensor) -> None:
        if log_scale.shape != loc.shape:
            loc, log_scale = torch.broadcast_tensors(loc, log_scale)
        self.loc = loc
        self.log_scale = log_scale
        super().__init__(loc.shape[:-1], loc.shape[-1:], validate_args=False)

    @property
    def mean(self) -> Tensor:
        """The location."""
        return self.loc

    @property
    def mode(self) -> Tensor:
        """The location."""
        return self.mean

    @property
    def stddev(self) -> Tensor:
        """The scale of each dimension."""
        return self.log_scale.exp()

    @property
    def variance(self) -> Tensor:
        """The squared scale of each dimension."""
        return (2 * self.log_scale).exp()

    def log_prob(self, value: Tensor) -> Tensor:
        """Log-density in nats."""
        z = (value - self.loc) * torch.exp(-self.log_scale)
        terms = torch.addcmul(self.log_scale, z, z, value=0.5)
        return -terms.sum(-1) - 0.5 * LOG_2PI * self.event_shape[0]

    def rsample(self, sample_shape: Size | tuple[int, ...] = ()) -> Tensor:
        """Loc + scale * noise, [*sample_shape, *batch_shape, D]."""
        shape = (*sample_shape, *self.batch_shape, *self.event_shape)
        noise = normal_noise(shape, self.loc)
        return torch.addcmul(self.loc, self.log_scale.exp(), noise)

    def entropy(self) -> Tensor:
        """Entropy in nats, [*batch_shape]."""
        return self.log_scale.sum(-1) + 0.5 * (1 + LOG_2PI) * self.event_shape[0]

    def expand(
        self, batch_shape: Size | tuple[int, ...], _instance: Distribution | None = None
    ) -> DiagonalNormal:
        """The same with a larger batch shape."""
        shape = (*batch_shape, *self.event_shape)
        return DiagonalNormal(self.loc.expand(shape), self.log_scale.expand(shape))


class StandardNormal(DiagonalNormal):
    """N(0, I), as its own type, for which the divergence from it is cheaper.

    Args:
        num_dims: D.
        like: a tensor whose precision and device to take; the default precision if None.

    Example:
        >>> StandardNormal(3).sample((5,)).shape
        torch.Size([5, 3])
    """

    def __init__(self, num_dims: int, like: Tensor | None = None) -> None:
        zeros = torch.zeros(num_dims) if like is None else like.new_zeros(num_dims)
        super().__init__(zeros, zeros)

    def log_prob(self, value: Tensor) -> Tensor:
        """Log-density in nats."""
        return -0.5 * (value.square().sum(-1) + LOG_2PI * self.event_shape[0])


class FullNormal(Distribution):
    """N(loc, L L^T).

    Args:
        loc: [*batch_shape, D].
        scale_tril: [*batch_shape, D, D], L, lower triangular with a positive diagonal.

    Example:
        >>> import torch
        >>> FullNormal(torch.zeros(2), torch.eye(2)).entropy()
        tensor(2.8379)
    """

    arg_constraints: ClassVar[dict[str, constraints.Constraint]] = {}
    support: ClassVar[constraints.Constraint] = constraints.real_vector  # pyright: ignore
    has_rsample = True

    def __init__(self, loc: Tensor, scale_tril: Tensor) -> None:
        self.loc = loc
        self.scale_tril = scale_tril
        batch_shape = torch.broadcast_shapes(loc.shape[:-1], scale_tril.shape[:-2])
        super().__init__(batch_shape, loc.shape[-1:], validate_args=False)

    @property
    def mean(self) -> Tensor:
        """The location."""
        return self.loc.expand(self.batch_shape + self.event_shape)

    @property
    def mode(self) -> Tensor:
        """The location."""
        return self.mean

    @property
    def covariance_matrix(self) -> Tensor:
        """L L^T."""
        return self.scale_tril @ self.scale_tril.mT

    @property
    def variance(self) -> Tensor:
        """Diagonal of the covariance matrix."""
        return self.scale_tril.square().sum(-1).expand(self.batch_shape + self.event_shape)

    @property
    def log_det(self) -> Tensor:
        """Log of the determinant of L."""
        return self.scale_tril.diagonal(dim1=-2, dim2=-1).log().sum(-1)

    def log_prob(self, value: Tensor) -> Tensor:
        """Log-density in nats."""
        z = solve_tril(self.scale_tril, value - self.loc)
        return -0.5 * (z.square().sum(-1) + LOG_2PI * self.event_shape[0]) - self.log_det

    def rsample(self, sample_shape: Size | tuple[int, ...] = ()) -> Tensor:
        """Loc + L noise, [*sample_shape, *batch_shape, D]."""
        shape = (*sample_shape, *self.batch_shape, *self.event_shape)
        noise = normal_noise(shape, self.loc)
        return self.loc + (self.scale_tril @ noise.unsqueeze(-1)).squeeze(-1)

    def entropy(self) -> Tensor:
        """Entropy in nats, [*batch_shape]."""
        total = self.log_det + 0.5 * (1 + LOG_2PI) * self.event_shape[0]
        return total.expand(self.batch_shape)

    def expand(
        self, batch_shape: Size | tuple[int, ...], _instance: Distribution | None = None
    ) -> FullNormal:
        """The same with a larger batch shape."""
        shape = (*batch_shape, *self.event_shape)
        return FullNormal(
            self.loc.expand(shape), self.scale_tril.expand(*shape, self.event_shape[0])
        )


def solve_tril(scale_tril: Tensor, vectors: Tensor) -> Tensor:
    """L^-1 v for [..., D, D] and [..., D]."""
    return torch.linalg.solve_triangular(scale_tril, vectors.unsqueeze(-1), upper=False).squeeze(
        -1
    )
