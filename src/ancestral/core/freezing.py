"""Modules that are otherwise for a while: with constant weights, or without dropout."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from torch import nn

__all__ = ["evaluation_mode", "frozen"]


@contextmanager
def frozen(module: nn.Module) -> Iterator[None]:
    """Inside, the module's parameters take no gradient, while its inputs still pass one.

    Example:
        >>> layer = nn.Linear(2, 3)
        >>> with frozen(layer):
        ...     [p.requires_grad for p in layer.parameters()]
        [False, False]
        >>> [p.requires_grad for p in layer.parameters()]
        [True, True]
    """
    trainable = [p for p in module.parameters() if p.requires_grad]
    for parameter in trainable:
        parameter.requires_grad = False
    try:
        yield
    finally:
        for parameter in trainable:
            parameter.requires_grad = True


@contextmanager
def evaluation_mode(module: nn.Module) -> Iterator[None]:
    """Inside, dropout and batch normalisation do not depend on chance or on the batch.

    Example:
        >>> layer = nn.Dropout(0.5)
        >>> with evaluation_mode(layer):
        ...     layer.training
        False
        >>> layer.training
        True
    """
    training = [m for m in module.modules() if m.training]
    for m in training:
        m.training = False
    try:
        yield
    finally:
        for m in training:
            m.training = True
