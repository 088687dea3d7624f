"""A Gaussian prior over weights, as a penalty."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import nn

from ancestral.core import Batch
from ancestral.inference.objectives.objective import Loss, Objective
from ancestral.inference.posteriors import Posterior

__all__ = ["Penalized"]


@dataclass(frozen=True)
class Penalized:
    r"""Another objective plus l2 / 2 \sum w^2, over all weights of the model but its biases.

    With l2 = 1 / (N s^2) for N training rows this finds the most probable weights under
    w ~ N(0, s^2), so that the data outweigh the penalty as they grow. What is logged are the
    other objective's true terms, without the penalty.

    Args:
        objective: of which the value is penalised.
        l2: strength, in nats per datum.
    """

    objective: Objective
    l2: float

    @property
    def target(self) -> str:
        """The other objective's."""
        return self.objective.target

    @property
    def companion(self) -> nn.Module | None:
        """The other objective's."""
        return self.objective.companion

    def check(self, model: nn.Module, posterior: Posterior | None) -> None:
        """The other objective's."""
        self.objective.check(model, posterior)

    def __call__(
        self, model: nn.Module, posterior: Posterior | None, batch: Batch, step: int
    ) -> Loss:
        """The penalty enters the value alone."""
        loss = self.objective(model, posterior, batch, step)
        if not torch.is_grad_enabled():
            return loss
        squares = [
            parameter.flatten().dot(parameter.flatten())
            for name, parameter in model.named_parameters()
            if "bias" not in name
        ]
        return Loss(loss.value + self.l2 / 2 * torch.stack(squares).sum(), loss.terms)

    def announcements(self, num_steps: int, steps_per_epoch: int) -> list[str]:
        """The other objective's."""
        return self.objective.announcements(num_steps, steps_per_epoch)
