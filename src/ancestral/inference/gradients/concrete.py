"""Relaxations: pathwise gradients of discrete latent variables, at the price of a bias."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from ancestral.core import Batch
from ancestral.distributions.relaxations import Relaxation
from ancestral.inference.bounds import Bound
from ancestral.inference.gradients.discrete_draws import (
    check_discrete,
    check_temperature,
    hard_surrogate,
    log_q_between,
)
from ancestral.inference.gradients.estimator import KlPenalty, Surrogate
from ancestral.inference.gradients.log_weights import LogWeights, refuse_free_nats
from ancestral.inference.gradients.path_only import check_parametric
from ancestral.inference.gradients.pathwise import check_maximised
from ancestral.inference.posteriors import (
    DiscreteLayers,
    ParametricPosterior,
    Posterior,
    discrete_layers,
)
from ancestral.models import LatentVariableModel

__all__ = ["Concrete", "StraightThrough"]


@dataclass(frozen=True)
class Concrete:
    r"""Differentiate through Concrete (Gumbel-softmax) variables in the discrete ones' place.

    .. math:: \zeta = \sigma\Big( \frac{\text{logits} + \epsilon}{t} \Big), \qquad
              \nabla L\Big( \log \frac{p(x, \zeta_k)}{q(\zeta_k \mid x)} \Big)

    with logistic noise and a sigmoid for Bernoulli units, Gumbel noise and a softmax for one-hot
    blocks; log p(z) and log q(z | x) are continued linearly from the discrete z. This is the
    gradient of another objective than the bound: it is biased, for model and posterior alike,
    by less the lower the temperature, while its variance grows. The bound that is logged is that
    of discrete draws, which takes a second pass through the decoder.

    Args:
        temperature: t > 0; 2/3 is Maddison et al.'s choice, 0.5 to 1 usual.

    Example:
        >>> Concrete(temperature=0.5)
        Concrete(temperature=0.5)

    References:
        | The Concrete Distribution (Maddison, Mnih & Teh, 2017), equations 10 and 20
        | Categorical Reparameterization with Gumbel-Softmax (Jang, Gu & Poole, 2017), equation 2
    """

    temperature: float = 0.5

    def __post_init__(self) -> None:
        check_temperature(self.temperature)

    def check(self, bound: Bound, model: LatentVariableModel, posterior: Posterior) -> None:
        """Refuse continuous posteriors, and upper bounds."""
        del model
        _check(self, bound, posterior)

    def surrogate(
        self,
        bound: Bound,
        model: LatentVariableModel,
        posterior: Posterior,
        batch: Batch,
        penalty: KlPenalty,
    ) -> Surrogate:
        """Minus the bound of relaxed draws; beside it the bound of discrete ones."""
        refuse_free_nats(self, penalty)
        q = _layers(self, model, posterior, batch)
        truth = hard_surrogate(q, bound, model, batch)
        if not torch.is_grad_enabled():
            return truth
        terms = _terms(
            model, batch, q, bound.num_samples, lambda r, noisy: r.relaxed(noisy, self.temperature)
        )
        return truth._replace(loss=-bound(terms.weighted(penalty)).mean())


@dataclass(frozen=True)
class StraightThrough:
    r"""Discrete values forward, the gradient of Concrete ones backward.

    .. math:: z = \text{hard}(\text{logits} + \epsilon), \qquad
              \frac{\partial z}{\partial \text{logits}} :=
              \frac{\partial \zeta_t}{\partial \text{logits}}

    The decoder sees what it will see in use, so the model's gradient is that of the bound, without
    bias. That of the posterior is biased, as if the bound were linear between discrete values.

    Args:
        temperature: t > 0 of the relaxed values whose derivative is taken.

    References:
        | Categorical Reparameterization with Gumbel-Softmax (Jang, Gu & Poole, 2017), section 2.2
        | Estimating or Propagating Gradients Through Stochastic Neurons (Bengio, Léonard &
        | Courville, 2013), section 4
    """

    temperature: float = 1.0

    def __post_init__(self) -> None:
        check_temperature(self.temperature)

    def check(self, bound: Bound, model: LatentVariableModel, posterior: Posterior) -> None:
        """Refuse continuous posteriors, and upper bounds."""
        del model
        _check(self, bound, posterior)

    def surrogate(
        self,
        bound: Bound,
        model: LatentVariableModel,
        posterior: Posterior,
        batch: Batch,
        penalty: KlPenalty,
    ) -> Surrogate:
        """Minus the bound of discrete draws."""
        refuse_free_nats(self, penalty)
        q = _layers(self, model, posterior, batch)
        if not torch.is_grad_enabled():
            return hard_surrogate(q, bound, model, batch)
        terms = _terms(model, batch, q, bound.num_samples, self._values)
        return terms.surrogate(bound, -bound(terms.weighted(penalty)).mean())

    def _values(self, relaxation: Relaxation, noisy: Tensor) -> Tensor:
        soft = relaxation.relaxed(noisy, self.temperature)
        # in this order the value is exactly discrete
        return relaxation.hard(noisy).detach() + (soft - soft.detach())


def _check(estimator: object, bound: Bound, posterior: Posterior) -> None:
    check_discrete(estimator, bound, posterior)
    check_parametric(estimator, bound, posterior)
    check_maximised(estimator, bound, posterior)


def _layers(
    estimator: object, model: LatentVariableModel, posterior: Posterior, batch: Batch
) -> DiscreteLayers:
    assert isinstance(posterior, ParametricPosterior)  # `check` has seen to it
    return discrete_layers(posterior.distribution(model, batch), type(estimator).__name__)


def _terms(
    model: LatentVariableModel,
    batch: Batch,
    q: DiscreteLayers,
    num_samples: int,
    values: Callable[[Relaxation, Tensor], Tensor],
) -> LogWeights:
    """Log-weights of what `values` makes of the noisy logits, one layer after the other."""
    layers: list[Tensor] = []
    all_logits: list[Tensor] = []
    for i, relaxation in enumerate(q.relaxations):
        logits = q.logits(i, layers[-1] if i else None)
        if i == 0:
            logits = logits.expand(num_samples, *logits.shape)
        all_logits.append(logits)
        layers.append(values(relaxation, logits + relaxation.noise(logits)))
    return LogWeights.of(model, batch, torch.cat(layers, -1), log_q_between(q, all_logits, layers))
