"""Objectives that compare all codes of a batch with the prior: InfoVAE and Wasserstein."""

from __future__ import annotations

import math
from dataclasses import dataclass, field

from torch import Tensor, nn

from ancestral.core import Batch, IncompatibleChoices, OptionError
from ancestral.distributions import Discrepancy, MaximumMeanDiscrepancy
from ancestral.inference.objectives.objective import Loss
from ancestral.inference.objectives.terms import (
    check_kl_weight,
    check_latent,
    check_prior_is_trained,
    elbo_terms,
    prior_draws,
)
from ancestral.inference.posteriors import Posterior
from ancestral.models import LatentVariableModel

__all__ = ["InfoVae", "Wasserstein"]


@dataclass(frozen=True)
class InfoVae:
    r"""Maximise reconstruction, a KL for each datum, and a distance of all codes from the prior.

    .. math:: E_q \log p(x \mid z) - (1 - \alpha)\, KL(q(z \mid x) \| p(z))
              - (\alpha + \lambda - 1)\, D(q(z) \| p(z))

    alpha = 0 and lambda = 1 is the ELBO, alpha = 1 the MMD-VAE. D sees the aggregate posterior
    q(z), of which a batch's codes are a sample: batches of a few hundred rows show it better.
    `objective` is what is maximised; `bound`, `reconstruction` and `kl` are the true ones, and
    `discrepancy` is D.

    Args:
        alpha: weight of the mutual information of x and z, at most 1.
        prior_weight: lambda, at least 1 - alpha.
        discrepancy: D, of two samples of latent variables.

    References:
        | InfoVAE (Zhao, Song & Ermon, 2019), equation 7
    """

    alpha: float = 0.5
    prior_weight: float = 100.0
    discrepancy: Discrepancy = field(default_factory=MaximumMeanDiscrepancy)
    target: str = "objective"

    def __post_init__(self) -> None:
        in_range = self.alpha <= 1 and 1 <= self.alpha + self.prior_weight < float("inf")
        if not (in_range and math.isfinite(self.alpha)):
            raise OptionError(
                "expected alpha of at most 1 and prior_weight of at least 1 - alpha, got "
                f"{self.alpha} and {self.prior_weight}",
                hint="the KL and the discrepancy would be rewarded rather than paid for",
            )

    @property
    def companion(self) -> None:
        """Nothing is trained along."""
        return

    def check(self, model: nn.Module, posterior: Posterior | None) -> None:
        """Refuse models without latent variables, and encoders without a density."""
        check_latent(self, model, posterior)
        assert posterior is not None
        if not posterior.has_density:
            raise IncompatibleChoices(
                "InfoVae has KL(q || p), which a deterministic encoder does not have",
                hint="train it with Wasserstein()",
            )
        check_kl_weight(posterior, "InfoVae")
        assert isinstance(model, LatentVariableModel)
        check_prior_is_trained(self, model)

    def __call__(
        self, model: nn.Module, posterior: Posterior | None, batch: Batch, step: int
    ) -> Loss:
        """Minus the objective."""
        del step
        assert isinstance(model, LatentVariableModel)
        assert posterior is not None
        found = elbo_terms(model, posterior, batch)
        distance = _from_prior(self.discrepancy, model, found.z[0])
        objective = (found.reconstruction - (1 - self.alpha) * found.kl).mean()
        objective = objective - (self.alpha + self.prior_weight - 1) * distance
        terms = {"objective": objective.detach(), "discrepancy": distance.detach()}
        return Loss(-objective, terms | found.logged())

    def announcements(self, num_steps: int, steps_per_epoch: int) -> list[str]:
        """What is not a bound."""
        del num_steps, steps_per_epoch
        return ["objective is the InfoVAE's; bound is the true ELBO of the same model"]


@dataclass(frozen=True)
class Wasserstein:
    r"""Minimise the cost of rebuilding x, and a distance of all codes from the prior.

    .. math:: E_q [-\log p(x \mid z)] + \lambda\, D(q(z), p(z))

    No datum's codes are asked to spread over the prior, only those of all data together; so the
    encoder may be deterministic (`PointMass`). Then q has no density, and there is no bound: what
    is logged are `objective`, `reconstruction` and `discrepancy`. With an encoder that has a
    density the true `bound` and `kl` are logged as well.

    Args:
        discrepancy: D, of two samples of latent variables.
        weight: lambda, in nats.

    References:
        | Wasserstein Auto-Encoders (Tolstikhin et al., 2018), equation 4 and algorithm 2
        | Sliced Wasserstein Auto-Encoders (Kolouri et al., 2019), for the sliced distance
    """

    discrepancy: Discrepancy = field(default_factory=MaximumMeanDiscrepancy)
    weight: float = 100.0
    target: str = "objective"

    def __post_init__(self) -> None:
        if not 0 <= self.weight < float("inf"):
            raise OptionError(f"expected a weight of at least 0, got {self.weight}")

    @property
    def companion(self) -> None:
        """Nothing is trained along."""
        return

    def check(self, model: nn.Module, posterior: Posterior | None) -> None:
        """Refuse models without latent variables, and draws without gradient, of q or p."""
        check_latent(self, model, posterior)
        assert isinstance(model, LatentVariableModel)
        assert posterior is not None
        check_kl_weight(posterior, "Wasserstein")
        check_prior_is_trained(self, model)

    def __call__(
        self, model: nn.Module, posterior: Posterior | None, batch: Batch, step: int
    ) -> Loss:
        """Minus the objective."""
        del step
        assert isinstance(model, LatentVariableModel)
        assert posterior is not None
        if posterior.has_density:
            found = elbo_terms(model, posterior, batch)
            z, reconstruction, logged = found.z[0], found.reconstruction.mean(), found.logged()
        else:
            z = posterior.mean(model, batch)
            reconstruction = model.log_likelihood(batch.x, z, batch.observed).mean()
            logged = {"reconstruction": reconstruction.detach()}
        distance = _from_prior(self.discrepancy, model, z)
        objective = reconstruction - self.weight * distance
        terms = {"objective": objective.detach(), "discrepancy": distance.detach()}
        return Loss(-objective, terms | logged)

    def announcements(self, num_steps: int, steps_per_epoch: int) -> list[str]:
        """What is not a bound."""
        del num_steps, steps_per_epoch
        return ["objective is minus a Wasserstein cost: not a likelihood, and not a bound on one"]


def _from_prior(discrepancy: Discrepancy, model: LatentVariableModel, z: Tensor) -> Tensor:
    """Distance of the codes [batch, latent] from as many draws of the prior."""
    if len(z) == 1:  # the last row of an epoch, alone in its batch, has no distances within it
        return z.sum() * 0.0
    return discrepancy(z, prior_draws(model, len(z)))
