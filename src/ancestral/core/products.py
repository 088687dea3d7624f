"""`Product`: many products with one matrix, which is laid out for them once."""

from __future__ import annotations

import torch
from torch import Tensor

__all__ = ["Product"]


class Product:
    """x -> x W for a W that stays as it is.

    On CPUs oneDNN's packed layout is used where torch has it: torch's own product lays the matrix
    out at each call, a quarter of the time of a small one. The result is as precise as x; the
    product itself is in the type of W.

    Args:
        weight: [inputs, outputs], in the type of the product.
        num_rows: rows of x, about; any other number works too.

    Example:
        >>> Product(torch.eye(3), 2)(torch.ones(2, 3))
        tensor([[1., 1., 1.],
                [1., 1., 1.]])
    """

    def __init__(self, weight: Tensor, num_rows: int) -> None:
        self.dtype = weight.dtype
        self._packed = _packed(weight, num_rows)
        self._weight = weight.contiguous() if self._packed is None else weight[:0]

    def __call__(self, x: Tensor) -> Tensor:
        """[rows, inputs] -> [rows, outputs], in the type of the product."""
        x = x.to(self.dtype)
        if self._packed is None:
            return torch.mm(x, self._weight)
        return torch.ops.mkldnn._linear_pointwise(x, self._packed, None, "none", [], "")

    def added_to(self, total: Tensor, x: Tensor) -> Tensor:
        """Total + x W, in place."""
        if self._packed is None and self.dtype == total.dtype:
            return total.addmm_(x, self._weight)
        return total.add_(self(x))


def _packed(weight: Tensor, num_rows: int) -> Tensor | None:
    suits = weight.dtype is torch.float32 or (
        weight.dtype is torch.bfloat16 and torch.cpu._is_avx512_bf16_supported()
    )
    if weight.device.type != "cpu" or not suits or not torch.backends.mkldnn.is_available():
        return None
    try:
        return torch.ops.mkldnn._reorder_linear_weight(weight.t().contiguous(), num_rows)
    except (AttributeError, RuntimeError):  # names that are torch's own, and may go
        return None
