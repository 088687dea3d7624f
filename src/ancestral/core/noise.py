"""Noise of draws, which can be made the same for all rows of a batch, or each row's own."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

import torch
from torch import Tensor

from ancestral.core.hashing import mixed64, wrapped
from ancestral.core.row_noise import NoiseOfRows
from ancestral.core.seeding import derived_seed

__all__ = [
    "exponential_noise",
    "noise_for",
    "noise_of",
    "noise_of_copies",
    "normal_noise",
    "own_noise",
    "samples_from",
    "shared_noise",
    "uniform_noise",
]

# plain globals, as the generators of torch are, and as compiled code can read them
_PURPOSES, _COPIES = 0x9A4, 0xC09  # streams of seeds
_shared_axis: int | None = None
_rows: NoiseOfRows | None = None


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
    global _shared_axis, _rows
    before, _shared_axis, _rows = (_shared_axis, _rows), axis, None
    try:
        yield
    finally:
        _shared_axis, _rows = before


@contextmanager
def own_noise(keys: Tensor) -> Iterator[None]:
    """Inside, noise [samples, rows, ...] is a function of each row's key.

    So what is drawn for a row does not depend on its company, nor on its place; and the noise of
    two keys is independent. Noise of another shape, with no rows on its second axis, is drawn
    from torch's generator as usual.

    Args:
        keys: [rows] int64, such as `row_noise.RowKeys` gives.

    Example:
        >>> with own_noise(torch.tensor([5, 6, 7])):
        ...     many = normal_noise((4, 3, 2), torch.empty(()))
        >>> with own_noise(torch.tensor([6])):
        ...     alone = normal_noise((4, 1, 2), torch.empty(()))
        >>> bool((many[:, 1:2] == alone).all())
        True
    """
    global _shared_axis, _rows
    before, _shared_axis, _rows = (_shared_axis, _rows), None, NoiseOfRows(keys)
    try:
        yield
    finally:
        _shared_axis, _rows = before


@contextmanager
def noise_for(purpose: int, rows: Tensor | None = None) -> Iterator[None]:
    """Inside `own_noise`, noise for another purpose, which is independent of all other.

    What is drawn for one purpose then does not depend on how much was drawn before, and is the
    same each time. Purposes within purposes are others again. Without `own_noise` this does
    nothing.

    Args:
        purpose: a number for it.
        rows: of the batch that are drawn for, by number or as bool; None for all.

    Example:
        >>> with own_noise(torch.tensor([5, 6, 7])):
        ...     with noise_for(1):
        ...         all_ = normal_noise((4, 3, 2), torch.empty(()))
        ...     with noise_for(1, torch.tensor([2])):
        ...         last = normal_noise((4, 1, 2), torch.empty(()))
        >>> bool((all_[:, 2:] == last).all())
        True
    """
    if _rows is None:
        yield
        return
    keys = _rows.keys if rows is None else _rows.keys[rows]
    with own_noise(mixed64(keys + wrapped(derived_seed(_PURPOSES, purpose)))):
        yield


@contextmanager
def noise_of(rows: Tensor) -> Iterator[None]:
    """Inside `own_noise`, say that batches hold some of the rows only.

    Args:
        rows: which, by number.
    """
    if _rows is None:
        yield
        return
    with own_noise(_rows.keys[rows]):
        yield


@contextmanager
def noise_of_copies(first: int, num_copies: int) -> Iterator[None]:
    """Inside `own_noise`, say that batches hold the rows several times, copy after copy.

    Copies have noise of their own, by their number: the same each time, unless `noise_for` tells
    the times apart. Without `own_noise` this does nothing.

    Args:
        first: number of the first copy.
        num_copies: from there on.

    Example:
        >>> with own_noise(torch.tensor([5, 6])):
        ...     with noise_of_copies(0, 3):
        ...         whole = normal_noise((1, 6, 2), torch.empty(()))
        ...     with noise_of_copies(2, 1):
        ...         last = normal_noise((1, 2, 2), torch.empty(()))
        >>> bool((whole[:, 4:] == last).all())
        True
    """
    if _rows is None:
        yield
        return
    keys = _rows.keys
    numbers = torch.arange(first, first + num_copies, device=keys.device)
    copies = mixed64(numbers + wrapped(derived_seed(_COPIES)))
    with own_noise(mixed64(keys + copies.unsqueeze(1)).flatten()):
        yield


@contextmanager
def samples_from(first: int, num_samples: int) -> Iterator[None]:
    """Inside `own_noise`, say which samples are drawn: all of them at once, or some at a time.

    Then the pieces in which samples are made do not change them. Without `own_noise` this does
    nothing.

    Args:
        first: number of the first sample.
        num_samples: from there on.

    Example:
        >>> with own_noise(torch.tensor([5])):
        ...     with samples_from(0, 4):
        ...         whole = normal_noise((4, 1, 2), torch.empty(()))
        ...     with samples_from(3, 1):
        ...         last = normal_noise((1, 1, 2), torch.empty(()))
        >>> bool((whole[3:] == last).all())
        True
    """
    if _rows is None:
        yield
        return
    with _rows.samples_from(first, num_samples):
        yield


def normal_noise(shape: Sequence[int], like: Tensor) -> Tensor:
    """Draws from N(0, 1), in the precision of `like` and where it is."""
    if _rows is not None and _rows.covers(shape):
        return _rows.normal(shape, like)
    return _drawn(torch.randn, shape, like)


def uniform_noise(shape: Sequence[int], like: Tensor) -> Tensor:
    """Draws from [0, 1), in the precision of `like` and where it is."""
    if _rows is not None and _rows.covers(shape):
        return _rows.uniform(shape, like)
    return _drawn(torch.rand, shape, like)


def exponential_noise(shape: Sequence[int], like: Tensor) -> Tensor:
    """Draws from the exponential distribution of rate 1, likewise."""
    if _rows is not None and _rows.covers(shape):
        return torch.log1p_(_rows.uniform(shape, like).neg_()).neg_()
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
