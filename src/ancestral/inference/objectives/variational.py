"""Variational objectives: a bound, a gradient estimator, and what training does to the KL."""

from __future__ import annotations

from dataclasses import dataclass, field

from torch import nn

from ancestral.core import Batch, IncompatibleChoices, OptionError
from ancestral.inference.bounds import Bound, Elbo
from ancestral.inference.gradients import GradientEstimator, KlPenalty, PathwiseClosedFormKl
from ancestral.inference.objectives.objective import Loss
from ancestral.inference.posteriors import Posterior
from ancestral.models import LatentVariableModel

__all__ = ["Variational", "WarmUp"]


@dataclass(frozen=True)
class WarmUp:
    """The weight of the KL term grows linearly from `start` to 1 (Bowman et al., 2016).

    Args:
        num_steps: steps until the weight is 1; 0 for none.
        start: weight at step 0.
    """

    num_steps: int = 0
    start: float = 0.0

    def __post_init__(self) -> None:
        if self.num_steps < 0 or not 0 <= self.start <= 1:
            raise OptionError(
                f"expected num_steps >= 0 and 0 <= start <= 1, got {self.num_steps}, {self.start}"
            )

    def weight(self, step: int) -> float:
        """KL weight at a step.

        Example:
            >>> WarmUp(num_steps=4).weight(1), WarmUp(num_steps=4).weight(9)
            (0.25, 1.0)
        """
        if step >= self.num_steps:
            return 1.0
        return self.start + (1 - self.start) * step / self.num_steps


@dataclass(frozen=True)
class Variational:
    """Maximise a bound on log p(x) over the model and the posterior together.

    Args:
        bound: which bound.
        gradient: how its gradient is estimated.
        warm_up: schedule of the KL weight.
        free_nats: KL of each latent dimension that costs nothing.

    The logged terms `bound`, `reconstruction` and `kl` are always the true ones, with weight 1.
    """

    bound: Bound = field(default_factory=Elbo)
    gradient: GradientEstimator = field(default_factory=PathwiseClosedFormKl)
    warm_up: WarmUp = field(default_factory=WarmUp)
    free_nats: float = 0.0

    def __post_init__(self) -> None:
        if self.free_nats < 0:
            raise OptionError(f"expected free_nats >= 0, got {self.free_nats}")

    @property
    def target(self) -> str:
        """The bound."""
        return "bound"

    @property
    def companion(self) -> nn.Module | None:
        """The gradient estimator, if it learns something itself."""
        return self.gradient if isinstance(self.gradient, nn.Module) else None

    def check(self, model: nn.Module, posterior: Posterior | None) -> None:
        """Refuse combinations whose gradient would be wrong."""
        if not isinstance(model, LatentVariableModel) or posterior is None:
            raise IncompatibleChoices(
                f"a variational objective needs a latent-variable model and a posterior, got "
                f"{type(model).__name__} and {type(posterior).__name__}",
                hint="models with an exact likelihood train with MaximumLikelihood()",
            )
        self.gradient.check(self.bound, model, posterior)
        if self.free_nats and not isinstance(self.gradient, PathwiseClosedFormKl):
            raise IncompatibleChoices(
                f"free bits need a KL term for each latent dimension, got {self.gradient}",
                hint="use PathwiseClosedFormKl with the Elbo, or no free bits",
            )

    def __call__(
        self, model: nn.Module, posterior: Posterior | None, batch: Batch, step: int
    ) -> Loss:
        """The surrogate loss, with the bound and its two terms."""
        assert isinstance(model, LatentVariableModel)
        assert posterior is not None
        penalty = KlPenalty(self.warm_up.weight(step), self.free_nats)
        s = self.gradient.surrogate(self.bound, model, posterior, batch, penalty)
        terms = {
            "bound": s.bound.mean(),
            "reconstruction": s.reconstruction.mean(),
            "kl": s.kl.mean(),
        }
        return Loss(s.loss, terms)

    def announcements(self, num_steps: int, steps_per_epoch: int) -> list[str]:
        """When the warm-up ends, and a warning if it does not."""
        n = self.warm_up.num_steps
        if n == 0:
            return []
        text = f"KL warm-up ends at step {n}, in epoch {n // max(steps_per_epoch, 1) + 1}"
        if n > num_steps:
            return [
                f"{text}, which this run of {num_steps} steps does not reach: "
                "the model would be trained on something else than the bound"
            ]
        return [text]
