"""Gated PixelCNN: gated convolutions over rows above and pixels to the left, no blind spot."""

from __future__ import annotations

from itertools import cycle, islice

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ancestral.core.errors import OptionError
from ancestral.networks.causal.encodings import SiteEncoding
from ancestral.networks.causal.gated_steps import GatedState, RowAbove
from ancestral.networks.causal.image_cells import (
    CausalConvolution,
    Mask,
    group_bounds,
)
from ancestral.networks.causal.row_steps import RowSteps, check_kernel_sizes

__all__ = ["GatedConvolutions", "GatedLayer"]


class GatedLayer(nn.Module):
    r"""One layer of both stacks.

    With g(a, b) = tanh(a) sigmoid(b) over the halves of the maps,

    .. math::
        V &= W_v * v + U_v c, & v' &= g(V), \\
        & & h' &= h + W_o\, g(W_h * h + W_l V + U_h c).

    The vertical kernel sees rows above and the present one, of maps that were made from the rows
    above alone; the horizontal one sees pixels to the left and the present one. In the first
    layer, whose maps are the image, both stop short of the present, and h' has no h to add.

    Args:
        in_bounds: groups of the inputs: of the image, or of the features.
        bounds: groups of the features.
        kernel_size: odd, at least 3.
        context_size: of c; 0 for none.
        mask: A for the first layer, B for the others.
        dilation: rows and pixels from one tap of both kernels to the next; 1 for mask A.
    """

    def __init__(
        self,
        in_bounds: tuple[int, ...],
        bounds: tuple[int, ...],
        kernel_size: int,
        context_size: int,
        mask: Mask,
        dilation: int = 1,
    ) -> None:
        super().__init__()
        size = bounds[-1]
        self.mask = mask
        self.kernel_size = kernel_size
        self.dilation = dilation
        kernel_rows = kernel_size // 2 + (mask is Mask.B)
        self.num_rows = (kernel_rows - 1) * dilation + 1
        self.vertical = nn.Conv2d(
            in_bounds[-1], 2 * size, (kernel_rows, kernel_size), dilation=dilation
        )
        self.link = nn.Conv2d(2 * size, 2 * size, 1, bias=False)
        self.horizontal = CausalConvolution(
            in_bounds, bounds, kernel_size, mask=mask, repeats=2, dilation=dilation
        )
        # no bias: the next convolution has one, and steps are an operation shorter
        self.output = CausalConvolution(bounds, bounds, 1, bias=False)
        self.context = nn.Linear(context_size, 4 * size, bias=False) if context_size else None
        self._keep_signals()

    def _keep_signals(self) -> None:
        """Start with weights under which what comes in also goes out.

        A gate lets through a ninth of the variance of two standard normal halves: with torch's
        own weights, a third of that, the seventh vertical layer would start with nothing to say.
        """
        for weight, gain in (
            (self.vertical.weight, 2.5),
            (self.horizontal.weight, 1.5),
            (self.link.weight, 1.0),
            (self.output.weight, 1.0),
        ):
            nn.init.normal_(weight, std=gain / max(1, weight[0].numel()) ** 0.5)

    def from_above(self, v: Tensor, context: Tensor | None) -> tuple[Tensor, Tensor]:
        """V, and what the horizontal stack gets of it and of the context."""
        side = self.kernel_size // 2 * self.dilation
        # in the first layer the image moves down, and all that the stack makes of it
        last = -1 if self.mask is Mask.A else 0
        above = self.vertical(F.pad(v, (side, side, side, last)))
        if self.context is None:
            return above, self.link(above)
        for_v, for_h = self.context(context).unsqueeze(-1).unsqueeze(-1).chunk(2, 1)
        above = above + for_v
        return above, self.link(above) + for_h

    def along(self, h: Tensor, linked: Tensor) -> Tensor:
        """h', given what comes from above."""
        out = self.output(gated(self.horizontal(h) + linked))
        return out if self.mask is Mask.A else h + out


