"""The variational autoencoder with an autoregressive decoder."""

from __future__ import annotations

from ancestral.core import Specification
from ancestral.estimator import Assembly
from ancestral.inference.bounds import Elbo
from ancestral.inference.gradients import PathwiseClosedFormKl
from ancestral.inference.objectives import Variational, WarmUp
from ancestral.inference.posteriors import Amortized
from ancestral.models import DiagonalGaussian, LatentVariableModel, StandardNormalPrior
from ancestral.recipes.decoder_parts import autoregressive_decoder, encoder_for

__all__ = ["pixel_vae"]


def pixel_vae(
    spec: Specification,
    *,
    latent_size: int = 32,
    decoder: str = "auto",
    channels: int = 32,
    num_layers: int = 2,
    first_kernel_size: int = 7,
    dilation_cycle: int = 1,
    hidden_size: int = 512,
    dropout: float = 0.1,
    likelihood: str = "auto",
    kl_warm_up: int = 1000,
    free_nats: float = 0.0,
) -> Assembly:
    """PixelVAE (Gulrajani et al., 2017): z says what cells have in common, neighbours the rest.

    Args:
        spec: what the data are: complete; images for the pixel_cnn decoder.
        latent_size: latent variables.
        decoder: pixel_cnn, made (for rows of any shape), or auto by whether the data are images.
        channels: of pixel_cnn: feature maps.
        num_layers: of pixel_cnn: gated layers; each of them sees a pixel farther.
        first_kernel_size: of pixel_cnn: of the first layer, odd.
        dilation_cycle: of pixel_cnn: layers after the first have dilations 1, 2, 4, ..., so many
            of them, and again from 1.
        hidden_size: of made and of dense encoders: width of the hidden layers.
        dropout: of dense encoders, while training.
        likelihood: of a cell; auto: by the kind of the data, for many levels a mixture of
            logistics.
        kl_warm_up: steps over which the weight of the KL grows from 0 to 1.
        free_nats: KL of each latent variable that costs nothing.
    """
    conditional = autoregressive_decoder(
        spec,
        decoder,
        latent_size,
        likelihood=likelihood,
        channels=channels,
        num_layers=num_layers,
        first_kernel_size=first_kernel_size,
        dilation_cycle=dilation_cycle,
        hidden_size=hidden_size,
    )
    inputs, encoder = encoder_for(spec, 2 * latent_size, hidden_size=hidden_size, dropout=dropout)
    model = LatentVariableModel(StandardNormalPrior(latent_size), conditional)
    objective = Variational(Elbo(), PathwiseClosedFormKl(), WarmUp(kl_warm_up), free_nats)
    return Assembly(model, objective, Amortized(inputs, DiagonalGaussian(encoder)))
