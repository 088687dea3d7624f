"""`Batch`: some rows of a data set, with what is known of them."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

__all__ = ["Batch", "as_batch"]


@dataclass(frozen=True, eq=False)
class Batch:
    """Rows of data as models see them: finite numbers, and a mask where cells are missing.

    Attributes:
        x: [batch, *event] floating point; missing cells hold zero.
        observed: [batch, *event] bool, False where a cell is missing; None if all are there.
        index: [batch] int64, each row's position in the training data; None for new data.
            Posteriors that keep parameters per datum look them up by it.
        context: [batch, size] what p(x | c) is conditional on, or None.
    """

    x: Tensor
    observed: Tensor | None = None
    index: Tensor | None = None
    context: Tensor | None = None

    def to(self, device: torch.device | str) -> Batch:
        """The same rows on another device."""
        return Batch(
            self.x.to(device),
            None if self.observed is None else self.observed.to(device),
            None if self.index is None else self.index.to(device),
            None if self.context is None else self.context.to(device),
        )

    def rows(self, selection: slice | Tensor) -> Batch:
        """Some of the rows.

        Example:
            >>> batch = Batch(torch.arange(6.0).reshape(3, 2))
            >>> batch.rows(slice(0, 2)).x.shape
            torch.Size([2, 2])
        """
        return Batch(
            self.x[selection],
            None if self.observed is None else self.observed[selection],
            None if self.index is None else self.index[selection],
            None if self.context is None else self.context[selection],
        )

    def with_index(self, index: Tensor | None) -> Batch:
        """The same rows, at other positions of the training data, or at none."""
        return Batch(self.x, self.observed, index, self.context)

    def with_context(self, context: Tensor | None) -> Batch:
        """The same rows, given something else."""
        return Batch(self.x, self.observed, self.index, context)

    def __len__(self) -> int:
        """Number of rows."""
        return self.x.shape[0]


def as_batch(x: Tensor | Batch) -> Batch:
    """Make a `Batch` of a tensor in which NaN marks a missing cell.

    Args:
        x: [batch, *event], or a `Batch`, which is returned as it is.

    Example:
        >>> as_batch(torch.tensor([[1.0, float("nan")]])).observed
        tensor([[ True, False]])
    """
    if isinstance(x, Batch):
        return x
    if not x.is_floating_point():
        return Batch(x.to(torch.get_default_dtype()))
    missing = torch.isnan(x)
    if bool(missing.any()):
        return Batch(x.masked_fill(missing, 0.0), ~missing)
    return Batch(x)
