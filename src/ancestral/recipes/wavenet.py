"""WaveNet: sound and other long sequences by dilated causal convolutions."""

from __future__ import annotations

from typing import Any

from ancestral.core import DataError, Kind, Specification
from ancestral.estimator import Assembly
from ancestral.networks.causal import (
    DilatedConvolutional,
    OneHot,
    SiteEncoding,
    doubling,
    encoding_for,
)
from ancestral.recipes.site_parts import autoregressive, cell_sites

__all__ = ["resolved_wavenet", "wavenet"]

_MOST_CODES = 256  # that enter one-hot and leave as a softmax, as in the paper
_LAYERS, _CHANNELS, _DROPOUT = 8, 64, 0.0


def wavenet(
    spec: Specification,
    *,
    num_layers: int | None = None,
    num_stacks: int = 2,
    kernel_size: int = 2,
    channels: int | None = None,
    skip_channels: int | None = None,
    dropout: float | None = None,
    likelihood: str = "auto",
) -> Assembly:
    """Gated causal convolutions whose dilation doubles from layer to layer.

    Up to 256 levels or categories enter one-hot and are predicted by a softmax, whatever their
    order, as the paper does with the codes of sound; for other numbers there is
    discretized-logistic-mixture, normal-mixture and so on. The weights are the same at each site,
    so that a run can make sequences of any length.

    Args:
        spec: what the data are; no cell may be missing, and all are of one kind.
        num_layers: of each stack, with dilations 1, 2, 4, ...; as many as the length of the
            data has use for if it is not given, at most 8.
        num_stacks: of layers; each starts again with dilation 1.
        kernel_size: taps of each convolution.
        channels: of the layers; by the size of the data if it is not given.
        skip_channels: of what the layers add up to; twice the channels if it is not given.
        dropout: of the features, while training; by the size of the data if it is not given.
        likelihood: of a cell; auto takes the one that fits the data.
    """
    if spec.kind is None:
        raise DataError(
            "expected sequences whose cells are all of one kind, got a table of several kinds",
            hint="fvsbn, made and nade take tables",
        )
    if likelihood == "auto" and _in_codes(spec) and spec.kind is Kind.LEVELS:
        likelihood = "categorical"
    head = cell_sites(spec, likelihood)
    channels = _CHANNELS if channels is None else channels
    layers = _useful_layers(spec) if num_layers is None else num_layers
    network = DilatedConvolutional(
        head.num_sites,
        head.num_features,
        _encoding(spec),
        dilations=doubling(layers, num_stacks),
        channels=channels,
        skip_channels=2 * channels if skip_channels is None else skip_channels,
        kernel_size=kernel_size,
        context_size=len(spec.context),
        dropout=_DROPOUT if dropout is None else dropout,
    )
    if spec.kind is Kind.LEVELS and isinstance(network.encoding, OneHot):
        network.start_ordered()
    return autoregressive(spec, network, head)


def resolved_wavenet(
    spec: Specification, num_rows: int, options: dict[str, Any]
) -> dict[str, Any]:
    """Layers by the length of a row, channels and dropout by the number of sites to learn from."""
    found = dict(options)
    sites = num_rows * spec.num_dims
    if found["num_layers"] is None:
        found["num_layers"] = _useful_layers(spec)
    if found["channels"] is None:
        found["channels"] = 32 if sites < 100_000 else _CHANNELS
    if found["skip_channels"] is None:
        found["skip_channels"] = 2 * found["channels"]
    if found["dropout"] is None:
        found["dropout"] = _DROPOUT
    return found


def _useful_layers(spec: Specification) -> int:
    """So many that the largest dilation is a quarter of a row at most."""
    return max(1, min(_LAYERS, spec.num_dims.bit_length() - 2))


def _in_codes(spec: Specification) -> bool:
    kinds = (Kind.BINARY, Kind.CATEGORICAL, Kind.LEVELS)
    return spec.kind in kinds and (spec.num_levels or 2) <= _MOST_CODES


def _encoding(spec: Specification) -> SiteEncoding:
    if _in_codes(spec) and (spec.columns is None or spec.kind is Kind.BINARY):
        return OneHot(spec.num_levels or 2)
    return encoding_for(spec)
