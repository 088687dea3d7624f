"""Bounds on the evidence: functions of log-weights."""

from ancestral.inference.bounds.bound import Bound, BoundKind, reported
from ancestral.inference.bounds.chi import Chi
from ancestral.inference.bounds.elbo import Elbo
from ancestral.inference.bounds.importance_weighted import ImportanceWeighted
from ancestral.inference.bounds.jackknife import Jackknife
from ancestral.inference.bounds.multiple import Ciwae, Miwae
from ancestral.inference.bounds.renyi import Renyi

__all__ = [
    "Bound",
    "BoundKind",
    "Chi",
    "Ciwae",
    "Elbo",
    "ImportanceWeighted",
    "Jackknife",
    "Miwae",
    "Renyi",
    "reported",
]
