"""p only: the story of how data arise; no q, no loss."""

from ancestral.models.autoregressive import (
    AutoregressiveModel,
    Drawn,
    OrderEnsemble,
    SamplingMethod,
    Truncation,
    random_orders,
)
from ancestral.models.bayes_net import BayesNet, ChowLiuTree, FixedStructure, HillClimbing
from ancestral.models.exact import ExactLogProb, exact_log_prob
from ancestral.models.gaussian import DiagonalGaussian, FullGaussian, StandardNormalPrior
from ancestral.models.latent import (
    Autoencoder,
    AutoregressiveLikelihood,
    AutoregressivePrior,
    FirstLayer,
    FreePrior,
    LatentConditional,
    LatentVariableModel,
    LayeredPrior,
    Likelihood,
    MixturePrior,
    ProbabilisticPCA,
    VampPrior,
)
from ancestral.models.network_conditional import NetworkConditional
from ancestral.models.normal_mixture import MixtureOfGaussians
from ancestral.models.units import Units

__all__ = [
    "Autoencoder",
    "AutoregressiveLikelihood",
    "AutoregressiveModel",
    "AutoregressivePrior",
    "BayesNet",
    "ChowLiuTree",
    "DiagonalGaussian",
    "Drawn",
    "ExactLogProb",
    "FirstLayer",
    "FixedStructure",
    "FreePrior",
    "FullGaussian",
    "HillClimbing",
    "LatentConditional",
    "LatentVariableModel",
    "LayeredPrior",
    "Likelihood",
    "MixtureOfGaussians",
    "MixturePrior",
    "NetworkConditional",
    "OrderEnsemble",
    "ProbabilisticPCA",
    "SamplingMethod",
    "StandardNormalPrior",
    "Truncation",
    "Units",
    "VampPrior",
    "exact_log_prob",
    "random_orders",
]
