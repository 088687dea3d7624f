"""Images as sites: a cell for each channel of each pixel, in raster order."""

from __future__ import annotations

from enum import StrEnum

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ancestral.core.errors import OptionError
from ancestral.networks.causal.encodings import SiteEncoding
from ancestral.networks.causal.network import CausalNetwork

__all__ = ["CausalConvolution", "ImageCausal", "Mask", "enter", "group_bounds", "windows"]

_MOST_FEATURES_OF_A_CELL = 64


class Mask(StrEnum):
    """What a convolution may see of the pixel that it stands on."""

    A = "a"  # channels before the present one: for the image itself
    B = "b"  # these and the present one: for features, which have not seen it


class ImageCausal(CausalNetwork):
    """A causal network of images: pixels row by row, in each pixel channel by channel.

    Args:
        image_shape: (height H, width W, channels C); T = H W C.
        num_features: P, for each cell.
        encoding: of a cell's value, as E numbers.
        context_size: of the context; 0 for none.
    """

    output_bias: nn.Parameter

    def __init__(
        self,
        image_shape: tuple[int, int, int],
        num_features: int,
        encoding: SiteEncoding,
        *,
        context_size: int = 0,
    ) -> None:
        height, width, channels = image_shape
        super().__init__(height * width * channels, num_features, context_size=context_size)
        self.image_shape = image_shape
        self.encoding = encoding
        # a bias for each cell, so that training starts at the mean image; where a cell has many
        # features, such as a logit for each of 256 levels, too few rows would stand behind each
        shared = num_features > _MOST_FEATURES_OF_A_CELL
        shape = (num_features,) if shared else (self.num_sites, num_features)
        self.output_bias = nn.Parameter(torch.zeros(shape))

    @property
    def num_blocks(self) -> int:
        """Rows; see `Blockwise`."""
        return self.image_shape[0]

    @property
    def cells_in_row(self) -> int:
        """W C."""
        return self.image_shape[1] * self.image_shape[2]

    @property
    def num_inputs(self) -> int:
        """C E, numbers that stand for a pixel."""
        return self.image_shape[2] * self.encoding.size

    def encoded(self, x: Tensor) -> Tensor:
        """Values [batch, T, 1] -> maps [batch, C E, H, W], the channels last in memory."""
        height, width, _ = self.image_shape
        image = self.encoding(x).reshape(len(x), height, width, self.num_inputs)
        return image.permute(0, 3, 1, 2)

    def by_cell(self, maps: Tensor) -> Tensor:
        """Maps [batch, C P, H, W] -> features [batch, T, P]."""
        shape = (len(maps), self.num_sites, self.num_features)
        return maps.permute(0, 2, 3, 1).reshape(shape) + self.output_bias

    def encoded_row(self, values: Tensor, row: int) -> Tensor:
        """Values of one row, [batch, W C, 1] -> [batch, W, C E]."""
        cells = self._cells_of(row)
        x = values.new_zeros(len(values), self.num_sites, 1)
        x[:, cells] = values
        return self.encoding(x)[:, cells].reshape(len(values), self.image_shape[1], -1)

    def by_cell_of_row(self, maps: Tensor, row: int) -> Tensor:
        """Maps of one row, [batch, W, C P] -> [batch, W C, P]."""
        bias = self.output_bias
        bias = bias if bias.ndim == 1 else bias[self._cells_of(row)]
        return maps.reshape(len(maps), -1, self.num_features) + bias

    def _cells_of(self, row: int) -> slice:
        return slice(row * self.cells_in_row, (row + 1) * self.cells_in_row)

    def bias_of(self, site: int) -> Tensor:
        """What is added to the features of a cell, [P]."""
        return self.output_bias if self.output_bias.ndim == 1 else self.output_bias[site]


