"""The ELBO with another price on the KL: beta, and a capacity that grows."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import NoReturn

import torch
from torch import nn

from ancestral.core import Batch, IncompatibleChoices, OptionError
from ancestral.inference.bounds import Elbo
from ancestral.inference.gradients import GradientEstimator, KlPenalty, PathwiseClosedFormKl
from ancestral.inference.objectives.objective import Loss
from ancestral.inference.objectives.terms import (
    check_density,
    check_kl_weight,
    check_latent,
    elbo_terms,
)
from ancestral.inference.objectives.warm_up import WarmUp
from ancestral.inference.posteriors import ParametricPosterior, Posterior
from ancestral.models import LatentVariableModel

__all__ = ["Capacity", "WeightedKl"]


@dataclass(frozen=True)
class WeightedKl:
    r"""Maximise the ELBO with a factor before its KL: the beta-VAE's objective.

    .. math:: E_q \log p(x \mid z) - \beta\, KL(q(z \mid x) \| p(z))

    Where R is the KL and D minus the first term, it is -(D + beta R): each beta finds the point of
    the rate-distortion curve whose slope is -beta. It is a bound on log p(x) for beta >= 1, and a
    worse one than the ELBO for beta > 1. Logged are `objective`, with beta, which early stopping
    watches, and the true `bound`, `reconstruction` and `kl`.

    Args:
        beta: price of a nat of KL; 1 is the ELBO.
        gradient: how gradients of the ELBO are estimated.
        warm_up: schedule of a further factor, which no logged term has.
        num_samples: of z for each datum.

    References:
        | beta-VAE (Higgins et al., 2017), equation 4
        | Fixing a Broken ELBO (Alemi et al., 2018), equation 7
    """

    beta: float = 4.0
    gradient: GradientEstimator = field(default_factory=PathwiseClosedFormKl)
    warm_up: WarmUp = field(default_factory=WarmUp)
    num_samples: int = 1
    target: str = "objective"

    def __post_init__(self) -> None:
        if not 0 <= self.beta < float("inf"):
            raise OptionError(
                f"expected beta of at least 0, got {self.beta}",
                hint="1 is the ELBO; more keeps fewer latent variables in use",
            )
        if self.num_samples < 1:
            raise OptionError(f"expected num_samples >= 1, got {self.num_samples}")

    @property
    def companion(self) -> nn.Module | None:
        """The gradient estimator, if it learns something itself."""
        return self.gradient if isinstance(self.gradient, nn.Module) else None

    def check(self, model: nn.Module, posterior: Posterior | None) -> None:
        """Refuse what the gradient estimator cannot train."""
        if not isinstance(model, LatentVariableModel) or posterior is None:
            check_latent(self, model, posterior)
            return
        check_density(self, posterior)
        if self.beta != 1 or self.warm_up.changes_weight:
            check_kl_weight(posterior, "a weight of the KL")
        self.gradient.check(Elbo(self.num_samples), model, posterior)

    def __call__(
        self, model: nn.Module, posterior: Posterior | None, batch: Batch, step: int
    ) -> Loss:
        """The surrogate loss of the weighted bound."""
        assert isinstance(model, LatentVariableModel)
        assert posterior is not None
        penalty = KlPenalty(self.beta * self.warm_up.weight(step))
        s = self.gradient.surrogate(Elbo(self.num_samples), model, posterior, batch, penalty)
        reconstruction, kl = s.reconstruction.mean(), s.kl.mean()
        terms = {
            "objective": reconstruction - self.beta * kl,
            "bound": s.bound.mean(),
            "reconstruction": reconstruction,
            "kl": kl,
        }
        return Loss(s.loss, terms)

    def announcements(self, num_steps: int, steps_per_epoch: int) -> list[str]:
        """What is not a bound, and when the warm-up ends."""
        said = self.warm_up.announcements(num_steps, steps_per_epoch)
        if self.beta == 1:
            return said
        return [f"objective is reconstruction - {self.beta:g} KL; bound is the true ELBO", *said]


@dataclass(frozen=True)
class Capacity:
    r"""Maximise the reconstruction while the KL of each datum is held at a capacity C that grows.

    .. math:: E_q \log p(x \mid z) - \gamma\, |KL(q(z \mid x) \| p(z)) - C|

    C rises linearly from 0 to `capacity` over the first steps. The logged `objective` always has
    the last C, so that epochs can be compared; `bound`, `reconstruction` and `kl` are the true
    ones. The KL needs a closed form: of an estimate the mean distance from C is that of its noise.

    Args:
        capacity: C at the end, nats for each datum.
        num_steps: until C is there.
        strength: gamma.

    References:
        | Understanding Disentangling in beta-VAE (Burgess et al., 2018), equation 8
    """

    capacity: float = 25.0
    num_steps: int = 20_000
    strength: float = 30.0
    target: str = "objective"

    def __post_init__(self) -> None:
        numbers = (self.capacity, self.num_steps, self.strength)
        if not all(0 <= number < float("inf") for number in numbers):
            raise OptionError(
                "expected a capacity, a number of steps and a strength of at least 0, got "
                f"{self.capacity}, {self.num_steps}, {self.strength}"
            )

    @property
    def companion(self) -> None:
        """Nothing is trained along."""
        return

    def check(self, model: nn.Module, posterior: Posterior | None) -> None:
        """Refuse models without latent variables, draws without gradient, and mere samplers."""
        check_latent(self, model, posterior)
        assert posterior is not None
        if not posterior.has_density:
            raise IncompatibleChoices(
                "a capacity is one of KL(q || p), which a deterministic encoder does not have",
                hint="take an encoder with a density, such as a diagonal Gaussian",
            )
        assert isinstance(model, LatentVariableModel)
        if not isinstance(posterior, ParametricPosterior):
            _refuse_estimates(model, posterior)

    def at(self, step: int) -> float:
        """C at a step, in nats.

        Example:
            >>> Capacity(10.0, num_steps=100).at(50), Capacity(10.0, num_steps=100).at(1000)
            (5.0, 10.0)
        """
        if step >= self.num_steps:
            return self.capacity
        return self.capacity * step / self.num_steps

    def __call__(
        self, model: nn.Module, posterior: Posterior | None, batch: Batch, step: int
    ) -> Loss:
        """Minus the objective, with C of the step.

        Raises:
            IncompatibleChoices: KL(q || p) has no closed form.
        """
        assert isinstance(model, LatentVariableModel)
        assert posterior is not None
        found = elbo_terms(model, posterior, batch)
        if not found.kl_is_exact:
            _refuse_estimates(model, posterior)
        distance = (found.kl - self.at(step)).abs().mean()
        loss = self.strength * distance - found.reconstruction.mean()
        logged = found.logged()
        with torch.no_grad():
            final = (found.kl - self.capacity).abs().mean()
            objective = logged["reconstruction"] - self.strength * final
        return Loss(loss, {"objective": objective, **logged})

    def announcements(self, num_steps: int, steps_per_epoch: int) -> list[str]:
        """When the capacity is reached, and a warning if it is not."""
        end = self.num_steps
        text = (
            f"the KL's capacity reaches {self.capacity:g} nats at step {end}, in epoch "
            f"{end // max(steps_per_epoch, 1) + 1}"
        )
        return [text if end <= num_steps else f"{text}, which this run does not reach"]


def _refuse_estimates(model: LatentVariableModel, posterior: Posterior) -> NoReturn:
    raise IncompatibleChoices(
        "a capacity needs KL(q || p) in closed form, which is not known for "
        f"{type(posterior).__name__} with {type(model.prior).__name__}",
        hint="use a Gaussian posterior and a Gaussian prior, or WeightedKl(), which needs only "
        "samples",
    )
