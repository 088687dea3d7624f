"""The scikit-learn-shaped front door."""

from ancestral.estimator.estimator import DensityEstimator
from ancestral.estimator.recipe import TRAINING_OPTIONS, Assembly, Recipe
from ancestral.estimator.runs import RunConfig, check_folder

__all__ = [
    "TRAINING_OPTIONS",
    "Assembly",
    "DensityEstimator",
    "Recipe",
    "RunConfig",
    "check_folder",
]
