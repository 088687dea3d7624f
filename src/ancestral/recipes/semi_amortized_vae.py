"""The semi-amortised variational autoencoder."""

from __future__ import annotations

from ancestral.core import Specification
from ancestral.estimator import Assembly
from ancestral.inference.bounds import Elbo
from ancestral.inference.gradients import PathwiseClosedFormKl
from ancestral.inference.objectives import Variational, WarmUp
from ancestral.inference.posteriors import SemiAmortized
from ancestral.recipes.parts import dense_latent_model

__all__ = ["semi_amortized_vae"]


def semi_amortized_vae(
    spec: Specification,
    *,
    svi_steps: int = 4,
    latent_size: int = 32,
    hidden_size: int = 512,
    num_blocks: int = 2,
    dropout: float = 0.1,
    likelihood: str = "auto",
    kl_warm_up: int = 0,
    free_nats: float = 0.0,
) -> Assembly:
    """`vae` whose q is refined for each datum by gradient steps (Kim et al., 2018).

    Training differentiates through the steps. The networks are those of `vae`.

    Args:
        spec: what the data are.
        svi_steps: of the mean and scale of each datum's q, from where the encoder says.
        latent_size: latent variables.
        hidden_size: width of the hidden layers.
        num_blocks: residual blocks in the encoder and in the decoder.
        dropout: of the blocks, while training.
        likelihood: p(x | z) by name; auto: by the kind of the data.
        kl_warm_up: steps over which the weight of the KL grows from 0 to 1.
        free_nats: KL of each latent variable that costs nothing.
    """
    model, encoder = dense_latent_model(
        spec,
        latent_size=latent_size,
        hidden_size=hidden_size,
        num_blocks=num_blocks,
        dropout=dropout,
        likelihood=likelihood,
        posterior="diagonal",
    )
    q = SemiAmortized(encoder, latent_size, num_steps=svi_steps)
    objective = Variational(Elbo(), PathwiseClosedFormKl(), WarmUp(kl_warm_up), free_nats)
    return Assembly(model, objective, q)
