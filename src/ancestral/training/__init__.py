"""Fitting: the loop, its configuration, checkpoints and history."""

from ancestral.training.config import Schedule, TrainingConfig
from ancestral.training.history import History, MetricsWriter, TensorBoardMetrics
from ancestral.training.loop import LossModule, Outcome, train
from ancestral.training.reporting import (
    LineReporter,
    ProgressReporter,
    Reporter,
    Silent,
    reporter_for,
)
from ancestral.training.validation import mean_terms

__all__ = [
    "History",
    "LineReporter",
    "LossModule",
    "MetricsWriter",
    "Outcome",
    "ProgressReporter",
    "Reporter",
    "Schedule",
    "Silent",
    "TensorBoardMetrics",
    "TrainingConfig",
    "mean_terms",
    "reporter_for",
    "train",
]
