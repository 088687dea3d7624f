"""Gradient estimators."""

from ancestral.inference.gradients.estimator import GradientEstimator, KlPenalty, Surrogate
from ancestral.inference.gradients.pathwise import Pathwise, PathwiseClosedFormKl

__all__ = ["GradientEstimator", "KlPenalty", "Pathwise", "PathwiseClosedFormKl", "Surrogate"]
