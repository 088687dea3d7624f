"""Parts that several recipes assemble in the same way."""

from __future__ import annotations

from collections.abc import Sequence

from torch import nn

from ancestral.core import OptionError, Specification
from ancestral.distributions import Head, default_head, named_head
from ancestral.inference.posteriors import Amortized
from ancestral.models import (
    DiagonalGaussian,
    FullGaussian,
    LatentVariableModel,
    NetworkConditional,
    StandardNormalPrior,
    Units,
)
from ancestral.networks import (
    AsImage,
    ConvolutionalDecoder,
    ConvolutionalEncoder,
    InputFeatures,
    NoisyInputs,
    ResidualNetwork,
)

__all__ = [
    "convolutional_pair",
    "convolutional_widths",
    "dense_latent_model",
    "dense_pair",
    "encoder_outputs",
    "head_for",
    "latent_parts",
    "reading",
]


def head_for(spec: Specification, likelihood: str) -> Head:
    """The head named by an option; "auto" takes the one that fits the data."""
    return default_head(spec) if likelihood == "auto" else named_head(likelihood, spec)


def encoder_outputs(
    posterior: str, latent_size: int, choices: Sequence[str] = ("diagonal", "full")
) -> int:
    """Numbers that an encoder gives for a `diagonal` or `full` Gaussian, or a `point`.

    Args:
        posterior: one of the choices.
        latent_size: latent variables.
        choices: that the recipe has.

    Raises:
        OptionError: it is none of them.
    """
    sizes = {
        "point": latent_size,
        "diagonal": 2 * latent_size,
        "full": FullGaussian.num_outputs(latent_size),
    }
    if posterior not in choices:
        raise OptionError(
            f"expected posterior to be {' or '.join(map(repr, choices))}, got {posterior!r}",
            hint="full covariance costs latent_size^2 / 2 outputs",
        )
    return sizes[posterior]


def dense_pair(
    spec: Specification,
    head: Head,
    latent_size: int,
    num_outputs: int,
    *,
    hidden_size: int,
    num_blocks: int,
    dropout: float,
) -> tuple[InputFeatures, nn.Module, nn.Module]:
    """Inputs, encoder and decoder of residual dense layers, for data of any shape."""
    inputs = InputFeatures(spec)
    encoder = nn.Sequential(
        nn.Flatten(-len(inputs.output_shape)),
        ResidualNetwork(inputs.num_outputs, hidden_size, num_blocks, num_outputs, dropout=dropout),
    )
    decoder = ResidualNetwork(
        latent_size, hidden_size, num_blocks, head.num_features, dropout=dropout
    )
    return inputs, encoder, decoder


def reading(inputs: InputFeatures, network: nn.Module) -> nn.Module:
    """A network of vectors that reads features of any shape."""
    return nn.Sequential(nn.Flatten(-len(inputs.output_shape)), network)


def convolutional_pair(
    spec: Specification,
    head: Head,
    latent_size: int,
    num_outputs: int,
    *,
    channels: int,
    num_blocks: int,
) -> tuple[InputFeatures, nn.Module, nn.Module]:
    """Inputs, encoder and decoder of residual convolutions, for images."""
    if spec.image_shape is None or spec.missing:
        raise OptionError(
            f"expected complete images [height, width] or [height, width, 1 or 3], got data of "
            f"shape {list(spec.shape)}{' with gaps' if spec.missing else ''}",
            hint="use `vae`, whose dense networks take data of any shape",
        )
    if head.feature_shape[1:] != spec.shape:
        raise OptionError(
            f"expected a likelihood of separate cells for convolutions, got {head}",
            hint="use `vae` for likelihoods over whole rows",
        )
    inputs = InputFeatures(spec)
    widths = convolutional_widths(spec.image_shape, channels)
    encoder = nn.Sequential(
        AsImage(spec.shape, spec.image_shape),
        ConvolutionalEncoder(spec.image_shape, widths, num_outputs, num_blocks),
    )
    num_parameters = head.num_features // spec.num_dims
    decoder = ConvolutionalDecoder(
        latent_size, widths[::-1], (num_parameters, *spec.image_shape), num_blocks
    )
    return inputs, encoder, decoder


def convolutional_widths(image_shape: tuple[int, int, int], channels: int) -> tuple[int, ...]:
    """Feature maps after each halving of an image, twice as many as before it."""
    num_halvings = max(1, min(4, min(image_shape[:2]).bit_length() - 2))  # down to 4 to 7 pixels
    return tuple(min(channels * 2**i, 8 * channels) for i in range(num_halvings))


def dense_latent_model(
    spec: Specification,
    *,
    latent_size: int,
    hidden_size: int,
    num_blocks: int,
    dropout: float,
    likelihood: str,
    posterior: str,
    input_noise: float = 0.0,
) -> tuple[LatentVariableModel, Amortized]:
    """Model and posterior of residual dense layers, for data of any kind and shape."""
    head = head_for(spec, likelihood)
    networks = dense_pair(
        spec,
        head,
        latent_size,
        encoder_outputs(posterior, latent_size),
        hidden_size=hidden_size,
        num_blocks=num_blocks,
        dropout=dropout,
    )
    if input_noise:
        networks = (NoisyInputs(networks[0], input_noise), *networks[1:])
    return latent_parts(spec, head, latent_size, posterior, networks)


def latent_parts(
    spec: Specification,
    head: Head,
    latent_size: int,
    posterior: str,
    networks: tuple[nn.Module, nn.Module, nn.Module],
) -> tuple[LatentVariableModel, Amortized]:
    """A standard normal prior, the decoder as likelihood, and a Gaussian encoder."""
    inputs, encoder, decoder = networks
    likelihood = NetworkConditional(decoder, head, Units(spec))
    model = LatentVariableModel(StandardNormalPrior(latent_size), likelihood)
    conditional = (
        DiagonalGaussian(encoder)
        if posterior == "diagonal"
        else FullGaussian(encoder, latent_size)
    )
    return model, Amortized(inputs, conditional)
