"""The importance-weighted autoencoder."""

from __future__ import annotations

from ancestral.core import Specification
from ancestral.estimator import Assembly
from ancestral.inference.bounds import ImportanceWeighted
from ancestral.inference.gradients import Pathwise
from ancestral.inference.objectives import Variational
from ancestral.recipes.parts import dense_latent_model

__all__ = ["iwae"]


def iwae(
    spec: Specification,
    *,
    num_samples: int = 5,
    latent_size: int = 32,
    hidden_size: int = 512,
    num_blocks: int = 2,
    dropout: float = 0.1,
    likelihood: str = "auto",
    posterior: str = "diagonal",
    input_noise: float = 0.0,
) -> Assembly:
    """Importance-weighted autoencoder (Burda et al., 2016): a tighter bound than `vae`'s.

    Args:
        spec: what the data are.
        num_samples: K, importance samples of the bound.
        latent_size: latent variables.
        hidden_size: width of the hidden layers.
        num_blocks: residual blocks in the encoder and in the decoder.
        dropout: of the blocks, while training.
        likelihood: p(x | z) by name; auto: by the kind of the data.
        posterior: diagonal, or full for a full covariance.
        input_noise: added to the encoder's inputs while training, in units of their spread.
    """
    model, q = dense_latent_model(
        spec,
        latent_size=latent_size,
        hidden_size=hidden_size,
        num_blocks=num_blocks,
        dropout=dropout,
        likelihood=likelihood,
        posterior=posterior,
        input_noise=input_noise,
    )
    return Assembly(model, Variational(ImportanceWeighted(num_samples), Pathwise()), q)
