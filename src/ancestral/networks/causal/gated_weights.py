"""Weights of gated convolutions, arranged for steps."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from ancestral.networks.causal.native_gated import NativeCells, SliceOfLayer

if TYPE_CHECKING:
    from ancestral.networks.causal.gated_conv import GatedConvolutions, GatedLayer

__all__ = ["PreparedGates", "PreparedLayer", "minus_gates"]


@dataclass(frozen=True)
class PreparedLayer:
    """One layer; matrices are [inputs, outputs].

    Outputs of the horizontal stack come group by group, in each the tanh half and then the
    sigmoid half. Tanh is 2 sigmoid(2 a) - 1, so that one call serves both halves: their weights
    are doubled. Gates are negated, see `minus_gates`, and so are the weights after them.

    Attributes:
        left: pixels to the left that the kernel reaches.
        dilation: pixels from one tap to the next.
        num_taps: to the left, and one more if it sees its own pixel.
        num_rows: that the vertical kernel reaches.
        maps: that enter.
        vertical, vertical_bias: rows above -> V, in the order of the layer's own weights.
        link: V -> horizontal stack.
        horizontal, horizontal_bias: [num_taps maps, 2 size].
        output: minus gates -> h.
        context: [context_size, 4 size]: for V, then for the horizontal stack; or None.
        slices: by channel.
    """

    left: int
    dilation: int
    num_taps: int
    num_rows: int
    maps: int
    vertical: Tensor
    vertical_bias: Tensor
    link: Tensor
    horizontal: Tensor
    horizontal_bias: Tensor
    output: Tensor
    context: Tensor | None
    slices: list[SliceOfLayer]


@dataclass(frozen=True)
class PreparedGates:
    """All layers, and the two products after them.

    Attributes:
        layers: in order.
        bounds: of the groups of the features.
        hidden_bounds: of the groups of the hidden maps.
        hidden, hidden_bias, last: of the two products.
        hidden_slices: by channel: hidden weights, their bias, last weights.
        native: the layers as a compiled kernel, where there is one.
    """

    layers: list[PreparedLayer]
    bounds: tuple[int, ...]
    hidden_bounds: tuple[int, ...]
    hidden: Tensor
    hidden_bias: Tensor
    last: Tensor
    hidden_slices: list[tuple[Tensor, Tensor, Tensor]]
    native: NativeCells | None

    def left(self, number: int) -> int:
        """Padding of the row that layer `number` reads; what the last one gives has none."""
        return self.layers[number].left if number < len(self.layers) else 0

    @staticmethod
    def of(network: GatedConvolutions) -> PreparedGates:
        """Arrange the weights of a network as they are now."""
        bounds, hidden_bounds = network.bounds, network.hidden_bounds
        hidden, last = network.hidden.matrix(), network.last.matrix()
        assert network.hidden.bias is not None
        features = network.num_features
        slices = [
            (
                hidden[: bounds[c + 1], hidden_bounds[c] : hidden_bounds[c + 1]].contiguous(),
                network.hidden.bias[hidden_bounds[c] : hidden_bounds[c + 1]].contiguous(),
                last[: hidden_bounds[c + 1], c * features : (c + 1) * features].contiguous(),
            )
            for c in range(network.image_shape[2])
        ]
        cells = tuple(c * network.encoding.size for c in range(network.image_shape[2] + 1))
        layers = [
            _prepared(layer, cells if number == 0 else bounds, bounds, strict=number == 0)
            for number, layer in enumerate(network.gated_layers)
        ]
        return PreparedGates(
            layers,
            bounds,
            hidden_bounds,
            hidden.contiguous(),
            network.hidden.bias.detach(),
            last.contiguous(),
            slices,
            NativeCells.of(
                [[layer.slices[c] for layer in layers] for c in range(len(bounds) - 1)], bounds
            ),
        )


def minus_gates(z: Tensor, bounds: tuple[int, ...]) -> Tensor:
    """-tanh(a) sigmoid(b) from what the prepared weights make of a and b, group by group.

    Args:
        z: [..., 2 size], overwritten.
        bounds: of the groups.

    Returns:
        [..., size].
    """
    z.sigmoid_()
    parts = []
    for first, end in pairwise(bounds):
        a, b = z[..., 2 * first : 2 * end].chunk(2, -1)
        # with a = sigmoid(2 t): tanh(t) = 2 a - 1, and b - 2 a b = -(2 a - 1) b
        parts.append(torch.addcmul(b, a, b, value=-2))
    return parts[0] if len(parts) == 1 else torch.cat(parts, -1)


def _prepared(
    layer: GatedLayer, in_bounds: tuple[int, ...], bounds: tuple[int, ...], *, strict: bool
) -> PreparedLayer:
    size, maps = bounds[-1], in_bounds[-1]
    dilation, taps_left = layer.dilation, layer.kernel_size // 2
    left = taps_left * dilation
    groups = list(pairwise(bounds))
    device = layer.link.weight.device
    columns = torch.cat(
        [torch.arange(f, e, device=device) + half for f, e in groups for half in (0, size)]
    )
    scale = torch.where(columns < size, 2.0, 1.0).to(layer.link.weight.dtype)

    def arranged(matrix: Tensor) -> Tensor:
        return (matrix[..., columns] * scale).contiguous()

    horizontal = arranged(layer.horizontal.matrix())
    output = -layer.output.matrix()
    assert layer.horizontal.bias is not None
    assert layer.vertical.bias is not None
    slices = []
    for channel, (first, end) in enumerate(groups):
        # all of the pixels to the left, and the channels of its own that it may see
        own = in_bounds[channel + (not strict)]
        seen = taps_left * maps + own
        slices.append(
            SliceOfLayer(
                left,
                dilation,
                maps,
                own,
                horizontal[:seen, 2 * first : 2 * end].contiguous(),
                output[:end, first:end].contiguous(),
            )
        )
    context = None
    if layer.context is not None:
        both = layer.context.weight.T
        context = torch.cat((both[:, : 2 * size], arranged(both[:, 2 * size :])), 1)
    return PreparedLayer(
        left,
        dilation,
        layer.horizontal.num_taps,
        layer.num_rows,
        maps,
        layer.vertical.weight.permute(2, 3, 1, 0).flatten(0, 2).contiguous(),
        layer.vertical.bias.detach(),
        arranged(layer.link.weight[:, :, 0, 0].T),
        horizontal,
        arranged(layer.horizontal.bias),
        output.contiguous(),
        context,
        slices,
    )
