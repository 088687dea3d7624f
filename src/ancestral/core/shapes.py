"""The few reshapes that probability needs."""

from __future__ import annotations

import math
from collections.abc import Sequence

from torch import Tensor

from ancestral.core.errors import ShapeError

__all__ = ["at_least_float32", "expect_event", "numel", "sum_event"]


def numel(shape: Sequence[int]) -> int:
    """Number of cells of one event.

    Example:
        >>> numel((28, 28)), numel(())
        (784, 1)
    """
    return math.prod(shape)


def sum_event(values: Tensor, num_event_dims: int) -> Tensor:
    """Sum over the last `num_event_dims` axes.

    Example:
        >>> import torch
        >>> sum_event(torch.ones(2, 3, 4), 2)
        tensor([12., 12.])
    """
    if num_event_dims == 0:
        return values
    return values.flatten(values.ndim - num_event_dims).sum(-1)


def expect_event(x: Tensor, event_shape: Sequence[int], what: str) -> None:
    """Refuse a tensor whose last axes are not `event_shape`."""
    shape = tuple(event_shape)
    if x.ndim < len(shape) or tuple(x.shape[x.ndim - len(shape) :]) != shape:
        raise ShapeError(
            f"expected {what} of shape [batch, {', '.join(map(str, shape))}], got {list(x.shape)}",
            hint="each row must have the shape of the data the model was built for",
        )


def at_least_float32(x: Tensor) -> Tensor:
    """Half-precision numbers as float32; others as they are.

    Networks may run in bfloat16; log-probabilities may not: their sums lose whole nats.

    Example:
        >>> import torch
        >>> at_least_float32(torch.zeros((), dtype=torch.bfloat16)).dtype
        torch.float32
    """
    return x.float() if x.element_size() < 4 else x
