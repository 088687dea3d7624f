"""Sites as stored and sites in the order they are drawn in."""

from __future__ import annotations

from enum import StrEnum

from torch import Tensor

from ancestral.networks.causal.network import CausalNetwork

__all__ = ["SiteRoles", "as_stored", "in_order"]


class SiteRoles(StrEnum):
    """Whether it matters which site a value stands at, besides what came before it."""

    SAME = "same"  # text: any piece of it is text
    OWN = "own"  # pixels, columns: each site has an input and an output bias of its own


def in_order(network: CausalNetwork, x: Tensor) -> Tensor:
    """[batch, T, any] as stored -> in the network's order; the same tensor where they agree."""
    return x if network.is_raster else x[:, network.order]


def as_stored(network: CausalNetwork, x: Tensor) -> Tensor:
    """Undo `in_order`."""
    return x if network.is_raster else x[:, network.order.argsort()]
