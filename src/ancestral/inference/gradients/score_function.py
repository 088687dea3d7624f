"""The score-function estimator (REINFORCE), with a control variate of one's choice."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from ancestral.core import Batch, IncompatibleChoices
from ancestral.inference.bounds import Bound, Elbo
from ancestral.inference.gradients.baseline_network import VarianceNormalization
from ancestral.inference.gradients.control_variates import (
    ControlVariate,
    NoControlVariate,
    Signal,
)
from ancestral.inference.gradients.estimator import KlPenalty, Surrogate
from ancestral.inference.gradients.log_weights import (
    LogWeights,
    check_log_density,
    constant_draws,
    refuse_free_nats,
)
from ancestral.inference.gradients.pathwise import check_maximised
from ancestral.inference.posteriors import (
    DiscreteLayers,
    DiscretePosterior,
    ParametricPosterior,
    Posterior,
)
from ancestral.models import FirstLayer, LatentVariableModel, LayeredPrior

__all__ = ["LayerSignals", "ScoreFunction", "WholeSignal", "score_loss"]


@dataclass(frozen=True)
class WholeSignal:
    """Every layer of z is told the whole log-weight."""


@dataclass(frozen=True)
class LayerSignals:
    r"""Layer l of z is told only the terms of the ELBO that depend on it or on layers above.

    .. math:: l_l = \log p(z_{l-1}, \ldots, z_n) - \log q(z_l, \ldots, z_n \mid z_{l-1}),
              \quad z_0 = x

    The terms left out have mean zero given what layer l is drawn from. Needs a
    `DiscretePosterior` and a `LayeredPrior` of the same layers.

    References:
        | Neural Variational Inference and Learning in Belief Networks (Mnih & Gregor, 2014),
        | section 3.3
    """


class ScoreFunction(nn.Module):
    r"""Weigh the score of q by what its sample is worth, less a control variate b.

    .. math:: \nabla_\phi = \frac{1}{K} \sum_k (\log w_k - b_k) \nabla_\phi \log q(z_k \mid x)

    for the ELBO. For another bound L of K samples

    .. math:: \nabla_\phi = \sum_k \Big( L - b_k - \frac{\partial L}{\partial \log w_k}
              + \frac{1}{K} \Big) \nabla_\phi \log q(z_k \mid x)

    where 1/K, which changes no mean, cancels most of the derivative before it where weights are
    nearly equal. The model's gradient is that of the bound at fixed z. It asks nothing of z:
    discrete or continuous, any q with a density. Its variance is that of the signal, so that b
    decides whether it learns.

    Args:
        control_variate: b: `NoControlVariate`, `RunningMean`, `InputDependent`, `LeaveOneOut`.
        normalization: of the centred signal, as in NVIL; None leaves the gradient unbiased.
        signals: `WholeSignal`, or `LayerSignals` for layered posteriors under the ELBO.

    Example:
        >>> from ancestral.inference.gradients import LeaveOneOut
        >>> from ancestral.inference.objectives import Variational
        >>> objective = Variational(Elbo(5), ScoreFunction(LeaveOneOut()))

    References:
        | Simple Statistical Gradient-Following Algorithms (Williams, 1992), theorem 1
        | Neural Variational Inference and Learning in Belief Networks (Mnih & Gregor, 2014),
        | equations 4 to 7
    """

    def __init__(
        self,
        control_variate: ControlVariate | None = None,
        normalization: VarianceNormalization | None = None,
        signals: WholeSignal | LayerSignals | None = None,
    ) -> None:
        super().__init__()
        self.control_variate = control_variate or NoControlVariate()
        self.normalization = normalization
        self.signals = signals or WholeSignal()

    def check(self, bound: Bound, model: LatentVariableModel, posterior: Posterior) -> None:
        """Refuse upper bounds, posteriors without a score, and layers that do not match."""
        check_maximised(self, bound, posterior)
        check_log_density(self, bound, posterior)
        num_signals = 1
        if isinstance(self.signals, LayerSignals):
            num_signals = self._num_layers(bound, model, posterior)
        self.control_variate.check(bound, num_signals)
        if self.normalization is not None:
            self.normalization.check(num_signals)

    def _num_layers(self, bound: Bound, model: LatentVariableModel, posterior: Posterior) -> int:
        """Of z, where the signals are told apart."""
        if not isinstance(bound, Elbo):
            raise IncompatibleChoices(
                f"LayerSignals take the Elbo apart, got {bound}",
                hint="use ScoreFunction(..., signals=WholeSignal()), or the Elbo",
            )
        prior = model.prior
        if (
            isinstance(posterior, DiscretePosterior)
            and isinstance(prior, LayeredPrior)
            and prior.sizes == tuple(head.event_shape[0] for head in posterior.heads)
        ):
            return len(posterior.heads)
        raise IncompatibleChoices(
            "LayerSignals need a DiscretePosterior and a LayeredPrior of the same layers, got "
            f"{type(posterior).__name__} and {type(prior).__name__}",
            hint="use ScoreFunction(..., signals=WholeSignal())",
        )

    def surrogate(
        self,
        bound: Bound,
        model: LatentVariableModel,
        posterior: Posterior,
        batch: Batch,
        penalty: KlPenalty,
    ) -> Surrogate:
        """Minus the bound at fixed z, the score term, and the loss of the control variate."""
        refuse_free_nats(self, penalty)
        if isinstance(self.signals, LayerSignals):
            return self._by_layer(bound, model, posterior, batch, penalty)
        z, log_q = constant_draws(posterior, model, batch, bound.num_samples)
        terms = LogWeights.of(model, batch, z, log_q)
        if not torch.is_grad_enabled():
            return terms.surrogate(bound)
        log_w = terms.weighted(penalty)
        held = log_w.detach()
        value = held if isinstance(bound, Elbo) else bound(held).expand_as(held)
        signal = Signal(value.unsqueeze(0), held, bound, batch, (None,))
        loss = self._score_loss(signal, log_q.unsqueeze(0)) - bound(log_w).mean()
        # the score's mean is zero: subtracting it once takes log q out of the Elbo, and most of
        # it out of the other bounds
        loss = loss - penalty.weight * log_q.mean()
        return terms.surrogate(bound, loss)

    def _by_layer(
        self,
        bound: Bound,
        model: LatentVariableModel,
        posterior: Posterior,
        batch: Batch,
        penalty: KlPenalty,
    ) -> Surrogate:
        assert isinstance(posterior, ParametricPosterior)  # `check` has seen to it
        q = posterior.distribution(model, batch)
        prior = model.prior
        assert isinstance(q, DiscreteLayers)
        assert isinstance(prior, LayeredPrior)
        z = q.sample(torch.Size((bound.num_samples,)))
        log_q = q.log_prob_layers(z).movedim(-1, 0)  # [layers, samples, batch]
        log_prior = prior.log_prob_layers(z).movedim(-1, 0)
        log_likelihood = model.log_likelihood(batch.x, z, batch.observed)
        terms = LogWeights(log_likelihood, log_prior.sum(0), log_q.sum(0))
        if not torch.is_grad_enabled():
            return terms.surrogate(bound)
        network = getattr(model.likelihood, "network", None)
        reads_first = isinstance(network, FirstLayer) and network.size <= q.sizes[0]
        value = _layer_values(log_likelihood, log_prior, log_q, penalty, reads_first=reads_first)
        below = (None, *q.split(z)[:-1])
        held = terms.weighted(penalty).detach()
        loss = self._score_loss(Signal(value, held, bound, batch, below), log_q)
        loss = loss - (log_likelihood + penalty.weight * terms.log_prior).mean()
        return terms.surrogate(bound, loss)

    def _score_loss(self, signal: Signal, log_q: Tensor) -> Tensor:
        baseline = self.control_variate.baseline(signal)
        centred = signal.value - baseline.detach()
        self.control_variate.after(signal)
        if self.normalization is not None:
            centred = self.normalization(centred)
        loss = score_loss(signal.bound, centred, log_q)
        if baseline.requires_grad:
            loss = loss + (signal.value - baseline).square().mean()
        return loss


def score_loss(bound: Bound, centred: Tensor, log_q: Tensor) -> Tensor:
    """A loss whose gradient is minus the score weighed by the signal, averaged over the rows.

    Args:
        bound: in the ELBO each sample has a share of 1/K.
        centred: [layers, samples, batch], detached.
        log_q: [layers, samples, batch].
    """
    share = 1 / bound.num_samples if isinstance(bound, Elbo) else 1.0
    return -share * (centred * log_q).sum((0, 1)).mean()


def _layer_values(
    log_likelihood: Tensor,
    log_prior: Tensor,
    log_q: Tensor,
    penalty: KlPenalty,
    *,
    reads_first: bool,
) -> Tensor:
    """Each layer's terms of the ELBO, [layers, samples, batch], detached.

    Args:
        log_likelihood: [samples, batch].
        log_prior: [layers, samples, batch].
        log_q: [layers, samples, batch].
        penalty: weight of all but the likelihood.
        reads_first: whether x is told by the first layer alone.
    """
    ratio = penalty.weight * (log_prior - log_q).detach()
    above = ratio.flip(0).cumsum(0).flip(0)  # layers l, ..., n
    lower = penalty.weight * log_prior.detach()
    likelihood = log_likelihood.detach().unsqueeze(0)
    others = above[1:] + lower[:-1]  # z_{l-1} is told by z_l
    if not reads_first:
        others = others + likelihood
    return torch.cat((above[:1] + likelihood, others))
