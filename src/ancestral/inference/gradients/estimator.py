"""`GradientEstimator`: how the gradient of a bound is estimated."""

from __future__ import annotations

from typing import NamedTuple, Protocol, runtime_checkable

from torch import Tensor

from ancestral.core import Batch
from ancestral.inference.bounds import Bound
from ancestral.inference.posteriors import Posterior
from ancestral.models import LatentVariableModel

__all__ = ["GradientEstimator", "KlPenalty", "Surrogate"]


class KlPenalty(NamedTuple):
    """What training may do to the KL term; the numbers that are reported ignore it.

    Attributes:
        weight: factor of KL(q || p), below 1 during warm-up.
        free_nats: KL per latent dimension, averaged over the batch, below which it costs
            nothing (Kingma et al., 2016, equation 15: "free bits").
    """

    weight: float = 1.0
    free_nats: float = 0.0


class Surrogate(NamedTuple):
    """A loss to differentiate, and the truth to report.

    Attributes:
        loss: [], only its gradient means anything.
        bound: [batch], the bound itself in nats, detached.
        reconstruction: [batch], E_q log p(x | z), detached.
        kl: [batch], KL(q || p) or its Monte Carlo estimate, detached.
    """

    loss: Tensor
    bound: Tensor
    reconstruction: Tensor
    kl: Tensor


@runtime_checkable
class GradientEstimator(Protocol):
    """Turns a bound, a model and a posterior into a loss with the right gradient."""

    def check(self, bound: Bound, model: LatentVariableModel, posterior: Posterior) -> None:
        """Refuse pairs for which the gradient would be wrong.

        Raises:
            IncompatibleChoices: naming both, and the way out.
        """
        ...

    def surrogate(
        self,
        bound: Bound,
        model: LatentVariableModel,
        posterior: Posterior,
        batch: Batch,
        penalty: KlPenalty,
    ) -> Surrogate:
        """The loss of one batch, averaged over its rows."""
        ...
