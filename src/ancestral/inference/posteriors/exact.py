"""The exact posterior, of models that have one."""

from __future__ import annotations

from typing import Protocol, runtime_checkable

from torch import Tensor
from torch.distributions import Distribution

from ancestral.core import Batch, IncompatibleChoices
from ancestral.inference.posteriors.posterior import ParametricPosterior
from ancestral.models import LatentVariableModel

__all__ = ["ExactPosterior"]


@runtime_checkable
class _HasPosterior(Protocol):
    def posterior(self, x: Tensor, observed: Tensor | None = None) -> Distribution: ...


class ExactPosterior(ParametricPosterior):
    """q(z | x) = p(z | x), asked of the model: every bound is then equal to log p(x)."""

    def distribution(self, model: LatentVariableModel, batch: Batch) -> Distribution:
        """The model's own posterior."""
        if not isinstance(model, _HasPosterior):
            raise IncompatibleChoices(
                f"expected a model with a closed posterior, got {type(model).__name__}",
                hint="use an amortised posterior",
            )
        return model.posterior(batch.x, batch.observed)
