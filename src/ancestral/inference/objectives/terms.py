"""The two terms of the ELBO, to differentiate, by the best means the posterior has."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor, nn

from ancestral.core import Batch, IncompatibleChoices
from ancestral.distributions import kl_terms
from ancestral.inference.posteriors import ParametricPosterior, Posterior
from ancestral.models import LatentVariableModel

__all__ = [
    "ElboTerms",
    "check_density",
    "check_kl_weight",
    "check_latent",
    "check_prior_is_trained",
    "elbo_terms",
    "prior_draws",
]


class ElboTerms(NamedTuple):
    """One batch.

    Attributes:
        z: [samples, batch, latent], draws from q.
        reconstruction: [batch], E_q log p(x | z) in nats.
        kl: [batch], KL(q || p) in nats: in closed form where there is one.
        kl_is_exact: whether there is.
    """

    z: Tensor
    reconstruction: Tensor
    kl: Tensor
    kl_is_exact: bool

    def logged(self) -> dict[str, Tensor]:
        """The true terms, as every variational objective reports them."""
        reconstruction, kl = self.reconstruction.detach().mean(), self.kl.detach().mean()
        return {"bound": reconstruction - kl, "reconstruction": reconstruction, "kl": kl}


def elbo_terms(
    model: LatentVariableModel, posterior: Posterior, batch: Batch, num_samples: int = 1
) -> ElboTerms:
    """Draw z, decode it, and measure q against the prior."""
    z, kl = _with_closed_kl(model, posterior, batch, num_samples)
    kl_is_exact = kl is not None
    if kl is None:
        z, log_q = posterior.draw(model, batch, num_samples)
        kl = (log_q - model.log_prior(z)).mean(0)
    assert z is not None
    reconstruction = model.log_likelihood(batch.x, z, batch.observed).mean(0)
    return ElboTerms(z, reconstruction, kl, kl_is_exact)


def prior_draws(model: LatentVariableModel, num_draws: int) -> Tensor:
    """Draws from p(z), [num_draws, *latent], that pass gradients to it where its family can."""
    prior = model.prior()
    shape = torch.Size((num_draws,))
    return prior.rsample(shape) if prior.has_rsample else prior.sample(shape)


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


def check_density(objective: object, posterior: Posterior) -> None:
    """Refuse deterministic encoders, for which there is no bound."""
    if not posterior.has_density:
        raise IncompatibleChoices(
            f"{type(objective).__name__} needs log q(z | x), which {type(posterior).__name__} "
            "does not have",
            hint="take an encoder with a density, such as a diagonal Gaussian, or train it with "
            "Wasserstein()",
        )


def check_kl_weight(posterior: Posterior, what: str) -> None:
    """Refuse posteriors whose log q holds the likelihood, with which there is no KL to weigh.

    Args:
        posterior: q.
        what: would weigh the KL.
    """
    if posterior.log_q_kind == "likelihood":
        raise IncompatibleChoices(
            f"{what} needs a KL that is apart from the likelihood, and the log q of "
            f"{type(posterior).__name__} has log p(x | z) in it",
            hint="train it with Variational(Elbo(), Pathwise()), without warm-up and free bits; "
            "or weigh the KL of the posterior that proposes its draws",
        )


def check_prior_is_trained(objective: object, model: LatentVariableModel) -> None:
    """Refuse priors with weights that draws pass no gradient to."""
    if any(p.requires_grad for p in model.prior.parameters()) and not model.prior().has_rsample:
        raise IncompatibleChoices(
            f"{type(objective).__name__} compares draws of the prior, through which the weights "
            f"of {type(model.prior).__name__} get no gradient",
            hint="take a prior without weights or with reparameterised draws, such as a "
            "Gaussian; or freeze it: model.prior.requires_grad_(False)",
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
