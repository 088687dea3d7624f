"""Convolutions over images: PixelCNN, and its successor with gates and without a blind spot."""

from __future__ import annotations

from typing import Any

from ancestral.core import Kind, Specification
from ancestral.distributions import SiteHead
from ancestral.estimator import Assembly
from ancestral.networks.causal import (
    GatedConvolutions,
    MaskedConvolutions,
    doubling,
    encoding_for,
)
from ancestral.recipes.image_parts import image_shape
from ancestral.recipes.site_parts import autoregressive, cell_sites

__all__ = ["gated_pixel_cnn", "pixel_cnn", "resolve_gated_pixel_cnn", "resolve_pixel_cnn"]

_FEW_ROWS = 5_000  # below this, wider networks learn the training rows by heart


def pixel_cnn(
    spec: Specification,
    *,
    channels: int | None = None,
    num_blocks: int = 7,
    kernel_size: int = 3,
    first_kernel_size: int = 7,
    likelihood: str = "auto",
) -> Assembly:
    """Masked convolutions over an image, pixel by pixel and colour by colour.

    Args:
        spec: what the data are: complete images of any size, grey or coloured.
        channels: feature maps between the blocks, half of it within; None: by the number of rows.
        num_blocks: residual blocks.
        kernel_size: of their convolutions, odd.
        first_kernel_size: of the first convolution, odd.
        likelihood: of a cell; auto takes Bernoulli for black and white, and for levels a
            categorical, as the papers do.
    """
    shape, head = _image_sites(spec, likelihood, "pixel_cnn")
    network = MaskedConvolutions(
        shape,
        head.num_features,
        encoding_for(spec),
        size=64 if channels is None else channels,
        num_residual=num_blocks,
        kernel_size=kernel_size,
        first_kernel_size=first_kernel_size,
        context_size=len(spec.context),
    )
    return autoregressive(spec, network, head)


def gated_pixel_cnn(
    spec: Specification,
    *,
    channels: int | None = None,
    num_layers: int = 7,
    kernel_size: int = 3,
    first_kernel_size: int = 7,
    dilation_cycle: int = 3,
    likelihood: str = "auto",
) -> Assembly:
    """Gated convolutions over the rows above and over the pixels to the left: no blind spot.

    Args:
        spec: what the data are: complete images of any size, grey or coloured.
        channels: feature maps of each of the two stacks; None: by the number of rows.
        num_layers: gated layers, the first included.
        kernel_size: of all layers but the first, odd.
        first_kernel_size: of the first layer, odd.
        dilation_cycle: layers after the first have dilations 1, 2, 4, ..., so many of them, and
            then again from 1; 1 for the paper's undilated layers, which see less.
        likelihood: of a cell; auto takes Bernoulli for black and white, and for levels a
            categorical, as the papers do.
    """
    shape, head = _image_sites(spec, likelihood, "gated_pixel_cnn")
    network = GatedConvolutions(
        shape,
        head.num_features,
        encoding_for(spec),
        size=32 if channels is None else channels,
        num_layers=num_layers,
        kernel_size=kernel_size,
        first_kernel_size=first_kernel_size,
        dilations=doubling(dilation_cycle),
        context_size=len(spec.context),
    )
    return autoregressive(spec, network, head)


def resolve_pixel_cnn(
    spec: Specification, num_rows: int, options: dict[str, Any]
) -> dict[str, Any]:
    """Fewer feature maps for few images."""
    return _with_channels(num_rows, options, 64)


def resolve_gated_pixel_cnn(
    spec: Specification, num_rows: int, options: dict[str, Any]
) -> dict[str, Any]:
    """Fewer feature maps for few images."""
    return _with_channels(num_rows, options, 32)


def _with_channels(num_rows: int, options: dict[str, Any], most: int) -> dict[str, Any]:
    if options["channels"] is not None:
        return options
    return options | {"channels": most // 2 if num_rows < _FEW_ROWS else most}


def _image_sites(
    spec: Specification, likelihood: str, recipe: str
) -> tuple[tuple[int, int, int], SiteHead]:
    """The cells of an image, under the head that an option names."""
    shape = image_shape(spec, recipe)
    if likelihood == "auto" and spec.kind is Kind.LEVELS:
        likelihood = "categorical"
    return shape, cell_sites(spec, likelihood)
