"""Degrees of units, from which the masks of a masked network follow."""

from __future__ import annotations

import torch
from torch import Tensor

from ancestral.core.errors import OptionError

__all__ = ["Wiring", "hidden_degrees"]


def hidden_degrees(num_units: int, num_sites: int, lowest: int, connectivity: int = 0) -> Tensor:
    """How many sites, in order, each hidden unit may depend on: [num_units] int64.

    Degrees are spread evenly from `lowest` to T - 1, so that a layer has the first and the last
    whatever its width. Where all layers are made so, a unit finds inputs of no higher degree,
    and outputs of no lower one: none is dead, as some of randomly drawn degrees are.

    Args:
        num_units: at least 2.
        num_sites: T.
        lowest: 1, or 0 where units may depend on the context alone.
        connectivity: 0 sorts the degrees; any other number shuffles which unit has which, as a
            function of itself.

    Example:
        >>> hidden_degrees(6, 4, lowest=1)
        tensor([1, 1, 2, 2, 3, 3])

    Raises:
        OptionError: there is but one unit, which could not serve all sites.
    """
    if num_units < 2:
        raise OptionError(f"expected at least 2 units in a hidden layer, got {num_units}")
    num_degrees = max(1, num_sites - lowest)
    numbers = torch.arange(num_units)
    if num_units >= num_degrees:
        degrees = lowest + numbers * num_degrees // num_units
    else:
        degrees = lowest + numbers * (num_degrees - 1) // (num_units - 1)
    if connectivity:
        generator = torch.Generator().manual_seed(connectivity)
        degrees = degrees[torch.randperm(num_units, generator=generator)]
    return degrees


class Wiring:
    """Which unit may look at which: degrees of all layers under one order, and their masks.

    A mask is 1 where the degree of the unit is no lower than that of what it looks at. Inputs of
    the site of step t have degree t + 1, and its features t.

    Args:
        order: [T], site of each step.
        input_sites: [I], site of each encoded number.
        hidden: degrees of the units of each hidden layer.
        output_sites: [F], site of each feature.
    """

    def __init__(
        self, order: Tensor, input_sites: Tensor, hidden: list[Tensor], output_sites: Tensor
    ) -> None:
        rank = order.argsort()
        self.order = order
        self.sites = rank + 1
        self.inputs = self.sites[input_sites]
        self.hidden = hidden
        self.outputs = rank[output_sites]
        self._masks: dict[tuple[str, torch.device, torch.dtype], list[Tensor]] = {}

    def masks(self, like: Tensor) -> list[Tensor]:
        """Of each hidden layer, the output layer, and the direct connections, [to, from].

        Args:
            like: has the type and device that they are wanted in.
        """
        sources = [self.inputs, *self.hidden, self.inputs]
        targets = [*self.hidden, self.outputs, self.outputs]
        return self._made("units", targets, sources, like)

    def site_masks(self, like: Tensor) -> list[Tensor]:
        """Which sites the first hidden layer and the features see, [to, T].

        Args:
            like: has the type and device that they are wanted in.
        """
        return self._made("sites", [self.hidden[0], self.outputs], [self.sites] * 2, like)

    def _made(
        self, name: str, targets: list[Tensor], sources: list[Tensor], like: Tensor
    ) -> list[Tensor]:
        key = (name, like.device, like.dtype)
        if key not in self._masks:
            self._masks[key] = [
                (to.unsqueeze(1) >= source).to(like)
                for to, source in zip(targets, sources, strict=True)
            ]
        return self._masks[key]
