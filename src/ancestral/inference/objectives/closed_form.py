"""Maximum likelihood without gradient steps."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import torch
from torch import Tensor, nn

from ancestral.core import Batch, IncompatibleChoices
from ancestral.inference.objectives.objective import Loss
from ancestral.inference.posteriors import Posterior

__all__ = ["ClosedForm"]


@runtime_checkable
class _FitsItself(Protocol):
    def fit_closed_form(self, x: Tensor, observed: Tensor | None = None) -> int: ...

    def fit_moments(self, loc: Tensor, covariance: Tensor, num_rows: int) -> None: ...


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

    def fit(self, model: nn.Module, batches: Callable[[], Iterable[Batch]]) -> str:
        """Fit the model to all rows, and say how.

        Complete data are read twice, batch by batch; data with gaps are held in memory.

        Args:
            model: with `fit_moments` and `fit_closed_form`.
            batches: gives the rows anew at each call.
        """
        assert isinstance(model, _FitsItself)
        moments = _moments(batches)
        if moments is not None:
            model.fit_moments(*moments)
            return "maximum likelihood in closed form"
        iterations = model.fit_closed_form(*_all_rows(batches()))
        return f"maximum likelihood by {iterations} iterations of EM (cells are missing)"

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


def _moments(batches: Callable[[], Iterable[Batch]]) -> tuple[Tensor, Tensor, int] | None:
    """Mean [D], covariance [D, D] and number of rows; None if a cell is missing."""
    total, num_rows = torch.zeros(()).double(), 0
    for batch in batches():
        if batch.observed is not None and not bool(batch.observed.all()):
            return None
        total = total + batch.x.flatten(1).double().sum(0)
        num_rows += len(batch)
    loc = total / num_rows
    # a second pass: the squares of data far from zero would drown their spread
    covariance = torch.zeros(()).double()
    for batch in batches():
        centred = batch.x.flatten(1).double() - loc
        covariance = covariance + centred.T @ centred
    return loc, covariance / num_rows, num_rows


def _all_rows(batches: Iterable[Batch]) -> tuple[Tensor, Tensor]:
    kept = list(batches)
    masks = [
        torch.ones_like(b.x, dtype=torch.bool) if b.observed is None else b.observed for b in kept
    ]
    return torch.cat([b.x for b in kept]), torch.cat(masks)
