"""The gradient of a Rényi bound from the backward pass of a single sample."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from ancestral.core import Batch, IncompatibleChoices
from ancestral.inference.bounds import Bound, Elbo, ImportanceWeighted, Renyi, reported
from ancestral.inference.gradients.estimator import KlPenalty, Surrogate
from ancestral.inference.gradients.pathwise import check_reparameterized, refuse_constants
from ancestral.inference.posteriors import Posterior
from ancestral.models import LatentVariableModel

__all__ = ["SampledIndex"]


@dataclass(frozen=True)
class SampledIndex:
    r"""Draw one of the K samples by its weight, and differentiate its log-weight alone.

    .. math:: \nabla \log w_j, \quad j \sim \text{Categorical}(w_k^{1 - \alpha} / \textstyle\sum)

    whose mean over j is the pathwise gradient of the Rényi bound. At alpha = -infinity j is the
    largest weight's index, and nothing is random (VR-max). All K samples are scored without
    a graph, and the one that was drawn once more with it: K + 1 forward passes through the
    decoder and one backward, instead of K and K. Dropout is drawn anew for the second pass.

    References:
        | Rényi Divergence Variational Inference (Li & Turner, 2016), section 4.2, algorithm 1
    """

    def check(self, bound: Bound, model: LatentVariableModel, posterior: Posterior) -> None:
        """Refuse bounds outside the Rényi family, and draws without gradient."""
        del model
        check_reparameterized(self, bound, posterior)
        if not isinstance(bound, Renyi | ImportanceWeighted | Elbo):
            raise IncompatibleChoices(
                f"SampledIndex needs a bound whose gradient weighs samples by w^(1 - alpha), got "
                f"{bound}",
                hint="use Renyi(alpha), or Pathwise(), which differentiates every bound",
            )

    def surrogate(
        self,
        bound: Bound,
        model: LatentVariableModel,
        posterior: Posterior,
        batch: Batch,
        penalty: KlPenalty,
    ) -> Surrogate:
        """Minus the log-weight of the sample that was drawn."""
        if penalty.free_nats:
            raise IncompatibleChoices(
                "free bits need a KL term for each latent dimension; SampledIndex has only log q",
                hint="use PathwiseClosedFormKl with the Elbo, or no free bits",
            )
        z, log_q = posterior.draw(model, batch, bound.num_samples)
        refuse_constants(self, bound, posterior, z)
        with torch.no_grad():
            reconstruction = model.log_likelihood(batch.x, z, batch.observed)
            log_ratio = model.log_prior(z) - log_q
        loss = log_q.new_zeros(())
        if torch.is_grad_enabled():
            chosen = _drawn(bound, reconstruction + penalty.weight * log_ratio)  # [1, batch]
            one_z = z.take_along_dim(chosen.unsqueeze(-1), 0)
            ratio = model.log_prior(one_z) - log_q.take_along_dim(chosen, 0)
            log_w = model.log_likelihood(batch.x, one_z, batch.observed) + penalty.weight * ratio
            loss = -log_w.mean()
        return Surrogate(
            loss,
            reported(bound, reconstruction + log_ratio),
            reconstruction.mean(0),
            -log_ratio.mean(0),
        )


def _drawn(bound: Bound, log_w: Tensor) -> Tensor:
    """Index of one sample for each datum, [1, batch]."""
    if isinstance(bound, Elbo | ImportanceWeighted):
        power = 0.0 if isinstance(bound, Elbo) else 1.0
    else:
        assert isinstance(bound, Renyi)
        power = bound.power
    if power == float("inf"):
        return log_w.argmax(0, keepdim=True)
    if power == float("-inf"):
        return log_w.argmin(0, keepdim=True)
    # by Gumbel noise rather than by probabilities, which diverged weights (NaN) have not: so these
    # are drawn, and whoever watches the loss sees them
    noise = torch.empty_like(log_w).exponential_().clamp_min(torch.finfo(log_w.dtype).tiny)
    log_probability = power * log_w if power else torch.where(log_w.isnan(), log_w, 0.0)
    return (log_probability - noise.log()).argmax(0, keepdim=True)
