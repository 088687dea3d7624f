"""Modules that are otherwise for a while: with constant weights, or without dropout."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from torch import nn

__all__ = ["Borrows", "evaluation_mode", "frozen"]


class Borrows(ABC):
    """A module that computes with modules which are registered elsewhere."""

    @property
    @abstractmethod
    def borrowed(self) -> Sequence[nn.Module]:
        """Those modules."""


@contextmanager
def frozen(module: nn.Module, keep: nn.Module | None = None) -> Iterator[None]:
    """Inside, the module's parameters take no gradient, while its inputs still pass one.

    Those of modules that it borrows are among them, except where another module keeps them.

    Args:
        module: whose parameters.
        keep: a module whose own parameters go on taking gradients; None for none.

    Example:
        >>> layer = nn.Linear(2, 3)
        >>> with frozen(layer):
        ...     [p.requires_grad for p in layer.parameters()]
        [False, False]
        >>> [p.requires_grad for p in layer.parameters()]
        [True, True]
    """
    kept = set() if keep is None else set(keep.parameters())
    found = {p: None for part in _modules(module) for p in part.parameters(recurse=False)}
    trainable = [p for p in found if p.requires_grad and p not in kept]
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

    That goes for the modules it borrows as well.

    Example:
        >>> layer = nn.Dropout(0.5)
        >>> with evaluation_mode(layer):
        ...     layer.training
        False
        >>> layer.training
        True
    """
    training = [m for m in _modules(module) if m.training]
    for m in training:
        m.training = False
    try:
        yield
    finally:
        for m in training:
            m.training = True


def _modules(module: nn.Module) -> list[nn.Module]:
    """The module's own modules, itself included, and those that they borrow, each once."""
    found: dict[nn.Module, None] = {}
    waiting = [module]
    while waiting:
        for part in waiting.pop().modules():
            if part not in found:
                found[part] = None
                waiting += part.borrowed if isinstance(part, Borrows) else ()
    return list(found)
