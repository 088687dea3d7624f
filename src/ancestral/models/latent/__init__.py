"""Latent-variable models."""

from ancestral.models.latent.autoencoder import Autoencoder
from ancestral.models.latent.model import LatentVariableModel
from ancestral.models.latent.ppca import ProbabilisticPCA

__all__ = ["Autoencoder", "LatentVariableModel", "ProbabilisticPCA"]
