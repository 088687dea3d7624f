"""The variational autoencoder whose prior is a mixture of its own posteriors."""

from __future__ import annotations

from ancestral.core import Specification
from ancestral.estimator import Assembly
from ancestral.inference.bounds import Elbo
from ancestral.inference.gradients import Pathwise
from ancestral.inference.objectives import Variational, WarmUp
from ancestral.models import LatentVariableModel, VampPrior
from ancestral.networks import InputFeatures
from ancestral.recipes.parts import dense_latent_model

__all__ = ["vamp_vae"]


def vamp_vae(
    spec: Specification,
    *,
    num_components: int = 200,
    latent_size: int = 32,
    hidden_size: int = 512,
    num_blocks: int = 2,
    dropout: float = 0.1,
    likelihood: str = "auto",
    kl_warm_up: int = 0,
    free_nats: float = 0.0,
) -> Assembly:
    """VAE with a VampPrior (Tomczak & Welling, 2018): the networks of `vae`, and a learnt prior.

    Args:
        spec: what the data are.
        num_components: pseudo-inputs whose posteriors make the prior.
        latent_size: latent variables.
        hidden_size: width of the hidden layers.
        num_blocks: residual blocks in the encoder and in the decoder.
        dropout: of the blocks, while training.
        likelihood: p(x | z) by name; auto: by the kind of the data.
        kl_warm_up: steps over which the weight of the KL grows from 0 to 1.
        free_nats: KL of each latent variable that costs nothing, counted for all together.
    """
    standard, q = dense_latent_model(
        spec,
        latent_size=latent_size,
        hidden_size=hidden_size,
        num_blocks=num_blocks,
        dropout=dropout,
        likelihood=likelihood,
        posterior="diagonal",
    )
    inputs = q.inputs
    assert isinstance(inputs, InputFeatures)
    prior = VampPrior(inputs, q.encoder, inputs.output_shape, num_components)
    model = LatentVariableModel(prior, standard.likelihood)
    return Assembly(model, Variational(Elbo(), Pathwise(), WarmUp(kl_warm_up), free_nats), q)
