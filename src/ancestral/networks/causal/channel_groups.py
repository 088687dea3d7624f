"""Layers whose features come in groups, one for each channel of an image, in their order."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

__all__ = ["GroupLinear", "PastConvolution", "group_mask"]


def group_mask(num_outputs: int, num_inputs: int, groups: int) -> Tensor:
    """[outputs, inputs]: 1 where the group of the output is that of the input or comes later.

    Example:
        >>> group_mask(3, 6, 3)
        tensor([[1., 1., 0., 0., 0., 0.],
                [1., 1., 1., 1., 0., 0.],
                [1., 1., 1., 1., 1., 1.]])
    """
    to = torch.arange(num_outputs) * groups // num_outputs
    from_ = torch.arange(num_inputs) * groups // num_inputs
    return (to.unsqueeze(1) >= from_).to(torch.get_default_dtype())


class GroupLinear(nn.Linear):
    """A linear layer, or 1 x 1 convolution with mask B: a group sees itself and those before.

    Args:
        in_features: a multiple of `groups`.
        out_features: a multiple of `groups`.
        groups: channels of the image; with 1 nothing is masked.
        bias: whether to add one.

    Shape:
        [..., I] -> [..., O]

    References:
        Pixel Recurrent Neural Networks (van den Oord et al., 2016), section 3.4
    """

    mask: Tensor | None

    def __init__(
        self,
        in_features: int,
        out_features: int,
        groups: int,
        bias: bool = True,  # noqa: FBT001, FBT002 - as torch has it
    ) -> None:
        super().__init__(in_features, out_features, bias)
        mask = group_mask(out_features, in_features, groups) if groups > 1 else None
        self.register_buffer("mask", mask, persistent=False)

    def masked_weight(self) -> Tensor:
        """[O, I], zero where a group must not look."""
        return self.weight if self.mask is None else self.weight * self.mask

    def forward(self, x: Tensor) -> Tensor:
        """All groups."""
        return F.linear(x, self.masked_weight(), self.bias)


class PastConvolution(nn.Module):
    """A k x k convolution with mask A: pixels above and to the left, and channels before.

    Only the rows of the kernel that can see something are kept; of the last one, the right part
    is masked, and of the pixel itself the channels from a group's own on.

    Args:
        in_channels: for each pixel, a multiple of `groups`.
        out_channels: a multiple of `groups`.
        kernel_size: k, odd; cropped to what fits into the image.
        image_size: (height, width).
        groups: channels of the image.

    Shape:
        [batch, I, H, W] -> [batch, O, H, W]

    References:
        Pixel Recurrent Neural Networks (van den Oord et al., 2016), section 3.4
    """

    mask: Tensor

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: int,
        image_size: tuple[int, int],
        groups: int,
    ) -> None:
        super().__init__()
        self.above = min(kernel_size // 2, image_size[0] - 1)
        self.aside = min(kernel_size // 2, image_size[1] - 1)
        mask = torch.ones(out_channels, in_channels, self.above + 1, 2 * self.aside + 1)
        mask[:, :, -1, self.aside + 1 :] = 0
        to = torch.arange(out_channels) * groups // out_channels
        from_ = torch.arange(in_channels) * groups // in_channels
        mask[:, :, -1, self.aside] = (to.unsqueeze(1) > from_).to(mask.dtype)
        self.register_buffer("mask", mask, persistent=False)
        bound = mask[-1].sum().clamp_min(1).rsqrt()
        self.weight = nn.Parameter((2 * torch.rand_like(mask) - 1) * bound)
        self.bias = nn.Parameter(torch.zeros(out_channels))

    def masked_weight(self) -> Tensor:
        """[O, I, rows, columns], zero where it must not look."""
        return self.weight * self.mask

    def forward(self, x: Tensor) -> Tensor:
        """All pixels."""
        padded = F.pad(x, (self.aside, self.aside, self.above, 0))
        return F.conv2d(padded, self.masked_weight(), self.bias)
