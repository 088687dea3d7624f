"""The layers of a PixelRNN: the Row LSTM and the Diagonal BiLSTM."""

from __future__ import annotations

import math
from abc import abstractmethod
from typing import ClassVar

import torch
from torch import Tensor, nn

from ancestral.core.pytrees import Shared
from ancestral.networks.causal.channel_groups import GroupLinear, group_mask
from ancestral.networks.causal.image_lstm_steps import (
    DiagonalSteps,
    LayerSteps,
    Reverse,
    RowSteps,
    StepWeights,
)
from ancestral.networks.causal.permuting import permuted
from ancestral.networks.causal.wavefront import Wavefront, wavefront_lstm

__all__ = ["DiagonalBiLstm", "ImageLstm", "RowLstm"]


class ImageLstm(nn.Module):
    """A residual layer x + V h, with h the states of one or two LSTMs that go over the image.

    Args:
        image_size: (height, width).
        hidden_size: S, units of each direction, a multiple of `groups`; x has F = 2 S features.
        groups: channels of the image. From the pixel itself, units of a group see those of its
            own and earlier groups; from other pixels, all.
        context_size: of the context, which is added to the input; 0 for none.

    Attributes:
        directions: D.
        num_input_pixels: pixels whose features enter a pixel's gates, its own the last.
        wavefront: the order of the pixels of x, which layers of a kind share.
    """

    directions: ClassVar[int]
    num_input_pixels: ClassVar[int]
    wavefront: Wavefront
    mask: Tensor | None

    def __init__(
        self,
        image_size: tuple[int, int],
        hidden_size: int,
        groups: int = 1,
        context_size: int = 0,
    ) -> None:
        super().__init__()
        self.image_size = image_size
        self.hidden_size = hidden_size
        self.groups = groups
        size = 2 * hidden_size
        self.num_inputs = size * self.num_input_pixels
        rows = self.num_inputs + len(self.wavefront.taps) * hidden_size
        shape = (self.directions, rows, groups, 4, hidden_size // groups)
        bound = 1 / math.sqrt(rows)
        self.weight = nn.Parameter((2 * torch.rand(shape) - 1) * bound)
        bias = torch.zeros(self.directions, groups, 4, hidden_size // groups)
        bias[:, :, 1] = 1  # forget little at first (Jozefowicz et al., 2015)
        self.bias = nn.Parameter(bias)
        mask = None
        if groups > 1:
            mask = torch.ones(shape[1:])
            own = slice(self.num_inputs - size, self.num_inputs)
            seen = group_mask(hidden_size, size, groups).T  # [inputs, units]
            mask[own] = seen.reshape(size, groups, 1, -1).expand(-1, -1, 4, -1)
        self.register_buffer("mask", mask, persistent=False)
        self.output = GroupLinear(hidden_size, size, groups)
        self.context = nn.Linear(context_size, size) if context_size else None

    @abstractmethod
    def gathered(self, x: Tensor) -> Tensor:
        """Inputs of each direction, [H W, batch, F] -> [D, H W, batch, F num_input_pixels]."""

    @abstractmethod
    def merged(self, h: Tensor) -> Tensor:
        """What a pixel may see of the states, [D, H W, batch, S] -> [H W, batch, S]."""

    @abstractmethod
    def steps(self, batch_size: int, context: Tensor | None) -> LayerSteps:
        """The state before the first cell."""

    def masked_weight(self) -> Tensor:
        """[D, inputs and states, G, 4, S / G], zero where a group must not look."""
        return self.weight if self.mask is None else self.weight * self.mask

    def forward(self, x: Tensor, context: Tensor | None = None) -> Tensor:
        """[H W, batch, F], pixels in the order of the wavefront, to the same."""
        inputs = x if self.context is None else x + self.context(context)
        h = wavefront_lstm(self.gathered(inputs), self.masked_weight(), self.bias, self.wavefront)
        return x + self.output(self.merged(h))

    def _step_weights(self, weight: Tensor) -> StepWeights:
        """Of the first direction, given the gates' inputs that are known only pixel by pixel."""
        bound = self.output.masked_weight()
        size, each = len(bound) // self.groups, self.hidden_size // self.groups
        outputs = [
            bound[g * size : (g + 1) * size, : (g + 1) * each].T.contiguous()
            for g in range(self.groups)
        ]
        above = self.masked_weight()[0, len(weight) :].flatten(1).contiguous()
        gates = [weight[:, g].flatten(1).contiguous() for g in range(self.groups)]
        return StepWeights(gates, above, self.bias[0].flatten(), outputs, self.output.bias)

    def _added(self, context: Tensor | None) -> Tensor | None:
        return None if self.context is None else self.context(context)


class RowLstm(ImageLstm):
    """From top to bottom, a row at a time; a pixel sees a triangle above it.

    The gates of a pixel are convolutions of size 3: over the features of its own row, of which
    those to the right are masked, and over the states of the row above. Arguments as of
    `ImageLstm`.

    References:
        Pixel Recurrent Neural Networks (van den Oord et al., 2016), section 3.1
    """

    directions = 1
    num_input_pixels = 2

    def __init__(
        self,
        image_size: tuple[int, int],
        hidden_size: int,
        groups: int = 1,
        context_size: int = 0,
    ) -> None:
        # a column of one pixel has no neighbours that weights could serve
        self.wavefront = Wavefront.rows(*image_size, kernel_size=3 if image_size[1] > 1 else 1)
        super().__init__(image_size, hidden_size, groups, context_size)

    def gathered(self, x: Tensor) -> Tensor:
        """The pixel to the left, and the pixel."""
        rows = x.unflatten(0, self.image_size)
        left = torch.cat((torch.zeros_like(rows[:, :1]), rows[:, :-1]), 1)
        return torch.cat((left, rows), -1).flatten(0, 1).unsqueeze(0)

    def merged(self, h: Tensor) -> Tensor:
        """There is but one."""
        return h.squeeze(0)

    def steps(self, batch_size: int, context: Tensor | None) -> RowSteps:
        """No row above, nothing to the left."""
        weights = self._step_weights(self.masked_weight()[0, : self.num_inputs])
        width, size = self.image_size[1], self.hidden_size
        states = self.bias.new_zeros(batch_size, width, size)
        return RowSteps(
            inputs=self.bias.new_zeros(batch_size, width + 1, 2 * size),
            states=states,
            from_above=weights.bias.expand(batch_size, width, -1),
            context=self._added(context),
            weights=Shared(weights),
            hidden=torch.zeros_like(states),
        )


class DiagonalBiLstm(ImageLstm):
    """From both upper corners, a diagonal at a time; a pixel sees those before it.

    One direction goes from the upper left corner; a pixel takes the states to its left and
    above. The other goes from the upper right one over the mirrored image, and a pixel is given
    that of the pixel above it only, so that it sees nothing that comes later. Nor does it see
    the last pixel of the row above, which has none to its right to pass it on. Arguments as of
    `ImageLstm`.

    References:
        Pixel Recurrent Neural Networks (van den Oord et al., 2016), section 3.2
    """

    directions = 2
    num_input_pixels = 1
    mirrored: Tensor
    above: Tensor
    has_above: Tensor

    def __init__(
        self,
        image_size: tuple[int, int],
        hidden_size: int,
        groups: int = 1,
        context_size: int = 0,
    ) -> None:
        self.wavefront = Wavefront.diagonals(*image_size)
        super().__init__(image_size, hidden_size, groups, context_size)
        height, width = image_size
        pixels = self.wavefront.pixels
        rank = pixels.argsort()
        rows, columns = pixels // width, pixels % width
        mirrored = rows * width + width - 1 - columns
        # above the first row lies the last, of which nothing is let through
        above = (rows - 1) % height * width + width - 1 - columns
        self.register_buffer("mirrored", rank[mirrored], persistent=False)
        self.register_buffer("above", rank[above], persistent=False)
        self.register_buffer("has_above", (rows > 0).view(-1, 1, 1), persistent=False)

    def gathered(self, x: Tensor) -> Tensor:
        """The image, and the mirrored image."""
        return torch.stack((x, permuted(x, self.mirrored)))

    def merged(self, h: Tensor) -> Tensor:
        """The pixel's own state of one direction, that of the pixel above of the other."""
        return h[0] + permuted(h[1], self.above) * self.has_above

    def steps(self, batch_size: int, context: Tensor | None) -> DiagonalSteps:
        """No row above, nothing to the left."""
        size, num_features = self.hidden_size, 2 * self.hidden_size
        width = self.image_size[1]
        one, other = self.masked_weight()
        weights = self._step_weights(one[: num_features + size])
        # all groups of a gate together: this direction goes a pixel at a time
        other = other.transpose(1, 2).flatten(1)
        reverse = Reverse(
            *(part.contiguous() for part in other.split((num_features, size, size))),
            bias=self.bias[1].transpose(0, 1).flatten(),
            output=self.output.masked_weight().T.contiguous(),
        )
        return DiagonalSteps(
            inputs=self.bias.new_zeros(batch_size, width + 1, num_features + size),
            states=self.bias.new_zeros(batch_size, size),
            from_above=weights.bias.expand(batch_size, width, -1),
            context=self._added(context),
            weights=Shared(weights),
            reverse_hidden=self.bias.new_zeros(batch_size, width, size),
            reverse_output=weights.output_bias.expand(batch_size, width, -1),
            reverse_weights=Shared(reverse),
        )
