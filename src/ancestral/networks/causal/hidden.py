"""What the last layer of a network reads."""

from __future__ import annotations

from typing import Protocol, runtime_checkable

from torch import Tensor, nn

__all__ = ["HasHiddenUnits", "hidden_units"]


@runtime_checkable
class HasHiddenUnits(Protocol):
    """A causal network with a hidden layer."""

    def hidden_units(self, x: Tensor, context: Tensor | None = None) -> Tensor | None:
        """The last hidden layer, given the values of all sites.

        Args:
            x: [batch, T, W], as stored.
            context: [batch, context_size] or None.

        Returns:
            [batch, H] of units that belong to no site; or [batch, T, H], or [batch, pixels, H],
            of each site (pixel) given those before it; None if there is no hidden layer.
        """
        ...


def hidden_units(network: nn.Module, x: Tensor, context: Tensor | None = None) -> Tensor | None:
    """The last hidden layer of any causal network; None of those without one."""
    return network.hidden_units(x, context) if isinstance(network, HasHiddenUnits) else None
