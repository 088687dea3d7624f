"""Bounds on the evidence: functions of log-weights."""

from ancestral.inference.bounds.bound import Bound
from ancestral.inference.bounds.elbo import Elbo
from ancestral.inference.bounds.importance_weighted import ImportanceWeighted

__all__ = ["Bound", "Elbo", "ImportanceWeighted"]
