"""Steps of gated convolutions: the vertical stack row by row, the horizontal one cell by cell."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from torch import Tensor
from torch.nn import functional as F

from ancestral.core.pytrees import Shared
from ancestral.networks.causal.gated_weights import PreparedGates, minus_gates
from ancestral.networks.causal.image_cells import enter, windows

if TYPE_CHECKING:
    from ancestral.networks.causal.gated_conv import GatedConvolutions

__all__ = ["GatedState", "RowAbove"]


@dataclass
class RowAbove:
    """What the pixels of a row have from above.

    Args:
        linked: of each layer the linked vertical stack, biases and context included, in the
            order of the prepared weights, [batch, L, W, 2 size].
        weights: of the horizontal stack.
    """

    linked: Tensor
    weights: Shared[PreparedGates]

    def features(self, row: Tensor) -> Tensor:
        """Last maps of all pixels of a row, [batch, W, C P].

        Args:
            row: its encoded values, [batch, W, C E].
        """
        weights = self.weights.value
        width = row.shape[1]
        h = row
        for number, layer in enumerate(weights.layers):
            padded = F.pad(h, (0, 0, layer.left, 0)).unsqueeze(1)
            taps = windows(padded, layer.num_taps, width, layer.dilation)
            z = taps @ layer.horizontal + self.linked[:, number]
            out = minus_gates(z, weights.bounds) @ layer.output
            h = out if number == 0 else h + out
        hidden = torch.addmm(weights.hidden_bias, F.silu(h.flatten(0, 1)), weights.hidden)
        return (F.silu(hidden) @ weights.last).unflatten(0, (-1, width))


@dataclass
class GatedState:
    """Activations that later steps look at.

    Args:
        above: of each layer, the vertical stack's inputs in the last rows, padded at both sides:
            [batch, rows, W + 2 left, maps].
        row: of each layer, the horizontal stack's inputs in this row, padded at the left:
            [batch, (left + W) maps]; and what the last layer gives, [batch, W size].
        gates: of the present pixel, negated, [batch, L, size].
        hidden: of the present pixel, [batch, hidden].
        context: its terms in each layer, [batch, L, 4 size]; or None.
        now: what this row has from above.
    """

    above: list[Tensor]
    row: list[Tensor]
    gates: Tensor
    hidden: Tensor
    context: Tensor | None
    now: RowAbove

    @staticmethod
    def start(network: GatedConvolutions, batch_size: int, context: Tensor | None) -> GatedState:
        """Nothing is known, and no row entered."""
        weights = PreparedGates.of(network)
        num_layers, width, size = len(weights.layers), network.image_shape[1], weights.bounds[-1]
        zeros = network.output_bias.new_zeros
        terms = None
        if context is not None:
            matrices = [layer.context for layer in weights.layers if layer.context is not None]
            terms = torch.stack([context @ matrix for matrix in matrices], 1)
        return GatedState(
            [
                zeros(batch_size, layer.num_rows, width + 2 * layer.left, layer.maps)
                for layer in weights.layers
            ],
            [
                *[
                    zeros(batch_size, (layer.left + width) * layer.maps)
                    for layer in weights.layers
                ],
                zeros(batch_size, width * size),
            ],
            zeros(batch_size, num_layers, size),
            zeros(batch_size, weights.hidden_bounds[-1]),
            terms,
            RowAbove(zeros(batch_size, num_layers, width, 2 * size), Shared(weights)),
        )

    def put(self, encoded: Tensor, first: int) -> None:
        """Remember encoded values of this row, [batch, numbers], from number `first` on."""
        layer = self.now.weights.value.layers[0]
        start = layer.left * layer.maps + first
        self.row[0][:, start : start + encoded.shape[1]] = encoded

    def enter_row(self) -> None:
        """Run the vertical stack for the next row, now that this one is known."""
        layers = self.now.weights.value.layers
        linked = self.now.linked
        batch_size, num_layers, width, both = linked.shape
        maps = layers[0].maps
        v = self.row[0][:, layers[0].left * maps :].reshape(batch_size, width, maps)
        for number, layer in enumerate(layers):
            enter(self.above[number], v)
            across = 2 * layer.left // layer.dilation + 1
            taps = windows(self.above[number], across, width, layer.dilation)
            z = torch.addmm(layer.vertical_bias, taps.flatten(0, 1), layer.vertical)
            z = z.unflatten(0, (batch_size, width))
            if self.context is not None:
                z += self.context[:, number, None, :both]
            link = torch.addmm(layer.horizontal_bias, z.flatten(0, 1), layer.link)
            linked[:, number] = link.unflatten(0, (batch_size, width))
            if self.context is not None:
                linked[:, number] += self.context[:, number, None, both:]
            if number + 1 < num_layers:
                a, b = z.chunk(2, -1)
                v = torch.tanh(a).mul_(torch.sigmoid(b))
        self.row[0].zero_()

    def cell(self, pixel: int, channel: int, bias: Tensor) -> Tensor:
        """Features of one channel of a pixel of this row, [batch, P]; `bias` is added."""
        weights = self.now.weights.value
        if weights.native is not None:
            weights.native.run(channel, pixel, self.row, self.gates, self.now.linked)
        else:
            self._run_layers(weights, pixel, channel)
        start, end = pixel * weights.bounds[-1], weights.bounds[channel + 1]
        matrix, hidden_bias, last = weights.hidden_slices[channel]
        first, until = weights.hidden_bounds[channel], weights.hidden_bounds[channel + 1]
        h = F.silu(self.row[-1][:, start : start + end])
        self.hidden[:, first:until] = F.silu(torch.addmm(hidden_bias, h, matrix))
        return torch.addmm(bias, self.hidden[:, :until], last)

    def _run_layers(self, weights: PreparedGates, pixel: int, channel: int) -> None:
        """The horizontal stack of one channel of a pixel."""
        first, end = weights.bounds[channel], weights.bounds[channel + 1]
        linked = self.now.linked[:, :, pixel, 2 * first : 2 * end]
        for number, layer in enumerate(weights.layers):
            own = layer.slices[channel]
            seen = own.window(self.row[number], pixel)
            z = torch.addmm(linked[:, number], seen, own.horizontal)
            gates = self.gates[:, number, :end]
            gates[:, first:] = minus_gates(z, (0, end - first))
            to = (weights.left(number + 1) + pixel) * weights.bounds[-1] + first
            into = self.row[number + 1][:, to : to + end - first]
            if number == 0:
                torch.mm(gates, own.output, out=into)
            else:
                torch.addmm(seen[:, first - end :], gates, own.output, out=into)
