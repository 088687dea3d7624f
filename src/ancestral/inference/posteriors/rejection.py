"""Variational rejection sampling: the encoder's draws, thinned towards the posterior."""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor

from ancestral.core import Batch, Draws, IncompatibleChoices, OptionError, frozen
from ancestral.core.noise import uniform_noise
from ancestral.inference.posteriors.posterior import Posterior
from ancestral.models import LatentVariableModel

__all__ = ["RejectionSampled"]

_BISECTIONS = 60
_ROUNDS = 10_000
_LEAST_KEPT = 5  # of the pilots


class RejectionSampled(Posterior):
    r"""z ~ q(z | x), accepted with a probability that grows with its weight.

    .. math:: a(z) = \sigma(\log p(x, z) - \log q(z \mid x) + T), \quad
              r(z) = \frac{q(z \mid x)\, a(z)}{Z}, \quad Z = E_q[a]

    At T = infinity r is q; as T falls it tends to p(z | x), at the price of more draws. T is set
    for each datum so that about `acceptance` of some pilot draws are kept. For each z, Z is the
    mean of a over further draws from q that serve no other z, so that the weights

    .. math:: \log w = \log p(x, z) - \log q(z \mid x) - \log a(z) + \log \hat Z

    are independent given T and have E w = p(x); the mean of log w is a lower bound by Jensen's
    inequality, twice.

    Accepted draws pass no gradient, so that the model learns from them as they are (`Pathwise`
    differentiates log p(x, z) alone), while q is trained on its own ELBO, which is carried by
    log_q with a gradient and no value. At a given z the density has an unknown Z: `log_prob` is
    refused.

    Args:
        proposal: q, with a density of z.
        acceptance: share of draws to keep, in (0, 1).
        num_pilots: draws for T, once for each datum; of them 5 or more should be kept, lest T
            follow the single best of them.
        num_normalizer_draws: draws for Z, for each z.

    Cost:
        About 1 / acceptance + num_normalizer_draws draws of q and passes of the decoder for each
        z.

    References:
        | Variational Rejection Sampling (Grover, Gummadi, Lazaro-Gredilla, Schuurmans & Ermon,
        | 2018), equations 3 to 6, section 3.3 (thresholds as quantiles)
    """

    log_q_kind = "likelihood"

    def __init__(
        self,
        proposal: Posterior,
        *,
        acceptance: float = 0.3,
        num_pilots: int = 50,
        num_normalizer_draws: int = 20,
    ) -> None:
        super().__init__()
        if not 0 < acceptance < 1 or num_normalizer_draws < 1:
            raise OptionError(
                "expected 0 < acceptance < 1 and num_normalizer_draws >= 1, got "
                f"{acceptance} and {num_normalizer_draws}"
            )
        if acceptance * num_pilots < _LEAST_KEPT:
            raise OptionError(
                f"expected {_LEAST_KEPT} or more of the pilots to be kept, got an acceptance of "
                f"{acceptance} of num_pilots={num_pilots}",
                hint=f"use num_pilots={math.ceil(_LEAST_KEPT / acceptance)} or more",
            )
        self.base, self.acceptance, self.num_pilots = proposal, acceptance, num_pilots
        self.num_normalizer_draws = num_normalizer_draws
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
                log_q = log_q - self._log_normalizer(weighted, threshold, num_samples)
            if not torch.is_grad_enabled():
                return Draws(z, log_q)
            with frozen(model):  # the model's gradient is that at the accepted draws alone
                elbo = weighted(num_samples)[2]
            return Draws(z, log_q - (elbo - elbo.detach()))

        return draw

    def _log_normalizer(
        self,
        weighted: Callable[[int], tuple[Tensor, Tensor, Tensor]],
        threshold: Tensor,
        num_samples: int,
    ) -> Tensor:
        """Log Z of each place, [S, B], from draws of its own.

        Places that shared an estimate would have weights that go up and down together, whose
        mean is far less certain than that of as many independent ones.
        """
        draws = self.num_normalizer_draws
        # no more rows at a time than the pilots take, however many places there are
        at_once = min(draws, max(1, self.num_pilots // num_samples))
        log_a = [
            F.logsigmoid(weighted(count * num_samples)[2] + threshold).unflatten(
                0, (count, num_samples)
            )
            for count in _counts(draws, at_once)
        ]
        return torch.cat(log_a).logsumexp(0) - math.log(draws)

    def _accepted(
        self,
        weighted: Callable[[int], tuple[Tensor, Tensor, Tensor]],
        threshold: Tensor,
        num_samples: int,
    ) -> tuple[Tensor, Tensor]:
        """Draws z [S, B, L], log q a [S, B]: rounds of proposals until all places are filled."""
        z, log_q, log_w = weighted(num_samples)
        log_a = F.logsigmoid(log_w + threshold)
        open_places = uniform_noise(log_a.shape, log_a).log() >= log_a
        for _ in range(_ROUNDS):
            if not bool(open_places.any()):
                return z, log_q + log_a
            other_z, other_log_q, other_log_w = weighted(num_samples)
            other_log_a = F.logsigmoid(other_log_w + threshold)
            filled = open_places & (uniform_noise(log_a.shape, log_a).log() < other_log_a)
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
        return RejectionSampled(
            base,
            acceptance=self.acceptance,
            num_pilots=self.num_pilots,
            num_normalizer_draws=self.num_normalizer_draws,
        )

    def log_prob(self, model: LatentVariableModel, batch: Batch, z: Tensor) -> Tensor:
        """Refused: the density has a constant that is only estimated."""
        raise IncompatibleChoices(
            "the density of accepted draws is known up to a constant only",
            hint="use `draw`, whose log_q makes exact importance weights",
        )


def _counts(total: int, at_once: int) -> list[int]:
    """Pieces of a total, none larger than `at_once`."""
    return [min(at_once, total - first) for first in range(0, total, at_once)]


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
