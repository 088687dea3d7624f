"""The variational autoencoder with a Rényi bound."""

from __future__ import annotations

from ancestral.core import OptionError, Specification
from ancestral.estimator import Assembly
from ancestral.inference.bounds import Renyi
from ancestral.inference.gradients import Pathwise, SampledIndex
from ancestral.inference.objectives import Variational
from ancestral.recipes.parts import dense_latent_model

__all__ = ["renyi_vae"]

_GRADIENTS = {"all": Pathwise, "one": SampledIndex}


def renyi_vae(
    spec: Specification,
    *,
    alpha: float = 0.5,
    num_samples: int = 5,
    backward: str = "all",
    latent_size: int = 32,
    hidden_size: int = 512,
    num_blocks: int = 2,
    dropout: float = 0.1,
    likelihood: str = "auto",
    posterior: str = "diagonal",
    input_noise: float = 0.0,
) -> Assembly:
    """Variational autoencoder with a Rényi bound (Li & Turner, 2016).

    Between `vae` (alpha 1) and `iwae` (alpha 0), and beyond: minus infinity is VR-max. Below 0 it
    is no bound on log p(x), and the metrics show the importance-weighted one of the same samples.

    Args:
        spec: what the data are.
        alpha: order of the divergence; --alpha=-inf is VR-max.
        num_samples: K, samples of the bound.
        backward: all, or one for the gradient of a single sample drawn by its weight: noisier,
            and faster where num_samples is large.
        latent_size: latent variables.
        hidden_size: width of the hidden layers.
        num_blocks: residual blocks in the encoder and in the decoder.
        dropout: of the blocks, while training.
        likelihood: p(x | z) by name; auto: by the kind of the data.
        posterior: diagonal, or full for a full covariance.
        input_noise: added to the encoder's inputs while training, in units of their spread.
    """
    if backward not in _GRADIENTS:
        raise OptionError(f"expected backward to be 'all' or 'one', got {backward!r}")
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
    objective = Variational(Renyi(float(alpha), num_samples), _GRADIENTS[backward]())
    return Assembly(model, objective, q)
