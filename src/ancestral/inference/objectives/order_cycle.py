"""Maximum likelihood under one order of an ensemble after the other."""

from __future__ import annotations

from dataclasses import dataclass

from torch import nn

from ancestral.core import Batch, IncompatibleChoices
from ancestral.inference.objectives.objective import Loss
from ancestral.inference.posteriors import Posterior
from ancestral.models import ExactLogProb, OrderEnsemble, exact_log_prob

__all__ = ["OrderCycle"]


@dataclass(frozen=True)
class OrderCycle:
    """Minimise -log p(x | o) for one order o of an ensemble in each step, in turn.

    Which one is a function of the step, so that a resumed run goes on where it was. In training
    `log_prob` is that under the order of the step; in validation it is the ensemble's.

    References:
        | Germain et al. (2015), MADE: masked autoencoder for distribution estimation, section 4.2
        | and algorithm 1, whose masks are cycled through
    """

    target: str = "log_prob"

    @property
    def companion(self) -> None:
        """Nothing is trained along."""
        return

    def check(self, model: nn.Module, posterior: Posterior | None) -> None:
        """Refuse models of one order."""
        del posterior
        if not isinstance(model, OrderEnsemble):
            raise IncompatibleChoices(
                f"training order by order needs an ensemble of orders, got {type(model).__name__}",
                hint="models of one order train with MaximumLikelihood()",
            )

    def __call__(
        self, model: nn.Module, posterior: Posterior | None, batch: Batch, step: int
    ) -> Loss:
        """Minus log p(x | o)."""
        del posterior
        assert isinstance(model, OrderEnsemble)
        member: nn.Module = model
        if model.training:
            member = model.with_order(model.orders[step % model.num_orders])
        assert isinstance(member, ExactLogProb)
        log_prob = exact_log_prob(member, batch).mean()
        return Loss(-log_prob, {"log_prob": log_prob.detach()})

    def announcements(self, num_steps: int, steps_per_epoch: int) -> list[str]:
        """Nothing."""
        del num_steps, steps_per_epoch
        return []
