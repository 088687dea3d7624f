"""Missing cells of latent-variable models whose cells are separate given z."""

from __future__ import annotations

import torch
from torch import Tensor

from ancestral.applications.imputation import Imputation, joined
from ancestral.applications.imputing_cells import (
    completed_with,
    decoded,
    expected_cells,
    pairs_at_once,
    sampled_cells,
    separate_head,
)
from ancestral.applications.imputing_methods import AutomaticImputing, LatentImputing
from ancestral.applications.imputing_noise import Purpose, uniforms_of_rows
from ancestral.core import Batch, Draws, Estimate
from ancestral.core.noise import noise_for
from ancestral.inference.posteriors import DiscretePosterior, ExactPosterior, Posterior
from ancestral.models import LatentVariableModel, ProbabilisticPCA, exact_log_prob
from ancestral.models.exact import ExactLogProb

__all__ = ["PriorProposal", "impute_latent"]

_DRAWS_FOR_A_MEAN = 1000
_MOST_STATES = 1024  # of discrete z


def impute_latent(
    model: LatentVariableModel,
    posterior: Posterior,
    batch: Batch,
    num_samples: int,
    method: LatentImputing,
) -> Imputation:
    r"""Draw z ~ p(z | x_obs), then x_mis ~ p(x | z): given z, it does not depend on x_obs.

    Z is drawn exactly where q is the posterior, or where z has few values; else by the method.

    Args:
        model: p.
        posterior: q; one trained on complete rows may propose badly.
        batch: rows, with `observed`.
        num_samples: of each row.
        method: how z is drawn; any but auto also where there is an exact way.

    Raises:
        NotExact: cells depend on each other even given z.
    """
    separate_head(model)
    if isinstance(method, AutomaticImputing):
        if isinstance(posterior, ExactPosterior) and isinstance(model, ExactLogProb):
            return _exactly(model, posterior, batch, num_samples)
        states = _states(model, posterior, batch)
        if states is not None:
            return _by_enumeration(model, states, batch, num_samples)
    is_empty = ~_mask(batch).flatten(1).any(1)
    empty, others = is_empty.nonzero().squeeze(1), (~is_empty).nonzero().squeeze(1)
    parts = []
    if len(empty):
        parts.append((empty, _from_prior(model, batch.rows(empty), empty, num_samples)))
    if len(others):
        with noise_for(Purpose.METHOD, others):
            parts.append((others, method(model, posterior, batch.rows(others), num_samples)))
    return joined(parts)


class PriorProposal(Posterior):
    """p(z) in place of q, of models that have no q with a density."""

    reparameterized = False

    def draw(self, model: LatentVariableModel, batch: Batch, num_samples: int) -> Draws:
        """Draws from the prior for each row."""
        z = model.sample_latents(num_samples * len(batch)).unflatten(0, (num_samples, len(batch)))
        return Draws(z, model.log_prior(z))

    def log_prob(self, model: LatentVariableModel, batch: Batch, z: Tensor) -> Tensor:
        """Log p(z)."""
        del batch
        return model.log_prior(z)


def _exactly(
    model: LatentVariableModel, posterior: Posterior, batch: Batch, num_samples: int
) -> Imputation:
    assert isinstance(model, ExactLogProb)
    assert batch.observed is not None
    with noise_for(Purpose.LATENTS):
        z = posterior.draw(model, batch, num_samples).z
    if isinstance(model, ProbabilisticPCA):  # linear: the mean of x is that of the mean of z
        for_mean = posterior.mean(model, batch).unsqueeze(0)
    else:
        with noise_for(Purpose.MEANS):
            for_mean = posterior.draw(model, batch, _DRAWS_FOR_A_MEAN).z
    value = exact_log_prob(model, batch)
    said = "exactly, from the posterior of the latent variables"
    return Imputation(
        completed_with(batch, sampled_cells(model, z)).transpose(0, 1),
        value.new_full((len(batch), num_samples), 1 / num_samples),
        batch.observed,
        value.new_full((len(batch),), float(num_samples)),
        Estimate(value, "exact", std_error=torch.zeros_like(value)),
        (said,) * len(batch),
        means=completed_with(batch, expected_cells(model, for_mean)),
    )


def _from_prior(
    model: LatentVariableModel, rows: Batch, numbers: Tensor, num_samples: int
) -> Imputation:
    """Rows of which nothing is known: ancestral samples, and p(nothing) = 1."""
    with noise_for(Purpose.PRIOR, numbers):
        z = model.prior().sample((num_samples, len(rows)))
        samples = sampled_cells(model, z)
    with noise_for(Purpose.MEANS, numbers):
        for_mean = model.prior().sample((_DRAWS_FOR_A_MEAN, len(rows)))
    value = rows.x.new_zeros(len(rows))
    return Imputation(
        samples.transpose(0, 1),
        value.new_full((len(rows), num_samples), 1 / num_samples),
        _mask(rows),
        value.new_full((len(rows),), float(num_samples)),
        Estimate(value, "exact", std_error=torch.zeros_like(value)),
        ("exactly, by samples of the model: nothing is known of the row",) * len(rows),
        means=expected_cells(model, for_mean),
    )


def _mask(batch: Batch) -> Tensor:
    assert batch.observed is not None
    return batch.observed


def _states(model: LatentVariableModel, posterior: Posterior, batch: Batch) -> Tensor | None:
    """All values of z, [states, 1, L], where it is discrete and has few."""
    if not isinstance(posterior, DiscretePosterior):
        return None
    q = posterior.distribution(model, batch)
    return q.enumerate_support(expand=False) if q.num_states <= _MOST_STATES else None


def _by_enumeration(
    model: LatentVariableModel, states: Tensor, batch: Batch, num_samples: int
) -> Imputation:
    """Draws of z from p(z | x_obs), a table of masses."""
    assert batch.observed is not None
    at_once = max(1, pairs_at_once(model, states.device) // len(batch))
    log_joint, means = [], []
    for some in states.split(at_once):
        cells = decoded(model, some)
        log_joint.append(model.log_prior(some) + cells.log_prob(batch.x, batch.observed))
        means.append(cells.mean())
    log_p = torch.cat(log_joint)  # [states, rows]
    value = log_p.logsumexp(0)
    masses, expected = log_p.softmax(0), torch.cat(means).flatten(2).squeeze(1)
    with noise_for(Purpose.LATENTS):
        noise = uniforms_of_rows((len(batch), num_samples), masses)
    below = masses.T.cumsum(1)
    # rounding may leave the sum a little below the noise
    chosen = torch.searchsorted(below, noise.contiguous()).clamp_max(len(states) - 1).T
    z = states.squeeze(1)[chosen]
    said = f"exactly, by a sum over the {len(states):,} values of the latent variables"
    return Imputation(
        completed_with(batch, sampled_cells(model, z)).transpose(0, 1),
        value.new_full((len(batch), num_samples), 1 / num_samples),
        batch.observed,
        value.new_full((len(batch),), float(num_samples)),
        Estimate(value, "exact", std_error=torch.zeros_like(value)),
        (said,) * len(batch),
        means=completed_with(batch, (masses.T @ expected).reshape(batch.x.shape)),
    )
