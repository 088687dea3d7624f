"""`torch.compile`, without its trace on the rest of the process."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import ParamSpec, TypeVar

import torch
from torch.distributions import Distribution

__all__ = ["compiled", "validation_kept"]

P = ParamSpec("P")
R = TypeVar("R")


def compiled(function: Callable[P, R]) -> Callable[P, R]:
    """A compiled function that draws the noise it would draw without compilation.

    Wrap its calls too in `validation_kept`.
    """
    with validation_kept():
        return torch.compile(function, options={"fallback_random": True})


@contextmanager
def validation_kept() -> Iterator[None]:
    """Restore the argument checks of torch's distributions, which compiling turns off for good."""
    before = Distribution._validate_args
    try:
        yield
    finally:
        Distribution.set_default_validate_args(before)
