"""Which arithmetic networks run in, and where the fast one is at home."""

from __future__ import annotations

from enum import StrEnum

import torch

__all__ = ["Precision", "matrix_products"]


class Precision(StrEnum):
    """Arithmetic of matrix products and convolutions.

    Weights, likelihoods, bounds and the optimiser stay in float32 (or float64) whatever is chosen.
    """

    AUTO = "auto"  # bf16 where the hardware has instructions for it, else float32
    FLOAT32 = "float32"
    BF16 = "bf16"

    def resolved(self, device: torch.device, dtype: torch.dtype) -> Precision:
        """What `auto` means for weights of a type on a device; other choices stand."""
        if self is not Precision.AUTO:
            return self
        fast = dtype is torch.float32 and _multiplies_bf16(device)
        return Precision.BF16 if fast else Precision.FLOAT32


def matrix_products(precision: Precision, weight: torch.Tensor) -> torch.autocast:
    """A context in which networks with such weights multiply in the given precision."""
    resolved = precision.resolved(weight.device, weight.dtype)
    return torch.autocast(weight.device.type, torch.bfloat16, enabled=resolved is Precision.BF16)


def _multiplies_bf16(device: torch.device) -> bool:
    if device.type == "cuda":
        return torch.cuda.is_bf16_supported(including_emulation=False)
    if device.type == "cpu":
        return torch.cpu._is_avx512_bf16_supported() or torch.cpu._is_amx_tile_supported()
    return False