class GatedConvolutions(RowSteps[GatedState]):
    """Two stacks of gated convolutions: one sees the rows above, the other the row so far.

    Together they see every pixel before the present one, as far as the kernels reach: there is
    no blind spot. The feature maps of the horizontal stack come in groups, one for each channel
    of the image, so that a channel sees those before it.

    A step computes what is new: the vertical stack once for a row, all its pixels in parallel,
    and the horizontal stack of the present pixel and channel. Drawing an image costs about the
    products of one pass. A block is a row.

    Args:
        image_shape: (height, width, channels).
        num_features: P, for each cell.
        encoding: of the values.
        size: feature maps of each stack.
        num_layers: L, the first included.
        kernel_size: of all layers but the first.
        first_kernel_size: of the first.
        dilations: of the layers after the first, again from the start where there are more of
            them; (1,) is the paper's.
        output_size: feature maps before the last product.
        context_size: of the context, which enters every layer; 0 for none.

    References:
        | Conditional Image Generation with PixelCNN Decoders (van den Oord et al., 2016b),
        | section 2 and figure 2; https://arxiv.org/abs/1606.05328
    """

    def __init__(
        self,
        image_shape: tuple[int, int, int],
        num_features: int,
        encoding: SiteEncoding,
        *,
        size: int,
        num_layers: int,
        kernel_size: int = 3,
        first_kernel_size: int = 7,
        dilations: tuple[int, ...] = (1,),
        output_size: int | None = None,
        context_size: int = 0,
    ) -> None:
        super().__init__(image_shape, num_features, encoding, context_size=context_size)
        check_kernel_sizes(kernel_size, first_kernel_size)
        if num_layers < 1:
            raise OptionError(f"expected at least 1 layer, got {num_layers}")
        if min(dilations, default=0) < 1:
            raise OptionError(f"expected dilations of at least 1, got {dilations}")
        channels = image_shape[2]
        cells = group_bounds(self.num_inputs, channels)
        bounds = group_bounds(size, channels)
        hidden = group_bounds(output_size or size, channels)
        self.bounds = bounds
        self.layers = nn.ModuleList(
            [GatedLayer(cells, bounds, first_kernel_size, context_size, Mask.A)]
            + [
                GatedLayer(bounds, bounds, kernel_size, context_size, Mask.B, dilation)
                for dilation in islice(cycle(dilations), num_layers - 1)
            ]
        )
        self.hidden_bounds = hidden
        self.hidden = CausalConvolution(bounds, hidden, 1)
        per_channel = group_bounds(channels * num_features, channels)
        self.last = CausalConvolution(hidden, per_channel, 1, bias=False)

    def hidden_maps(self, x: Tensor, context: Tensor | None) -> Tensor:
        """What the last layer reads, [batch, maps, H, W]."""
        v = h = self.encoded(x)
        layers = self.gated_layers
        for layer in layers:
            above, linked = layer.from_above(v, context)
            h = layer.along(h, linked)
            if layer is not layers[-1]:
                v = gated(above)
        return F.silu(self.hidden(F.silu(h)))

    @property
    def gated_layers(self) -> list[GatedLayer]:
        """Of both stacks, in order."""
        return [layer for layer in self.layers if isinstance(layer, GatedLayer)]

    def start(self, batch_size: int, context: Tensor | None) -> GatedState:
        """Nothing is known, and no row entered."""
        return GatedState.start(self, batch_size, context)

    def enter_block(
        self, state: GatedState, block: int, prev: Tensor | None
    ) -> tuple[RowAbove, GatedState]:
        """Run the vertical stack of a row."""
        if prev is not None:
            state.put(self.encoded_row(prev, block - 1).flatten(1), 0)
        state.enter_row()
        return state.now, state

    def block_features(self, given: RowAbove, block: int, guess: Tensor) -> Tensor:
        """Run the horizontal stack of a row, all its pixels at once."""
        maps = given.features(self.encoded_row(guess, block))
        return self.by_cell_of_row(maps, block)


def gated(maps: Tensor) -> Tensor:
    """Tanh of the first half of the maps, times the sigmoid of the second."""
    a, b = maps.chunk(2, 1)
    return torch.tanh(a) * torch.sigmoid(b)
