"""Posteriors made richer by auxiliary variables."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.distributions import Distribution

from ancestral.core import Batch, Conditional, Draws, IncompatibleChoices
from ancestral.inference.posteriors.posterior import Posterior, ScoresItsDraws
from ancestral.models import LatentVariableModel

__all__ = ["AuxiliaryVariables"]


class AuxiliaryVariables(Posterior):
    r"""a ~ q(a | x), z ~ q(z | a, x): a mixture over a, with a reverse model p(a | z, x).

    .. math:: \log w = \log p(x, z) + \log p(a \mid z, x) - \log q(a \mid x) - \log q(z \mid a, x)

    E w = p(x), since p(a | z, x) is normalised. `Draws.log_q` holds all but the first term; the
    density of z alone is an integral over a, and `log_prob` is refused.

    Args:
        inputs: (x, observed) -> features [batch, ...], which are flattened.
        auxiliary: q(a | features), a `Conditional` over a vector.
        encoder: q(z | features and a), concatenated in this order.
        reverse: p(a | features and z), concatenated in this order.

    References:
        | Auxiliary Deep Generative Models (Maaloe, Sonderby, Sonderby & Winther, 2016), equations
        | 2 to 5
    """

    reparameterized = True
    log_q_kind = "auxiliary"

    def __init__(
        self, inputs: nn.Module, auxiliary: Conditional, encoder: Conditional, reverse: Conditional
    ) -> None:
        super().__init__()
        self.inputs, self.auxiliary = inputs, auxiliary
        self.encoder, self.reverse = encoder, reverse

    def draw(self, model: LatentVariableModel, batch: Batch, num_samples: int) -> Draws:
        """Draws, and what makes exp(log p(x, z) - log_q) an unbiased estimate of p(x)."""
        return self.proposal(model, batch)(num_samples)

    def proposal(self, model: LatentVariableModel, batch: Batch) -> Callable[[int], Draws]:
        """Read x once, however often is drawn."""
        del model
        features = self.inputs(batch.x, batch.observed).flatten(1)
        q_a = self.auxiliary(features)

        def draw(num_samples: int) -> Draws:
            a, log_q_a = _drawn(q_a, torch.Size((num_samples,)))
            rows = features.expand(num_samples, *features.shape)
            z, log_q_z = _drawn(self.encoder(torch.cat((rows, a), -1)), torch.Size())
            log_p_a = self.reverse.log_prob(a, torch.cat((rows, z), -1))
            return Draws(z, log_q_a + log_q_z - log_p_a)

        return draw

    def log_prob(self, model: LatentVariableModel, batch: Batch, z: Tensor) -> Tensor:
        """Refused: q(z | x) is an integral over a."""
        raise IncompatibleChoices(
            "the density of a posterior with auxiliary variables at a given z is not known",
            hint="use `draw`, whose log_q makes exact importance weights",
        )


def _drawn(q: Distribution, shape: torch.Size) -> tuple[Tensor, Tensor]:
    if isinstance(q, ScoresItsDraws):
        return q.rsample_with_log_prob(shape)
    value = q.rsample(shape)
    return value, q.log_prob(value)
