"""Invertible maps of data, cell by cell, whose log-determinant is counted.

With y = f(x), log p(x) = log p(y) + sum over cells of log |df/dx|: a model of standardised or
squashed data still reports nats of the data as given.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor

from ancestral.core.errors import OptionError

__all__ = ["Affine", "Bijection", "Compose", "Identity", "Logit", "Standardize"]


class Bijection(Protocol):
    """A map of each cell by itself, increasing and differentiable."""

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Y = f(x), and log |dy/dx| of each cell; both of the shape of x."""
        ...

    def inverse(self, y: Tensor) -> Tensor:
        """The x with f(x) = y."""
        ...


@dataclass(frozen=True)
class Identity:
    """y = x."""

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """X itself, and zeros."""
        return x, torch.zeros_like(x)

    def inverse(self, y: Tensor) -> Tensor:
        """Y itself."""
        return y


@dataclass(frozen=True)
class Affine:
    """y = loc + scale x.

    Args:
        loc: broadcast against a datum.
        scale: positive, broadcast against a datum.

    Example:
        >>> y, log_det = Affine(torch.tensor(1.0), torch.tensor(2.0)).forward(torch.ones(3))
        >>> y, log_det
        (tensor([3., 3., 3.]), tensor([0.6931, 0.6931, 0.6931]))
    """

    loc: Tensor
    scale: Tensor

    def __post_init__(self) -> None:
        _check_positive(self.scale)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Loc + scale x, and log scale."""
        return self.loc + self.scale * x, self.scale.to(x.dtype).log().expand_as(x)

    def inverse(self, y: Tensor) -> Tensor:
        """(y - loc) / scale."""
        return (y - self.loc) / self.scale


@dataclass(frozen=True)
class Standardize:
    """y = (x - loc) / scale.

    Args:
        loc: mean, broadcast against a datum.
        scale: standard deviation, positive, broadcast against a datum.
    """

    loc: Tensor
    scale: Tensor

    def __post_init__(self) -> None:
        _check_positive(self.scale)

    @staticmethod
    def of(x: Tensor, observed: Tensor | None = None) -> Standardize:
        """That which gives each cell mean 0 and standard deviation 1 over the rows.

        A cell that never varies, or is never observed, gets scale 1.

        Args:
            x: [rows, *event].
            observed: [rows, *event] bool, or None if nothing is missing.

        Example:
            >>> Standardize.of(torch.tensor([[1.0], [3.0]])).scale
            tensor([1.])
        """
        weight = torch.ones_like(x) if observed is None else observed.to(x.dtype)
        num = weight.sum(0).clamp(min=1)
        loc = (x * weight).sum(0) / num
        scale = ((x - loc).square().mul(weight).sum(0) / num).sqrt()
        # Rounding leaves a constant column a spread of about eps times its size.
        tiny = scale <= 8 * torch.finfo(x.dtype).eps * loc.abs()
        return Standardize(loc, torch.where(tiny | (scale == 0), 1.0, scale))

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """(x - loc) / scale, and -log scale."""
        return (x - self.loc) / self.scale, -self.scale.to(x.dtype).log().expand_as(x)

    def inverse(self, y: Tensor) -> Tensor:
        """Loc + scale y."""
        return self.loc + self.scale * y


@dataclass(frozen=True)
class Logit:
    r"""y = logit(alpha + (1 - 2 alpha) x), for x from 0 to 1.

    Args:
        alpha: in [0, 1/2); keeps 0 and 1 finite. MAF uses 1e-6 for MNIST and 0.05 for CIFAR-10.

    Example:
        >>> Logit(0.25).forward(torch.tensor([0.5]))
        (tensor([0.]), tensor([0.6931]))

    References:
        | Masked Autoregressive Flow for Density Estimation (Papamakarios et al., 2017), D.2
        | https://arxiv.org/abs/1705.07057
    """

    alpha: float = 1e-6

    def __post_init__(self) -> None:
        if not 0 <= self.alpha < 0.5:
            raise OptionError(f"expected alpha from 0 to less than 0.5, got {self.alpha}")

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """The logit, and log(1 - 2 alpha) - log p - log(1 - p)."""
        p = self.alpha + (1 - 2 * self.alpha) * x
        # 1 - p as alpha + (1 - 2 alpha)(1 - x), which keeps its digits where x is near 1
        log_p, log_q = p.log(), (self.alpha + (1 - 2 * self.alpha) * (1 - x)).log()
        return log_p - log_q, math.log1p(-2 * self.alpha) - log_p - log_q

    def inverse(self, y: Tensor) -> Tensor:
        """(sigmoid(y) - alpha) / (1 - 2 alpha)."""
        return (y.sigmoid() - self.alpha) / (1 - 2 * self.alpha)


@dataclass(frozen=True)
class Compose:
    """The first map, then the second, and so on.

    Args:
        parts: in the order in which they act.

    Example:
        >>> to_unit = Affine(torch.tensor(0.0), torch.tensor(1 / 256))
        >>> Compose((to_unit, Logit(0.05))).forward(torch.tensor([128.0]))[0]
        tensor([0.])
    """

    parts: tuple[Bijection, ...]

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """The last image, and the sum of the log-determinants."""
        total = torch.zeros_like(x)
        for part in self.parts:
            x, log_det = part.forward(x)
            total = total + log_det
        return x, total

    def inverse(self, y: Tensor) -> Tensor:
        """Undo the parts, last first."""
        for part in reversed(self.parts):
            y = part.inverse(y)
        return y


def _check_positive(scale: Tensor) -> None:
    if not bool((scale > 0).all()):
        raise OptionError("expected scales greater than 0, got one that is not")
