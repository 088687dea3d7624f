"""log p(x) as an `Estimate`."""

from ancestral.inference.evidence.annealed import Annealed, AnnealedImportance
from ancestral.inference.evidence.annealing import Start, sigmoid_schedule
from ancestral.inference.evidence.bidirectional import Bidirectional, Sandwich
from ancestral.inference.evidence.evidence import (
    EvidenceMethod,
    Exact,
    Importance,
    default_method,
    has_proposal,
)
from ancestral.inference.evidence.importance import importance_sampled, log_weights, summarized
from ancestral.inference.evidence.pareto import pareto_khat
from ancestral.inference.evidence.smoothed import ParetoSmoothed, smoothed_log_weights

__all__ = [
    "Annealed",
    "AnnealedImportance",
    "Bidirectional",
    "EvidenceMethod",
    "Exact",
    "Importance",
    "ParetoSmoothed",
    "Sandwich",
    "Start",
    "default_method",
    "has_proposal",
    "importance_sampled",
    "log_weights",
    "pareto_khat",
    "sigmoid_schedule",
    "smoothed_log_weights",
    "summarized",
]
