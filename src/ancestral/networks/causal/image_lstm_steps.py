"""The layers of a PixelRNN, one cell of the image after the other."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F

from ancestral.core.pytrees import Shared

__all__ = ["DiagonalSteps", "LayerSteps", "Reverse", "RowSteps", "StepWeights"]


@dataclass
class StepWeights:
    """Weights of a layer, cut for steps.

    Args:
        gates: for each group, [inputs of a pixel, 4 S / G].
        above: [states of the row above that a pixel looks at, 4 S].
        bias: [4 S].
        output: for each group, [S / G (group + 1), F / G].
        output_bias: [F].
    """

    gates: list[Tensor]
    above: Tensor
    bias: Tensor
    output: list[Tensor]
    output_bias: Tensor


@dataclass
class LayerSteps(ABC):
    """State of a layer. Every product with what is known of the row above is made at its end.

    Args:
        inputs: what the gates of each pixel of the row see of the row itself; batch first.
        states: c, batch first.
        from_above: the gates' part that is known when the row begins, [batch, W, 4 S].
        context: that is added to the inputs, [batch, F]; None for none.
        weights: of the layer.
    """

    inputs: Tensor
    states: Tensor
    from_above: Tensor
    context: Tensor | None
    weights: Shared[StepWeights]

    @abstractmethod
    def end_row(self) -> None:
        """All cells of a row have been given, and another row follows."""

    @abstractmethod
    def cell(self, column: int, group: int, x: Tensor) -> Tensor:
        """Features of a cell, [batch, F / G], from those of the layer below."""

    def _entering(self, x: Tensor, features: slice) -> Tensor:
        return x if self.context is None else x + self.context[:, features]


@dataclass
class RowSteps(LayerSteps):
    """A Row LSTM: the recurrence is along columns, and all that comes along the row is inputs.

    Args:
        inputs: features of the row, after a pixel of zeros, [batch, W + 1, F].
        states: c of the row above, and of the row itself as far as it is known, [batch, W, S].
        hidden: h, likewise.
    """

    hidden: Tensor

    def end_row(self) -> None:
        """Three neighbours of the row that is complete."""
        weights = self.weights.value
        width, size = self.hidden.shape[1:]
        taps = len(weights.above) // size
        padded = F.pad(self.hidden, (0, 0, taps // 2, taps // 2))
        near = torch.cat([padded[:, k : k + width] for k in range(taps)], -1)
        self.from_above = near @ weights.above + weights.bias

    def cell(self, column: int, group: int, x: Tensor) -> Tensor:
        """One matrix product for the gates, one for the output."""
        weights = self.weights.value
        num_features = self.inputs.shape[2]
        features, units, gates = _slices(weights, group)
        self.inputs[:, column + 1, features] = self._entering(x, features)
        seen = self.inputs.flatten(1)[:, column * num_features : (column + 2) * num_features]
        known = self.from_above[:, column, gates]
        pre = torch.addmm(known, seen, weights.gates[group])
        self.hidden[:, column, units] = _cell(pre, self.states[:, column, units])
        own = self.hidden[:, column, : units.stop]
        return torch.addmm(x + weights.output_bias[features], own, weights.output[group])


@dataclass
class Reverse:
    """Weights of the direction from the upper right corner.

    Args:
        inputs: [F, 4 S].
        side: [S, 4 S], of the pixel to the right.
        above: [S, 4 S].
        bias: [4 S].
        output: [S, F].
    """

    inputs: Tensor
    side: Tensor
    above: Tensor
    bias: Tensor
    output: Tensor


@dataclass
class DiagonalSteps(LayerSteps):
    """A Diagonal BiLSTM: one direction goes along with the cells, the other after each row.

    Args:
        inputs: of pixel j, its features and h of pixel j - 1, [batch, W + 1, F + S].
        states: c of the pixel to the left, [batch, S].
        reverse_hidden: h of the other direction in the row above, [batch, W, S].
        reverse_output: what of it enters the layer's output, [batch, W, F].
        reverse_weights: of the other direction.
    """

    reverse_hidden: Tensor
    reverse_output: Tensor
    reverse_weights: Shared[Reverse]

    def end_row(self) -> None:
        """The other direction's row, and what the row below takes of both directions."""
        weights, reverse = self.weights.value, self.reverse_weights.value
        num_features = self.reverse_output.shape[2]
        hidden = self.inputs[:, 1:, num_features:]
        self.from_above = hidden @ weights.above + weights.bias
        pre = self.inputs[:, :-1, :num_features] @ reverse.inputs + reverse.bias
        pre += self.reverse_hidden @ reverse.above
        h, c = torch.zeros_like(self.states), torch.zeros_like(self.states)
        for column in reversed(range(pre.shape[1])):
            h = _cell(torch.addmm(pre[:, column], h, reverse.side), c)
            self.reverse_hidden[:, column] = h
        self.reverse_output = self.reverse_hidden @ reverse.output + weights.output_bias
        self.states.zero_()

    def cell(self, column: int, group: int, x: Tensor) -> Tensor:
        """One matrix product for the gates, one for the output."""
        weights = self.weights.value
        num_features = self.reverse_output.shape[2]
        features, units, gates = _slices(weights, group)
        here, after = self.inputs[:, column], self.inputs[:, column + 1, num_features:]
        here[:, features] = self._entering(x, features)
        pre = torch.addmm(self.from_above[:, column, gates], here, weights.gates[group])
        after[:, units] = _cell(pre, self.states[:, units])
        other = self.reverse_output[:, column, features]
        return torch.addmm(x + other, after[:, : units.stop], weights.output[group])


def _slices(weights: StepWeights, group: int) -> tuple[slice, slice, slice]:
    """Of a group: its features, its units, their gates."""
    size = len(weights.output_bias) // len(weights.gates)
    each = weights.gates[group].shape[1] // 4
    features, units, gates = (slice(group * n, (group + 1) * n) for n in (size, each, 4 * each))
    return features, units, gates


def _cell(pre: Tensor, state: Tensor) -> Tensor:
    """An LSTM's cell: h; the state is overwritten."""
    size = state.shape[1]
    pre[:, : 3 * size].sigmoid_()
    i, f, o, g = pre.split(size, 1)
    state.mul_(f).addcmul_(i, g.tanh_())
    return state.tanh().mul_(o)
