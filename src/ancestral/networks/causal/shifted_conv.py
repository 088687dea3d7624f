"""Convolutions that see nothing below and nothing to the right, and blocks made of them."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

__all__ = ["DownRightConvolution", "DownShiftedConvolution", "GatedResidual", "concat_elu"]


def concat_elu(x: Tensor, dim: int = 1) -> Tensor:
    """Twice the features, elu([x; -x]): each sign keeps its gradient (Shang et al., 2016)."""
    return F.elu(torch.cat((x, -x), dim))


class DownShiftedConvolution(nn.Conv2d):
    """A 2 x 3 convolution over the row above and the pixel's own row, with both neighbours.

    Shape:
        [batch, I, H, W] -> [batch, O, H / stride, W / stride], rounded up
    """

    def __init__(self, in_channels: int, out_channels: int, stride: int = 1) -> None:
        super().__init__(in_channels, out_channels, (2, 3), stride)

    def forward(self, x: Tensor) -> Tensor:
        """All pixels."""
        return super().forward(F.pad(x, (1, 1, 1, 0)))


class DownRightConvolution(nn.Conv2d):
    """A 2 x 2 convolution over the pixel, the ones to its left and above, and between those.

    Shape:
        [batch, I, H, W] -> [batch, O, H / stride, W / stride], rounded up
    """

    def __init__(self, in_channels: int, out_channels: int, stride: int = 1) -> None:
        super().__init__(in_channels, out_channels, (2, 2), stride)

    def forward(self, x: Tensor) -> Tensor:
        """All pixels."""
        return super().forward(F.pad(x, (1, 0, 1, 0)))


class GatedResidual(nn.Module):
    """x + p sigmoid(q), where [p; q] are two convolutions of x; others may join in between.

    Args:
        convolution: one of those above.
        channels: of x.
        num_others: feature maps of as many channels that are added after the first convolution.
        context_size: of the context, which is added after the second; 0 for none.
        dropout: before the second.

    References:
        PixelCNN++ (Salimans et al., 2017), sections 2.4 to 2.6
    """

    def __init__(
        self,
        convolution: type[DownShiftedConvolution] | type[DownRightConvolution],
        channels: int,
        num_others: int = 0,
        context_size: int = 0,
        dropout: float = 0.0,
    ) -> None:
        super().__init__()
        self.first = convolution(2 * channels, channels)
        self.second = convolution(2 * channels, 2 * channels)
        self.others = (
            nn.Conv2d(2 * channels * num_others, channels, 1, bias=False) if num_others else None
        )
        self.context = nn.Linear(context_size, 2 * channels, bias=False) if context_size else None
        self.dropout = nn.Dropout(dropout)
        with torch.no_grad():
            self.second.weight.mul_(0.1)  # close to the identity at first

    def forward(self, x: Tensor, *others: Tensor, context: Tensor | None = None) -> Tensor:
        """[batch, channels, H, W] -> the same; `others` likewise."""
        h = self.first(concat_elu(x))
        if self.others is not None:
            h = h + self.others(torch.cat([concat_elu(other) for other in others], 1))
        h = self.second(self.dropout(concat_elu(h)))
        if self.context is not None:
            h = h + self.context(context)[:, :, None, None]
        p, q = h.chunk(2, 1)
        return x + p * q.sigmoid()
