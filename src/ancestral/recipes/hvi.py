"""Hamiltonian variational inference."""

from __future__ import annotations

from ancestral.core import OptionError, Specification
from ancestral.estimator import Assembly
from ancestral.inference.bounds import Elbo
from ancestral.inference.gradients import Pathwise
from ancestral.inference.objectives import Variational, WarmUp
from ancestral.inference.posteriors import HamiltonianVariational
from ancestral.models import DiagonalGaussian
from ancestral.networks import ResidualNetwork
from ancestral.recipes.parts import dense_latent_model

__all__ = ["hvi"]


def hvi(
    spec: Specification,
    *,
    leapfrog_steps: int = 4,
    tempering: float = 1.0,
    latent_size: int = 32,
    hidden_size: int = 512,
    num_blocks: int = 2,
    inverse_size: int = 256,
    dropout: float = 0.1,
    likelihood: str = "auto",
    posterior: str = "diagonal",
    kl_warm_up: int = 0,
) -> Assembly:
    """`vae` whose posterior follows leapfrog steps on p(x, z) (Salimans et al., 2015).

    Step sizes, and the inverse model of the momentum, are learnt with the rest; the networks of
    model and encoder are those of `vae`.

    Args:
        spec: what the data are.
        leapfrog_steps: each costs a gradient of the decoder, and its derivative in training.
        tempering: momenta start 1 / sqrt(tempering) times as large; 1 for none.
        latent_size: latent variables.
        hidden_size: width of the hidden layers.
        num_blocks: residual blocks in the encoder and in the decoder.
        inverse_size: width of the inverse model r(v | z, x).
        dropout: of the blocks, while training.
        likelihood: p(x | z) by name; auto: by the kind of the data.
        posterior: from which the steps start: diagonal, or full for a full covariance.
        kl_warm_up: steps over which the weight of the KL grows from 0 to 1.
    """
    if not 0 < tempering <= 1:
        raise OptionError(
            f"expected tempering above 0 and at most 1, got {tempering}",
            hint="leave out --tempering for none",
        )
    model, initial = dense_latent_model(
        spec,
        latent_size=latent_size,
        hidden_size=hidden_size,
        num_blocks=num_blocks,
        dropout=dropout,
        likelihood=likelihood,
        posterior=posterior,
    )
    inverse = DiagonalGaussian(ResidualNetwork(3 * latent_size, inverse_size, 1, 2 * latent_size))
    q = HamiltonianVariational(
        initial, inverse, latent_size, num_steps=leapfrog_steps, tempering=tempering
    )
    return Assembly(model, Variational(Elbo(), Pathwise(), WarmUp(kl_warm_up)), q)
