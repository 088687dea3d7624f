"""Maximum likelihood without gradient steps."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol, runtime_checkable

from torch import Tensor, nn

from ancestral.core import Batch, IncompatibleChoices
from ancestral.inference.objectives.objective import Loss
from ancestral.inference.posteriors import Posterior

__all__ = ["ClosedForm"]


@runtime_checkable
class _FitsItself(Protocol):
    def fit_closed_form(self, x: Tensor, observed: Tensor | None = None) -> int: ...


@dataclass(frozen=True)
class ClosedForm:
    """Ask the model for its own maximum-likelihood solution: by formula, or by EM with gaps."""

    target: str = "log_prob"

    def check(self, model: nn.Module, posterior: Posterior | None) -> None:
        """Refuse models that have no such solution."""
        del posterior
        if not isinstance(model, _FitsItself):
            raise IncompatibleChoices(
                f"{type(model).__name__} has no closed-form maximum likelihood",
                hint="train it with MaximumLikelihood() or Variational()",
            )

    def fit(self, model: nn.Module, rows: Batch) -> str:
        """Fit the model to all rows at once, and say how."""
        assert isinstance(model, _FitsItself)
        iterations = model.fit_closed_form(rows.x, rows.observed)
        if iterations:
            return f"maximum likelihood by {iterations} iterations of EM (cells are missing)"
        return "maximum likelihood in closed form"

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
