"""What every estimator makes of its samples: log-weights, and from them the truth to report."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from ancestral.core import Batch, Draws, IncompatibleChoices
from ancestral.inference.bounds import Bound, reported
from ancestral.inference.gradients.estimator import KlPenalty, Surrogate
from ancestral.inference.posteriors import ParametricPosterior, Posterior
from ancestral.models import LatentVariableModel

__all__ = ["LogWeights", "check_log_density", "constant_draws", "refuse_free_nats"]


class LogWeights(NamedTuple):
    """The three terms of log p(x, z) / q(z | x).

    Attributes:
        log_likelihood: log p(x | z), [samples, batch].
        log_prior: log p(z), [samples, batch].
        log_q: log q(z | x), [samples, batch].
    """

    log_likelihood: Tensor
    log_prior: Tensor
    log_q: Tensor

    @staticmethod
    def of(model: LatentVariableModel, batch: Batch, z: Tensor, log_q: Tensor) -> LogWeights:
        """Those of some z."""
        return LogWeights(
            model.log_likelihood(batch.x, z, batch.observed), model.log_prior(z), log_q
        )

    def weighted(self, penalty: KlPenalty) -> Tensor:
        """What is trained on, [samples, batch]: log p(x | z) + weight * (log p(z) - log q)."""
        return self.log_likelihood + penalty.weight * (self.log_prior - self.log_q)

    def surrogate(self, bound: Bound, loss: Tensor | None = None) -> Surrogate:
        """The true terms, with weight 1, beside a loss; None where nobody differentiates."""
        reconstruction = self.log_likelihood.detach()
        log_ratio = (self.log_prior - self.log_q).detach()
        return Surrogate(
            reconstruction.new_zeros(()) if loss is None else loss,
            reported(bound, reconstruction + log_ratio),
            reconstruction.mean(0),
            -log_ratio.mean(0),
        )


def refuse_free_nats(estimator: object, penalty: KlPenalty) -> None:
    """Refuse free bits, which need a KL term for each latent dimension."""
    if penalty.free_nats:
        raise IncompatibleChoices(
            "free bits need a KL term for each latent dimension; "
            f"{type(estimator).__name__} has only log q(z)",
            hint="use PathwiseClosedFormKl with the Elbo, or no free bits",
        )


def check_log_density(estimator: object, bound: Bound, posterior: Posterior) -> None:
    """Refuse posteriors whose log q is not that of their draws: its gradient is no score."""
    if posterior.has_density and posterior.log_q_kind == "density":
        return
    hint = "use Pathwise(), which differentiates whatever makes up the weights"
    if not posterior.reparameterized:
        hint = "use the posterior that proposes its draws, with Vimco() and ImportanceWeighted"
    raise IncompatibleChoices(
        f"{type(estimator).__name__} needs the log-density of the draws, whose gradient is their "
        f"score, got {type(posterior).__name__} with {bound}, which has none",
        hint=hint,
    )


def constant_draws(
    posterior: Posterior, model: LatentVariableModel, batch: Batch, num_samples: int
) -> Draws:
    """Draws that pass no gradient, with a log q that passes one to q's parameters alone."""
    if isinstance(posterior, ParametricPosterior):
        q = posterior.distribution(model, batch)
        z = q.sample(torch.Size((num_samples,))).detach()
        return Draws(z, q.log_prob(z))
    z, log_q = posterior.draw(model, batch, num_samples)
    if not z.requires_grad:
        return Draws(z, log_q)
    return Draws(z.detach(), posterior.log_prob(model, batch, z.detach()))
