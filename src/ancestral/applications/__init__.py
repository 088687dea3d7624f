"""What a fitted model is used for."""

from ancestral.applications.imputation import Imputation
from ancestral.applications.imputing import impute, imputed
from ancestral.applications.particles import ParticleFilter

__all__ = ["Imputation", "ParticleFilter", "impute", "imputed"]
