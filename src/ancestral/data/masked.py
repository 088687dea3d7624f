"""`Masked`: rows of which more cells are missing than in the source they come from."""

from __future__ import annotations

from dataclasses import replace

from torch import Tensor

from ancestral.core.batch import Batch
from ancestral.core.errors import ShapeError
from ancestral.data.accompanied import Accompanied
from ancestral.data.source import Source

__all__ = ["Masked"]


class Masked(Accompanied):
    """Another source's rows, known only where a mask says so: to try imputation on them.

    Args:
        source: the rows; their batches must know row numbers, as those of data in memory do.
        observed: [rows, *shape] bool; what the source lacks stays missing.

    Raises:
        ShapeError: the mask is not of the shape of the rows.

    Example:
        >>> import numpy as np
        >>> import torch
        >>> from ancestral.core import Kind, Specification
        >>> from ancestral.data import TensorSource
        >>> rows = TensorSource(np.ones((2, 2), np.uint8), Specification(Kind.BINARY, (2,)))
        >>> masked = Masked(rows, torch.tensor([[True, False], [True, True]]))
        >>> masked.rows(slice(0, 1)).x, masked.spec.missing
        (tensor([[1., 0.]]), True)
    """

    def __init__(self, source: Source, observed: Tensor) -> None:
        if tuple(observed.shape) != (len(source), *source.spec.shape):
            raise ShapeError(
                f"expected a mask of shape {[len(source), *source.spec.shape]}, that of the "
                f"rows, got {list(observed.shape)}"
            )
        super().__init__(source, observed, replace(source.spec, missing=True))

    def _joined(self, batch: Batch, values: Tensor) -> Batch:
        seen = values if batch.observed is None else values & batch.observed
        return replace(batch, x=batch.x.masked_fill(~seen, 0.0), observed=seen)

    def _of(self, source: Source, values: Tensor) -> Masked:
        return Masked(source, values)