def group_bounds(size: int, num_groups: int) -> tuple[int, ...]:
    """Where groups of nearly equal size begin, and the end: `num_groups + 1` numbers.

    Example:
        >>> group_bounds(8, 3)
        (0, 2, 5, 8)
    """
    if size < num_groups:
        raise OptionError(
            f"expected at least {num_groups} feature maps, one for each colour, got {size}"
        )
    return tuple(group * size // num_groups for group in range(num_groups + 1))


class CausalConvolution(nn.Module):
    """A convolution that has weights for pixels before its own, and none for those after it.

    The taps of a square kernel in raster order: whole rows above, then pixels to the left, then
    its own pixel. They are the first ones of a cropped kernel, so that nothing is masked but the
    own pixel of a coloured image, where feature maps come in groups, one for each channel.

    Args:
        in_bounds: of the groups of the inputs; see `group_bounds`.
        out_bounds: of the groups of the outputs, which may be several in a row, such as for both
            halves of a gate.
        kernel_size: k, odd; k // 2 pixels to the left are seen.
        rows_above: that are seen, k pixels in each.
        mask: of the own pixel.
        repeats: how many blocks of outputs there are, each with groups like `out_bounds`.
        bias: whether outputs have one.
        dilation: pixels from one tap to the next, for kernels without rows above.

    Attributes:
        weight: [outputs, inputs, taps].

    References:
        | Pixel Recurrent Neural Networks (van den Oord et al., 2016a), section 3.4
        | https://arxiv.org/abs/1601.06759
    """

    mask: Tensor | None
    bias: nn.Parameter | None

    def __init__(
        self,
        in_bounds: tuple[int, ...],
        out_bounds: tuple[int, ...],
        kernel_size: int,
        *,
        rows_above: int = 0,
        mask: Mask = Mask.B,
        repeats: int = 1,
        bias: bool = True,
        dilation: int = 1,
    ) -> None:
        super().__init__()
        if kernel_size < 1 or kernel_size % 2 == 0:
            raise OptionError(f"expected an odd kernel size, got {kernel_size}")
        if dilation < 1 or (dilation > 1 and rows_above):
            raise OptionError(f"expected a dilation of 1, got {dilation}")
        self.dilation = dilation
        num_groups = len(in_bounds) - 1
        self.kernel_size = kernel_size
        self.rows_above = rows_above
        self.has_centre = mask is Mask.B or num_groups > 1
        self.num_taps = rows_above * kernel_size + kernel_size // 2 + self.has_centre
        inputs, outputs = in_bounds[-1], repeats * out_bounds[-1]
        bound = 1 / max(1, inputs * self.num_taps) ** 0.5
        self.weight = nn.Parameter(torch.empty(outputs, inputs, self.num_taps))
        nn.init.uniform_(self.weight, -bound, bound)
        self.bias = nn.Parameter(torch.zeros(outputs)) if bias else None
        seen = None
        if num_groups > 1:
            of_input = _groups(in_bounds)
            of_output = _groups(out_bounds).repeat(repeats).unsqueeze(1)
            seen = of_input < of_output if mask is Mask.A else of_input <= of_output
        self.register_buffer("mask", seen, persistent=False)

    def taps(self) -> Tensor:
        """The weights, zero where a channel of the own pixel must not look."""
        if self.mask is None:
            return self.weight
        before, centre = self.weight[..., :-1], self.weight[..., -1]
        return torch.cat((before, (centre * self.mask).unsqueeze(-1)), -1)

    def forward(self, maps: Tensor) -> Tensor:
        """[batch, inputs, H, W] -> [batch, outputs, H, W]."""
        left, above = self.kernel_size // 2, self.rows_above
        taps = self.taps()
        if above:
            missing = (above + 1) * self.kernel_size - self.num_taps
            kernel = F.pad(taps, (0, missing)).unflatten(-1, (above + 1, self.kernel_size))
            return F.conv2d(F.pad(maps, (left, left, above, 0)), kernel, self.bias)
        if self.kernel_size == 1:
            return F.conv2d(maps, taps.unsqueeze(-1), self.bias)
        # without its own pixel, the image moves one to the right
        own = 0 if self.has_centre else -self.dilation
        padded = F.pad(maps, (left * self.dilation, own))
        return F.conv2d(padded, taps.unsqueeze(2), self.bias, dilation=(1, self.dilation))

    def matrix(self) -> Tensor:
        """The weights as [taps x inputs, outputs], for steps."""
        return self.taps().permute(2, 1, 0).flatten(0, 1)


def _groups(bounds: tuple[int, ...]) -> Tensor:
    sizes = torch.tensor(bounds).diff()
    return torch.arange(len(sizes)).repeat_interleave(sizes)


def enter(rows: Tensor, row: Tensor) -> None:
    """Move rows up by one, and put a new one at the bottom, between the paddings.

    Args:
        rows: [batch, R, W + 2 side, maps], changed in place.
        row: [batch, W, maps].
    """
    if rows.shape[1] > 1:
        rows[:, :-1] = rows[:, 1:].clone()
    side = (rows.shape[2] - row.shape[1]) // 2
    rows[:, -1, side : side + row.shape[1]] = row


def windows(rows: Tensor, num_taps: int, width: int, dilation: int = 1) -> Tensor:
    """What a kernel sees at each place of a row: [batch, W, R taps maps].

    Args:
        rows: [batch, (R - 1) dilation + 1, at least W + (taps - 1) dilation, maps], contiguous.
        num_taps: pixels in each row, from the place on to the right.
        width: W.
        dilation: of the rows and of the pixels in them.
    """
    batch_size, num_rows, _, maps = rows.shape
    by_batch, by_row, by_pixel, _ = rows.stride()
    seen = -(-num_rows // dilation)
    view = rows.as_strided(
        (batch_size, width, seen, num_taps, maps),
        (by_batch, by_pixel, dilation * by_row, dilation * by_pixel, 1),
    )
    return view.reshape(batch_size, width, seen * num_taps * maps)
