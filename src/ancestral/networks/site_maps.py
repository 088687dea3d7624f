"""Vectors -> features of each site, as a context for a causal network."""

from __future__ import annotations

from torch import Tensor, nn

__all__ = ["SiteMaps"]


class SiteMaps(nn.Module):
    """The flat output of a network, with the sites before their features.

    Args:
        network: [..., I] -> [..., size * num_sites], feature by feature as decoders of images
            give them.
        num_sites: T.
        size: features of each site.

    Shape:
        [..., I] -> [..., T, size]

    Example:
        >>> import torch
        >>> SiteMaps(nn.Linear(2, 12), num_sites=6, size=2)(torch.zeros(5, 3, 2)).shape
        torch.Size([5, 3, 6, 2])
    """

    def __init__(self, network: nn.Module, num_sites: int, size: int) -> None:
        super().__init__()
        self.network = network
        self.num_sites = num_sites
        self.size = size

    def forward(self, z: Tensor) -> Tensor:
        """[..., I] -> [..., T, size]."""
        return self.network(z).unflatten(-1, (self.size, self.num_sites)).transpose(-1, -2)
