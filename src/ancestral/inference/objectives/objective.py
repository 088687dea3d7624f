"""`Objective`: what training minimises."""

from __future__ import annotations

from typing import NamedTuple, Protocol, runtime_checkable

from torch import Tensor, nn

from ancestral.core import Batch
from ancestral.inference.posteriors import Posterior

__all__ = ["Loss", "Objective"]


class Loss(NamedTuple):
    """One batch's loss.

    Attributes:
        value: [], to differentiate; its value may mean nothing and is never logged.
        terms: what is logged: means over the batch, detached, in nats per datum. `log_prob` or
            `bound` is the quantity that training maximises.
    """

    value: Tensor
    terms: dict[str, Tensor]


@runtime_checkable
class Objective(Protocol):
    """(model, posterior, batch, step) -> Loss."""

    @property
    def target(self) -> str:
        """The term that is to grow, and on which early stopping watches."""
        ...

    @property
    def companion(self) -> nn.Module | None:
        """What is trained along and not needed afterwards: baselines, critics; None if nothing."""
        ...

    def check(self, model: nn.Module, posterior: Posterior | None) -> None:
        """Refuse models and posteriors it cannot train, before any work is done."""
        ...

    def __call__(
        self, model: nn.Module, posterior: Posterior | None, batch: Batch, step: int
    ) -> Loss:
        """The loss of one batch at one optimisation step."""
        ...

    def announcements(self, num_steps: int, steps_per_epoch: int) -> list[str]:
        """What a user should know before a run of so many steps, one sentence each."""
        ...
