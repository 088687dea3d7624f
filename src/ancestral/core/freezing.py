"""`frozen`: a module whose weights are constants for a while."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from torch import nn

__all__ = ["frozen"]


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
