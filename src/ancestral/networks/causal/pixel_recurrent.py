"""`PixelRecurrent`: images by two-dimensional recurrence."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn

from ancestral.core.errors import OptionError
from ancestral.core.pytrees import Shared
from ancestral.networks.causal.channel_groups import GroupLinear, PastConvolution
from ancestral.networks.causal.encodings import SiteEncoding
from ancestral.networks.causal.image_lstm import ImageLstm
from ancestral.networks.causal.network import CausalNetwork, check_context
from ancestral.networks.causal.permuting import permuted
from ancestral.networks.causal.pixel_recurrent_steps import PixelSteps, PixelWeights

__all__ = ["PixelRecurrent"]


class PixelRecurrent(CausalNetwork):
    """The PixelRNN: a masked convolution, residual LSTM layers over the image, 1 x 1 layers.

    Sites are the cells of the image, T = H W C: pixel after pixel in raster order, in a pixel
    channel after channel. Hidden features come in C groups, and group c sees channels before c
    of its own pixel.

    A pass costs H + W - 1 matrix products a layer for diagonals and H for rows, of both
    directions together. Steps compute each unit once, so that a sample costs about the
    arithmetic of a pass.

    Args:
        image_shape: (H, W, C).
        num_features: P, for each cell.
        encoding: of the values.
        layer: `DiagonalBiLstm` or `RowLstm`.
        hidden_size: units of each direction, a multiple of C.
        num_layers: LSTM layers.
        output_size: units of the layer before the last, a multiple of C.
        kernel_size: of the first convolution.
        context_size: of the context, which is added to the input of every layer; 0 for none.
        activation: before each of the 1 x 1 layers.

    References:
        | Pixel Recurrent Neural Networks (van den Oord et al., 2016), section 3 and table 1
        | https://arxiv.org/abs/1601.06759
    """

    pixels: Tensor
    inverse: Tensor

    def __init__(
        self,
        image_shape: tuple[int, int, int],
        num_features: int,
        encoding: SiteEncoding,
        layer: type[ImageLstm],
        *,
        hidden_size: int = 16,
        num_layers: int = 1,
        output_size: int = 32,
        kernel_size: int = 7,
        context_size: int = 0,
        activation: Callable[[Tensor], Tensor] = torch.relu,
    ) -> None:
        height, width, channels = image_shape
        super().__init__(height * width * channels, num_features, context_size=context_size)
        for name, value in (("hidden_size", hidden_size), ("output_size", output_size)):
            if value < 1 or value % channels:
                raise OptionError(
                    f"expected {name} to be a multiple of the image's {channels} channels, "
                    f"got {value}"
                )
        if num_layers < 1:
            raise OptionError(f"expected at least 1 layer, got {num_layers}")
        if kernel_size < 3 or kernel_size % 2 == 0:
            raise OptionError(f"expected an odd kernel_size of at least 3, got {kernel_size}")
        self.image_shape = image_shape
        self.encoding = encoding
        self.activation = activation
        size = 2 * hidden_size
        self.first = PastConvolution(
            channels * encoding.size, size, kernel_size, (height, width), channels
        )
        self.layers = nn.ModuleList(
            layer((height, width), hidden_size, channels, context_size) for _ in range(num_layers)
        )
        self.hidden = GroupLinear(size, output_size, channels)
        self.context = nn.Linear(context_size, output_size) if context_size else None
        self.output = GroupLinear(output_size, channels * num_features, channels, bias=False)
        self.output_bias = nn.Parameter(torch.zeros(self.num_sites, num_features))
        # the order of the LSTM layers, and back
        first = self.layers[0]
        assert isinstance(first, ImageLstm)
        self.register_buffer("pixels", first.wavefront.pixels, persistent=False)
        self.register_buffer("inverse", self.pixels.argsort(), persistent=False)

    def forward(self, x: Tensor, context: Tensor | None = None) -> Tensor:
        """Layer by layer; in each, front by front."""
        outputs = self.output(self._hidden(x, context))
        cells = permuted(outputs, self.inverse).unflatten(2, (self.image_shape[2], -1))
        return cells.transpose(0, 1).flatten(1, 2) + self.output_bias

    def hidden_units(self, x: Tensor, context: Tensor | None = None) -> Tensor:
        """What the last layer reads, of each pixel before it is known, [batch, H W, units]."""
        return permuted(self._hidden(x, context), self.inverse).transpose(0, 1)

    def _hidden(self, x: Tensor, context: Tensor | None) -> Tensor:
        """[pixels in the order of the fronts, batch, units]."""
        check_context(context, self.context_size, len(x))
        height, width, channels = self.image_shape
        image = self.encoding(x).reshape(len(x), height, width, channels * self.encoding.size)
        image = image.permute(0, 3, 1, 2)
        features = self.first(image).flatten(2).permute(2, 0, 1)
        features = permuted(features, self.pixels)
        for layer in self.layers:
            features = layer(features, context)
        hidden = self.hidden(self.activation(features))
        if self.context is not None:
            hidden = hidden + self.context(context)
        return self.activation(hidden)

    def init_state(self, batch_size: int, context: Tensor | None = None) -> PixelSteps:
        """No pixel is known; the weights are cut for steps."""
        check_context(context, self.context_size, batch_size)
        _, width, channels = self.image_shape
        weights = PixelWeights.of(self.first, self.hidden, self.output, channels, self.activation)
        num_inputs = self.first.weight.shape[1]
        new = self.output_bias.new_zeros
        hidden_bias = self.hidden.bias.expand(batch_size, -1)
        if self.context is not None:
            hidden_bias = hidden_bias + self.context(context)
        return PixelSteps(
            image=new(batch_size, num_inputs, self.first.above, width),
            row=new(batch_size, (self.first.aside + width) * num_inputs),
            from_above=self.first.bias.expand(batch_size, width, -1),
            layers=[layer.steps(batch_size, context) for layer in self.layers],  # pyright: ignore[reportCallIssue]
            top=new(batch_size, self.hidden.in_features),
            hidden=new(batch_size, self.hidden.out_features),
            hidden_bias=hidden_bias,
            weights=Shared(weights),
        )

    def step(self, state: PixelSteps, t: int, prev: Tensor | None) -> tuple[Tensor, PixelSteps]:
        """The units of one cell, each once; at the start of a row, what hangs on whole rows."""
        _, width, channels = self.image_shape
        pixel, group = divmod(t, channels)
        column = pixel % width
        if prev is not None:
            state.put((t - 1) % (width * channels), self.encoding.at(prev, t - 1))
        if t > 0 and column == 0 and group == 0:
            state.end_row()
        return torch.add(state.cell(column, group), self.output_bias[t]), state
