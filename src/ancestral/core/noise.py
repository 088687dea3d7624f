"""Noise of draws, which can be made the same for all rows of a batch."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

import torch
from torch import Tensor

__all__ = ["exponential_noise", "normal_noise", "shared_noise", "uniform_noise"]

# a plain global, as the generators of torch are, and as compiled code can read it
_shared_axis: int | None = None


@contextmanager
def shared_noise(axis: int) -> Iterator[None]:
    """Inside, noise is drawn once for all indices of an axis.

    With the rows of a batch along this axis, what is computed for one of them does not depend on
    how many others there are, nor on its place among them; each row's noise is as good as ever,
    while that of two rows is the same. Noise with fewer axes is drawn as usual.

    Example:
        >>> with shared_noise(axis=1):
        ...     noise = normal_noise((3, 4, 2), torch.empty(()))
        >>> bool((noise[:, :1] == noise).all()), bool((noise[:1] == noise).all())
        (True, False)
    """
    global _shared_axis
    before, _shared_axis = _shared_axis, axis
    try:
        yield
    finally:
        _shared_axis = before


def normal_noise(shape: Sequence[int], like: Tensor) -> Tensor:
    """Draws from N(0, 1), in the precision of `like` and where it is."""
    return _drawn(torch.randn, shape, like)


def uniform_noise(shape: Sequence[int], like: Tensor) -> Tensor:
    """Draws from [0, 1), in the precision of `like` and where it is."""
    return _drawn(torch.rand, shape, like)


def exponential_noise(shape: Sequence[int], like: Tensor) -> Tensor:
    """Draws from the exponential distribution of rate 1, likewise."""
    return _drawn(_exponential, shape, like)


def _exponential(shape: tuple[int, ...], *, dtype: torch.dtype, device: torch.device) -> Tensor:
    return torch.empty(shape, dtype=dtype, device=device).exponential_()


def _drawn(draw: Callable[..., Tensor], shape: Sequence[int], like: Tensor) -> Tensor:
    axis = _shared_axis
    if axis is None or len(shape) <= axis:
        return draw(tuple(shape), dtype=like.dtype, device=like.device)
    once = (*shape[:axis], 1, *shape[axis + 1 :])
    # contiguous: whoever asks may write to it
    return draw(once, dtype=like.dtype, device=like.device).expand(*shape).contiguous()
