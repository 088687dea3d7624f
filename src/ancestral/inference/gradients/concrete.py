"""Relaxations: pathwise gradients of discrete latent variables, at the price of a bias."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from ancestral.core import Batch, OptionError
from ancestral.inference.bounds import Bound
from ancestral.inference.gradients.discrete_draws import (
    check_discrete,
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
        _check_temperature(self.temperature)

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
        layers, logits = [], []
        for own, noisy, i in _climb(q, bound.num_samples, layers):
            logits.append(own)
            layers.append(q.relaxations[i].relaxed(noisy, self.temperature))
        terms = _terms(model, batch, q, logits, layers)
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
        _check_temperature(self.temperature)

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
        layers, logits = [], []
        for own, noisy, i in _climb(q, bound.num_samples, layers):
            logits.append(own)
            relaxation = q.relaxations[i]
            soft = relaxation.relaxed(noisy, self.temperature)
            # in this order the value is exactly discrete
            layers.append(relaxation.hard(noisy).detach() + (soft - soft.detach()))
        terms = _terms(model, batch, q, logits, layers)
        return terms.surrogate(bound, -bound(terms.weighted(penalty)).mean())


def _check_temperature(temperature: float) -> None:
    if not 0 < temperature < float("inf"):
        raise OptionError(
            f"expected a temperature above 0, got {temperature}",
            hint="0.5 is usual; the lower, the closer to discrete values and the noisier",
        )


def _check(estimator: object, bound: Bound, posterior: Posterior) -> None:
    check_discrete(estimator, bound, posterior)
    check_parametric(estimator, bound, posterior)
    check_maximised(estimator, bound, posterior)


def _layers(
    estimator: object, model: LatentVariableModel, posterior: Posterior, batch: Batch
) -> DiscreteLayers:
    assert isinstance(posterior, ParametricPosterior)  # `check` has seen to it
    return discrete_layers(posterior.distribution(model, batch), type(estimator).__name__)


def _climb(q: DiscreteLayers, num_samples: int, layers: list[Tensor]):  # noqa: ANN202
    """Logits, noisy logits and number of one layer after the other, as `layers` fills up."""
    for i, relaxation in enumerate(q.relaxations):
        logits = q.logits(i, layers[-1] if i else None)
        if i == 0:
            logits = logits.expand(num_samples, *logits.shape)
        yield logits, logits + relaxation.noise(logits), i


def _terms(
    model: LatentVariableModel,
    batch: Batch,
    q: DiscreteLayers,
    logits: list[Tensor],
    layers: list[Tensor],
) -> LogWeights:
    return LogWeights.of(model, batch, torch.cat(layers, -1), log_q_between(q, logits, layers))
