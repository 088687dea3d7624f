"""Blocks of shifted convolutions, a row or a pixel at a time."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F

from ancestral.core.pytrees import Shared
from ancestral.networks.causal.shifted_conv import GatedResidual, concat_elu

__all__ = ["PixelBlock", "RowBlock", "columns_of", "windows"]


@dataclass
class RowBlock:
    """A down-shifted block, a row at a time.

    Args:
        first: inputs of the first convolution, the row before and this one, between two columns
            of zeros, [batch, 2 channels, 2, W + 2].
        second: those of the second.
        context: that is added at the end, [batch, 2 channels, 1, 1]; None for none.
        block: whose weights these are.
    """

    first: Tensor
    second: Tensor
    context: Tensor | None
    block: Shared[GatedResidual]

    @staticmethod
    def of(block: GatedResidual, batch_size: int, width: int, context: Tensor | None) -> RowBlock:
        """No row is known."""
        shape = (batch_size, block.first.in_channels, 2, width + 2)
        new = block.first.weight.new_zeros
        added = None if block.context is None else block.context(context)[:, :, None, None]
        return RowBlock(new(shape), new(shape), added, Shared(block))

    def row(self, x: Tensor, *others: Tensor) -> Tensor:
        """[batch, channels, 1, W] -> the same."""
        block = self.block.value
        h = _rolled(self.first, x, block.first)
        if block.others is not None:
            h = h + block.others(torch.cat([concat_elu(other) for other in others], 1))
        h = _rolled(self.second, h, block.second)
        if self.context is not None:
            h = h + self.context
        p, q = h.chunk(2, 1)
        return x + p * q.sigmoid()


def _rolled(rows: Tensor, x: Tensor, convolution: torch.nn.Conv2d) -> Tensor:
    """Let a row enter, and convolve the last two."""
    rows[:, :, 0] = rows[:, :, 1]
    rows[:, :, 1, 1:-1] = concat_elu(x).squeeze(2)
    return F.conv2d(rows, convolution.weight, convolution.bias)


@dataclass
class PixelBlock:
    """A down-right-shifted block, a pixel at a time.

    Args:
        first: inputs of the first convolution in this row, after a pixel of zeros,
            [batch, W + 1, 2 channels].
        second: those of the second.
        first_known: the part of the first convolution that is known when the row begins: of the
            row above, of the other stream and the bias, [batch, W, channels].
        second_known: that of the second, and the context, [batch, W, 2 channels].
        context: that is added at the end, [batch, 1, 2 channels], with the bias.
        weights: of the block.
    """

    first: Tensor
    second: Tensor
    first_known: Tensor
    second_known: Tensor
    context: Tensor
    weights: Shared[_PixelWeights]

    @staticmethod
    def of(
        block: GatedResidual, batch_size: int, width: int, context: Tensor | None
    ) -> PixelBlock:
        """No pixel is known."""
        double, channels = block.first.in_channels, block.first.out_channels
        new = block.first.weight.new_zeros
        added = block.second.bias.expand(batch_size, 1, -1)  # type: ignore[union-attr]
        if block.context is not None:
            added = added + block.context(context).unsqueeze(1)
        return PixelBlock(
            new(batch_size, width + 1, double),
            new(batch_size, width + 1, double),
            new(batch_size, width, channels),
            new(batch_size, width, double),
            added,
            Shared(_PixelWeights.of(block)),
        )

    def begin_row(self, above: Tensor) -> None:
        """The row above is complete; of the other stream, the row [batch, channels, 1, W]."""
        weights = self.weights.value
        other = concat_elu(above).squeeze(2).transpose(1, 2)
        known = windows(self.first) @ weights.first_upper + weights.first_bias
        self.first_known = known + other @ weights.above
        self.second_known = windows(self.second) @ weights.second_upper + self.context

    def pixel(self, column: int, x: Tensor, short_cut: Tensor | None = None) -> Tensor:
        """[batch, channels] -> the same."""
        weights = self.weights.value
        size = self.first.shape[2]
        seen = slice(column * size, (column + 2) * size)
        self.first[:, column + 1] = concat_elu(x)
        h = torch.addmm(
            self.first_known[:, column], self.first.flatten(1)[:, seen], weights.first_lower
        )
        if short_cut is not None:
            h = torch.addmm(h, concat_elu(short_cut), weights.short_cut)
        self.second[:, column + 1] = concat_elu(h)
        h = torch.addmm(
            self.second_known[:, column], self.second.flatten(1)[:, seen], weights.second_lower
        )
        p, q = h.chunk(2, 1)
        return torch.addcmul(x, p, q.sigmoid_())


@dataclass
class _PixelWeights:
    """Matrices [inputs, outputs]: of the row above, of the row itself, of the other inputs."""

    first_upper: Tensor
    first_lower: Tensor
    first_bias: Tensor
    second_upper: Tensor
    second_lower: Tensor
    above: Tensor
    short_cut: Tensor

    @staticmethod
    def of(block: GatedResidual) -> _PixelWeights:
        assert block.others is not None
        others = block.others.weight.flatten(1).T
        size = block.first.in_channels
        return _PixelWeights(
            *columns_of(block.first.weight),
            block.first.bias,  # type: ignore[arg-type]
            *columns_of(block.second.weight),
            others[:size].contiguous(),
            others[size:].contiguous(),
        )


def columns_of(weight: Tensor) -> tuple[Tensor, Tensor]:
    """[O, I, 2, k] -> those of the row above and of the row itself, [k I, O] each."""
    upper, lower = weight.permute(2, 3, 1, 0).flatten(1, 2).contiguous().unbind(0)
    return upper, lower


def windows(row: Tensor) -> Tensor:
    """Pairs of neighbours, [batch, W + 1, I] -> [batch, W, 2 I]."""
    return torch.cat((row[:, :-1], row[:, 1:]), -1)
