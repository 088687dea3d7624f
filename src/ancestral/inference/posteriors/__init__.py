"""q(z | x)."""

from ancestral.inference.posteriors.amortized import Amortized
from ancestral.inference.posteriors.exact import ExactPosterior
from ancestral.inference.posteriors.per_datum import (
    ColdStart,
    FittedRows,
    PerDatum,
    Refinement,
    WarmStart,
)
from ancestral.inference.posteriors.posterior import (
    ParametricPosterior,
    Posterior,
    ScoresItsDraws,
)

__all__ = [
    "Amortized",
    "ColdStart",
    "ExactPosterior",
    "FittedRows",
    "ParametricPosterior",
    "PerDatum",
    "Posterior",
    "Refinement",
    "ScoresItsDraws",
    "WarmStart",
]
