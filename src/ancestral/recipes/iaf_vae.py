"""The variational autoencoder with inverse autoregressive flow."""

from __future__ import annotations

from ancestral.core import Specification
from ancestral.estimator import Assembly
from ancestral.flows import InverseAutoregressive
from ancestral.inference.gradients import StickTheLanding
from ancestral.recipes.flow_parts import flow_autoencoder

__all__ = ["iaf_vae"]


def iaf_vae(
    spec: Specification,
    *,
    num_flows: int = 2,
    flow_size: int = 256,
    latent_size: int = 32,
    hidden_size: int = 512,
    num_blocks: int = 2,
    dropout: float = 0.1,
    context_size: int = 128,
    likelihood: str = "auto",
    kl_warm_up: int = 0,
) -> Assembly:
    """Variational autoencoder with inverse autoregressive flow (Kingma et al., 2016).

    The encoder gives the context of every map. The gradient leaves out the score term (Roeder et
    al., 2017): its noise would hide what the flow can gain.

    Args:
        spec: what the data are.
        num_flows: autoregressive maps, in orders that are reversed in turn.
        flow_size: width of the hidden layer of each map's masked network.
        latent_size: latent variables.
        hidden_size: width of the hidden layers.
        num_blocks: residual blocks in the encoder and in the decoder.
        dropout: of the blocks, while training.
        context_size: numbers from which each datum's posterior is made.
        likelihood: p(x | z) by name; auto: by the kind of the data.
        kl_warm_up: steps over which the weight of the KL grows from 0 to 1.
    """
    flow = InverseAutoregressive(
        latent_size, num_flows, hidden_sizes=(flow_size,), context_size=context_size
    )
    return flow_autoencoder(
        spec,
        flow,
        StickTheLanding(),
        hidden_size=hidden_size,
        num_blocks=num_blocks,
        dropout=dropout,
        likelihood=likelihood,
        kl_warm_up=kl_warm_up,
    )
