"""What a chain is to visit: a log-density, with its gradient."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol, Self

import torch
from torch import Tensor

__all__ = ["Evaluate", "Evaluated", "LogDensity", "Point", "evaluated", "force"]

LogDensity = Callable[[Tensor], Tensor]
"""z [..., L] -> log f(z) [...], which need not be normalised."""


class Evaluated(Protocol):
    """A place z, and what the density is there: kept, so that nothing is computed twice."""

    @property
    def z(self) -> Tensor:
        """[..., L]."""
        ...

    @property
    def log_density(self) -> Tensor:
        """[...], log f(z) in nats."""
        ...

    @property
    def gradient(self) -> Tensor:
        """[..., L], of log f."""
        ...

    def where(self, chosen: Tensor, other: Self) -> Self:
        """This place where `chosen` [...], the other one elsewhere."""
        ...


@dataclass(frozen=True, eq=False)
class Point:
    """A place, with the value and the gradient of a log-density there.

    Attributes:
        z: [..., L].
        log_density: [...].
        gradient: [..., L].
    """

    z: Tensor
    log_density: Tensor
    gradient: Tensor

    def where(self, chosen: Tensor, other: Point) -> Point:
        """This point where `chosen` [...], the other one elsewhere."""
        rows = chosen.unsqueeze(-1)
        return Point(
            torch.where(rows, self.z, other.z),
            torch.where(chosen, self.log_density, other.log_density),
            torch.where(rows, self.gradient, other.gradient),
        )


Evaluate = Callable[[Tensor], Point]
"""z [..., L] -> `Point`."""


def evaluated(log_density: LogDensity) -> Evaluate:
    """The density with its gradient, as constants: no graph is kept.

    Example:
        >>> point = evaluated(lambda z: -0.5 * z.square().sum(-1))(torch.tensor([[1.0, 2.0]]))
        >>> point.log_density, point.gradient
        (tensor([-2.5000]), tensor([[-1., -2.]]))
    """

    def evaluate(z: Tensor) -> Point:
        with torch.enable_grad():
            z = z.detach().requires_grad_()
            value = log_density(z)
            (gradient,) = torch.autograd.grad(value.sum(), z)
        return Point(z.detach(), value.detach(), gradient)

    return evaluate


def force(log_density: LogDensity) -> Callable[[Tensor], Tensor]:
    """Z -> the gradient of log f: a function of z and of f's weights where gradients are on.

    Chains that are trained need it. Where gradients are off it is a constant, for less memory.
    """

    def gradient_at(z: Tensor) -> Tensor:
        create_graph = torch.is_grad_enabled()
        with torch.enable_grad():
            if not (create_graph and z.requires_grad):
                z = z.detach().requires_grad_()
            (gradient,) = torch.autograd.grad(log_density(z).sum(), z, create_graph=create_graph)
        return gradient

    return gradient_at
