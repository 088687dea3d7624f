"""What a run carries from step to step, and through a checkpoint."""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import torch
from torch import Tensor, nn

from ancestral.core import RunError
from ancestral.training.averaging import WeightAverage
from ancestral.training.checkpoint import Checkpoint
from ancestral.training.config import TrainingConfig
from ancestral.training.history import History
from ancestral.training.optimizer import AdamW

__all__ = ["CHECKPOINT_FILE", "METRICS_FILE", "TrainingState"]

CHECKPOINT_FILE = "checkpoint/state.safetensors"
METRICS_FILE = "metrics.jsonl"

# choices that a resumed run may change without becoming another run
_FREE_CHOICES = {"epochs", "max_minutes", "patience", "checkpoint_seconds"}


class TrainingState:
    """Position, optimiser, averages, best weights and history of one run.

    Make it with `start`, which resumes a checkpoint if the folder has one.

    Attributes:
        epoch: epochs done.
        batch: batches done of the present epoch.
        step: steps done.
        seconds: spent so far.
        learning_rate: of the last step.
        stopped: why the run ended; "" while it goes on.
    """

    def __init__(self, module: nn.Module, config: TrainingConfig) -> None:
        self.module = module
        self.config = config
        self.epoch = self.batch = self.step = 0
        self.seconds = 0.0
        self.stopped = ""
        self.history = History()
        self.best = -math.inf
        self.best_epoch = 0
        self._best_weights: dict[str, Tensor] = {}
        self._names: list[str] = []
        self._sums: Tensor | None = None
        self._rows = 0
        parameters: list[Tensor] = [p for p in module.parameters() if p.requires_grad]
        self.optimizer = AdamW(parameters, config.weight_decay)
        self.learning_rate = config.learning_rate
        self._average = WeightAverage(module, config.averaging) if config.averaging else None

    @staticmethod
    def start(module: nn.Module, config: TrainingConfig, folder: Path | None) -> TrainingState:
        """A new state, or the one that the folder's checkpoint holds."""
        state = TrainingState(module, config)
        if folder is not None and (folder / CHECKPOINT_FILE).exists():
            state._load(folder)
        return state

    @property
    def epochs_since_best(self) -> int:
        """Epochs since the validation target was last better than ever before."""
        return self.epoch - self.best_epoch

    def took_step(self, terms: dict[str, Tensor], num_rows: int) -> None:
        """Count a step, and add its terms to the epoch's means, on the device."""
        self.step += 1
        self.batch += 1
        if self._average is not None:
            self._average.update(self.step)
        sums = torch.stack(list(terms.values())) * num_rows
        if self._sums is None:
            self._names, self._sums = list(terms), sums
        else:
            self._sums = self._sums + sums
        self._rows += num_rows

    def means(self) -> dict[str, float]:
        """Means over the present epoch so far."""
        if self._sums is None:
            return {}
        return dict(zip(self._names, (self._sums / self._rows).tolist(), strict=True))

    @contextmanager
    def averaged_weights(self) -> Iterator[None]:
        """Inside, the module has the averaged weights, if any are kept."""
        if self._average is None:
            yield
        else:
            with self._average.swapped_in():
                yield

    def end_epoch(self, valid: dict[str, float], target: str, whole: bool) -> None:  # noqa: FBT001
        """Record an epoch (the `whole` of it, or what a time limit left), and keep the best."""
        if whole:
            self.epoch += 1
            self.batch = 0
        score = valid[target] if valid else -math.inf
        if not valid or score > self.best or not self._best_weights:
            self.best, self.best_epoch = score, self.epoch
            self._best_weights = {
                k: v.detach().clone() for k, v in self.module.state_dict().items()
            }
        record = {
            "epoch": self.epoch + (0 if whole else 1),
            "step": self.step,
            "seconds": round(self.seconds, 3),
            "learning_rate": self.learning_rate,
        }
        record |= {f"train/{name}": value for name, value in self.means().items()}
        record |= {f"valid/{name}": value for name, value in valid.items()}
        if valid:
            record["best"] = self.best
        if left_out := int(self.optimizer.left_out):
            record["left_out_steps"] = left_out
        self.history.records.append(record)
        if whole:
            self._sums, self._rows = None, 0

    def restore_best(self) -> None:
        """Give the module the best weights there were."""
        if self._best_weights:
            self.module.load_state_dict(self._best_weights)

    def save(self, folder: Path) -> None:
        """Write the checkpoint and the metrics."""
        checkpoint = Checkpoint()
        checkpoint.add("weights", self.module.state_dict())
        checkpoint.add("optimizer", self.optimizer.state())
        checkpoint.add("best", self._best_weights)
        if self._average is not None:
            checkpoint.add("average", self._average.state())
        if self._sums is not None:
            checkpoint.add("sums", {"values": self._sums})
        checkpoint.numbers = {
            "epoch": self.epoch,
            "batch": self.batch,
            "step": self.step,
            "seconds": self.seconds,
            "stopped": self.stopped,
            "best": None if math.isinf(self.best) else self.best,
            "best_epoch": self.best_epoch,
            "names": self._names,
            "rows": self._rows,
            "left_out": [int(n) for n in self.optimizer.counts_left_out],
            "config": self.config.to_dict(),
            "history": self.history.records,
        }
        checkpoint.save(folder / CHECKPOINT_FILE)
        self.history.save(folder / METRICS_FILE)

    def _load(self, folder: Path) -> None:
        checkpoint = Checkpoint.load(folder / CHECKPOINT_FILE)
        numbers = checkpoint.numbers
        self._refuse_other_choices(numbers["config"])
        device = next(self.module.parameters()).device
        self.module.load_state_dict(checkpoint.part("weights"))
        self.optimizer.load(checkpoint.part("optimizer"))
        self._best_weights = {k: v.to(device) for k, v in checkpoint.part("best").items()}
        if self._average is not None:
            self._average.load(checkpoint.part("average"))
        sums = checkpoint.part("sums")
        self._sums = sums["values"].to(device) if sums else None
        self.epoch, self.batch, self.step = (numbers[k] for k in ("epoch", "batch", "step"))
        self.seconds = numbers["seconds"]
        self.best = -math.inf if numbers["best"] is None else numbers["best"]
        self.best_epoch = numbers["best_epoch"]
        self._names, self._rows = numbers["names"], numbers["rows"]
        for count, saved in zip(self.optimizer.counts_left_out, numbers["left_out"], strict=True):
            count.fill_(saved)
        self.history = History(numbers["history"])
        same_limits = all(
            numbers["config"][name] == self.config.to_dict()[name]
            for name in ("epochs", "max_minutes", "patience")
        )
        # a finished run that is given more epochs, minutes or patience goes on
        self.stopped = numbers["stopped"] if same_limits else ""

    def _refuse_other_choices(self, saved: dict[str, object]) -> None:
        for name, value in self.config.to_dict().items():
            if name not in _FREE_CHOICES and saved.get(name) != value:
                raise RunError(
                    f"the run was started with {name} = {saved.get(name)}, got {value}",
                    hint="resume with the same options, or fit into another folder",
                )
