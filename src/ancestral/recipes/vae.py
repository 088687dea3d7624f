"""The variational autoencoder."""

from __future__ import annotations

from ancestral.core import OptionError, Specification
from ancestral.estimator import Assembly
from ancestral.inference.bounds import Elbo
from ancestral.inference.gradients import (
    GradientEstimator,
    Pathwise,
    PathwiseClosedFormKl,
    StickTheLanding,
)
from ancestral.inference.objectives import Variational, WarmUp
from ancestral.recipes.parts import dense_latent_model

__all__ = ["vae"]

_GRADIENTS = {
    "closed-form": PathwiseClosedFormKl,
    "pathwise": Pathwise,
    "stick-the-landing": StickTheLanding,
}


def vae(
    spec: Specification,
    *,
    latent_size: int = 32,
    hidden_size: int = 512,
    num_blocks: int = 2,
    dropout: float = 0.1,
    likelihood: str = "auto",
    posterior: str = "diagonal",
    gradient: str = "closed-form",
    input_noise: float = 0.0,
    kl_warm_up: int = 0,
    free_nats: float = 0.0,
) -> Assembly:
    """Variational autoencoder (Kingma & Welling, 2014; Rezende et al., 2014).

    The closed-form KL estimator (B) and a diagonal Gaussian posterior are the paper's; residual
    dense layers with layer normalisation instead of its single hidden layer are ours.

    Args:
        spec: what the data are.
        latent_size: latent variables.
        hidden_size: width of the hidden layers.
        num_blocks: residual blocks in the encoder and in the decoder.
        dropout: of the blocks, while training.
        likelihood: p(x | z) by name; auto: by the kind of the data.
        posterior: diagonal, or full for a full covariance.
        gradient: closed-form integrates the KL, pathwise samples it, and stick-the-landing samples
            it without the noise of the score of q (Roeder et al., 2017).
        input_noise: added to the encoder's inputs while training, in units of their spread.
        kl_warm_up: steps over which the weight of the KL grows from 0 to 1.
        free_nats: KL of each latent variable that costs nothing.
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
    objective = Variational(Elbo(), _estimator(gradient), WarmUp(kl_warm_up), free_nats)
    return Assembly(model, objective, q)


def _estimator(name: str) -> GradientEstimator:
    if name not in _GRADIENTS:
        raise OptionError(
            f"expected gradient to be one of {', '.join(_GRADIENTS)}, got {name!r}",
            hint="closed-form is the usual one",
        )
    return _GRADIENTS[name]()
