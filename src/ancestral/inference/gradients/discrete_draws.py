"""What estimators for discrete latent variables share."""

from __future__ import annotations

import torch
from torch import Tensor

from ancestral.core import Batch, IncompatibleChoices, OptionError
from ancestral.inference.bounds import Bound, Elbo
from ancestral.inference.gradients.estimator import KlPenalty, Surrogate
from ancestral.inference.gradients.log_weights import LogWeights
from ancestral.inference.posteriors import DiscreteLayers, Posterior
from ancestral.models import LatentVariableModel

__all__ = [
    "chain",
    "check_discrete",
    "check_elbo",
    "check_temperature",
    "hard_surrogate",
    "log_q_between",
    "log_weight_between",
]


def check_discrete(estimator: object, bound: Bound, posterior: Posterior) -> None:
    """Refuse posteriors with reparameterised, hence continuous, draws."""
    if posterior.reparameterized:
        raise IncompatibleChoices(
            f"{type(estimator).__name__} needs discrete latent variables, got "
            f"{type(posterior).__name__} with {bound}, whose draws are continuous",
            hint="use Pathwise(), which needs no relaxation of them",
        )


def check_elbo(estimator: object, bound: Bound) -> None:
    """Refuse other bounds."""
    if not isinstance(bound, Elbo):
        raise IncompatibleChoices(
            f"{type(estimator).__name__} is made for the Elbo, got {bound}",
            hint="use Vimco() with ImportanceWeighted, ScoreFunction(LeaveOneOut()) with others",
        )


def check_temperature(temperature: float) -> None:
    """Refuse temperatures at which there is no relaxation."""
    if not 0 < temperature < float("inf"):
        raise OptionError(
            f"expected a temperature above 0, got {temperature}",
            hint="0.5 is usual; the lower, the closer to discrete values and the noisier",
        )


def hard_surrogate(
    q: DiscreteLayers, bound: Bound, model: LatentVariableModel, batch: Batch
) -> Surrogate:
    """The bound of discrete draws, without a loss."""
    with torch.no_grad():
        z = q.sample(torch.Size((bound.num_samples,)))
        return LogWeights.of(model, batch, z, q.log_prob(z)).surrogate(bound)


def chain(
    q: DiscreteLayers, start: int, first: Tensor, noises: list[Tensor], temperature: Tensor | float
) -> tuple[list[Tensor], list[Tensor]]:
    """Relaxed layers from `start` up, each given the relaxed one below.

    Args:
        q: the layers.
        start: number of the lowest one.
        first: its noisy logits.
        noises: of the layers above it.
        temperature: of the relaxation.

    Returns:
        Relaxed values, and logits of those above `start`.
    """
    relaxed = [q.relaxations[start].relaxed(first, temperature)]
    all_logits = []
    for i, noise in enumerate(noises, start + 1):
        logits = q.logits(i, relaxed[-1])
        all_logits.append(logits)
        relaxed.append(q.relaxations[i].relaxed(logits + noise, temperature))
    return relaxed, all_logits


def log_q_between(q: DiscreteLayers, logits: list[Tensor], layers: list[Tensor]) -> Tensor:
    """Log q, continued linearly to relaxed values, of layers with these logits."""
    pairs = zip(logits, layers, strict=True)
    terms = [q.log_prob_layer(i, own, z) for i, (own, z) in enumerate(pairs)]
    return torch.stack(terms).sum(0)


def log_weight_between(
    model: LatentVariableModel,
    batch: Batch,
    q: DiscreteLayers,
    logits: list[Tensor],
    layers: list[Tensor],
    penalty: KlPenalty,
) -> Tensor:
    """The log-weight, continued to relaxed values, [samples, batch]."""
    log_q = log_q_between(q, logits, layers)
    return LogWeights.of(model, batch, torch.cat(layers, -1), log_q).weighted(penalty)
