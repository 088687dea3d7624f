"""Degrees of units, from which the masks of a masked network follow."""

from __future__ import annotations

import torch
from torch import Tensor

from ancestral.core.errors import OptionError

__all__ = ["KeptMasks", "Wiring", "hidden_degrees"]

_Key = tuple[str, torch.device, torch.dtype]

_MOST_BYTES = 1 << 28


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


class KeptMasks:
    """The masks that a network has made for its orders, as long as they take little memory.

    The oldest make way once all take more than 256 MB, and are made anew when wanted again: 32
    orders of two layers of 8000 units would take 10 GB. Those made last are always kept.
    """

    def __init__(self) -> None:
        self._made: list[tuple[dict[_Key, list[Tensor]], _Key]] = []

    def keep(self, masks: dict[_Key, list[Tensor]], key: _Key) -> None:
        """Count new ones, and drop the oldest if they are too many.

        Args:
            masks: of a wiring.
            key: of the new ones.
        """
        self._made.append((masks, key))
        sizes = [sum(mask.nbytes for mask in masks[key]) for masks, key in self._made]
        total = sum(sizes)
        while total > _MOST_BYTES and len(self._made) > 1:
            total -= sizes.pop(0)
            masks, key = self._made.pop(0)
            del masks[key]


class Wiring:
    """Which unit may look at which: degrees of all layers under one order, and their masks.

    A mask is 1 where the degree of the unit is no lower than that of what it looks at. Inputs of
    the site of step t have degree t + 1, and its features t.

    Args:
        order: [T], site of each step.
        input_sites: [I], site of each encoded number.
        hidden: degrees of the units of each hidden layer.
        output_sites: [F], site of each feature.
        kept: masks of all orders of a network.
    """

    def __init__(
        self,
        order: Tensor,
        input_sites: Tensor,
        hidden: list[Tensor],
        output_sites: Tensor,
        kept: KeptMasks,
    ) -> None:
        rank = order.argsort()
        self.order = order
        self.sites = rank + 1
        self.inputs = self.sites[input_sites]
        self.hidden = hidden
        self.outputs = rank[output_sites]
        self._kept = kept
        self._masks: dict[_Key, list[Tensor]] = {}

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
        masks = self._masks.get(key)
        if masks is None:
            # no gradient could use what is made in inference mode
            with torch.inference_mode(False):  # noqa: FBT003 - a compiler takes no keyword
                masks = [
                    (to.unsqueeze(1) >= source).to(device=like.device, dtype=like.dtype)
                    for to, source in zip(targets, sources, strict=True)
                ]
            self._masks[key] = masks
            self._kept.keep(self._masks, key)
        return masks
