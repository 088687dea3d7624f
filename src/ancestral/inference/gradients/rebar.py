"""REBAR: a relaxation as control variate of the score function, without bias."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from ancestral.core import Batch
from ancestral.inference.bounds import Bound
from ancestral.inference.gradients.discrete_draws import (
    chain,
    check_discrete,
    check_elbo,
    check_temperature,
    hard_surrogate,
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

__all__ = ["Rebar"]


class Rebar(nn.Module):
    r"""The score function with the Concrete relaxation's value as baseline, and its mean exactly.

    With z the discrete draw, :math:`\zeta` the relaxed value of the same noise and
    :math:`\tilde\zeta` a relaxed value drawn given z,

    .. math:: \nabla_\phi = \big( f(z) - \eta f(\tilde\zeta) \big) \nabla_\phi \log q(z)
              + \eta \nabla_\phi f(\zeta) - \eta \nabla_\phi f(\tilde\zeta)

    Unbiased at any temperature and strength :math:`\eta`, so both are trained along: by the
    gradient of the squared norm of the gradient by the logits, whose mean is the variance up to
    a constant. In layered posteriors each layer has this estimator given the discrete layers
    below it, with the layers above it relaxed. For the ELBO.

    Args:
        temperature: at which it starts, above 0.
        strength: eta at the start; 0 is plain REINFORCE.

    Cost:
        Two more passes through the decoder for each layer, and a second backward pass through
        them for the variance's gradient.

    Example:
        >>> sorted(name for name, _ in Rebar().named_parameters())
        ['log_temperature', 'strength']

    References:
        | REBAR: Low-variance, Unbiased Gradient Estimates for Discrete Latent Variable Models
        | (Tucker et al., 2017), equations 5 and 8, section 3.2
    """

    def __init__(self, temperature: float = 0.5, strength: float = 1.0) -> None:
        super().__init__()
        check_temperature(temperature)
        self.log_temperature = nn.Parameter(torch.tensor(math.log(temperature)))
        self.strength = nn.Parameter(torch.tensor(float(strength)))

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
        """A loss linear in logits and in what is learnt, with the gradients found here."""
        assert isinstance(posterior, ParametricPosterior)  # `check` has seen to it
        refuse_free_nats(self, penalty)
        q = discrete_layers(posterior.distribution(model, batch), type(self).__name__)
        if not torch.is_grad_enabled():
            return hard_surrogate(q, bound, model, batch)
        drawn = _Drawn(q, bound.num_samples)
        terms = LogWeights.of(model, batch, torch.cat(drawn.layers, -1), drawn.log_q())
        value = terms.weighted(penalty).detach()
        gradients = [
            self._gradient(layer, value, drawn, model, batch, penalty)
            for layer in range(q.num_layers)
        ]
        joint = terms.log_likelihood + penalty.weight * terms.log_prior
        loss = -joint.mean() + self._learning(gradients)
        for gradient, logits in zip(gradients, drawn.logits, strict=True):
            loss = loss - (gradient.detach() * logits).sum(-1).mean()
        return terms.surrogate(bound, loss)

    def control(self, layer: int, noisy: Tensor, relaxed_value: Tensor, logits: Tensor) -> Tensor:
        """The control variate c of a layer's noisy logits: [samples, batch].

        Args:
            layer: its number, from 0.
            noisy: its noisy logits, [samples, batch, L_l].
            relaxed_value: the log-weight of the relaxed values.
            logits: of the layer, [samples, batch, L_l].
        """
        del layer, noisy, logits
        return self.strength * relaxed_value

    def _gradient(
        self,
        layer: int,
        value: Tensor,
        drawn: _Drawn,
        model: LatentVariableModel,
        batch: Batch,
        penalty: KlPenalty,
    ) -> Tensor:
        """Estimate of d E[f] / d logits of a layer, with a graph to what is learnt."""
        q, leaf, z = drawn.q, drawn.leaves[layer], drawn.layers[layer]
        temperature = self.log_temperature.exp()
        controls = []
        for noisy in (drawn.noisy[layer], q.relaxations[layer].noisy_given(leaf, z)):
            relaxed, above = chain(q, layer, noisy, drawn.noises[layer + 1 :], temperature)
            layers = [*drawn.layers[:layer], *relaxed]
            logits = [*drawn.leaves[:layer], leaf, *above]
            f = log_weight_between(model, batch, q, logits, layers, penalty)
            controls.append(self.control(layer, noisy, f, leaf))
        free, given = controls
        (difference,) = torch.autograd.grad((free - given).sum(), leaf, create_graph=True)
        score = z - q.relaxations[layer].mean(leaf).detach()
        return (value - given).unsqueeze(-1) * score + difference

    def _learning(self, gradients: list[Tensor]) -> Tensor:
        """A loss with the gradient of the estimator's variance by what is learnt."""
        learnt = [p for p in self.parameters() if p.requires_grad]
        if not learnt:
            return gradients[0].new_zeros(())
        variance = torch.stack([g.square().sum(-1).mean() for g in gradients]).sum()
        slopes = torch.autograd.grad(variance, learnt, materialize_grads=True)
        return torch.stack([(p * s).sum() for p, s in zip(learnt, slopes, strict=True)]).sum()


class _Drawn:
    """Discrete draws of all layers, with the noise and the logits that they came from."""

    def __init__(self, q: DiscreteLayers, num_samples: int) -> None:
        self.q = q
        self.layers: list[Tensor] = []
        self.logits: list[Tensor] = []  # with gradient to q
        self.leaves: list[Tensor] = []  # their values, by which the estimators differentiate
        self.noises: list[Tensor] = []
        self.noisy: list[Tensor] = []
        for i, relaxation in enumerate(q.relaxations):
            logits = q.logits(i, self.layers[-1] if i else None)
            if i == 0:
                logits = logits.expand(num_samples, *logits.shape)
            leaf = logits.detach().requires_grad_()
            noise = relaxation.noise(leaf)
            noisy = leaf + noise
            self.logits.append(logits)
            self.leaves.append(leaf)
            self.noises.append(noise)
            self.noisy.append(noisy)
            self.layers.append(relaxation.hard(noisy).detach())

    def log_q(self) -> Tensor:
        """Of the draws, detached: its mean gradient is zero."""
        pairs = zip(self.leaves, self.layers, strict=True)
        terms = [self.q.log_prob_layer(i, leaf, z) for i, (leaf, z) in enumerate(pairs)]
        return torch.stack(terms).sum(0).detach()
