"""Latent-variable models."""

from ancestral.models.latent.autoencoder import Autoencoder
from ancestral.models.latent.model import ExactLogProb, LatentVariableModel
from ancestral.models.latent.ppca import ProbabilisticPCA

__all__ = ["Autoencoder", "ExactLogProb", "LatentVariableModel", "ProbabilisticPCA"]
