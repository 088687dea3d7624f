"""Every choice of a training run, in one frozen object."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from ancestral.core import OptionError, Precision

__all__ = ["Schedule", "TrainingConfig"]


class Schedule(StrEnum):
    """How the learning rate changes over the run."""

    CONSTANT = "constant"
    COSINE = "cosine"  # to zero at the end (Loshchilov & Hutter, 2017)
    LINEAR = "linear"  # to zero at the end


@dataclass(frozen=True)
class TrainingConfig:
    """How a model is trained. What is None follows from the size of the data.

    Args:
        epochs: passes over the data at most; None: enough for about 60,000 steps, at most 1,000.
        max_minutes: wall-clock limit, over all resumed parts together; None for none.
        batch_size: rows for each step.
        learning_rate: of Adam.
        schedule: of the learning rate. Cosine and linear end with the last epoch, or with
            max_minutes if that is sooner: two runs that follow the clock are never quite equal.
        lr_warmup_steps: steps over which the learning rate grows from 0 first.
        weight_decay: decoupled (AdamW).
        clip_norm: gradients of a larger norm are scaled down to it, and a step whose gradient is
            not finite is left out; None for neither.
        averaging: decay of the exponential moving average of the weights, which is what is
            validated and kept; 0 for none.
        patience: epochs without a better validation bound until training stops; None: as long
            as 3,000 steps and at least 15 epochs; 0 for no early stopping.
        precision: bf16 runs matrix products in bfloat16; auto does where it is fast.
        compile: pass the loss through `torch.compile` (the first steps take up to a minute).
        checkpoint_seconds: time between checkpoints.
        seed: of weights, permutations and noise.
    """

    epochs: int | None = None
    max_minutes: float | None = None
    batch_size: int = 100
    learning_rate: float = 1e-3
    schedule: Schedule = Schedule.CONSTANT
    lr_warmup_steps: int = 0
    weight_decay: float = 0.0
    clip_norm: float | None = None
    averaging: float = 0.999
    patience: int | None = None
    precision: Precision = Precision.AUTO
    compile: bool = False
    checkpoint_seconds: float = 30.0
    seed: int = 0

    def __post_init__(self) -> None:
        limits: list[tuple[str, bool, str]] = [
            ("epochs", self.epochs is None or self.epochs >= 1, "at least 1"),
            ("max_minutes", self.max_minutes is None or self.max_minutes > 0, "above 0"),
            ("batch_size", self.batch_size >= 1, "at least 1"),
            ("learning_rate", 0 < self.learning_rate < float("inf"), "above 0"),
            ("lr_warmup_steps", self.lr_warmup_steps >= 0, "at least 0"),
            ("weight_decay", self.weight_decay >= 0, "at least 0"),
            ("clip_norm", self.clip_norm is None or self.clip_norm > 0, "above 0"),
            ("averaging", 0 <= self.averaging < 1, "in [0, 1)"),
            ("patience", self.patience is None or self.patience >= 0, "at least 0"),
            ("checkpoint_seconds", self.checkpoint_seconds >= 0, "at least 0"),
        ]
        for name, holds, what in limits:
            if not holds:
                raise OptionError(f"expected {name} {what}, got {getattr(self, name)}")
        # plain strings come from JSON and the command line
        object.__setattr__(self, "precision", _member(Precision, self.precision, "precision"))
        object.__setattr__(self, "schedule", _member(Schedule, self.schedule, "schedule"))

    def resolved(self, num_rows: int) -> TrainingConfig:
        """The same, with what follows from the size of the data filled in.

        Example:
            >>> TrainingConfig().resolved(50_000).epochs, TrainingConfig().resolved(100).epochs
            (120, 1000)
        """
        steps_per_epoch = self.steps_per_epoch(num_rows)
        epochs = self.epochs or min(max(-(-60_000 // steps_per_epoch), 20), 1000)
        patience = self.patience
        if patience is None:
            patience = max(15, -(-3000 // steps_per_epoch))
        return dataclasses.replace(self, epochs=epochs, patience=patience)

    def steps_per_epoch(self, num_rows: int) -> int:
        """Batches in one pass; the last may be smaller."""
        return max(1, -(-num_rows // self.batch_size))

    def to_dict(self) -> dict[str, Any]:
        """For JSON."""
        return {k: str(v) if isinstance(v, StrEnum) else v for k, v in vars(self).items()}

    @staticmethod
    def from_dict(d: Mapping[str, Any]) -> TrainingConfig:
        """Undo `to_dict`; unknown names are errors."""
        known = {f.name for f in dataclasses.fields(TrainingConfig)}
        for name in d:
            if name not in known:
                raise OptionError(
                    f"unknown training option {name!r}",
                    hint="there are: " + ", ".join(sorted(known)),
                )
        return TrainingConfig(**d)


def _member(enum: type[StrEnum], value: str, name: str) -> StrEnum:
    try:
        return enum(value)
    except ValueError:
        choices = ", ".join(repr(str(m)) for m in enum)
        raise OptionError(f"expected {name} to be one of {choices}, got {value!r}") from None
