"""`PixelCnnPlusPlus`: images by shifted convolutions at several resolutions."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ancestral.core.errors import OptionError
from ancestral.networks.causal.encodings import SiteEncoding
from ancestral.networks.causal.network import CausalNetwork, check_context
from ancestral.networks.causal.pixel_cnn_pp_steps import PixelCnnPlusPlusSteps
from ancestral.networks.causal.shifted_conv import (
    DownRightConvolution,
    DownShiftedConvolution,
    GatedResidual,
)

__all__ = ["PixelCnnPlusPlus", "Resolution"]


class PixelCnnPlusPlus(CausalNetwork):
    """The PixelCNN++: two streams of gated residual blocks in the form of a U.

    Sites are pixels in raster order, T = H W, each with its W = C colours. One stream sees the
    rows above a pixel, without a blind spot; the other what is to its left as well, and the
    first stream. Both halve their resolution some times, and come back, with short cuts from
    each block on the way down to one on the way up. Images need not be divisible.

    Weights are plain ones, not normalised as in the paper. In steps, the first stream goes a row
    at a time, and each resolution computes every 2nd, 4th, ... row and pixel only.

    Args:
        image_shape: (H, W, C).
        num_features: P, for each pixel.
        encoding: of the values, a pixel at a time.
        channels: feature maps.
        num_blocks: at each resolution, on the way down; as many or one more on the way up.
        num_halvings: of the resolution.
        dropout: in each block.
        context_size: of the context, which enters every block; 0 for none.

    References:
        | PixelCNN++ (Salimans et al., 2017), sections 2.3 to 2.6
        | https://arxiv.org/abs/1701.05517
    """

    def __init__(
        self,
        image_shape: tuple[int, int, int],
        num_features: int,
        encoding: SiteEncoding,
        *,
        channels: int = 32,
        num_blocks: int = 1,
        num_halvings: int = 2,
        dropout: float = 0.0,
        context_size: int = 0,
    ) -> None:
        height, width, colours = image_shape
        super().__init__(height * width, num_features, width=colours, context_size=context_size)
        if channels < 1:
            raise OptionError(f"expected at least 1 channel, got {channels}")
        if num_blocks < 1:
            raise OptionError(f"expected at least 1 block at each resolution, got {num_blocks}")
        if num_halvings < 0 or min(height, width) <= 2**num_halvings // 2:
            raise OptionError(
                f"expected an image of {height} x {width} pixels to be halved from 0 to "
                f"{max(0, (min(height, width) - 1).bit_length())} times, got {num_halvings}"
            )
        self.image_size = (height, width)
        self.encoding = encoding
        num_inputs = encoding.size + 1  # a 1 tells the image from what is around it
        self.rows_above = nn.Conv2d(num_inputs, channels, (2, 3))
        self.row_above = nn.Conv2d(num_inputs, channels, (1, 3))
        self.pixels_left = nn.Conv2d(num_inputs, channels, (2, 1))
        self.finest = Resolution(channels, num_blocks, num_halvings, dropout, context_size)
        self.output = nn.Linear(channels, num_features, bias=False)
        self.output_bias = nn.Parameter(torch.zeros(num_features))
        with torch.no_grad():
            self.output.weight.mul_(0.1)  # the bias knows the frequencies

    def forward(self, x: Tensor, context: Tensor | None = None) -> Tensor:
        """All pixels in parallel."""
        return self.output(self.hidden_units(x, context)) + self.output_bias

    def hidden_units(self, x: Tensor, context: Tensor | None = None) -> Tensor:
        """What the last layer reads, of each pixel before it is known, [batch, H W, maps]."""
        check_context(context, self.context_size, len(x))
        image = self.encoding(x).reshape(len(x), *self.image_size, self.encoding.size)
        image = image.permute(0, 3, 1, 2)
        image = F.pad(image, (0, 0, 0, 0, 0, 1), value=1.0)
        # shifted: a row or column of zeros enters, and the last one goes
        above = F.pad(self.rows_above(F.pad(image, (1, 1, 1, 0))), (0, 0, 1, -1))
        just_above = F.pad(self.row_above(F.pad(image, (1, 1, 0, 0))), (0, 0, 1, -1))
        left = F.pad(self.pixels_left(F.pad(image, (0, 0, 1, 0))), (1, -1, 0, 0))
        _, features = self.finest(above, just_above + left, context)
        return F.elu(features).flatten(2).transpose(1, 2)

    def init_state(self, batch_size: int, context: Tensor | None = None) -> PixelCnnPlusPlusSteps:
        """No pixel is known; the weights are cut for steps."""
        check_context(context, self.context_size, batch_size)
        return PixelCnnPlusPlusSteps.of(self, batch_size, context)

    def step(
        self, state: PixelCnnPlusPlusSteps, t: int, prev: Tensor | None
    ) -> tuple[Tensor, PixelCnnPlusPlusSteps]:
        """One pixel of the second stream; at the start of a row, a row of the first."""
        row, column = divmod(t, self.image_size[1])
        if prev is not None:
            state.put((t - 1) % self.image_size[1], self.encoding.at(prev, t - 1))
        if column == 0:
            state.begin_row(row)
        return state.pixel(row, column), state


class Resolution(nn.Module):
    """Blocks at one resolution, around those at half of it.

    Args:
        channels: feature maps of each stream.
        num_blocks: on the way down.
        num_halvings: resolutions below this one.
        dropout: in each block.
        context_size: of the context.
    """

    def __init__(
        self, channels: int, num_blocks: int, num_halvings: int, dropout: float, context_size: int
    ) -> None:
        super().__init__()

        def blocks(
            convolution: type[DownShiftedConvolution] | type[DownRightConvolution],
            number: int,
            num_others: int,
        ) -> nn.ModuleList:
            return nn.ModuleList(
                GatedResidual(convolution, channels, num_others, context_size, dropout)
                for _ in range(number)
            )

        num_up = num_blocks + 1 if num_halvings else num_blocks
        self.above_down = blocks(DownShiftedConvolution, num_blocks, 0)
        self.left_down = blocks(DownRightConvolution, num_blocks, 1)
        self.above_up = blocks(DownShiftedConvolution, num_up, 1)
        self.left_up = blocks(DownRightConvolution, num_up, 2)
        self.inner = None
        if num_halvings:
            self.inner = Resolution(channels, num_blocks, num_halvings - 1, dropout, context_size)
            self.above_halved = DownShiftedConvolution(channels, channels, stride=2)
            self.left_halved = DownRightConvolution(channels, channels, stride=2)
            self.above_doubled = nn.ConvTranspose2d(channels, channels, (2, 3), 2)
            self.left_doubled = nn.ConvTranspose2d(channels, channels, (2, 2), 2)

    def forward(
        self, above: Tensor, left: Tensor, context: Tensor | None
    ) -> tuple[Tensor, Tensor]:
        """Both streams, [batch, channels, H, W]."""
        short_cuts = [(above, left)]
        for down, right in zip(self.above_down, self.left_down, strict=True):
            above = down(above, context=context)
            left = right(left, above, context=context)
            short_cuts.append((above, left))
        if self.inner is None:
            above, left = short_cuts.pop()
        else:
            height, width = above.shape[2:]
            above, left = self.inner(self.above_halved(above), self.left_halved(left), context)
            above = self.above_doubled(above)[:, :, :height, 1 : width + 1]
            left = self.left_doubled(left)[:, :, :height, :width]
        for down, right in zip(self.above_up, self.left_up, strict=True):
            from_above, from_left = short_cuts.pop()
            above = down(above, from_above, context=context)
            left = right(left, above, from_left, context=context)
        return above, left
