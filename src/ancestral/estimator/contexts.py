"""What rows are given, and whether a model can use it."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from ancestral.core import IncompatibleChoices, OptionError, ShapeError, Specification
from ancestral.data import Source

__all__ = ["as_contexts", "check_conditional", "check_given"]

_CPU = torch.device("cpu")


def check_conditional(model: nn.Module, spec: Specification) -> None:
    """Refuse a model that would not look at what rows are given.

    Raises:
        IncompatibleChoices: the rows are given something, and the model takes nothing.
    """
    if spec.context and not getattr(model, "is_conditional", False):
        raise IncompatibleChoices(
            f"the recipe is not conditional, and the rows are given {', '.join(spec.context)}",
            hint="leave out --given, or take an autoregressive recipe such as `fvsbn`, `made` or "
            "`pixel_cnn`",
        )


def check_given(source: Source, spec: Specification) -> None:
    """Refuse rows that do not come with what a conditional model needs.

    Raises:
        ShapeError: they come with nothing.
    """
    if spec.context and len(source) and source.rows(slice(0, 1)).context is None:
        as_contexts(None, len(source), len(spec.context), _CPU)


def as_contexts(given: Any, num_rows: int, size: int, device: torch.device) -> Tensor | None:
    """[num_rows, size] numbers that rows are given.

    Raises:
        ShapeError: the model takes none, or others.
        OptionError: they are no finite numbers.
    """
    if given is None and size == 0:
        return None
    found = None if given is None else _numbers(given).to(device)
    if found is not None and found.ndim == 1:
        found = found.expand(num_rows, -1)
    if found is None or tuple(found.shape) != (num_rows, size):
        got = "none" if found is None else f"one of shape {list(found.shape)}"
        wanted = f"a context of shape [{num_rows}, {size}]" if size else "no context"
        raise ShapeError(
            f"expected {wanted}, got {got}",
            hint="the model is conditional: say what on" if size else "it is not conditional",
        )
    return found.to(torch.get_default_dtype())


def _numbers(given: Any) -> Tensor:
    if isinstance(given, Tensor):
        found = given.detach()
    else:
        try:
            array = np.asarray(given)
        except ValueError:
            raise OptionError(
                "expected contexts of one length, got different ones", hint=_HINT
            ) from None
        if array.dtype.kind not in "biuf":
            raise OptionError(f"expected a context of numbers, got {given!r:.60}", hint=_HINT)
        found = torch.from_numpy(np.array(array))
    if found.is_complex() or not bool(found.isfinite().all()):
        raise OptionError("expected a context of finite numbers, got others", hint=_HINT)
    return found


_HINT = "give a number for each name in spec_.context; 1 for its own class, else 0"
