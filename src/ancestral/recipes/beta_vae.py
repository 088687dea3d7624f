"""The beta-VAE."""

from __future__ import annotations

from ancestral.core import OptionError, Specification
from ancestral.estimator import Assembly
from ancestral.inference.objectives import Capacity, WarmUp, WeightedKl
from ancestral.recipes.parts import dense_latent_model

__all__ = ["beta_vae"]


def beta_vae(
    spec: Specification,
    *,
    beta: float = 4.0,
    capacity: float | None = None,
    capacity_steps: int = 20_000,
    strength: float = 30.0,
    latent_size: int = 32,
    hidden_size: int = 512,
    num_blocks: int = 2,
    dropout: float = 0.1,
    likelihood: str = "auto",
    posterior: str = "diagonal",
    kl_warm_up: int = 0,
) -> Assembly:
    """Variational autoencoder with another price on the KL (Higgins et al., 2017).

    Above 1, beta buys fewer latent variables in use, and codes that are easier to read; below 1,
    better reconstructions. Either way log p(x) pays for it.

    Args:
        spec: what the data are.
        beta: price of a nat of KL; 1 is `vae`.
        capacity: nats at which the KL is held instead (Burgess et al., 2018); beta is not used
            then.
        capacity_steps: over which the capacity grows from 0.
        strength: price of a nat of KL away from the capacity.
        latent_size: latent variables.
        hidden_size: width of the hidden layers.
        num_blocks: residual blocks in the encoder and in the decoder.
        dropout: of the blocks, while training.
        likelihood: p(x | z) by name; auto: by the kind of the data.
        posterior: diagonal, or full for a full covariance.
        kl_warm_up: steps over which beta grows from 0; not together with a capacity.
    """
    if capacity is not None and kl_warm_up:
        raise OptionError(
            f"expected either a capacity or a warm-up of the KL, got {capacity} and {kl_warm_up}",
            hint="the capacity grows by itself, over --capacity-steps; leave out --kl-warm-up",
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
    if capacity is not None:
        return Assembly(model, Capacity(capacity, capacity_steps, strength), q)
    return Assembly(model, WeightedKl(beta, warm_up=WarmUp(kl_warm_up)), q)
