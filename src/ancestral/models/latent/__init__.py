"""Latent-variable models."""

from ancestral.models.latent.autoencoder import Autoencoder
from ancestral.models.latent.autoregressive_likelihood import AutoregressiveLikelihood
from ancestral.models.latent.autoregressive_prior import AutoregressivePrior
from ancestral.models.latent.conditionals import FreePrior, LatentConditional
from ancestral.models.latent.layered import FirstLayer, LayeredPrior
from ancestral.models.latent.likelihood import Likelihood
from ancestral.models.latent.mixture_priors import MixturePrior, VampPrior
from ancestral.models.latent.model import LatentVariableModel
from ancestral.models.latent.ppca import ProbabilisticPCA

__all__ = [
    "Autoencoder",
    "AutoregressiveLikelihood",
    "AutoregressivePrior",
    "FirstLayer",
    "FreePrior",
    "LatentConditional",
    "LatentVariableModel",
    "LayeredPrior",
    "Likelihood",
    "MixturePrior",
    "ProbabilisticPCA",
    "VampPrior",
]
