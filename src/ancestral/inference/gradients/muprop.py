"""MuProp: a first-order expansion at the mean as control variate."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from ancestral.core import Batch
from ancestral.inference.bounds import Bound
from ancestral.inference.gradients.discrete_draws import (
    check_discrete,
    check_elbo,
    log_weight_between,
)
from ancestral.inference.gradients.estimator import KlPenalty, Surrogate
from ancestral.inference.gradients.log_weights import LogWeights, refuse_free_nats
from ancestral.inference.gradients.path_only import check_parametric
from ancestral.inference.posteriors import (
    DiscreteLayers,
    ParametricPosterior,
    Posterior,
    discrete_layers,
)
from ancestral.models import LatentVariableModel

__all__ = ["MuProp"]


@dataclass(frozen=True)
class MuProp:
    r"""The score function on what the linear part does not explain, and the linear part exactly.

    With f the log-weight, :math:`\bar z` the mean-field values (each layer's mean given the means
    below) and :math:`\mu_l(z_{l-1})` a layer's mean given what it is drawn from,

    .. math:: \nabla_\phi = \Big( f(z) - f(\bar z)
              - \sum_l f'_l(\bar z) (z_l - \mu_l) \Big) \nabla_\phi \log q(z)
              + \sum_l f'_l(\bar z) \nabla_\phi \mu_l(z_{l-1})

    with f' the total derivative, through the mean-field values of the layers above. Unbiased, for
    the ELBO; f is continued linearly in log p(z) and log q between discrete values. The better a
    plane fits f, the less noise: exact where f is linear in a single layer.

    Cost:
        One more pass through the decoder, forward and backward, for each datum.

    References:
        | MuProp: Unbiased Backpropagation for Stochastic Neural Networks (Gu et al., 2016),
        | equations 5 to 7
    """

    def check(self, bound: Bound, model: LatentVariableModel, posterior: Posterior) -> None:
        """Refuse continuous posteriors, and other bounds than the ELBO."""
        del model
        check_discrete(self, bound, posterior)
        check_parametric(self, bound, posterior)
        check_elbo(self, bound)

    def surrogate(
        self,
        bound: Bound,
        model: LatentVariableModel,
        posterior: Posterior,
        batch: Batch,
        penalty: KlPenalty,
    ) -> Surrogate:
        """Minus the bound at fixed z, the residual's score term, and the linear part."""
        assert isinstance(posterior, ParametricPosterior)  # `check` has seen to it
        refuse_free_nats(self, penalty)
        q = discrete_layers(posterior.distribution(model, batch), "MuProp")
        z = q.sample(torch.Size((bound.num_samples,)))
        layers = q.split(z)
        below = (None, *layers[:-1])
        logits = [q.logits(i, given) for i, given in enumerate(below)]
        log_q = torch.stack(
            [q.log_prob_layer(i, logits[i], layers[i]) for i in range(q.num_layers)]
        ).sum(0)
        terms = LogWeights.of(model, batch, z, log_q)
        if not torch.is_grad_enabled():
            return terms.surrogate(bound)
        value, slopes = _expanded(model, batch, q, penalty)
        means = [r.mean(own) for r, own in zip(q.relaxations, logits, strict=True)]
        linear = torch.stack(
            [
                (slope * (own - mean.detach())).sum(-1)
                for slope, own, mean in zip(slopes, layers, means, strict=True)
            ]
        ).sum(0)
        residual = terms.weighted(penalty).detach() - value - linear
        exact = torch.stack(
            [(slope * mean).sum(-1).mean() for slope, mean in zip(slopes, means, strict=True)]
        ).sum()
        joint = terms.log_likelihood + penalty.weight * terms.log_prior
        return terms.surrogate(bound, -joint.mean() - (residual * log_q).mean() - exact)


def _expanded(
    model: LatentVariableModel, batch: Batch, q: DiscreteLayers, penalty: KlPenalty
) -> tuple[Tensor, tuple[Tensor, ...]]:
    """F at the mean field, [1, batch], and its total derivative by each layer, [1, batch, L_l]."""
    means: list[Tensor] = []
    all_logits: list[Tensor] = []
    steps: list[Tensor] = []
    for i, relaxation in enumerate(q.relaxations):
        logits = q.logits(i, means[-1] if i else None)
        logits = logits.detach().unsqueeze(0) if i == 0 else logits  # one sample
        mean = relaxation.mean(logits)
        step = torch.zeros_like(mean).detach().requires_grad_()
        all_logits.append(logits)
        means.append(mean + step)
        steps.append(step)
    value = log_weight_between(model, batch, q, all_logits, means, penalty)
    slopes = torch.autograd.grad(value.sum(), steps)
    return value.detach(), slopes
