"""Variational rejection sampling: the encoder's draws, thinned towards the posterior."""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor

from ancestral.core import Batch, Draws, IncompatibleChoices, OptionError
from ancestral.inference.posteriors.posterior import Posterior
from ancestral.models import LatentVariableModel

__all__ = ["RejectionSampled"]

_BISECTIONS = 60
_ROUNDS = 10_000


class RejectionSampled(Posterior):
    r"""z ~ q(z | x), accepted with a probability that grows with its weight.

    .. math:: a(z) = \sigma(\log p(x, z) - \log q(z \mid x) + T), \quad
              r(z) = \frac{q(z \mid x)\, a(z)}{Z}, \quad Z = E_q[a]

    At T = infinity r is q; as T falls it tends to p(z | x), at the price of more draws. T is set
    for each datum so that about `acceptance` of some pilot draws are kept. Z is the mean of a
    over further draws from q, independent of z, so that

    .. math:: \log w = \log p(x, z) - \log q(z \mid x) - \log a(z) + \log \hat Z

    has E w = p(x), and its mean is a lower bound by Jensen's inequality, twice.

    Accepted draws pass no gradient, so that the model learns from them as they are (`Pathwise`
    differentiates log p(x, z) alone), while q is trained on its own ELBO, which is carried by
    log_q with a gradient and no value. At a given z the density has an unknown Z: `log_prob` is
    refused.

    Args:
        proposal: q, with a density of z.
        acceptance: share of draws to keep, in (0, 1); a draw costs 1 / acceptance of q and of the
            decoder.
        num_pilots: draws for T, and as many again for Z.

    References:
        | Variational Rejection Sampling (Grover, Gummadi, Lazaro-Gredilla, Schuurmans & Ermon,
        | 2018), equations 3 to 6, section 3.3 (thresholds as quantiles)
    """

    def __init__(
        self, proposal: Posterior, *, acceptance: float = 0.3, num_pilots: int = 50
    ) -> None:
        super().__init__()
        if not 0 < acceptance < 1 or num_pilots < 2:
            raise OptionError(
                "expected 0 < acceptance < 1 and num_pilots >= 2, got "
                f"{acceptance} and {num_pilots}"
            )
        self.base, self.acceptance, self.num_pilots = proposal, acceptance, num_pilots
        self.reparameterized = proposal.reparameterized

    def draw(self, model: LatentVariableModel, batch: Batch, num_samples: int) -> Draws:
        """Accepted draws, weighted against p(x, z)."""
        return self.proposal(model, batch)(num_samples)

    def proposal(self, model: LatentVariableModel, batch: Batch) -> Callable[[int], Draws]:
        """Read x and set the thresholds once, however often is drawn."""
        propose = self.base.proposal(model, batch)

        def weighted(num_samples: int) -> tuple[Tensor, Tensor, Tensor]:
            z, log_q = propose(num_samples)
            return z, log_q, model.log_joint(batch.x, z, batch.observed) - log_q

        with torch.no_grad():
            threshold = _threshold(weighted(self.num_pilots)[2], self.acceptance)

        def draw(num_samples: int) -> Draws:
            with torch.no_grad():
                z, log_q = self._accepted(weighted, threshold, num_samples)
                # one estimate of Z for each draw would cost more: these share it
                log_z = F.logsigmoid(weighted(self.num_pilots)[2] + threshold)
                log_z = log_z.logsumexp(0) - math.log(self.num_pilots)
                log_q = log_q - log_z
            if not torch.is_grad_enabled():
                return Draws(z, log_q)
            elbo = weighted(num_samples)[2]
            return Draws(z, log_q - (elbo - elbo.detach()))

        return draw

    def _accepted(
        self,
        weighted: Callable[[int], tuple[Tensor, Tensor, Tensor]],
        threshold: Tensor,
        num_samples: int,
    ) -> tuple[Tensor, Tensor]:
        """Draws z [S, B, L], log q a [S, B]: rounds of proposals until all places are filled."""
        z, log_q, log_w = weighted(num_samples)
        log_a = F.logsigmoid(log_w + threshold)
        open_places = torch.rand_like(log_a).log() >= log_a
        for _ in range(_ROUNDS):
            if not bool(open_places.any()):
                return z, log_q + log_a
            other_z, other_log_q, other_log_w = weighted(num_samples)
            other_log_a = F.logsigmoid(other_log_w + threshold)
            filled = open_places & (torch.rand_like(log_a).log() < other_log_a)
            z = torch.where(filled.unsqueeze(-1), other_z, z)
            log_q = torch.where(filled, other_log_q, log_q)
            log_a = torch.where(filled, other_log_a, log_a)
            open_places = open_places & ~filled
        raise IncompatibleChoices(
            f"no draw was accepted in {_ROUNDS:,} rounds for some data: q is too far from the "
            "posterior there",
            hint="ask for a larger acceptance, or train q longer",
        )

    def adapted(self, model: LatentVariableModel, batch: Batch) -> Posterior:
        """The same thinning of an adapted q."""
        base = self.base.adapted(model, batch)
        if base is self.base:
            return self
        return RejectionSampled(base, acceptance=self.acceptance, num_pilots=self.num_pilots)

    def log_prob(self, model: LatentVariableModel, batch: Batch, z: Tensor) -> Tensor:
        """Refused: the density has a constant that is only estimated."""
        raise IncompatibleChoices(
            "the density of accepted draws is known up to a constant only",
            hint="use `draw`, whose log_q makes exact importance weights",
        )


def _threshold(log_w: Tensor, acceptance: float) -> Tensor:
    """T [batch] with mean sigmoid(log w + T) = acceptance over the pilots [pilots, batch]."""
    finite = torch.where(log_w.isfinite(), log_w, log_w.new_full((), -1e30))
    low = -finite.amax(0) - 50.0
    high = -finite.amin(0) + 50.0
    for _ in range(_BISECTIONS):
        middle = 0.5 * (low + high)
        above = (finite + middle).sigmoid().mean(0) > acceptance
        low, high = torch.where(above, low, middle), torch.where(above, middle, high)
    return 0.5 * (low + high)
