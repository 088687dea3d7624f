"""The InfoVAE."""

from __future__ import annotations

from ancestral.core import OptionError, Specification
from ancestral.estimator import Assembly
from ancestral.inference.objectives import InfoVae
from ancestral.recipes.parts import dense_latent_model

__all__ = ["info_vae"]


def info_vae(
    spec: Specification,
    *,
    alpha: float = 0.5,
    prior_weight: float = 100.0,
    latent_size: int = 32,
    hidden_size: int = 512,
    num_blocks: int = 2,
    dropout: float = 0.1,
    likelihood: str = "auto",
    posterior: str = "diagonal",
) -> Assembly:
    """Information maximising variational autoencoder (Zhao, Song & Ermon, 2019).

    Part of each datum's KL is replaced by the maximum mean discrepancy of all codes from the
    prior, so that codes may say more of x.

    Args:
        spec: what the data are.
        alpha: share of the KL that is dropped; 0 keeps it all, 1 is the MMD-VAE.
        prior_weight: lambda; the discrepancy has the weight alpha + lambda - 1, in nats.
        latent_size: latent variables.
        hidden_size: width of the hidden layers.
        num_blocks: residual blocks in the encoder and in the decoder.
        dropout: of the blocks, while training.
        likelihood: p(x | z) by name; auto: by the kind of the data.
        posterior: diagonal, or full for a full covariance.
    """
    if not 0 <= alpha <= 1:
        raise OptionError(
            f"expected alpha, a share of the KL, from 0 to 1, got {alpha}",
            hint="0 keeps the whole KL, 1 drops it; leave out --alpha for a half",
        )
    model, q = dense_latent_model(
        spec,
        latent_size=latent_size,
        hidden_size=hidden_size,
        num_blocks=num_blocks,
        dropout=dropout,
        likelihood=likelihood,
        posterior=posterior,
    )
    return Assembly(model, InfoVae(alpha, prior_weight), q)
