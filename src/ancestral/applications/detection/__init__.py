"""Which rows are unlike the data of a model, how sure one is, and what in them is odd."""

from ancestral.applications.detection.dequantizing import as_seen
from ancestral.applications.detection.detector import SCORES, Detector, check_score
from ancestral.applications.detection.examining import (
    Examination,
    check_examined,
    examine,
    has_log_prob,
)
from ancestral.applications.detection.mutation import Mutated
from ancestral.applications.detection.p_values import Calibration, flagged
from ancestral.applications.detection.roc import Separation, separation
from ancestral.applications.detection.statistics import Statistics, statistics_of
from ancestral.applications.detection.transforms import OUTLIERS, outliers
from ancestral.applications.detection.typicality import batch_typicality

__all__ = [
    "OUTLIERS",
    "SCORES",
    "Calibration",
    "Detector",
    "Examination",
    "Mutated",
    "Separation",
    "Statistics",
    "as_seen",
    "batch_typicality",
    "check_examined",
    "check_score",
    "examine",
    "flagged",
    "has_log_prob",
    "outliers",
    "separation",
    "statistics_of",
]
