"""States that are nested tuples, lists, dicts and dataclasses of tensors, the batch first."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any, Generic, TypeVar

import torch
from torch import Tensor

__all__ = ["Shared", "clone", "select", "tree_map"]

T = TypeVar("T")


class Shared(Generic[T]):
    """What all rows of a batch share, such as prepared weights: left alone by what follows here.

    Args:
        value: anything.
    """

    def __init__(self, value: T) -> None:
        self.value = value


def select(state: Any, index: Tensor) -> Any:
    """The state of some rows of the batch, by number; a row may come more than once.

    Every tensor is indexed along its first axis, and copied; anything else is kept as it is.

    Example:
        >>> select((torch.arange(3.0), {"t": 4}), torch.tensor([2, 2]))
        (tensor([2., 2.]), {'t': 4})
    """
    return tree_map(lambda tensor: tensor.index_select(0, index), state)


def clone(state: Any) -> Any:
    """A copy that shares no memory, to branch from: steps may overwrite the state they are given.

    Example:
        >>> state = [torch.zeros(2)]
        >>> copy = clone(state)
        >>> copy[0].add_(1), state
        (tensor([1., 1.]), [tensor([0., 0.])])
    """
    return tree_map(torch.clone, state)


def tree_map(function: Callable[[Tensor], Tensor], state: Any) -> Any:
    """The same structure, with `function` of every tensor."""
    if isinstance(state, Tensor):
        return function(state)
    if dataclasses.is_dataclass(state) and not isinstance(state, type):
        parts = {
            field.name: tree_map(function, getattr(state, field.name))
            for field in dataclasses.fields(state)
        }
        return dataclasses.replace(state, **parts)
    if isinstance(state, dict):
        return {key: tree_map(function, part) for key, part in state.items()}
    if isinstance(state, tuple):
        parts = [tree_map(function, part) for part in state]
        return type(state)(*parts) if hasattr(state, "_fields") else tuple(parts)
    if isinstance(state, list):
        return [tree_map(function, part) for part in state]
    return state
