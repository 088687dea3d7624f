"""log p(x) as an `Estimate`."""

from ancestral.inference.evidence.evidence import (
    EvidenceMethod,
    Exact,
    Importance,
    default_method,
)
from ancestral.inference.evidence.importance import importance_sampled, log_weights, summarized
from ancestral.inference.evidence.pareto import pareto_khat

__all__ = [
    "EvidenceMethod",
    "Exact",
    "Importance",
    "default_method",
    "importance_sampled",
    "log_weights",
    "pareto_khat",
    "summarized",
]
