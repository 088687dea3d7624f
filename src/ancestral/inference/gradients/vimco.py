"""VIMCO: the importance-weighted bound for discrete latent variables."""

from __future__ import annotations

from dataclasses import dataclass, field

import torch

from ancestral.core import Batch, IncompatibleChoices
from ancestral.inference.bounds import Bound, ImportanceWeighted
from ancestral.inference.gradients.control_variates import (
    GeometricMean,
    Imputation,
    with_each_imputed,
)
from ancestral.inference.gradients.estimator import KlPenalty, Surrogate
from ancestral.inference.gradients.log_weights import (
    LogWeights,
    check_log_density,
    constant_draws,
    refuse_free_nats,
)
from ancestral.inference.gradients.score_function import score_loss
from ancestral.inference.posteriors import Posterior
from ancestral.models import LatentVariableModel

__all__ = ["Vimco"]


@dataclass(frozen=True)
class Vimco:
    r"""Each sample's score, weighed by what the bound would lose without the sample.

    .. math:: \nabla_\phi = \sum_k \Big( L_K - L_K^{(-k)} - \bar w_k + \frac{1}{K} \Big)
              \nabla_\phi \log q(z_k \mid x)

    with :math:`L_K^{(-k)}` the bound in which a mean of the other weights takes the place of w_k,
    and normalised weights :math:`\bar w_k`. The paper has no 1/K: it changes no mean, and where
    the weights are nearly equal it cancels most of what is left.

    Args:
        imputed: `GeometricMean`, the paper's choice, or `ArithmeticMean`.

    Example:
        >>> from ancestral.inference.objectives import Variational
        >>> Variational(ImportanceWeighted(10), Vimco()).gradient
        Vimco(imputed=GeometricMean())

    References:
        | Variational Inference for Monte Carlo Objectives (Mnih & Rezende, 2016), equations 5 to
        | 10, algorithm 1
    """

    imputed: Imputation = field(default_factory=GeometricMean)

    def check(self, bound: Bound, model: LatentVariableModel, posterior: Posterior) -> None:
        """Refuse other bounds, a single sample, and posteriors without a score."""
        del model
        if not isinstance(bound, ImportanceWeighted):
            raise IncompatibleChoices(
                f"Vimco is made for the ImportanceWeighted bound, got {bound}",
                hint="ScoreFunction(LeaveOneOut()) does the same for other bounds",
            )
        if bound.num_samples < 2:
            raise IncompatibleChoices(
                f"Vimco compares each sample with the others, got a single one in {bound}",
                hint="take num_samples = 2 or more, or ScoreFunction(RunningMean())",
            )
        check_log_density(self, bound, posterior)

    def surrogate(
        self,
        bound: Bound,
        model: LatentVariableModel,
        posterior: Posterior,
        batch: Batch,
        penalty: KlPenalty,
    ) -> Surrogate:
        """Minus the bound at fixed z, and the score term."""
        refuse_free_nats(self, penalty)
        z, log_q = constant_draws(posterior, model, batch, bound.num_samples)
        terms = LogWeights.of(model, batch, z, log_q)
        if not torch.is_grad_enabled():
            return terms.surrogate(bound)
        log_w = terms.weighted(penalty)
        held = log_w.detach()
        centred = bound(held) - with_each_imputed(bound, held, self.imputed(held))
        loss = score_loss(bound, centred.unsqueeze(0), log_q.unsqueeze(0))
        loss = loss - bound(log_w).mean() - penalty.weight * log_q.mean()
        return terms.surrogate(bound, loss)
