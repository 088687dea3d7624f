"""`torch.compile`, without its trace on the rest of the process."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import ParamSpec, TypeVar

import torch

from ancestral.core import IncompatibleChoices, validation_kept

__all__ = ["compiled", "validation_kept"]

P = ParamSpec("P")
R = TypeVar("R")


def compiled(function: Callable[P, R]) -> Callable[P, R]:
    """A compiled function that draws the noise it would draw without compilation.

    Wrap its calls too in `validation_kept`.

    Raises:
        IncompatibleChoices: at a call, where the machine has no compiler.
    """
    with validation_kept():
        inner = torch.compile(function, options={"fallback_random": True})

    @functools.wraps(function)
    def call(*args: P.args, **kwargs: P.kwargs) -> R:
        try:
            return inner(*args, **kwargs)
        except Exception as error:
            if "InvalidCxxCompiler" not in str(error):
                raise
            raise IncompatibleChoices(
                "expected a C++ compiler for compile=True, got none on this machine",
                hint="leave out compile, or install one, such as g++",
            ) from error

    return call
