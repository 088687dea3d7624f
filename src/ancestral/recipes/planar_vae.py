"""The variational autoencoder with planar flows."""

from __future__ import annotations

from ancestral.core import Specification
from ancestral.estimator import Assembly
from ancestral.flows import Planar
from ancestral.inference.gradients import StickTheLanding
from ancestral.recipes.flow_parts import flow_autoencoder

__all__ = ["planar_vae"]


def planar_vae(
    spec: Specification,
    *,
    num_flows: int = 10,
    latent_size: int = 32,
    hidden_size: int = 512,
    num_blocks: int = 2,
    dropout: float = 0.1,
    context_size: int = 128,
    likelihood: str = "auto",
    kl_warm_up: int = 0,
) -> Assembly:
    """Variational autoencoder with planar flows (Rezende & Mohamed, 2015).

    Each datum has planes of its own, which the encoder gives. The gradient leaves out the score
    term (Roeder et al., 2017): its noise would hide what the flow can gain.

    Args:
        spec: what the data are.
        num_flows: planar maps that turn the diagonal Gaussian into the posterior.
        latent_size: latent variables.
        hidden_size: width of the hidden layers.
        num_blocks: residual blocks in the encoder and in the decoder.
        dropout: of the blocks, while training.
        context_size: numbers from which each datum's posterior is made.
        likelihood: p(x | z) by name; auto: by the kind of the data.
        kl_warm_up: steps over which the weight of the KL grows from 0 to 1.
    """
    return flow_autoencoder(
        spec,
        Planar(latent_size, num_flows, context_size=context_size),
        StickTheLanding(),
        hidden_size=hidden_size,
        num_blocks=num_blocks,
        dropout=dropout,
        likelihood=likelihood,
        kl_warm_up=kl_warm_up,
    )
