"""Variational objectives: a bound, a gradient estimator, and what training does to the KL."""

from __future__ import annotations

from dataclasses import dataclass, field

from torch import nn

from ancestral.core import Batch, IncompatibleChoices, OptionError
from ancestral.inference.bounds import Bound, Elbo
from ancestral.inference.gradients import (
    GradientEstimator,
    KlPenalty,
    Pathwise,
    PathwiseClosedFormKl,
)
from ancestral.inference.objectives.objective import Loss
from ancestral.inference.objectives.terms import check_density, check_kl_weight
from ancestral.inference.objectives.warm_up import WarmUp
from ancestral.inference.posteriors import Posterior
from ancestral.models import LatentVariableModel

__all__ = ["Variational"]


@dataclass(frozen=True)
class Variational:
    """Maximise a bound on log p(x) over the model and the posterior together.

    Args:
        bound: which bound.
        gradient: how its gradient is estimated.
        warm_up: schedule of the KL weight.
        free_nats: KL of each latent dimension that costs nothing; where the KL has no closed form,
            as many times the dimensions of the whole KL.

    The logged terms `bound`, `reconstruction` and `kl` are always the true ones, with weight 1; a
    `bound` that is no lower bound (`Renyi(-inf)`) is trained, and the importance-weighted one of
    the same samples is logged.
    """

    bound: Bound = field(default_factory=Elbo)
    gradient: GradientEstimator = field(default_factory=PathwiseClosedFormKl)
    warm_up: WarmUp = field(default_factory=WarmUp)
    free_nats: float = 0.0

    def __post_init__(self) -> None:
        if not 0 <= self.free_nats < float("inf"):
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
        check_density(self, posterior)
        if self.warm_up.changes_weight:
            check_kl_weight(posterior, "a warm-up")
        if self.free_nats:
            check_kl_weight(posterior, "a number of free nats")
        self.gradient.check(self.bound, model, posterior)
        by_samples = isinstance(self.gradient, Pathwise) and isinstance(self.bound, Elbo)
        if (
            self.free_nats
            and not by_samples
            and not isinstance(self.gradient, PathwiseClosedFormKl)
        ):
            raise IncompatibleChoices(
                f"free bits need a KL term, got {self.gradient} with {self.bound}",
                hint="use PathwiseClosedFormKl or Pathwise with the Elbo, or no free bits",
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
        """What is not a bound, when the warm-up ends, and a warning if it does not."""
        said = self.warm_up.announcements(num_steps, steps_per_epoch)
        if self.bound.kind == "neither":
            return [
                f"{self.bound} is no bound on log p(x): what is logged as the bound is the "
                f"importance-weighted one of the same {self.bound.num_samples} samples",
                *said,
            ]
        return said
