"""Autoregressive decoders p(x | z), for recipes that assemble them in the same way."""

from __future__ import annotations

from torch import nn

from ancestral.core import Kind, OptionError, Specification
from ancestral.distributions import SiteHead
from ancestral.models import AutoregressiveLikelihood, AutoregressiveModel, Units
from ancestral.networks import (
    AsImage,
    ConvolutionalDecoder,
    ConvolutionalEncoder,
    InputFeatures,
    ResidualNetwork,
    SiteMaps,
)
from ancestral.networks.causal import (
    GatedConvolutions,
    MaskedDense,
    MergedContext,
    doubling,
    encoding_for,
)
from ancestral.recipes.image_parts import image_shape
from ancestral.recipes.parts import convolutional_widths
from ancestral.recipes.site_parts import cell_sites

__all__ = ["autoregressive_decoder", "encoder_for", "made_decoder", "pixel_decoder"]

_MOST_FEATURES_OF_A_CELL = 64  # for which each cell has a bias of its own
_MOST_CATEGORIES = 32  # levels that get a logit each
_MAPS = 16  # of the finest resolution of the networks that read and write whole images


def autoregressive_decoder(
    spec: Specification,
    decoder: str,
    latent_size: int,
    *,
    likelihood: str,
    channels: int,
    num_layers: int,
    first_kernel_size: int,
    dilation_cycle: int = 1,
    hidden_size: int,
) -> AutoregressiveLikelihood:
    """p(x | z) by name: `pixel_cnn`, `made`, or `auto` by whether the data are images.

    Raises:
        OptionError: there is no such decoder.
    """
    if decoder == "auto":
        decoder = "made" if spec.image_shape is None else "pixel_cnn"
    if decoder == "made":
        return made_decoder(spec, latent_size, likelihood=likelihood, hidden_size=hidden_size)
    if decoder == "pixel_cnn":
        return pixel_decoder(
            spec,
            latent_size,
            likelihood=likelihood,
            channels=channels,
            num_layers=num_layers,
            first_kernel_size=first_kernel_size,
            dilation_cycle=dilation_cycle,
        )
    raise OptionError(
        f"expected decoder to be 'auto', 'pixel_cnn' or 'made', got {decoder!r}",
        hint="auto takes pixel_cnn for images, and made for everything else",
    )


def pixel_decoder(
    spec: Specification,
    latent_size: int,
    *,
    likelihood: str,
    channels: int,
    num_layers: int,
    first_kernel_size: int,
    dilation_cycle: int = 1,
) -> AutoregressiveLikelihood:
    """Gated convolutions over the pixels before, and transposed ones over z, that meet last."""
    shape = image_shape(spec, "a pixel_cnn decoder", "`pixel_vae --decoder made` takes")
    head = _image_sites(spec, likelihood)
    values = GatedConvolutions(
        shape,
        channels,
        encoding_for(spec),
        size=max(channels, shape[2]),
        num_layers=num_layers,
        first_kernel_size=first_kernel_size,
        dilations=doubling(dilation_cycle),
    )
    shares_bias = head.num_features > _MOST_FEATURES_OF_A_CELL
    network = MergedContext(values, head.num_features, shares_bias=shares_bias)
    widths = convolutional_widths(shape, _MAPS)[::-1]
    upwards = ConvolutionalDecoder(latent_size, widths, (channels, *shape))
    model = AutoregressiveModel(network, head, spec.shape, Units(spec))
    return AutoregressiveLikelihood(model, SiteMaps(upwards, head.num_sites, channels))


def made_decoder(
    spec: Specification, latent_size: int, *, likelihood: str, hidden_size: int
) -> AutoregressiveLikelihood:
    """A masked dense network each of whose layers is given z, through a network of its own."""
    head = cell_sites(spec, likelihood)
    sizes = [head.num_site_features(site) for site in range(head.num_sites)]
    network = MaskedDense(
        head.num_sites,
        sizes,
        encoding_for(spec),
        hidden_sizes=(hidden_size,),
        context_size=hidden_size,
    )
    adapter = ResidualNetwork(latent_size, hidden_size, 1, hidden_size)
    model = AutoregressiveModel(network, head, spec.shape, Units(spec))
    return AutoregressiveLikelihood(model, nn.Sequential(adapter, nn.SiLU()))


def encoder_for(
    spec: Specification, num_outputs: int, *, hidden_size: int, dropout: float
) -> tuple[InputFeatures, nn.Module]:
    """Inputs and encoder: convolutions for complete images, dense layers for all else."""
    inputs = InputFeatures(spec)
    if spec.image_shape is not None and inputs.output_shape == spec.shape:
        widths = convolutional_widths(spec.image_shape, _MAPS)
        return inputs, nn.Sequential(
            AsImage(spec.shape, spec.image_shape),
            ConvolutionalEncoder(spec.image_shape, widths, num_outputs),
        )
    return inputs, nn.Sequential(
        nn.Flatten(-len(inputs.output_shape)),
        ResidualNetwork(inputs.num_outputs, hidden_size, 2, num_outputs, dropout=dropout),
    )


def _image_sites(spec: Specification, likelihood: str) -> SiteHead:
    """The cells of an image; auto: no 256 logits for each, which every sample of z would cost."""
    if likelihood == "auto" and spec.kind is Kind.LEVELS:
        few = (spec.num_levels or 0) <= _MOST_CATEGORIES
        likelihood = "categorical" if few else "discretized-logistic-mixture"
    return cell_sites(spec, likelihood)
