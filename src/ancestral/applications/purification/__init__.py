"""Rows that somebody may have tampered with, moved to where a model finds them likely."""

from ancestral.applications.purification.ball import Ball
from ancestral.applications.purification.perturbed import Perturbed, full_scale_of, is_scaled
from ancestral.applications.purification.purifying import (
    Projection,
    has_objective,
    is_bold,
    purify,
)

__all__ = [
    "Ball",
    "Perturbed",
    "Projection",
    "full_scale_of",
    "has_objective",
    "is_bold",
    "is_scaled",
    "purify",
]
