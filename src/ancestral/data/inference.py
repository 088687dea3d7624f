"""From arrays to a `Specification`, with the reason in words."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from torch import Tensor

from ancestral.core.errors import DataError, ShapeError
from ancestral.core.specification import Kind, Specification
from ancestral.data.numbers import NumberSummary

__all__ = ["check_fits", "infer_specification", "with_kind"]

_CHUNK_BYTES = 32 << 20


def infer_specification(
    x: np.ndarray | Tensor | Sequence[np.ndarray], kind: Kind | None = None
) -> Specification:
    """What the rows of an array are, or of several arrays taken together.

    Args:
        x: [rows, *shape]; NaN marks a missing cell.
        kind: what they are; found from the values if None.

    Raises:
        DataError: infinities, no numbers, no rows, or values that are not of the kind asked for.

    Example:
        >>> infer_specification(np.array([[0, 1], [1, 1]], dtype=np.uint8)).reason
        'uint8 with 2 values, 0 and 1: binary'
    """
    parts = [_as_array(part) for part in ([x] if isinstance(x, (np.ndarray, Tensor)) else x)]
    summary = summarize(parts)
    shape = parts[0].shape[1:]
    spec = summary.specification(shape)
    return spec if kind is None else with_kind(spec, summary, kind)


def summarize(parts: Sequence[np.ndarray]) -> NumberSummary:
    """What the numbers of some arrays of rows are."""
    if sum(len(part) for part in parts) == 0:
        raise DataError("expected at least one row, got none")
    summary = NumberSummary.empty(parts[0].dtype)
    for part in parts:
        if part.shape[1:] != parts[0].shape[1:]:
            raise ShapeError(
                f"expected all parts to have rows of shape {list(parts[0].shape[1:])}, "
                f"got {list(part.shape[1:])}"
            )
        rows = max(1, _CHUNK_BYTES // max(1, part[:1].nbytes))
        for first in range(0, len(part), rows):
            summary = summary.updated(part[first : first + rows])
    return summary


def with_kind(
    spec: Specification, summary: NumberSummary, kind: Kind, num_levels: int | None = None
) -> Specification:
    """The specification with the kind a person asks for, if the numbers allow it."""
    verdict = summary.asked(kind, num_levels, "the data")
    return replace(
        spec, kind=kind, num_levels=verdict.num_levels, columns=None, reason=verdict.reason
    )


def check_fits(like: Specification, summary: NumberSummary, shape: tuple[int, ...]) -> None:
    """Refuse an array that is not what a model was trained on."""
    if shape != like.shape:
        raise ShapeError(
            f"expected rows of shape {list(like.shape)}, got {list(shape)}",
            hint="the model was trained on rows of the first shape",
        )
    if summary.has_missing and not like.missing:
        raise DataError(
            "expected complete rows, got missing cells (NaN)",
            hint="the model was trained on complete rows; drop or fill the rows with gaps",
        )
    if like.kind is not None:
        summary.asked(like.kind, like.num_levels, "the data")


def _as_array(x: np.ndarray | Tensor) -> np.ndarray:
    array = x.detach().cpu().numpy() if isinstance(x, Tensor) else np.asarray(x)
    if array.ndim == 0:
        raise ShapeError("expected an array of rows, got a single number")
    return array
