"""`tamed`: trajectories that are differentiated without exploding gradients."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.autograd.function import FunctionCtx

__all__ = ["tamed"]

_LARGEST_SLOPE = 1e3  # of the loss in a state, on the way back through a trajectory


def tamed(state: Tensor) -> Tensor:
    """The same state; on the way back its gradient is finite and not too large.

    Through the steps of a trajectory gradients are multiplied by one Jacobian after the other.
    Where the steps are chaotic they grow without bound, overflow, and mean nothing: a state's
    gradient is scaled down so that no coordinate has more than 1,000 (losses are means over a
    batch, whose gradients are far below 1), and dropped where it is no number.

    Args:
        state: [..., L], one of many chains.

    Example:
        >>> state = torch.zeros(2, requires_grad=True)
        >>> (tamed(state) * torch.tensor([1e5, 2e5])).sum().backward()
        >>> state.grad
        tensor([ 500., 1000.])
    """
    return _Tamed.apply(state)  # pyright: ignore


class _Tamed(torch.autograd.Function):
    @staticmethod
    def forward(ctx: FunctionCtx, x: Tensor) -> Tensor:
        del ctx
        return x.view_as(x)

    @staticmethod
    def backward(ctx: FunctionCtx, gradient: Tensor) -> Tensor:  # pyright: ignore
        del ctx
        finite = gradient.isfinite().all(-1, keepdim=True)
        gradient = torch.where(finite, gradient, 0.0)
        largest = gradient.abs().amax(-1, keepdim=True)
        return gradient / (largest / _LARGEST_SLOPE).clamp_min(1.0)
