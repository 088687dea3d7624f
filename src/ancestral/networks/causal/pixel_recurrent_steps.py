"""The state of a PixelRNN between cells."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F

from ancestral.core.pytrees import Shared
from ancestral.networks.causal.channel_groups import GroupLinear, PastConvolution
from ancestral.networks.causal.image_lstm_steps import LayerSteps

__all__ = ["PixelSteps", "PixelWeights"]


@dataclass
class PixelWeights:
    """Weights outside the LSTM layers, cut for steps.

    Args:
        above: of the first convolution, its rows above a pixel's own; None if it has none.
        row: the rest of it, for each group, [pixels to the left and own, cells of them, F / C].
        bias: of the first convolution.
        hidden: of the first 1 x 1 layer, for each group, [features of groups so far, units].
        output: of the second, likewise.
        num_inputs: numbers that a pixel is encoded as.
        activation: before each of the 1 x 1 layers.
    """

    above: Tensor | None
    row: list[Tensor]
    bias: Tensor
    hidden: list[Tensor]
    output: list[Tensor]
    num_inputs: int
    activation: Callable[[Tensor], Tensor]

    @staticmethod
    def of(
        first: PastConvolution,
        hidden: GroupLinear,
        output: GroupLinear,
        groups: int,
        activation: Callable[[Tensor], Tensor],
    ) -> PixelWeights:
        """Cut masked weights."""
        kernel = first.masked_weight()  # [F, I, rows, columns]
        own = kernel[:, :, -1, : first.aside + 1].permute(2, 1, 0).flatten(0, 1)
        num_inputs = kernel.shape[1]
        # a group sees so many numbers of its own pixel
        row = [
            part[: first.aside * num_inputs + group * num_inputs // groups].contiguous()
            for group, part in enumerate(own.chunk(groups, 1))
        ]
        above = kernel[:, :, :-1].contiguous() if first.above else None
        return PixelWeights(
            above,
            row,
            first.bias,
            _cut(hidden, groups),
            _cut(output, groups),
            num_inputs,
            activation,
        )


@dataclass
class PixelSteps:
    """What is known of the image, and of the features of its current row.

    Args:
        image: rows above the current one that the first convolution sees, encoded,
            [batch, I, rows, W].
        row: the current one after some zeros, pixel after pixel, [batch, (left + W) I].
        from_above: the first convolution's part that is known when a row begins, [batch, W, F].
        layers: of the LSTM.
        top: features of the current pixel after them, as far as they are known, [batch, F].
        hidden: of the layer before the last, likewise.
        hidden_bias: its bias and context, [batch, units].
        weights: outside the LSTM layers.
    """

    image: Tensor
    row: Tensor
    from_above: Tensor
    layers: list[LayerSteps]
    top: Tensor
    hidden: Tensor
    hidden_bias: Tensor
    weights: Shared[PixelWeights]

    def put(self, cell: int, encoded: Tensor) -> None:
        """The value of a cell of the current row, [batch, E]."""
        size = encoded.shape[1]
        start = self.row.shape[1] - self._row_size + cell * size
        self.row[:, start : start + size] = encoded

    def end_row(self) -> None:
        """Go to the next row."""
        for layer in self.layers:
            layer.end_row()
        weights = self.weights.value
        if weights.above is not None:
            left = self.row.shape[1] - self._row_size
            whole = self.row[:, left:].unflatten(1, (-1, weights.num_inputs))
            whole = whole.transpose(1, 2).unsqueeze(2)
            self.image = torch.cat((self.image[:, :, 1:], whole), 2)
            aside = weights.above.shape[3] // 2
            padded = F.pad(self.image, (aside, aside))
            convolved = F.conv2d(padded, weights.above, weights.bias)
            self.from_above = convolved.squeeze(2).transpose(1, 2)
        self.row.zero_()

    def cell(self, column: int, group: int) -> Tensor:
        """Outputs for a cell, [batch, P], without their bias."""
        weights = self.weights.value
        kernel = weights.row[group]
        features = _slice(group, kernel.shape[1])
        known = self.from_above[:, column, features]
        if len(kernel):
            start = column * weights.num_inputs
            x = torch.addmm(known, self.row[:, start : start + len(kernel)], kernel)
        else:
            x = known
        for layer in self.layers:
            x = layer.cell(column, group, x)
        self.top[:, features] = weights.activation(x)
        kernel = weights.hidden[group]
        units = _slice(group, kernel.shape[1])
        h = torch.addmm(self.hidden_bias[:, units], self.top[:, : len(kernel)], kernel)
        self.hidden[:, units] = weights.activation(h)
        kernel = weights.output[group]
        return self.hidden[:, : len(kernel)] @ kernel

    @property
    def _row_size(self) -> int:
        return self.from_above.shape[1] * self.weights.value.num_inputs


def _cut(layer: GroupLinear, groups: int) -> list[Tensor]:
    """For each group, [inputs of the groups up to it, its outputs]."""
    weight = layer.masked_weight()
    size = weight.shape[1] // groups
    return [
        part[:, : (group + 1) * size].T.contiguous()
        for group, part in enumerate(weight.chunk(groups, 0))
    ]


def _slice(group: int, size: int) -> slice:
    return slice(group * size, (group + 1) * size)
