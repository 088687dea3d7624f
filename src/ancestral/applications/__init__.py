"""What a fitted model is used for."""

from ancestral.applications.gibbs_imputing import MetropolisWithinGibbs, PseudoGibbs
from ancestral.applications.importance_imputing import ImportanceImputing
from ancestral.applications.imputation import Imputation
from ancestral.applications.imputing import impute, imputed
from ancestral.applications.imputing_methods import AutomaticImputing, LatentImputing
from ancestral.applications.particles import ParticleFilter

__all__ = [
    "AutomaticImputing",
    "ImportanceImputing",
    "Imputation",
    "LatentImputing",
    "MetropolisWithinGibbs",
    "ParticleFilter",
    "PseudoGibbs",
    "impute",
    "imputed",
]
