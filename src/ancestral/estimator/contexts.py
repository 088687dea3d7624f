"""What rows are given, and whether a model can use it."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from ancestral.core import IncompatibleChoices, ShapeError, Specification

__all__ = ["as_contexts", "check_conditional"]


def check_conditional(model: nn.Module, spec: Specification) -> None:
    """Refuse a model that would not look at what rows are given.

    Raises:
        IncompatibleChoices: the rows are given something, and the model takes nothing.
    """
    if spec.context and not getattr(model, "is_conditional", False):
        raise IncompatibleChoices(
            f"expected a conditional model for rows given {', '.join(spec.context)}, got "
            f"{type(model).__name__}",
            hint="leave out what the rows are given, or take a recipe that can be conditional",
        )


def as_contexts(given: Any, num_rows: int, size: int, device: torch.device) -> Tensor | None:
    """[num_rows, size] numbers that rows are given.

    Raises:
        ShapeError: the model takes none, or others.
    """
    if given is None and size == 0:
        return None
    found = None if given is None else torch.as_tensor(np.asarray(given)).to(device)
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
