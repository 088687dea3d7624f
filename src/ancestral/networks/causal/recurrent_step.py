"""One step of recurrent layers, from weights prepared for it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

from ancestral.core.products import Product
from ancestral.networks.causal.native_lstm import lstm_gates

if TYPE_CHECKING:
    from ancestral.networks.causal.recurrent import Cell

__all__ = ["LayerState", "PreparedLayer", "advance", "prepared_layers", "product_type"]


@dataclass
class LayerState:
    """What a layer remembers.

    Attributes:
        hidden: [batch, H].
        memory: [batch, H], of LSTM layers; [batch, 0] of others.
    """

    hidden: Tensor
    memory: Tensor

    @staticmethod
    def zeros(recurrence: nn.RNNBase, batch_size: int) -> LayerState:
        """Before the first step."""
        size = recurrence.hidden_size
        like = next(recurrence.parameters())
        kept = size if isinstance(recurrence, nn.LSTM) else 0
        return LayerState(like.new_zeros(batch_size, size), like.new_zeros(batch_size, kept))


@dataclass(frozen=True)
class PreparedLayer:
    """Weights of a layer.

    The gates of an LSTM are in the order input, forget, output, candidate here.

    Attributes:
        input_weight: [inputs, gates], as precise as the network.
        from_below: the product with it.
        from_before: the product with the recurrent weights, [H, gates].
        bias: [gates]; all of it, but for the GRU.
        hidden_bias: [gates], of the GRU, whose candidate scales it; else None.
    """

    input_weight: Tensor
    from_below: Product
    from_before: Product
    bias: Tensor
    hidden_bias: Tensor | None

    def gates_of(self, below: Tensor) -> Tensor:
        """The part of the gates that comes from the layer below, [batch, gates]."""
        return self.from_below(below) + self.bias


def product_type(weight: Tensor) -> torch.dtype:
    """Of products with a weight: inside an autocast the autocast's, for float32."""
    device = weight.device.type
    if torch.is_autocast_enabled(device) and weight.dtype is torch.float32:
        return torch.get_autocast_dtype(device)
    return weight.dtype


def prepared_layers(recurrence: nn.RNNBase, num_rows: int) -> list[PreparedLayer]:
    """The layers' weights as they are now, for batches of so many rows."""
    size, product = recurrence.hidden_size, product_type(next(recurrence.parameters()))
    layers = []
    for k in range(recurrence.num_layers):
        parts = (
            getattr(recurrence, f"{name}_l{k}").detach()
            for name in ("weight_ih", "weight_hh", "bias_ih", "bias_hh")
        )
        if isinstance(recurrence, nn.LSTM):
            parts = (_candidate_last(part, size) for part in parts)
        input_weight, hidden_weight, input_bias, hidden_bias = parts
        is_gru = isinstance(recurrence, nn.GRU)
        layers.append(
            PreparedLayer(
                input_weight.t(),
                Product(input_weight.t().to(product), num_rows),
                Product(hidden_weight.t().to(product), num_rows),
                input_bias if is_gru else input_bias + hidden_bias,
                hidden_bias if is_gru else None,
            )
        )
    return layers


def advance(cell: Cell, layer: PreparedLayer, state: LayerState, gates: Tensor) -> Tensor:
    """The layer's next hidden vector, [batch, H], kept in its state, which is overwritten.

    Args:
        cell: of the layer.
        layer: its weights.
        state: before the step.
        gates: [batch, gates], what the input and the biases give; overwritten.
    """
    hidden = state.hidden
    if layer.hidden_bias is not None:
        size = hidden.shape[1]
        recurrent = layer.from_before(hidden) + layer.hidden_bias
        gates[:, : 2 * size] += recurrent[:, : 2 * size]
        reset, update = gates[:, : 2 * size].sigmoid_().chunk(2, 1)
        candidate = gates[:, 2 * size :].addcmul_(reset, recurrent[:, 2 * size :]).tanh_()
        # h' = (1 - z) n + z h
        state.hidden = torch.lerp(candidate, hidden, update)
        return state.hidden
    gates = layer.from_before.added_to(gates, hidden)
    if cell == "tanh":
        state.hidden = gates.tanh_()
    else:
        lstm_gates(gates, state.memory, hidden)
    return state.hidden


def _candidate_last(weight: Tensor, size: int) -> Tensor:
    """Torch has the gates in the order input, forget, candidate, output."""
    taken, kept, candidate, shown = weight.split(size)
    return torch.cat((taken, kept, shown, candidate))
