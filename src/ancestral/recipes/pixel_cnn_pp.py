"""The PixelCNN++: shifted convolutions and a mixture of logistics for all colours of a pixel."""

from __future__ import annotations

from typing import Any

from ancestral.core import IncompatibleChoices, Kind, Specification
from ancestral.distributions import CoupledLogisticSites
from ancestral.estimator import Assembly
from ancestral.networks.causal import PixelCnnPlusPlus, encoding_for
from ancestral.recipes.image_parts import image_shape
from ancestral.recipes.site_parts import autoregressive, require_complete

__all__ = ["pixel_cnn_pp", "resolve_pixel_cnn_pp"]

_FEW_ROWS = 5_000  # below this, wider networks learn the training rows by heart
_CHANNELS, _DROPOUT = 32, 0.0


def pixel_cnn_pp(
    spec: Specification,
    *,
    channels: int | None = None,
    num_blocks: int = 1,
    num_halvings: int = 2,
    dropout: float | None = None,
    components: int = 10,
) -> Assembly:
    """Convolutions at several resolutions; a pixel's colours come from one mixture of logistics.

    Args:
        spec: what the data are: complete images of ordered levels, grey or coloured.
        channels: feature maps; by the number of rows if it is not given.
        num_blocks: residual blocks at each resolution, on the way down and on the way up.
        num_halvings: of the resolution, at most: small images are halved less often.
        dropout: of the features in each block, while training; by the number of rows if it is
            not given.
        components: of the mixture of discretised logistics.
    """
    shape = image_shape(spec, "pixel_cnn_pp")
    require_complete(spec)
    if spec.kind is not Kind.LEVELS:
        raise IncompatibleChoices(
            f"pixel_cnn_pp needs images of ordered levels such as grey values, got {spec.kind} "
            "cells",
            hint="`pixel_cnn`, `gated_pixel_cnn` and `pixel_rnn` take cells of other kinds",
        )
    assert spec.num_levels is not None
    height, width, colours = shape
    head = CoupledLogisticSites.of_image(height * width, spec.num_levels, colours, components)
    # at the lowest resolution two pixels on a side are left, or more
    most = max(0, min(height, width).bit_length() - 2)
    network = PixelCnnPlusPlus(
        shape,
        head.num_features,
        encoding_for(spec, colours),
        channels=_CHANNELS if channels is None else channels,
        num_blocks=num_blocks,
        num_halvings=min(num_halvings, most),
        dropout=_DROPOUT if dropout is None else dropout,
        context_size=len(spec.context),
    )
    return autoregressive(spec, network, head)


def resolve_pixel_cnn_pp(
    spec: Specification, num_rows: int, options: dict[str, Any]
) -> dict[str, Any]:
    """Fewer feature maps and more dropout for few images."""
    del spec
    few = num_rows < _FEW_ROWS
    found = {"channels": 24 if few else _CHANNELS, "dropout": 0.2 if few else _DROPOUT}
    return options | {name: value for name, value in found.items() if options[name] is None}
