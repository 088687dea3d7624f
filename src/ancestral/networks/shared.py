"""Output parameters that do not depend on the input."""

from __future__ import annotations

import torch
from torch import Tensor, nn

__all__ = ["SharedParameters"]


class SharedParameters(nn.Module):
    """Appends learnt constants to a network's output, such as one scale for all data.

    Args:
        network: [..., I] -> [..., O].
        num_shared: S, how many constants.

    Shape:
        [..., I] -> [..., O + S * repeats]

    Example:
        >>> SharedParameters(nn.Linear(3, 5), num_shared=1, repeats=5)(torch.zeros(2, 3)).shape
        torch.Size([2, 10])
    """

    def __init__(self, network: nn.Module, num_shared: int, repeats: int = 1) -> None:
        super().__init__()
        self.network = network
        self.shared = nn.Parameter(torch.zeros(num_shared))
        self.repeats = repeats

    def forward(self, x: Tensor) -> Tensor:
        """Each constant is repeated `repeats` times, so that one scale serves many cells."""
        output = self.network(x)
        shared = self.shared.repeat_interleave(self.repeats)
        return torch.cat((output, shared.expand(*output.shape[:-1], -1)), -1)
