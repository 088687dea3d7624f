"""Stop when the loss is not a number, and say why."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from ancestral.core import Batch, NonFiniteLoss, Precision
from ancestral.inference.objectives import Loss
from ancestral.training.config import TrainingConfig

__all__ = ["FiniteGuard"]

_HUGE_WEIGHT = 1e4
_HUGE_CELL = 1e4
_FAST = 0.05  # a learning rate of Adam that dense networks hardly bear
_DIVERGED = 10.0  # times the first value, by which a sane run does not fall
_MOST_LEFT_OUT = 25  # steps in a row whose gradient is not finite
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
        self._first_target: Tensor | None = None
        self._told_left_out = 0
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
        cause, hint = self._cause(module, batch, loss)
        return NonFiniteLoss(
            f"the loss is not finite at step {step}{rows}: {cause}",
            hint=f"the last good checkpoint is kept; {hint}",
        )

    def is_stuck(self, left_out_in_a_row: Tensor, step: int) -> bool:
        """Whether so many gradients were not finite that none will be."""
        return step % self._interval == 0 and int(left_out_in_a_row) >= _MOST_LEFT_OUT

    def stuck_error(self, module: nn.Module, batch: Batch, step: int) -> NonFiniteLoss:
        """What happened, and the likely cause."""
        rows = "" if batch.index is None else _some(batch.index.tolist())
        size, where = _largest_weight(module)
        grown = f"; the weights {where} have grown to {size:.3g}" if size > _HUGE_WEIGHT else ""
        largest = float(batch.x.abs().max())
        cell = f"; {_largest_cell(batch)}" if largest > _HUGE_CELL else ""
        return NonFiniteLoss(
            f"the loss is finite, but its gradient was not in the last {_MOST_LEFT_OUT} steps, up "
            f"to step {step}{rows}{grown}{cell}",
            hint="the last good checkpoint is kept; lower --learning-rate "
            f"({self._config.learning_rate:g}), or divide columns of large numbers by a constant",
        )

    def left_out(self, count: Tensor) -> str:
        """A sentence if the gradients of further steps were not finite, "" if they were."""
        new = int(count) - self._told_left_out
        if not new:
            return ""
        self._told_left_out += new
        steps = "1 step" if new == 1 else f"{new:,} steps"
        return (
            f"the gradient of {steps} was not finite, and nothing was learnt there; if this goes "
            f"on, lower --learning-rate ({self._config.learning_rate:g})"
        )

    def began(self, loss: Loss, target: str) -> None:
        """Remember what training started from; only the first call counts."""
        if self._first_target is None and target in loss.terms:
            self._first_target = loss.terms[target].detach()

    def divergence(self, epoch_mean: float, target: str) -> str:
        """A sentence if an epoch was far worse than the first batch, "" if it was not."""
        if self._first_target is None:
            return ""
        first = float(self._first_target)
        if epoch_mean > first - _DIVERGED * max(abs(first), 1.0):
            return ""
        rate = self._config.learning_rate
        return (
            f"training diverges: {target.replace('_', ' ')} fell from {first:.4g} at the first "
            f"step to {epoch_mean:.4g}; {self._rate_words(rate)}lower --learning-rate "
            f"({rate:g}), or set --clip-norm 100"
        )

    def _cause(self, module: nn.Module, batch: Batch, loss: Loss) -> tuple[str, str]:
        """What is likely to have happened, and what to do."""
        slower = f"lower --learning-rate ({self._config.learning_rate:g}), or set --clip-norm 100"
        if not bool(batch.x.isfinite().all()):
            return "the rows themselves hold numbers that are not finite", "look at those rows"
        decay = self._config.learning_rate * self._config.weight_decay
        if decay > 1:
            return (
                f"weight decay {self._config.weight_decay:g} times learning rate "
                f"{self._config.learning_rate:g} is above 1, so that each step throws the "
                "weights to the other side of zero, farther out",
                "lower --weight-decay; 0.01 to 0.1 is usual",
            )
        broken = [n for n, p in module.named_parameters() if not bool(p.isfinite().all())]
        if broken:
            return (
                f"the weights {broken[0]} are not finite after an earlier step that was too long",
                slower,
            )
        size, where = _largest_weight(module)
        if size > _HUGE_WEIGHT:
            return f"the weights {where} have grown to {size:.3g}: training diverged", slower
        bad = [n for n, v in loss.terms.items() if not bool(v.isfinite())]
        if not bad:
            return (
                "all its terms are finite, so their weights (such as beta) or the gradient's "
                "estimator overflowed",
                "lower the weights of the objective's terms",
            )
        overflowed = f"the term {bad[0].replace('_', ' ')!r} overflowed"
        if bad == ["objective"]:
            return (
                f"{overflowed} while the bound is finite: the weights of its terms (such as "
                "beta) are too large",
                "lower them",
            )
        largest = float(batch.x.abs().max())
        if largest > _HUGE_CELL:
            return (
                f"{overflowed}; {_largest_cell(batch)}",
                "divide that column by a constant, take its logarithm, or leave the row out",
            )
        weight = next(module.parameters())
        if self._config.precision.resolved(weight.device, weight.dtype) is Precision.BF16:
            slower += "; matrix products are in bf16, so try --precision float32, too"
        return f"{overflowed}; {self._rate_words(self._config.learning_rate)}".rstrip("; "), slower

    @staticmethod
    def _rate_words(rate: float) -> str:
        if rate >= _FAST:
            return f"the learning rate {rate:g} is too high for nearly any network; "
        return f"the learning rate {rate:g} may be too high; "


def _largest_weight(module: nn.Module) -> tuple[float, str]:
    sizes = {n: float(p.detach().abs().max()) for n, p in module.named_parameters() if p.numel()}
    name = max(sizes, key=lambda n: sizes[n])
    return sizes[name], name


def _largest_cell(batch: Batch) -> str:
    """Which cell is the largest, in words."""
    cells = batch.x.flatten(1)
    row, column = divmod(int(cells.abs().argmax()), cells.shape[1])
    number = row if batch.index is None else int(batch.index[row])
    return (
        f"column {column} (counted from 0) of row {number} holds {float(cells[row, column]):.3g}"
    )


def _some(rows: list[int]) -> str:
    shown = ", ".join(map(str, rows[:8]))
    return f" (rows {shown}{', ...' if len(rows) > 8 else ''})"
