"""`Blockwise`: networks that can go through the sites in runs, such as the rows of an image."""

from __future__ import annotations

from typing import Any, Protocol, runtime_checkable

from torch import Tensor

__all__ = ["Blockwise"]


@runtime_checkable
class Blockwise(Protocol):
    """A causal network that computes what a run of sites has from those before it once.

    Block b holds the sites order[b S : (b + 1) S] with S = T / num_blocks. Within it, features
    follow from a guess of its values, so that a sampler may iterate to the fixed point of one
    block after the other (Gauss-Seidel over blocks, Jacobi within).

    Attributes:
        num_blocks: of equal size.
    """

    num_blocks: int

    def init_blocks(self, batch_size: int, context: Tensor | None = None) -> Any:
        """The state before the first block."""
        ...

    def enter_block(self, state: Any, block: int, prev: Tensor | None) -> tuple[Any, Any]:
        """Take the values of the block before, give what this block has from all before it.

        Args:
            state: after block - 1; it may be overwritten.
            block: its number; blocks are entered in order.
            prev: [batch, S, W], values of block - 1; None for the first.

        Returns:
            A pytree with the batch first, for `block_features`; and the new state.
        """
        ...

    def block_features(self, given: Any, block: int, guess: Tensor) -> Tensor:
        """Features of a block's sites, [batch, S, P], if its values were `guess`.

        Args:
            given: from `enter_block`; a selection of its rows will do.
            block: its number.
            guess: [batch, S, W]; a site's features depend on those before it.
        """
        ...
