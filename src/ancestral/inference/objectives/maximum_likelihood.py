"""Maximum likelihood, for models with an exact one."""

from __future__ import annotations

from dataclasses import dataclass

from torch import nn

from ancestral.core import Batch, NotExact
from ancestral.inference.objectives.objective import Loss
from ancestral.inference.posteriors import Posterior
from ancestral.models import ExactLogProb, exact_log_prob

__all__ = ["MaximumLikelihood"]


@dataclass(frozen=True)
class MaximumLikelihood:
    """Minimise -log p(x), averaged over the batch; missing cells are integrated out."""

    target: str = "log_prob"

    @property
    def companion(self) -> None:
        """Nothing is trained along."""
        return

    def check(self, model: nn.Module, posterior: Posterior | None) -> None:
        """Refuse models without an exact log p."""
        del posterior
        if not isinstance(model, ExactLogProb):
            raise NotExact(
                f"maximum likelihood needs an exact log p(x), which {type(model).__name__} "
                "does not have",
                hint="train a bound on it: Variational(Elbo(), PathwiseClosedFormKl())",
            )

    def __call__(
        self, model: nn.Module, posterior: Posterior | None, batch: Batch, step: int
    ) -> Loss:
        """Minus log p(x)."""
        del posterior, step
        assert isinstance(model, ExactLogProb)
        log_prob = exact_log_prob(model, batch).mean()
        return Loss(-log_prob, {"log_prob": log_prob.detach()})

    def announcements(self, num_steps: int, steps_per_epoch: int) -> list[str]:
        """Nothing."""
        del num_steps, steps_per_epoch
        return []
