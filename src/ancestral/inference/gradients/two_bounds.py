"""One bound for the model, another for the posterior."""

from __future__ import annotations

from dataclasses import dataclass, field

import torch
from torch import Tensor

from ancestral.core import Batch, IncompatibleChoices, frozen, seeded
from ancestral.core.freezing import evaluation_mode
from ancestral.inference.bounds import Bound, Miwae, reported
from ancestral.inference.gradients.estimator import KlPenalty, Surrogate
from ancestral.inference.gradients.pathwise import (
    check_maximised,
    check_reparameterized,
    refuse_constants,
)
from ancestral.inference.posteriors import Posterior
from ancestral.models import LatentVariableModel

__all__ = ["TwoBounds"]


@dataclass(frozen=True)
class TwoBounds:
    r"""Pathwise gradients of one bound for the model, and of another for the posterior.

    .. math:: \nabla_\theta L_{model}(\log w), \quad \nabla_\phi L_{posterior}(\log w)

    both of the same log-weights, and each complete: nothing of one bound reaches the other's
    parameters. The model's bound is the objective's, and the one that is logged. With
    `ImportanceWeighted(M * K)` there and `Miwae(M, K)` here this is PIWAE: a tight bound helps the
    model, and starves the encoder of signal. An upper bound (`Chi`) is minimised over q.

    Where q reads the model's own parameters, they are constants to it.

    Args:
        posterior_bound: what trains q, of as many samples as the model's bound.

    Cost:
        One pass through the decoder, and two backward ones, of which the first computes no
        gradient of weights: about a third more than `Pathwise`.

    Example:
        >>> from ancestral.inference.bounds import ImportanceWeighted
        >>> from ancestral.inference.objectives import Variational
        >>> Variational(ImportanceWeighted(64), TwoBounds(Miwae(8, 8))).bound
        ImportanceWeighted(num_samples=64)

    References:
        | Tighter Variational Bounds are Not Necessarily Better (Rainforth et al., 2018): PIWAE
    """

    posterior_bound: Bound = field(default_factory=Miwae)

    def check(self, bound: Bound, model: LatentVariableModel, posterior: Posterior) -> None:
        """Refuse numbers of samples that differ, upper bounds for p, and weights of both."""
        check_reparameterized(self, bound, posterior)
        if bound.num_samples != self.posterior_bound.num_samples:
            raise IncompatibleChoices(
                f"two bounds of the same samples need as many of them, got {bound} for the model "
                f"and {self.posterior_bound} for the posterior",
                hint=f"give the model's bound {self.posterior_bound.num_samples} samples",
            )
        check_maximised(self, bound, posterior)
        if _share_weights(model, posterior):
            raise IncompatibleChoices(
                "two bounds need a model and a posterior without common weights, which would "
                f"belong to both, got {type(model.prior).__name__} and "
                f"{type(posterior).__name__}",
                hint="use Pathwise(), or a prior of its own, such as MixturePrior",
            )

    def surrogate(
        self,
        bound: Bound,
        model: LatentVariableModel,
        posterior: Posterior,
        batch: Batch,
        penalty: KlPenalty,
    ) -> Surrogate:
        """A loss whose gradient has both parts."""
        if penalty.free_nats:
            raise IncompatibleChoices(
                "free bits need a KL term for each latent dimension; TwoBounds has only log q(z)",
                hint="use PathwiseClosedFormKl with the Elbo, or no free bits",
            )
        with frozen(model):
            z, log_q = posterior.draw(model, batch, bound.num_samples)
        refuse_constants(self, bound, posterior, z)
        leaf = z.detach()
        if torch.is_grad_enabled():
            leaf = leaf.requires_grad_()
        log_likelihood = model.log_likelihood(batch.x, leaf, batch.observed)
        log_prior = model.log_prior(leaf)
        weighted = log_likelihood + penalty.weight * (log_prior - log_q.detach())
        loss = weighted.new_zeros(())
        if torch.is_grad_enabled():
            loss = self._loss(bound, weighted, z, leaf, penalty.weight * log_q)
        reconstruction = log_likelihood.detach()
        log_ratio = (log_prior - log_q).detach()
        return Surrogate(
            loss,
            reported(bound, reconstruction + log_ratio),
            reconstruction.mean(0),
            -log_ratio.mean(0),
        )

    def _loss(self, bound: Bound, log_w: Tensor, z: Tensor, leaf: Tensor, log_q: Tensor) -> Tensor:
        """Minus both bounds to first order: the coefficients of the log-weights are constants."""
        sign = -1.0 if self.posterior_bound.kind == "upper_bound" else 1.0
        for_model = _coefficients(bound, log_w)
        for_posterior = sign * _coefficients(self.posterior_bound, log_w)
        # of log w = log p(x, z) - log q(z | x), with the model's parameters as constants
        (slope,) = torch.autograd.grad(log_w, leaf, for_posterior, retain_graph=True)
        # the model's part must not reach q: z is a leaf there, whose gradient nobody takes
        model_part = (for_model * log_w).sum()
        posterior_part = (slope * z).sum() - (for_posterior * log_q).sum()
        return -(model_part + posterior_part)


def _share_weights(model: LatentVariableModel, posterior: Posterior) -> bool:
    """Whether the model holds weights of q, or its prior follows some that it does not hold."""
    of_posterior = {id(p) for p in posterior.parameters()}
    if any(id(p) in of_posterior for p in model.parameters()):
        return True
    if not of_posterior:
        return False
    with seeded(0), evaluation_mode(model), frozen(model, keep=posterior):
        prior = model.prior()
        with torch.enable_grad():
            return model.log_prior(prior.sample(torch.Size((1,)))).requires_grad


def _coefficients(bound: Bound, log_w: Tensor) -> Tensor:
    """Derivative of the bound's mean over the batch by each log-weight, [samples, batch]."""
    values = log_w.detach().requires_grad_()
    with torch.enable_grad():
        (gradient,) = torch.autograd.grad(bound(values).mean(), values)
    return gradient
