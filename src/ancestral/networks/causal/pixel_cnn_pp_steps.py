"""The state of a PixelCNN++ between pixels."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ancestral.core.pytrees import Shared
from ancestral.networks.causal.shifted_steps import (
    PixelBlock,
    RowBlock,
    columns_of,
    windows,
)

if TYPE_CHECKING:
    from ancestral.networks.causal.pixel_cnn_pp import PixelCnnPlusPlus, Resolution

__all__ = ["PixelCnnPlusPlusSteps", "ResolutionSteps"]


@dataclass
class PixelCnnPlusPlusSteps:
    """What is known of the image, and of the features of its current row.

    Args:
        image: two rows above and the current one, encoded, between two columns of zeros,
            [batch, I, 3, W + 2].
        known: what the second stream's first layer gives for the row, [batch, W, channels].
        finest: the blocks.
        weights: the network, and the first layer's weights of the pixel to the left.
    """

    image: Tensor
    known: Tensor
    finest: ResolutionSteps
    weights: Shared[tuple[PixelCnnPlusPlus, Tensor, Tensor]]

    @staticmethod
    def of(
        network: PixelCnnPlusPlus, batch_size: int, context: Tensor | None
    ) -> PixelCnnPlusPlusSteps:
        """Nothing is known."""
        height, width = network.image_size
        new = network.output_bias.new_zeros
        num_inputs, channels = network.encoding.size + 1, network.rows_above.out_channels
        left = network.pixels_left.weight[:, :, 1, 0].T.contiguous()
        output = network.output.weight.T.contiguous()
        return PixelCnnPlusPlusSteps(
            new(batch_size, num_inputs, 3, width + 2),
            new(batch_size, width, channels),
            ResolutionSteps.of(network.finest, batch_size, (height, width), context),
            Shared((network, left, output)),
        )

    def put(self, column: int, encoded: Tensor) -> None:
        """The value of a pixel of the current row, [batch, I - 1]."""
        self.image[:, :-1, 2, column + 1] = encoded
        self.image[:, -1, 2, column + 1] = 1

    def begin_row(self, row: int) -> None:
        """Go to a row: all that hangs on whole rows above it."""
        network = self.weights.value[0]
        channels, width = self.known.shape[2], self.known.shape[1]
        above = self.image.new_zeros(len(self.image), channels, 1, width)
        known = torch.zeros_like(above)
        if row > 0:
            self.image[:, :, :2] = self.image[:, :, 1:].clone()
            self.image[:, :, 2] = 0
            rows = self.image[:, :, :2]
            above = network.rows_above(rows)
            known = network.row_above(rows[:, :, 1:])
        known = known.squeeze(2)
        if width > 1:  # else no pixel has one to its left
            corner = self.image[:, :, 1, 1:-2]  # the pixel above the one to the left
            kernel = network.pixels_left
            from_left = F.conv1d(corner, kernel.weight[:, :, 0], kernel.bias)
            known = known + F.pad(from_left, (1, 0))
        self.known = known.transpose(1, 2).contiguous()
        self.finest.begin_row(row, above)

    def pixel(self, row: int, column: int) -> Tensor:
        """Features of a pixel, [batch, P]."""
        network, left, output = self.weights.value
        x = self.known[:, column]
        if column > 0:
            x = torch.addmm(x, self.image[:, :, 2, column], left)
        x = self.finest.pixel(row, column, x)
        return torch.addmm(network.output_bias, F.elu(x), output)


@dataclass
class ResolutionSteps:
    """The blocks of a resolution.

    Args:
        above_down, above_up: of the first stream.
        left_down, left_up: of the second.
        inner: half the resolution, None if there is none.
        halving: what it takes of this one, None if there is none.
    """

    above_down: list[RowBlock]
    above_up: list[RowBlock]
    left_down: list[PixelBlock]
    left_up: list[PixelBlock]
    inner: ResolutionSteps | None
    halving: _Halving | None

    @staticmethod
    def of(
        blocks: Resolution, batch_size: int, size: tuple[int, int], context: Tensor | None
    ) -> ResolutionSteps:
        """Nothing is known."""
        width = size[1]

        def rows(layers: nn.ModuleList) -> list[RowBlock]:
            return [RowBlock.of(layer, batch_size, width, context) for layer in layers]  # type: ignore[arg-type]

        def pixels(layers: nn.ModuleList) -> list[PixelBlock]:
            return [PixelBlock.of(layer, batch_size, width, context) for layer in layers]  # type: ignore[arg-type]

        inner, halving = None, None
        if blocks.inner is not None:
            half = ((size[0] + 1) // 2, (width + 1) // 2)
            inner = ResolutionSteps.of(blocks.inner, batch_size, half, context)
            halving = _Halving.of(blocks, batch_size, width)
        return ResolutionSteps(
            rows(blocks.above_down),
            rows(blocks.above_up),
            pixels(blocks.left_down),
            pixels(blocks.left_up),
            inner,
            halving,
        )

    def begin_row(self, row: int, above: Tensor) -> Tensor:
        """A row of the first stream, [batch, channels, 1, W] -> the same."""
        short_cuts = [above]
        for down, right in zip(self.above_down, self.left_down, strict=True):
            above = down.row(above)
            right.begin_row(above)
            short_cuts.append(above)
        if self.inner is None or self.halving is None:
            above = short_cuts.pop()
        else:
            above = self.halving.row(self.inner, row, above)
        for down, right in zip(self.above_up, self.left_up, strict=True):
            above = down.row(above, short_cuts.pop())
            right.begin_row(above)
        return above

    def pixel(self, row: int, column: int, left: Tensor) -> Tensor:
        """A pixel of the second stream, [batch, channels] -> the same."""
        short_cuts = [left]
        for right in self.left_down:
            left = right.pixel(column, left)
            short_cuts.append(left)
        if self.inner is None or self.halving is None:
            left = short_cuts.pop()
        else:
            left = self.halving.pixel(self.inner, row, column, left)
        for right in self.left_up:
            left = right.pixel(column, left, short_cuts.pop())
        return left


@dataclass
class _Halving:
    """Between two resolutions.

    Args:
        above: the row before and the current one of the first stream, between two columns of
            zeros, [batch, channels, 2, W + 2].
        left: the current row of the second stream after a column of zeros,
            [batch, W + 1, channels].
        known: the part of its halves that is known when a row begins, [batch, W / 2, channels].
        above_back: two rows of the first stream that came back, [batch, channels, 2, W].
        left_back: of the second, [batch, 2, 2 W / 2, channels].
        weights: of the layers between the resolutions.
    """

    above: Tensor
    left: Tensor
    known: Tensor
    above_back: Tensor
    left_back: Tensor
    weights: Shared[_HalvingWeights]

    @staticmethod
    def of(blocks: Resolution, batch_size: int, width: int) -> _Halving:
        channels, half = blocks.left_halved.out_channels, (width + 1) // 2
        new = blocks.left_halved.weight.new_zeros
        doubled = blocks.left_doubled.weight  # [in, out, 2, 2]
        upper, lower = columns_of(blocks.left_halved.weight)
        weights = _HalvingWeights(
            blocks,
            upper,
            lower,
            blocks.left_halved.bias,  # type: ignore[arg-type]
            doubled.permute(0, 2, 3, 1).flatten(1).contiguous(),
            blocks.left_doubled.bias.repeat(4),  # type: ignore[union-attr]
        )
        return _Halving(
            new(batch_size, channels, 2, width + 2),
            new(batch_size, width + 1, channels),
            new(batch_size, half, channels),
            new(batch_size, channels, 2, width),
            new(batch_size, 2, 2 * half, channels),
            Shared(weights),
        )

    def row(self, inner: ResolutionSteps, row: int, above: Tensor) -> Tensor:
        """Down and up again; every second time with what came back the time before."""
        weights = self.weights.value
        width = self.above.shape[3] - 2
        self.above[:, :, 0] = self.above[:, :, 1]
        self.above[:, :, 1, 1:-1] = above.squeeze(2)
        if row % 2 == 0:
            halved = weights.blocks.above_halved
            half = F.conv2d(self.above, halved.weight, halved.bias, stride=(1, 2))
            back = weights.blocks.above_doubled(inner.begin_row(row // 2, half))
            self.above_back = back[..., 1 : width + 1]
            pairs = windows(self.left)[:, ::2]
            self.known = pairs @ weights.upper + weights.half_bias
        return self.above_back[:, :, row % 2].unsqueeze(2)

    def pixel(self, inner: ResolutionSteps, row: int, column: int, left: Tensor) -> Tensor:
        """Down and up again, in the upper left pixel of each four."""
        weights = self.weights.value
        self.left[:, column + 1] = left
        if row % 2 == 0 and column % 2 == 0:
            channels = left.shape[1]
            seen = self.left.flatten(1)[:, column * channels : (column + 2) * channels]
            half = torch.addmm(self.known[:, column // 2], seen, weights.lower)
            half = inner.pixel(row // 2, column // 2, half)
            back = torch.addmm(weights.doubled_bias, half, weights.doubled)
            self.left_back[:, :, column : column + 2] = back.unflatten(1, (2, 2, channels))
        return self.left_back[:, row % 2, column]


@dataclass
class _HalvingWeights:
    blocks: Resolution
    upper: Tensor
    lower: Tensor
    half_bias: Tensor
    doubled: Tensor
    doubled_bias: Tensor
