"""The two terms of the ELBO, to differentiate, by the best means the posterior has."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor, nn

from ancestral.core import Batch, IncompatibleChoices
from ancestral.distributions import kl_terms
from ancestral.inference.posteriors import ParametricPosterior, Posterior
from ancestral.models import LatentVariableModel

__all__ = ["ElboTerms", "check_latent", "elbo_terms"]


class ElboTerms(NamedTuple):
    """One batch.

    Attributes:
        z: [samples, batch, latent], draws from q.
        reconstruction: [batch], E_q log p(x | z) in nats.
        kl: [batch], KL(q || p) in nats: in closed form where there is one.
    """

    z: Tensor
    reconstruction: Tensor
    kl: Tensor

    def logged(self) -> dict[str, Tensor]:
        """The true terms, as every variational objective reports them."""
        reconstruction, kl = self.reconstruction.detach().mean(), self.kl.detach().mean()
        return {"bound": reconstruction - kl, "reconstruction": reconstruction, "kl": kl}


def elbo_terms(
    model: LatentVariableModel, posterior: Posterior, batch: Batch, num_samples: int = 1
) -> ElboTerms:
    """Draw z, decode it, and measure q against the prior."""
    z, kl = _with_closed_kl(model, posterior, batch, num_samples)
    if kl is None:
        z, log_q = posterior.draw(model, batch, num_samples)
        kl = (log_q - model.log_prior(z)).mean(0)
    assert z is not None
    return ElboTerms(z, model.log_likelihood(batch.x, z, batch.observed).mean(0), kl)


def check_latent(objective: object, model: nn.Module, posterior: Posterior | None) -> None:
    """Refuse anything but a latent-variable model with a reparameterised posterior."""
    name = type(objective).__name__
    if not isinstance(model, LatentVariableModel) or posterior is None:
        raise IncompatibleChoices(
            f"{name} needs a latent-variable model and a posterior, got {type(model).__name__} "
            f"and {type(posterior).__name__}",
            hint="models with an exact likelihood train with MaximumLikelihood()",
        )
    if not posterior.reparameterized:
        raise IncompatibleChoices(
            f"{name} needs draws that pass gradients, got {type(posterior).__name__}",
            hint="use Variational with a score-function estimator for such posteriors",
        )


def _with_closed_kl(
    model: LatentVariableModel, posterior: Posterior, batch: Batch, num_samples: int
) -> tuple[Tensor | None, Tensor | None]:
    if not isinstance(posterior, ParametricPosterior):
        return None, None
    q = posterior.distribution(model, batch)
    try:
        kl = kl_terms(q, model.prior()).sum(-1)
    except IncompatibleChoices:
        return None, None
    return q.rsample(torch.Size((num_samples,))), kl
