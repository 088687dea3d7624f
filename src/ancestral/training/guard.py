"""Stop when the loss is not a number, and say why."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from ancestral.core import Batch, NonFiniteLoss
from ancestral.inference.objectives import Loss
from ancestral.training.config import TrainingConfig

__all__ = ["FiniteGuard"]

_INTERVAL_ON_ACCELERATOR = 25  # reading a loss there waits for the whole queue of kernels


class FiniteGuard:
    """Watches losses, at next to no cost.

    On the CPU each loss is looked at before the weights take the step. On an accelerator the
    first bad step is remembered there and read now and then, and before each checkpoint, so
    that a checkpoint is never poisoned.
    """

    def __init__(self, config: TrainingConfig, device: torch.device) -> None:
        self._config = config
        self._interval = 1 if device.type == "cpu" else _INTERVAL_ON_ACCELERATOR
        self._first_bad = torch.full((), -1, dtype=torch.int64, device=device)

    def watch(self, loss: Tensor, step: int) -> bool:
        """Look at a loss; True if a bad one is known of."""
        if self._interval == 1:
            return not math.isfinite(loss.item())
        bad = ~loss.detach().isfinite() & (self._first_bad < 0)
        self._first_bad = torch.where(bad, step, self._first_bad)
        return step % self._interval == 0 and self.has_seen_bad()

    def has_seen_bad(self) -> bool:
        """Whether any loss so far was bad."""
        return int(self._first_bad) >= 0

    def first_bad_step(self, step: int) -> int:
        """The step of the first bad loss; `step` where losses are looked at one by one."""
        return step if self._interval == 1 else int(self._first_bad)

    def error(self, module: nn.Module, batch: Batch, loss: Loss, step: int) -> NonFiniteLoss:
        """What happened, at which step and rows, and the likely cause."""
        rows = "" if batch.index is None else _some(batch.index.tolist())
        return NonFiniteLoss(
            f"the loss is not finite at step {step}{rows}: {self._cause(module, batch, loss)}",
            hint="the last good checkpoint is kept; lower --learning-rate, set --clip-norm 100, "
            "or look at those rows",
        )

    def _cause(self, module: nn.Module, batch: Batch, loss: Loss) -> str:
        if not bool(batch.x.isfinite().all()):
            return "the rows themselves hold numbers that are not finite"
        broken = [n for n, p in module.named_parameters() if not bool(p.isfinite().all())]
        if broken:
            return (
                f"the weights {broken[0]} are not finite after an earlier step that was too long"
            )
        terms = [n.replace("_", " ") for n, v in loss.terms.items() if not bool(v.isfinite())]
        where = f"the term {terms[0]!r} overflowed" if terms else "a term overflowed"
        largest = float(batch.x.abs().max())
        if largest > 1e4:
            return f"{where}; the rows hold numbers as large as {largest:.3g}"
        return f"{where}; the learning rate {self._config.learning_rate:g} may be too high"


def _some(rows: list[int]) -> str:
    shown = ", ".join(map(str, rows[:8]))
    return f" (rows {shown}{', ...' if len(rows) > 8 else ''})"
