"""p only: the story of how data arise; no q, no loss."""

from ancestral.models.autoregressive import AutoregressiveModel, SamplingMethod, Truncation
from ancestral.models.gaussian import DiagonalGaussian, FullGaussian, StandardNormalPrior
from ancestral.models.latent import (
    Autoencoder,
    ExactLogProb,
    LatentVariableModel,
    ProbabilisticPCA,
)
from ancestral.models.network_conditional import NetworkConditional
from ancestral.models.units import Units

__all__ = [
    "Autoencoder",
    "AutoregressiveModel",
    "DiagonalGaussian",
    "ExactLogProb",
    "FullGaussian",
    "LatentVariableModel",
    "NetworkConditional",
    "ProbabilisticPCA",
    "SamplingMethod",
    "StandardNormalPrior",
    "Truncation",
    "Units",
]
