"""`CellCoder`: what meets the masses of one cell with its symbol."""

from __future__ import annotations

from abc import ABC, abstractmethod

import numpy as np
from torch import Tensor

from ancestral.applications.compression.channels import Channel

__all__ = ["BASE", "CellCoder", "blocks_of"]

BASE = 256  # intervals that a number is looked for among, at once


class CellCoder(ABC):
    """One sub-symbol of a site."""

    @abstractmethod
    def code(
        self, features: Tensor, before: Tensor, channel: Channel, symbols: np.ndarray | None
    ) -> np.ndarray:
        """The symbols of n cells, exchanged with a channel.

        Args:
            features: [n, P], of the site.
            before: [n, c], numbers of the site's earlier sub-symbols.
            channel: to exchange with.
            symbols: [n] int64 if they are known.

        Returns:
            [n] int64.
        """


def blocks_of(last: int) -> list[int]:
    """Places in an interval, at each digit of a place from 0 to `last`."""
    blocks = [1]
    while last // blocks[0] >= BASE:
        blocks.insert(0, blocks[0] * BASE)
    return blocks
