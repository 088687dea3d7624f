"""PixelCNN: masked convolutions in residual blocks."""

from __future__ import annotations

from collections.abc import Callable

from torch import Tensor, nn
from torch.nn import functional as F

from ancestral.networks.causal.encodings import SiteEncoding
from ancestral.networks.causal.image_cells import (
    CausalConvolution,
    Mask,
    group_bounds,
)
from ancestral.networks.causal.masked_steps import MaskedState, UpperRows
from ancestral.networks.causal.row_steps import RowSteps, check_kernel_sizes

__all__ = ["MaskedBlock", "MaskedConvolutions"]

Activation = Callable[[Tensor], Tensor]


class MaskedBlock(nn.Module):
    r"""h + W_3 relu(W_2 * relu(W_1 relu(h)) + U c), with W_2 a masked convolution.

    Args:
        bounds: groups of h.
        inner_bounds: groups between.
        kernel_size: of W_2, odd; the others are 1 x 1.
        context_size: of c; 0 for none.
        activation: relu in the paper.
    """

    def __init__(
        self,
        bounds: tuple[int, ...],
        inner_bounds: tuple[int, ...],
        kernel_size: int,
        context_size: int,
        activation: Activation,
    ) -> None:
        super().__init__()
        self.activation = activation
        self.reduce = CausalConvolution(bounds, inner_bounds, 1)
        self.middle = CausalConvolution(
            inner_bounds, inner_bounds, kernel_size, rows_above=kernel_size // 2
        )
        # no bias: the next convolution has one, and steps are an operation shorter
        self.expand = CausalConvolution(inner_bounds, bounds, 1, bias=False)
        size = inner_bounds[-1]
        self.context = nn.Linear(context_size, size, bias=False) if context_size else None

    def forward(self, h: Tensor, context: Tensor | None) -> Tensor:
        """[batch, maps, H, W] -> the same."""
        middle = self.middle(self.activation(self.reduce(self.activation(h))))
        if self.context is not None:
            middle = middle + self.context(context).unsqueeze(-1).unsqueeze(-1)
        return h + self.expand(self.activation(middle))


class MaskedConvolutions(RowSteps[MaskedState]):
    """One stack of masked convolutions, which has a blind spot.

    A k x k kernel with mask B sees k // 2 pixels to the right in the row above, and no more than
    k // 2 further with each row: pixels above and far to the right are never seen, however
    many layers there are. `GatedConvolutions` has no such spot.

    A step computes the present pixel alone; what its kernels see of the rows above is made for a
    whole row at once. A block is a row.

    Args:
        image_shape: (height, width, channels).
        num_features: P, for each cell.
        encoding: of the values.
        size: feature maps between blocks; half of it within.
        num_residual: residual blocks.
        kernel_size: of the blocks.
        first_kernel_size: of the first convolution.
        context_size: of the context, which enters each block and the first convolution.
        activation: between the products.

    References:
        | Pixel Recurrent Neural Networks (van den Oord et al., 2016a), sections 3.3, 3.4, 3.5
        | https://arxiv.org/abs/1601.06759
    """

    def __init__(
        self,
        image_shape: tuple[int, int, int],
        num_features: int,
        encoding: SiteEncoding,
        *,
        size: int,
        num_residual: int,
        kernel_size: int = 3,
        first_kernel_size: int = 7,
        context_size: int = 0,
        activation: Activation = F.relu,
    ) -> None:
        super().__init__(image_shape, num_features, encoding, context_size=context_size)
        check_kernel_sizes(kernel_size, first_kernel_size)
        self.activation = activation
        channels = image_shape[2]
        self.bounds = group_bounds(size, channels)
        self.inner_bounds = group_bounds(size // 2, channels)
        cells = group_bounds(self.num_inputs, channels)
        self.first = CausalConvolution(
            cells, self.bounds, first_kernel_size, rows_above=first_kernel_size // 2, mask=Mask.A
        )
        self.context = nn.Linear(context_size, size, bias=False) if context_size else None
        self.residual = nn.ModuleList(
            MaskedBlock(self.bounds, self.inner_bounds, kernel_size, context_size, activation)
            for _ in range(num_residual)
        )
        self.hidden = CausalConvolution(self.bounds, self.bounds, 1)
        per_channel = group_bounds(channels * num_features, channels)
        self.last = CausalConvolution(self.bounds, per_channel, 1, bias=False)

    def hidden_maps(self, x: Tensor, context: Tensor | None) -> Tensor:
        """What the last layer reads, [batch, maps, H, W]."""
        h = self.first(self.encoded(x))
        if self.context is not None:
            h = h + self.context(context).unsqueeze(-1).unsqueeze(-1)
        for block in self.blocks:
            h = block(h, context)
        return self.activation(self.hidden(self.activation(h)))

    @property
    def blocks(self) -> list[MaskedBlock]:
        """The residual blocks, in order."""
        return [block for block in self.residual if isinstance(block, MaskedBlock)]

    def start(self, batch_size: int, context: Tensor | None) -> MaskedState:
        """Nothing is known, and no row entered."""
        return MaskedState.start(self, batch_size, context)

    def enter_block(
        self, state: MaskedState, block: int, prev: Tensor | None
    ) -> tuple[UpperRows, MaskedState]:
        """Run the row before once more, and add up what this one sees of it."""
        if prev is not None:
            state.put_row(self.encoded_row(prev, block - 1))
        state.enter_row()
        return state.now, state

    def block_features(self, given: UpperRows, block: int, guess: Tensor) -> Tensor:
        """All pixels of a row at once."""
        _, maps = given.run(self.encoded_row(guess, block))
        return self.by_cell_of_row(maps, block)
