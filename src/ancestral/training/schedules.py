"""The learning rate as a function of the step."""

from __future__ import annotations

import math

from ancestral.training.config import Schedule, TrainingConfig

__all__ = ["learning_rate"]


def learning_rate(
    config: TrainingConfig, step: int, num_steps: int, seconds: float = 0.0
) -> float:
    """Learning rate at a step of a run of `num_steps`.

    It depends on nothing else, so that a resumed run has the same; but where there is a limit of
    time, a schedule that ends does so with the time, if that is over sooner.

    Args:
        config: with the schedule.
        step: counted from 0.
        num_steps: after which the run would end.
        seconds: that the run has taken so far.

    Example:
        >>> learning_rate(TrainingConfig(learning_rate=1.0, schedule="cosine"), 50, 100)
        0.5
    """
    warm = config.lr_warmup_steps
    grown = min(1.0, (step + 1) / warm) if warm else 1.0
    progress = step / max(num_steps, 1)
    if config.max_minutes is not None:
        progress = max(progress, seconds / (60 * config.max_minutes))
    progress = min(1.0, progress)
    match config.schedule:
        case Schedule.COSINE:
            factor = 0.5 * (1 + math.cos(math.pi * progress))
        case Schedule.LINEAR:
            factor = 1 - progress
        case _:
            factor = 1.0
    return round(config.learning_rate * grown * factor, 15)
