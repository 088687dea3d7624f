"""The plain autoencoder."""

from __future__ import annotations

from ancestral.core import Specification
from ancestral.estimator import Assembly
from ancestral.inference.objectives import Reconstruction
from ancestral.models import Autoencoder, NetworkConditional, Units
from ancestral.recipes.parts import dense_pair, head_for

__all__ = ["autoencoder"]


def autoencoder(
    spec: Specification,
    *,
    latent_size: int = 32,
    hidden_size: int = 512,
    num_blocks: int = 2,
    dropout: float = 0.1,
    likelihood: str = "auto",
) -> Assembly:
    """Plain autoencoder (Hinton & Salakhutdinov, 2006): no prior, hence no log p and no samples.

    Args:
        spec: what the data are.
        latent_size: numbers in a code.
        hidden_size: width of the hidden layers.
        num_blocks: residual blocks in the encoder and in the decoder.
        dropout: of the blocks, while training.
        likelihood: whose -log p(x | z) is the reconstruction error; auto: by the kind of data.
    """
    head = head_for(spec, likelihood)
    inputs, encoder, decoder = dense_pair(
        spec,
        head,
        latent_size,
        latent_size,
        hidden_size=hidden_size,
        num_blocks=num_blocks,
        dropout=dropout,
    )
    model = Autoencoder(inputs, encoder, NetworkConditional(decoder, head, Units(spec)))
    return Assembly(model, Reconstruction())
