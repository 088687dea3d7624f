"""q(z | x)."""

from ancestral.inference.posteriors.amortized import Amortized
from ancestral.inference.posteriors.auxiliary import AuxiliaryVariables
from ancestral.inference.posteriors.discrete import (
    DiscreteLayers,
    DiscretePosterior,
    discrete_layers,
)
from ancestral.inference.posteriors.exact import ExactPosterior
from ancestral.inference.posteriors.hamiltonian import HamiltonianVariational
from ancestral.inference.posteriors.layered import BottomUp, Ladder
from ancestral.inference.posteriors.per_datum import (
    ColdStart,
    FittedRows,
    PerDatum,
    Refinement,
    WarmStart,
)
from ancestral.inference.posteriors.point_mass import PointMass
from ancestral.inference.posteriors.posterior import (
    LogQKind,
    ParametricPosterior,
    Posterior,
    ScoresItsDraws,
)
from ancestral.inference.posteriors.refined import HmcRefined, L2hmcPosterior, Refined
from ancestral.inference.posteriors.rejection import RejectionSampled
from ancestral.inference.posteriors.resampled import ImportanceResampled
from ancestral.inference.posteriors.semi_amortized import (
    SemiAmortized,
    StraightThrough,
    ThroughSteps,
)

__all__ = [
    "Amortized",
    "AuxiliaryVariables",
    "BottomUp",
    "ColdStart",
    "DiscreteLayers",
    "DiscretePosterior",
    "ExactPosterior",
    "FittedRows",
    "HamiltonianVariational",
    "HmcRefined",
    "ImportanceResampled",
    "L2hmcPosterior",
    "Ladder",
    "LogQKind",
    "ParametricPosterior",
    "PerDatum",
    "PointMass",
    "Posterior",
    "Refined",
    "Refinement",
    "RejectionSampled",
    "ScoresItsDraws",
    "SemiAmortized",
    "StraightThrough",
    "ThroughSteps",
    "WarmStart",
    "discrete_layers",
]
