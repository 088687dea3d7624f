"""Steps of masked convolutions: rows above once for a row, the rest cell by cell."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from torch import Tensor
from torch.nn import functional as F

from ancestral.core.pytrees import Shared
from ancestral.networks.causal.image_cells import CausalConvolution, enter, windows

if TYPE_CHECKING:
    from ancestral.networks.causal.masked_conv import MaskedConvolutions

__all__ = ["MaskedState", "UpperRows"]


@dataclass(frozen=True)
class _Kernel:
    """A masked convolution in two parts; matrices are [inputs, outputs].

    Attributes:
        left: pixels to the left that it sees.
        maps: inputs of a pixel.
        upper: of the whole rows above.
        lower: of the row itself.
        slices: by channel: of `lower`, what the channel's outputs see.
    """

    left: int
    maps: int
    upper: Tensor
    bias: Tensor
    lower: Tensor
    slices: list[Tensor]

    @staticmethod
    def of(
        convolution: CausalConvolution, ends: tuple[int, ...], bounds: tuple[int, ...]
    ) -> _Kernel:
        """Arrange the weights; a channel sees `ends` of the inputs of its own pixel."""
        matrix = convolution.matrix()
        maps = convolution.weight.shape[1]
        left = convolution.kernel_size // 2
        split = convolution.rows_above * convolution.kernel_size * maps
        lower = matrix[split:].contiguous()
        assert convolution.bias is not None
        slices = [
            lower[: left * maps + end, bounds[c] : bounds[c + 1]].contiguous()
            for c, end in enumerate(ends)
        ]
        bias = convolution.bias.detach()
        return _Kernel(left, maps, matrix[:split].contiguous(), bias, lower, slices)

    def along(self, row: Tensor, above: Tensor) -> Tensor:
        """All pixels of a row [batch, W, maps], given what they have from above."""
        padded = F.pad(row, (0, 0, self.left, 0)).unsqueeze(1)
        num_taps = len(self.lower) // self.maps
        return windows(padded, num_taps, row.shape[1]) @ self.lower + above


@dataclass(frozen=True)
class _Point:
    """A 1 x 1 convolution, whole and by channel."""

    matrix: Tensor
    bias: Tensor
    slices: list[tuple[Tensor, Tensor]]

    @staticmethod
    def of(
        convolution: CausalConvolution, in_bounds: tuple[int, ...], bounds: tuple[int, ...]
    ) -> _Point:
        matrix = convolution.matrix().contiguous()
        bias = matrix.new_zeros(bounds[-1])
        if convolution.bias is not None:
            bias = convolution.bias.detach()
        slices = []
        for end, first, until in zip(in_bounds[1:], bounds[:-1], bounds[1:], strict=True):
            part = bias[first:until].contiguous()
            slices.append((matrix[:end, first:until].contiguous(), part))
        return _Point(matrix, bias, slices)


@dataclass(frozen=True)
class _Prepared:
    """All weights, and where the groups of the maps begin."""

    bounds: tuple[int, ...]
    inner_bounds: tuple[int, ...]
    activation: Callable[[Tensor], Tensor]
    first: _Kernel
    reduce: list[_Point]
    middle: list[_Kernel]
    expand: list[_Point]
    hidden: _Point
    last: _Point

    @staticmethod
    def of(network: MaskedConvolutions) -> _Prepared:
        bounds, inner = network.bounds, network.inner_bounds
        channels = network.image_shape[2]
        before = tuple(c * network.encoding.size for c in range(channels))
        features = tuple(c * network.num_features for c in range(channels + 1))
        return _Prepared(
            bounds,
            inner,
            network.activation,
            _Kernel.of(network.first, before, bounds),
            [_Point.of(block.reduce, bounds, inner) for block in network.blocks],
            [_Kernel.of(block.middle, inner[1:], inner) for block in network.blocks],
            [_Point.of(block.expand, inner, bounds) for block in network.blocks],
            _Point.of(network.hidden, bounds, bounds),
            _Point.of(network.last, bounds, features),
        )


@dataclass
class UpperRows:
    """What the pixels of a row have from the rows above, biases and context included.

    Args:
        first: for the first convolution, [batch, W, size].
        middle: for each block's, [batch, blocks, W, inner].
        weights: of all that follows.
    """

    first: Tensor
    middle: Tensor
    weights: Shared[_Prepared]

    def run(self, row: Tensor) -> tuple[list[Tensor], Tensor]:
        """All pixels of a row at once.

        Args:
            row: its encoded values, [batch, W, C E].

        Returns:
            What each block's masked convolution sees, [batch, W, inner]; and the last maps,
            [batch, W, C P].
        """
        weights = self.weights.value
        activation = weights.activation
        h = weights.first.along(row, self.first)
        seen = []
        for b, (reduce, middle, expand) in enumerate(
            zip(weights.reduce, weights.middle, weights.expand, strict=True)
        ):
            seen.append(activation(activation(h) @ reduce.matrix + reduce.bias))
            inner = activation(middle.along(seen[b], self.middle[:, b]))
            h = h + inner @ expand.matrix
        hidden = activation(activation(h) @ weights.hidden.matrix + weights.hidden.bias)
        return seen, hidden @ weights.last.matrix


@dataclass
class MaskedState:
    """Activations that later steps look at.

    Args:
        above: inputs of each masked convolution in the last rows, padded at both sides,
            [batch, k // 2, W + 2 (k // 2), maps]; the first convolution's come first.
        row: the same in this row, padded at the left, [batch, (k // 2 + W) maps].
        h: of the present pixel, before each block and after the last, [batch, blocks + 1, size].
        inner: of the present pixel, in each block, [batch, blocks, inner].
        hidden: of the present pixel, [batch, size].
        context: terms of the first convolution and of the blocks, or None.
        now: what this row has from above.
    """

    above: list[Tensor]
    row: list[Tensor]
    h: Tensor
    inner: Tensor
    hidden: Tensor
    context: list[Tensor] | None
    now: UpperRows

    @staticmethod
    def start(network: MaskedConvolutions, batch_size: int, context: Tensor | None) -> MaskedState:
        """Nothing is known, and no row entered."""
        weights = _Prepared.of(network)
        width, size, inner = network.image_shape[1], weights.bounds[-1], weights.inner_bounds[-1]
        zeros = network.output_bias.new_zeros
        kernels = [weights.first, *weights.middle]
        blocks = len(weights.middle)
        terms = None
        if context is not None:
            layers = [network.context, *[block.context for block in network.blocks]]
            terms = [layer(context).detach() for layer in layers if layer is not None]
        return MaskedState(
            [zeros(batch_size, k.left, width + 2 * k.left, k.maps) for k in kernels],
            [zeros(batch_size, (k.left + width) * k.maps) for k in kernels],
            zeros(batch_size, blocks + 1, size),
            zeros(batch_size, blocks, inner),
            zeros(batch_size, size),
            terms,
            UpperRows(
                zeros(batch_size, width, size),
                zeros(batch_size, blocks, width, inner),
                Shared(weights),
            ),
        )

    def put(self, encoded: Tensor, first: int) -> None:
        """Remember encoded values of this row, [batch, numbers], from number `first` on."""
        kernel = self.now.weights.value.first
        start = kernel.left * kernel.maps + first
        self.row[0][:, start : start + encoded.shape[1]] = encoded

    def put_row(self, encoded: Tensor) -> None:
        """Remember this row, [batch, W, C E], and all that was made of it."""
        kernels = [self.now.weights.value.first, *self.now.weights.value.middle]
        seen, _ = self.now.run(encoded)
        for row, kernel, maps in zip(self.row, kernels, [encoded, *seen], strict=True):
            row[:, kernel.left * kernel.maps :] = maps.flatten(1)

    def enter_row(self) -> None:
        """Add up what the next row sees of those above it, now that this one is known."""
        weights = self.now.weights.value
        width = self.now.first.shape[1]
        for number, kernel in enumerate([weights.first, *weights.middle]):
            row = self.row[number]
            maps = row[:, kernel.left * kernel.maps :].unflatten(1, (width, kernel.maps))
            enter(self.above[number], maps)
            taps = windows(self.above[number], 2 * kernel.left + 1, width).flatten(0, 1)
            from_above = torch.addmm(kernel.bias, taps, kernel.upper).unflatten(0, (-1, width))
            if self.context is not None:
                from_above += self.context[number].unsqueeze(1)
            into = self.now.first if number == 0 else self.now.middle[:, number - 1]
            into.copy_(from_above)
            row.zero_()

    def cell(self, pixel: int, channel: int, bias: Tensor) -> Tensor:
        """Features of one channel of a pixel of this row, [batch, P]; `bias` is added."""
        weights = self.now.weights.value
        activation = weights.activation
        first, end = weights.bounds[channel : channel + 2]
        inner_first, inner_end = weights.inner_bounds[channel : channel + 2]
        kernel = weights.first
        seen = self.row[0][:, pixel * kernel.maps :][:, : len(kernel.slices[channel])]
        own = torch.addmm(self.now.first[:, pixel, first:end], seen, kernel.slices[channel])
        self.h[:, 0, first:end] = own
        for b, kernel in enumerate(weights.middle):
            matrix, reduce_bias = weights.reduce[b].slices[channel]
            reduced = torch.addmm(reduce_bias, activation(self.h[:, b, :end]), matrix)
            start, length = pixel * kernel.maps, len(kernel.slices[channel])
            seen = self.row[b + 1][:, start : start + length]
            seen[:, inner_first - inner_end :] = activation(reduced)
            middle = self.now.middle[:, b, pixel, inner_first:inner_end]
            inner = activation(torch.addmm(middle, seen, kernel.slices[channel]))
            self.inner[:, b, inner_first:inner_end] = inner
            matrix, _ = weights.expand[b].slices[channel]
            before = self.h[:, b, first:end]
            after = torch.addmm(before, self.inner[:, b, :inner_end], matrix)
            self.h[:, b + 1, first:end] = after
        matrix, hidden_bias = weights.hidden.slices[channel]
        hidden = torch.addmm(hidden_bias, activation(self.h[:, -1, :end]), matrix)
        self.hidden[:, first:end] = activation(hidden)
        matrix, _ = weights.last.slices[channel]
        return torch.addmm(bias, self.hidden[:, :end], matrix)
