"""Pathwise (reparameterisation) gradients."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NoReturn

import torch
from torch import Tensor
from torch.distributions import Distribution

from ancestral.core import Batch, IncompatibleChoices
from ancestral.core.shapes import numel
from ancestral.distributions import kl_terms
from ancestral.inference.bounds import Bound, Elbo, reported
from ancestral.inference.gradients.estimator import KlPenalty, Surrogate
from ancestral.inference.posteriors import ParametricPosterior, Posterior
from ancestral.models import LatentVariableModel

__all__ = [
    "Pathwise",
    "PathwiseClosedFormKl",
    "check_maximised",
    "check_reparameterized",
    "refuse_constants",
    "reparameterized_draws",
]


@dataclass(frozen=True)
class Pathwise:
    r"""Differentiate the bound through z = g(eps, x): the paper's estimator A.

    .. math:: \nabla L\Big(\log \frac{p(x, z_k)}{q(z_k \mid x)}\Big), \quad z_k = g(\epsilon_k, x)

    Works with every bound, and with every posterior whose draws are reparameterised; log q is a
    Monte Carlo term. Free bits, which only the ELBO has, are free for all latent dimensions
    together: the estimate of the whole KL, averaged over the batch, costs nothing below them.

    References:
        | Auto-Encoding Variational Bayes (Kingma & Welling, 2014), equation 6
    """

    def check(self, bound: Bound, model: LatentVariableModel, posterior: Posterior) -> None:
        """Refuse posteriors whose draws pass no gradient, and upper bounds."""
        del model
        check_reparameterized(self, bound, posterior)
        check_maximised(self, bound, posterior)

    def surrogate(
        self,
        bound: Bound,
        model: LatentVariableModel,
        posterior: Posterior,
        batch: Batch,
        penalty: KlPenalty,
    ) -> Surrogate:
        """Minus the bound of the (weighted) log-weights."""
        if penalty.free_nats and not isinstance(bound, Elbo):
            raise IncompatibleChoices(
                f"free bits need a KL term, which {bound} does not have",
                hint="use the Elbo, or no free bits",
            )
        z, log_q = posterior.draw(model, batch, bound.num_samples)
        refuse_constants(self, bound, posterior, z)
        log_likelihood = model.log_likelihood(batch.x, z, batch.observed)
        log_ratio = model.log_prior(z) - log_q
        if penalty.free_nats:
            # the whole KL is one term, with the allowance of all dimensions together
            free = penalty.free_nats * numel(z.shape[2:])
            cost = (-log_ratio).mean().clamp_min(free)
            loss = penalty.weight * cost - log_likelihood.mean()
        else:
            loss = -bound(log_likelihood + penalty.weight * log_ratio).mean()
        reconstruction, log_ratio = log_likelihood.detach(), log_ratio.detach()
        return Surrogate(
            loss,
            reported(bound, reconstruction + log_ratio),
            reconstruction.mean(0),
            -log_ratio.mean(0),
        )


@dataclass(frozen=True)
class PathwiseClosedFormKl:
    r"""Differentiate E_q log p(x|z) through z, and KL(q || p) in closed form: estimator B.

    .. math:: \nabla \Big( \frac{1}{K} \sum_k \log p(x \mid z_k) - KL(q(z \mid x) \| p(z)) \Big)

    Less noisy than A wherever the KL is known. For the ELBO only: inside an importance-weighted
    bound the ratio p / q of each sample is needed.

    References:
        | Auto-Encoding Variational Bayes (Kingma & Welling, 2014), equation 7 and appendix B
    """

    def check(self, bound: Bound, model: LatentVariableModel, posterior: Posterior) -> None:
        """Refuse bounds other than the ELBO, and posteriors that are mere samplers."""
        check_reparameterized(self, bound, posterior)
        if not isinstance(bound, Elbo):
            raise IncompatibleChoices(
                f"PathwiseClosedFormKl needs the Elbo, got {bound}",
                hint="use Pathwise(), which differentiates every bound",
            )
        if not isinstance(posterior, ParametricPosterior):
            raise IncompatibleChoices(
                "PathwiseClosedFormKl needs a posterior that is a distribution, got "
                f"{type(posterior).__name__}",
                hint="use Pathwise(), which only needs samples",
            )
        del model

    def surrogate(
        self,
        bound: Bound,
        model: LatentVariableModel,
        posterior: Posterior,
        batch: Batch,
        penalty: KlPenalty,
    ) -> Surrogate:
        """KL - E log p(x | z), with the KL weighted as asked."""
        assert isinstance(posterior, ParametricPosterior)  # `check` has seen to it
        q = posterior.distribution(model, batch)
        try:
            terms = kl_terms(q, model.prior())  # [batch, latent], or [batch, 1]
        except IncompatibleChoices as error:
            raise IncompatibleChoices(
                error.message, hint="use Pathwise(), which estimates the KL from samples"
            ) from None
        z = reparameterized_draws(self, bound, posterior, q)
        log_likelihood = model.log_likelihood(batch.x, z, batch.observed)
        reconstruction = log_likelihood[0] if bound.num_samples == 1 else log_likelihood.mean(0)
        kl = terms.sum(-1)
        if penalty.free_nats:
            # one term that stands for all dimensions has the allowance of them all
            free = penalty.free_nats * numel(q.event_shape) / terms.shape[-1]
            cost = terms.mean(0).clamp_min(free).sum()
        else:
            cost = kl.mean()
        loss = penalty.weight * cost - reconstruction.mean()
        kl, reconstruction = kl.detach(), reconstruction.detach()
        return Surrogate(loss, reconstruction - kl, reconstruction, kl)


def reparameterized_draws(
    estimator: object, bound: Bound, posterior: Posterior, q: Distribution
) -> Tensor:
    """As many as the bound asks for, [samples, batch, *latent]; refuse a q that has none."""
    try:
        z = q.rsample(torch.Size((bound.num_samples,)))
    except NotImplementedError:
        _refuse(estimator, bound, posterior)
    refuse_constants(estimator, bound, posterior, z)
    return z


def refuse_constants(estimator: object, bound: Bound, posterior: Posterior, z: Tensor) -> None:
    """Refuse draws without gradient of a posterior that said it had them: a discrete one, say."""
    if not isinstance(posterior, ParametricPosterior) or not torch.is_grad_enabled():
        return
    if not z.requires_grad and any(p.requires_grad for p in posterior.parameters()):
        _refuse(estimator, bound, posterior)


def check_maximised(estimator: object, bound: Bound, posterior: Posterior) -> None:
    """Refuse upper bounds: to maximise one is to maximise what log p(x) is at most."""
    if bound.kind == "upper_bound":
        hint = (
            "an upper bound is minimised over q alone: "
            f"Variational(ImportanceWeighted({bound.num_samples}), TwoBounds({bound}))"
        )
        if not posterior.reparameterized:
            hint = (
                f"use ImportanceWeighted({bound.num_samples}): upper bounds train posteriors with "
                "reparameterised draws alone"
            )
        raise IncompatibleChoices(
            f"{type(estimator).__name__} maximises a bound over the model and the posterior, got "
            f"the upper bound {bound}",
            hint=hint,
        )


def check_reparameterized(estimator: object, bound: Bound, posterior: Posterior) -> None:
    """Refuse posteriors whose draws pass no gradient."""
    if not posterior.reparameterized:
        _refuse(estimator, bound, posterior)


def _refuse(estimator: object, bound: Bound, posterior: Posterior) -> NoReturn:
    raise IncompatibleChoices(
        f"{type(estimator).__name__} needs draws that pass gradients, got "
        f"{type(posterior).__name__} with {bound}",
        hint="use a score-function estimator for posteriors without reparameterisation",
    )
