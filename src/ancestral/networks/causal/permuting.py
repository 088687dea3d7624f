"""Permutations whose gradient is a permutation, too."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

__all__ = ["permuted"]


def permuted(x: Tensor, order: Tensor) -> Tensor:
    """Entries of the first axis in another order, each once.

    `index_select` does the same, but its gradient adds up entry by entry, since it cannot know
    that none comes twice.

    Args:
        x: [N, ...].
        order: [N] int64, a permutation.

    Example:
        >>> permuted(torch.tensor([5.0, 6.0, 7.0]), torch.tensor([2, 0, 1]))
        tensor([7., 5., 6.])
    """
    return _Permuted.apply(x, order)


class _Permuted(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, order: Tensor) -> Tensor:
        ctx.save_for_backward(order)
        return x.index_select(0, order)

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor, None]:
        (order,) = ctx.saved_tensors
        return permuted(grads[0], order.argsort()), None
