"""Maximum likelihood without gradient steps."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

from torch import nn

from ancestral.core import Batch, IncompatibleChoices
from ancestral.inference.objectives.objective import Loss
from ancestral.inference.posteriors import Posterior

__all__ = ["ClosedForm", "FitsItself"]


@runtime_checkable
class FitsItself(Protocol):
    """A model that knows its own solution."""

    def fit_batches(self, batches: Callable[[], Iterable[Batch]]) -> str:
        """Fit to all rows, and say how.

        Args:
            batches: gives the training rows anew at each call, a bounded number at a time.
        """
        ...


@dataclass(frozen=True)
class ClosedForm:
    """Ask the model for its own solution: by formula, by counting, or by EM."""

    target: str = "log_prob"

    @property
    def companion(self) -> None:
        """Nothing is trained along."""
        return

    def check(self, model: nn.Module, posterior: Posterior | None) -> None:
        """Refuse models that have no such solution."""
        del posterior
        if not isinstance(model, FitsItself):
            raise IncompatibleChoices(
                f"{type(model).__name__} has no closed-form maximum likelihood",
                hint="train it with MaximumLikelihood() or Variational()",
            )

    def fit(self, model: nn.Module, batches: Callable[[], Iterable[Batch]]) -> str:
        """Fit the model to all rows, and say how.

        Args:
            model: with `fit_batches`.
            batches: gives the rows anew at each call.
        """
        assert isinstance(model, FitsItself)
        return model.fit_batches(batches)

    def __call__(
        self, model: nn.Module, posterior: Posterior | None, batch: Batch, step: int
    ) -> Loss:
        """There is no loss to differentiate."""
        raise IncompatibleChoices(
            "a closed-form fit has no loss", hint="use MaximumLikelihood() for gradient steps"
        )

    def announcements(self, num_steps: int, steps_per_epoch: int) -> list[str]:
        """Nothing."""
        del num_steps, steps_per_epoch
        return []
