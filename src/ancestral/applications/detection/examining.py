"""What a model says of some rows in one look: log p, its parts, and the surprise of each cell."""

from __future__ import annotations

import math
from dataclasses import dataclass, field

import torch
from torch import Tensor, nn

from ancestral.core import Batch, NotExact, derived_seed, seeded
from ancestral.core.estimate import Kind
from ancestral.core.noise import shared_noise
from ancestral.inference.evidence import has_proposal
from ancestral.inference.posteriors import Posterior
from ancestral.models import (
    AutoregressiveLikelihood,
    AutoregressiveModel,
    ExactLogProb,
    LatentVariableModel,
    NetworkConditional,
    OrderEnsemble,
    exact_log_prob,
)

__all__ = ["Examination", "check_examined", "examine", "has_log_prob"]

_STREAM = 31  # of derived seeds


@dataclass(frozen=True)
class Examination:
    r"""What a model says of the rows of a batch, all in nats of the data as given.

    Attributes:
        log_prob: [batch], log p(x) or a bound on it.
        kind: which of the two.
        surprise: [batch, cells], what each cell adds to -log p: -log p(x_t | x_<t) of
            autoregressive models, whose sum is -log p(x); -E_q log p(x_i | z) of latent-variable
            models, whose sum is the reconstruction term. None where cells cannot be told apart.
        terms: further numbers of each row, [batch], by name.
    """

    log_prob: Tensor
    kind: Kind
    surprise: Tensor | None = None
    terms: dict[str, Tensor] = field(default_factory=dict)


def has_log_prob(model: nn.Module, posterior: Posterior | None) -> bool:
    """Whether a model gives rows a probability, or a bound on it."""
    latent = isinstance(model, LatentVariableModel) and has_proposal(posterior)
    return latent or isinstance(model, ExactLogProb)


def check_examined(model: nn.Module, posterior: Posterior | None) -> None:
    """Refuse a model that gives rows no probability.

    Raises:
        NotExact: it has no log p, and no bound on it.
    """
    if not has_log_prob(model, posterior):
        raise NotExact(
            "expected a model with a log p(x) to tell odd rows by, or a bound on one; "
            f"{type(model).__name__} has none",
            hint="`vae`, `ppca` and all autoregressive models have one",
        )


@torch.no_grad()
def examine(
    model: nn.Module,
    posterior: Posterior | None,
    batch: Batch,
    *,
    num_samples: int = 16,
    seed: int = 0,
) -> Examination:
    r"""One look at some rows.

    Latent-variable models are asked by S samples z_s of q: log p(x) is the importance-weighted
    bound, and the terms are E_q log p(x | z) (`reconstruction`) and
    E_q[log q(z | x) - log p(z)] (`kl`). The same noise serves all rows, so that a row's numbers
    are a function of the row, whatever its company.

    Args:
        model: in evaluation mode.
        posterior: q, for latent-variable models.
        batch: rows.
        num_samples: S; more make the bound tighter, and the numbers less noisy.
        seed: of the samples.

    Raises:
        NotExact: the model has neither log p nor a bound on it.
    """
    check_examined(model, posterior)
    if isinstance(model, OrderEnsemble):
        return _of_orders(model, batch)
    if isinstance(model, AutoregressiveModel) and batch.observed is None:
        surprise = -model.log_prob_sites(batch.x, batch.context).double()
        return Examination(-surprise.sum(-1), "exact", surprise)
    if isinstance(model, LatentVariableModel) and posterior is not None:
        with seeded(derived_seed(seed, _STREAM)), shared_noise(axis=1):
            return _of_latents(model, posterior, batch, num_samples)
    assert isinstance(model, ExactLogProb)
    return Examination(exact_log_prob(model, batch).double(), "exact")


def _of_orders(model: OrderEnsemble, batch: Batch) -> Examination:
    """The surprise under each order, weighted by how well the order explains the row."""
    log_prob = model.log_prob_orders(batch.x, batch.context).double()
    weights = log_prob.softmax(0)
    surprise = torch.zeros(())
    for order, weight in zip(model.orders, weights, strict=True):
        sites = -model.with_order(order).log_prob_sites(batch.x, batch.context).double()
        surprise = surprise + weight.unsqueeze(-1) * sites
    return Examination(log_prob.logsumexp(0) - math.log(len(weights)), "exact", surprise)


def _of_latents(
    model: LatentVariableModel, posterior: Posterior, batch: Batch, num_samples: int
) -> Examination:
    adapted = posterior.adapted(model, batch)
    rows = batch
    if adapted is not posterior:  # fitted to these rows, which it numbers from 0
        rows = batch.with_index(torch.arange(len(batch), device=batch.x.device))
    propose = adapted.proposal(model, rows)
    log_weights, log_ratios, likelihoods = [], [], []
    surprise: Tensor | None = None
    for _ in range(num_samples):  # one by one: how many fit at once must not change the noise
        z, log_q = propose(1)
        cells = _cells(model, rows, z)
        if cells is None:
            log_likelihood = model.log_likelihood(rows.x, z, rows.observed).double()
        else:
            log_likelihood = cells.sum(-1)
            part = -cells.sum(0) / num_samples
            surprise = part if surprise is None else surprise + part
        log_prior = model.log_prior(z)
        log_ratios.append((log_q - log_prior).double())
        likelihoods.append(log_likelihood)
        log_weights.append(log_likelihood + (log_prior - log_q).double())
    terms = {
        "reconstruction": torch.cat(likelihoods).mean(0),
        "kl": torch.cat(log_ratios).mean(0),
    }
    if isinstance(model, ExactLogProb):
        return Examination(exact_log_prob(model, rows).double(), "exact", surprise, terms)
    log_prob = torch.cat(log_weights).logsumexp(0) - math.log(num_samples)
    return Examination(log_prob, "lower_bound", surprise, terms)


def _cells(model: LatentVariableModel, batch: Batch, z: Tensor) -> Tensor | None:
    """Log p of each cell given z, [samples, batch, cells]; None if cells hang together."""
    likelihood = model.likelihood
    if isinstance(likelihood, AutoregressiveLikelihood) and batch.observed is None:
        return likelihood.log_prob_sites(batch.x, z).double()
    if isinstance(likelihood, NetworkConditional):
        try:
            cells = likelihood.log_prob_cells(batch.x, z, batch.observed)
        except NotExact:
            return None
        return cells.flatten(2).double()
    return None
