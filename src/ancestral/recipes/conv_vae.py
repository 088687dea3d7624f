"""The variational autoencoder with convolutions."""

from __future__ import annotations

from ancestral.core import Specification
from ancestral.estimator import Assembly
from ancestral.inference.bounds import Elbo
from ancestral.inference.gradients import PathwiseClosedFormKl
from ancestral.inference.objectives import Variational, WarmUp
from ancestral.recipes.parts import (
    convolutional_pair,
    encoder_outputs,
    head_for,
    latent_parts,
)

__all__ = ["conv_vae"]


def conv_vae(
    spec: Specification,
    *,
    latent_size: int = 32,
    channels: int = 32,
    num_blocks: int = 1,
    likelihood: str = "auto",
    posterior: str = "diagonal",
    kl_warm_up: int = 0,
    free_nats: float = 0.0,
) -> Assembly:
    """Variational autoencoder for images, with residual convolutions (Salimans et al., 2015).

    Args:
        spec: what the data are: images of any size, grey or coloured.
        latent_size: latent variables.
        channels: feature maps at the finest resolution; coarser ones have more.
        num_blocks: residual blocks at each resolution.
        likelihood: p(x | z) by name; auto: by the kind of the data.
        posterior: diagonal, or full for a full covariance.
        kl_warm_up: steps over which the weight of the KL grows from 0 to 1.
        free_nats: KL of each latent variable that costs nothing.
    """
    head = head_for(spec, likelihood)
    networks = convolutional_pair(
        spec,
        head,
        latent_size,
        encoder_outputs(posterior, latent_size),
        channels=channels,
        num_blocks=num_blocks,
    )
    model, q = latent_parts(spec, head, latent_size, posterior, networks)
    objective = Variational(Elbo(), PathwiseClosedFormKl(), WarmUp(kl_warm_up), free_nats)
    return Assembly(model, objective, q)
