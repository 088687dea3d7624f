"""Convolutional networks between images and vectors, for any image size."""

from __future__ import annotations

import math
from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn import functional as F

__all__ = ["AsImage", "ConvolutionalDecoder", "ConvolutionalEncoder"]


class _ResidualBlock(nn.Module):
    """Two 3 x 3 convolutions around an identity path, pre-activated (He et al., 2016b)."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            nn.SiLU(),
            nn.Conv2d(channels, channels, 3, padding=1),
            nn.SiLU(),
            nn.Conv2d(channels, channels, 3, padding=1),
        )
        # the block starts as the identity (Zhang et al., 2019, Fixup, section 3)
        last = self.layers[-1]
        assert isinstance(last, nn.Conv2d)
        nn.init.zeros_(last.weight)

    def forward(self, x: Tensor) -> Tensor:
        return x + self.layers(x)


class AsImage(nn.Module):
    """Data of some shape, viewed with the axes (height, width, channels).

    Args:
        shape: of one datum, such as (28, 28).
        image_shape: the same number of cells with all three axes, such as (28, 28, 1).

    Shape:
        [..., *shape] -> [..., *image_shape]
    """

    def __init__(self, shape: tuple[int, ...], image_shape: tuple[int, int, int]) -> None:
        super().__init__()
        self.shape = shape
        self.image_shape = image_shape

    def forward(self, x: Tensor) -> Tensor:
        """[..., *shape] -> [..., *image_shape]."""
        return x.reshape(*x.shape[: x.ndim - len(self.shape)], *self.image_shape)


class ConvolutionalEncoder(nn.Module):
    """Images -> vectors: strided 4 x 4 convolutions, each halving the image, and residual blocks.

    Args:
        image_shape: (height, width, channels C) of the input.
        channels: feature maps after each halving.
        output_size: O.
        num_blocks: residual blocks after each halving.

    Shape:
        [..., H, W, C] -> [..., O]

    Example:
        >>> ConvolutionalEncoder((28, 20, 1), (8, 16), 10)(torch.zeros(3, 28, 20, 1)).shape
        torch.Size([3, 10])
    """

    def __init__(
        self,
        image_shape: tuple[int, int, int],
        channels: tuple[int, ...],
        output_size: int,
        num_blocks: int = 1,
    ) -> None:
        super().__init__()
        height, width, image_channels = image_shape
        shrink = 2 ** len(channels)
        self._padding = (0, -width % shrink, 0, -height % shrink)  # right, then below
        layers: list[nn.Module] = []
        for before, after in pairwise((image_channels, *channels)):
            layers.append(nn.Conv2d(before, after, 4, stride=2, padding=1))
            layers += [_ResidualBlock(after) for _ in range(num_blocks)]
            layers.append(nn.SiLU())
        self.layers = nn.Sequential(*layers)
        coarse = channels[-1] * math.ceil(height / shrink) * math.ceil(width / shrink)
        self.output_layer = nn.Linear(coarse, output_size)

    def forward(self, x: Tensor) -> Tensor:
        """[..., H, W, C] -> [..., O]."""
        lead = x.shape[:-3]
        images = x.reshape(math.prod(lead), *x.shape[-3:]).permute(0, 3, 1, 2)
        h = self.output_layer(self.layers(F.pad(images, self._padding)).flatten(1))
        return h.reshape(*lead, h.shape[-1])


class ConvolutionalDecoder(nn.Module):
    """Vectors -> feature maps of an image: the encoder in reverse.

    Args:
        input_size: I.
        channels: feature maps before each doubling, coarse to fine.
        feature_shape: (parameters P, height, width, channels C) of the feature maps.
        num_blocks: residual blocks before each doubling.

    Shape:
        [..., I] -> [..., P * H * W * C]; flat, since grey images may come without the axis C

    Example:
        >>> ConvolutionalDecoder(10, (16, 8), (2, 28, 20, 1))(torch.zeros(3, 10)).shape
        torch.Size([3, 1120])
    """

    def __init__(
        self,
        input_size: int,
        channels: tuple[int, ...],
        feature_shape: tuple[int, int, int, int],
        num_blocks: int = 1,
    ) -> None:
        super().__init__()
        self.feature_shape = feature_shape
        num_parameters, height, width, image_channels = feature_shape
        shrink = 2 ** len(channels)
        self._coarse = (channels[0], math.ceil(height / shrink), math.ceil(width / shrink))
        self.input_layer = nn.Linear(input_size, math.prod(self._coarse))
        layers: list[nn.Module] = []
        widths = (*channels, channels[-1])
        for before, after in pairwise(widths):
            layers += [_ResidualBlock(before) for _ in range(num_blocks)]
            layers += [nn.SiLU(), nn.ConvTranspose2d(before, after, 4, stride=2, padding=1)]
        self.layers = nn.Sequential(*layers, nn.SiLU())
        self.last = nn.Conv2d(widths[-1], num_parameters * image_channels, 3, padding=1)
        # one bias for each pixel, so that training starts at the mean image
        self.output_bias = nn.Parameter(torch.zeros(feature_shape))

    def forward(self, z: Tensor) -> Tensor:
        """[..., I] -> [..., P * H * W * C]."""
        num_parameters, height, width, channels = self.feature_shape
        lead = z.shape[:-1]
        h = self.input_layer(z.reshape(math.prod(lead), z.shape[-1])).unflatten(-1, self._coarse)
        h = self.last(self.layers(h))[..., :height, :width]  # [N, P C, H, W]
        h = h.unflatten(1, (num_parameters, channels)).permute(0, 1, 3, 4, 2)
        return (h + self.output_bias).reshape(*lead, self.output_bias.numel())
