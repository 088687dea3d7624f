"""The learning rate as a function of the step."""

from __future__ import annotations

import math

from ancestral.training.config import Schedule, TrainingConfig

__all__ = ["learning_rate"]


def learning_rate(config: TrainingConfig, step: int, num_steps: int) -> float:
    """Learning rate at a step of a run of `num_steps`.

    It depends on nothing else, so that a resumed run has the same.

    Example:
        >>> learning_rate(TrainingConfig(learning_rate=1.0, schedule="cosine"), 50, 100)
        0.5
    """
    warm = config.lr_warmup_steps
    grown = min(1.0, (step + 1) / warm) if warm else 1.0
    progress = min(1.0, step / max(num_steps, 1))
    match config.schedule:
        case Schedule.COSINE:
            factor = 0.5 * (1 + math.cos(math.pi * progress))
        case Schedule.LINEAR:
            factor = 1 - progress
        case _:
            factor = 1.0
    return round(config.learning_rate * grown * factor, 15)
