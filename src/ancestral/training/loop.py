"""The training loop."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import torch
from torch import nn

from ancestral.core import Batch, derived_seed, matrix_products, seeded
from ancestral.inference.objectives import Loss, Objective
from ancestral.inference.posteriors import Posterior
from ancestral.training.compiling import compiled, validation_kept
from ancestral.training.config import TrainingConfig
from ancestral.training.guard import FiniteGuard
from ancestral.training.history import History, MetricsWriter
from ancestral.training.reporting import Position, Reporter, Silent
from ancestral.training.schedules import learning_rate
from ancestral.training.state import TrainingState

__all__ = ["LossModule", "Outcome", "RowSource", "train"]

_NOISE = 1  # stream of derived seeds; permutations have their own
_REPORT_SECONDS = 0.25


class RowSource(Protocol):
    """Training rows, shuffled by a function of (seed, epoch)."""

    def __len__(self) -> int: ...

    def batches(
        self, batch_size: int, *, seed: int, epoch: int, start: int = 0
    ) -> Iterator[Batch]:
        """One pass, from batch `start` on."""
        ...


class LossModule(nn.Module):
    """An objective and what it trains, as one module whose forward pass is the loss.

    Args:
        objective: (model, posterior, batch, step) -> Loss.
        model: p.
        posterior: q, or None.
    """

    def __init__(
        self, objective: Objective, model: nn.Module, posterior: Posterior | None
    ) -> None:
        super().__init__()
        self.objective = objective
        self.model = model
        self.posterior = posterior
        self.companion = objective.companion

    def forward(self, batch: Batch, step: int) -> Loss:
        """The loss of one batch."""
        return self.objective(self.model, self.posterior, batch, step)


@dataclass(frozen=True)
class Outcome:
    """How a run ended.

    Attributes:
        history: one record for each epoch.
        stopped: why, in words.
        steps: optimisation steps.
        seconds: spent, over all parts of the run.
        best_epoch: whose weights the module now has.
    """

    history: History
    stopped: str
    steps: int
    seconds: float
    best_epoch: int


def train(
    module: LossModule,
    source: RowSource,
    config: TrainingConfig,
    *,
    validate: Callable[[], dict[str, float]] | None = None,
    folder: Path | None = None,
    reporter: Reporter | None = None,
    writers: tuple[MetricsWriter, ...] = (),
) -> Outcome:
    """Minimise a loss over a source of rows; afterwards the module has the best weights.

    The permutation of epoch e is a function of (seed, e) and the noise of step t of (seed, t), so
    that a run that was killed and resumed takes the same steps as one that was not.

    Args:
        module: what is trained.
        source: training rows.
        config: every choice; see `TrainingConfig`.
        validate: gives terms of the objective on held-out rows, for the module as it is; the
            objective's `target` decides which weights are best, and when to stop.
        folder: of the run; a checkpoint in it is resumed. None keeps nothing.
        reporter: shows progress; None is silent.
        writers: get each epoch's record too.

    Raises:
        NonFiniteLoss: with the step, the rows and a likely cause.
        KeyboardInterrupt: after a checkpoint was written.
    """
    reporter = reporter or Silent()
    config = config.resolved(len(source))
    weight = next(module.parameters())
    device = weight.device
    steps_per_epoch = config.steps_per_epoch(len(source))
    num_steps = (config.epochs or 0) * steps_per_epoch
    state = TrainingState.start(module, config, folder)
    for sentence in module.objective.announcements(num_steps, steps_per_epoch):
        reporter.say(sentence)
    loss_of: Callable[[Batch, int], Loss] = compiled(module) if config.compile else module
    guard = FiniteGuard(config, device)
    guard.left_out(state.optimizer.left_out)  # those before a checkpoint were told
    reported = saved = started = time.monotonic()
    before = state.seconds
    stopped = state.stopped
    warned = False
    module.train()
    with seeded(config.seed), validation_kept():
        try:
            while not stopped:
                batches = source.batches(
                    config.batch_size, seed=config.seed, epoch=state.epoch, start=state.batch
                )
                for batch in batches:
                    _set_noise(derived_seed(config.seed, _NOISE, state.step), device)
                    with matrix_products(config.precision, weight):
                        loss = loss_of(batch, state.step)
                    guard.began(loss, module.objective.target)
                    if guard.watch(loss.value, state.step):
                        raise guard.error(module, batch, loss, guard.first_bad_step(state.step))
                    state.optimizer.zero_grad()
                    loss.value.backward()
                    state.learning_rate = learning_rate(
                        config, state.step, num_steps, state.seconds
                    )
                    state.optimizer.step(state.learning_rate, config.clip_norm)
                    if guard.is_stuck(state.optimizer.left_out_in_a_row, state.step):
                        raise guard.stuck_error(module, batch, state.step)
                    state.took_step(loss.terms, len(batch))
                    now = time.monotonic()
                    state.seconds = before + now - started
                    if now - reported > _REPORT_SECONDS:
                        reported = now
                        reporter.progress(_position(state, config, num_steps), state.means())
                    if folder is not None and now - saved > config.checkpoint_seconds:
                        saved = now
                        if not guard.has_seen_bad():
                            state.save(folder)
                    if _out_of_time(state, config):
                        break
                stopped = _end_epoch(
                    module, state, config, steps_per_epoch, validate, reporter, writers
                )
                target = module.objective.target
                mean = state.history.records[-1].get(f"train/{target}")
                sentence = "" if mean is None else guard.divergence(mean, target)
                if sentence and not warned:
                    warned = True
                    reporter.say(sentence)
                if sentence := guard.left_out(state.optimizer.left_out):
                    reporter.say(sentence)
                if folder is not None and (stopped or time.monotonic() - saved > 1.0):
                    saved = time.monotonic()
                    state.save(folder)
        except KeyboardInterrupt:
            if folder is not None and not guard.has_seen_bad():
                state.save(folder)
            raise
        finally:
            reporter.close()
    state.restore_best()
    module.eval()
    return Outcome(state.history, stopped, state.step, state.seconds, state.best_epoch)


def _end_epoch(
    module: LossModule,
    state: TrainingState,
    config: TrainingConfig,
    steps_per_epoch: int,
    validate: Callable[[], dict[str, float]] | None,
    reporter: Reporter,
    writers: tuple[MetricsWriter, ...],
) -> str:
    """Validate, record, and say why to stop, or "" to go on."""
    out_of_time = _out_of_time(state, config)
    with state.averaged_weights():
        module.eval()
        terms = validate() if validate is not None else {}
        state.end_epoch(terms, module.objective.target, state.batch >= steps_per_epoch)
        module.train()
    record = state.history.records[-1]
    reporter.epoch(record)
    for writer in writers:
        writer.write(record)
    if out_of_time:
        state.stopped = f"{config.max_minutes:g} minutes are over"
    elif state.epoch >= (config.epochs or 0):
        state.stopped = "the last epoch is done"
    elif validate is not None and config.patience and state.epochs_since_best >= config.patience:
        state.stopped = (
            f"no better validation {module.objective.target} for {config.patience} epochs"
        )
    return state.stopped


def _out_of_time(state: TrainingState, config: TrainingConfig) -> bool:
    return config.max_minutes is not None and state.seconds >= 60 * config.max_minutes


def _set_noise(seed: int, device: torch.device) -> None:
    torch.default_generator.manual_seed(seed)
    if device.type == "cuda":
        torch.cuda.manual_seed(seed)


def _position(state: TrainingState, config: TrainingConfig, num_steps: int) -> Position:
    limit = None if config.max_minutes is None else 60 * config.max_minutes
    return Position(
        state.epoch + 1, config.epochs or 0, state.step, num_steps, state.seconds, limit
    )
