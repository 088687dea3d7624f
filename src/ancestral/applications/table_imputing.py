"""Missing cells of Bayesian networks: exact sums, as far as the graph allows."""

from __future__ import annotations

import contextlib
from dataclasses import replace

import torch
from torch import Tensor

from ancestral.applications.imputation import Imputation, joined
from ancestral.applications.imputing_noise import Purpose, uniforms_of_rows
from ancestral.applications.ordered_imputing import impute_in_order
from ancestral.applications.particles import ParticleFilter
from ancestral.core import Batch, Estimate, NotExact
from ancestral.core.noise import noise_for
from ancestral.models import BayesNet

__all__ = ["impute_tables"]


def impute_tables(
    model: BayesNet, batch: Batch, num_samples: int, settings: ParticleFilter
) -> Imputation:
    """By variable elimination; rows of a pattern of gaps that is too dense for it by particles.

    Sums over all missing cells give marginals, too. Where these are too many, sums over those
    above the observed ones are enough for log p and for draws: the others are drawn after them.

    Args:
        model: in evaluation mode.
        batch: rows, with `observed`.
        num_samples: completions of each row.
        settings: of the particles.
    """
    with contextlib.suppress(NotExact), noise_for(Purpose.PATTERN):
        # with a row of which nothing is known sums are planned for any gaps: those of the rows
        # beside it do not change how a row is drawn
        return _by_sums(model, batch, num_samples, num_empty=1)
    # too dense for some pattern at least
    _, which = _mask(batch).flatten(1).unique(dim=0, return_inverse=True)
    parts = []
    for number in which.unique().tolist():
        rows = (which == number).nonzero().squeeze(1)
        with noise_for(Purpose.PATTERN, rows):
            parts.append((rows, _of_a_pattern(model, batch.rows(rows), num_samples, settings)))
    return joined(parts)


def _of_a_pattern(
    model: BayesNet, batch: Batch, num_samples: int, settings: ParticleFilter
) -> Imputation:
    for exactly in (_by_sums, _by_sums_above):
        try:
            return exactly(model, batch, num_samples)
        except NotExact:
            continue
    return impute_in_order(model, batch, num_samples, settings)


def _by_sums(model: BayesNet, batch: Batch, num_samples: int, num_empty: int = 0) -> Imputation:
    """All sums.

    Args:
        model: in evaluation mode.
        batch: rows, with `observed`.
        num_samples: completions of each row.
        num_empty: rows without a known cell that are summed along, and left out of the result.
    """
    x, observed = batch.x, _mask(batch)
    num_sites = model.network.num_sites
    with noise_for(Purpose.LATENTS):
        uniforms = uniforms_of_rows((len(x), num_samples, num_sites), x)
    nothing = x.new_zeros(num_empty, *model.shape)
    x, observed = torch.cat((x, nothing)), torch.cat((observed, nothing.bool()))
    middle = uniforms.new_full((num_empty, *uniforms.shape[1:]), 0.5)
    uniforms = torch.cat((uniforms, middle))
    samples = x.new_zeros(len(x), num_samples, *model.shape)
    marginals = x.new_zeros(len(x), num_sites, model.network.num_features)
    value = x.new_zeros(len(x))
    for rows, sums in model.conditioned(x, observed, num_samples):
        samples[rows] = sums.draw(uniforms[rows]).to(x.dtype).unflatten(-1, model.shape)
        marginals[rows] = sums.marginals()
        value[rows] = sums.log_evidence
    kept = slice(len(batch))
    exact = _exact(samples[kept], batch, value[kept])
    return replace(exact, exact_marginals=marginals[kept].unflatten(1, model.shape))


def _by_sums_above(model: BayesNet, batch: Batch, num_samples: int) -> Imputation:
    x, observed = batch.x, _mask(batch)
    with noise_for(Purpose.LATENTS):
        uniforms = uniforms_of_rows((len(x), num_samples, model.network.num_sites), x)
    samples = x.new_zeros(len(x), num_samples, *model.shape)
    value = x.new_zeros(len(x))
    for rows, sums, barren in model.conditioned_above(x, observed, num_samples):
        above = sums.draw(uniforms[rows]).to(x.dtype)
        drawn = _barren_drawn(model, above.flatten(0, 1), barren)
        samples[rows] = drawn.reshape(samples[rows].shape)
        value[rows] = sums.log_evidence
    return _exact(samples, batch, value)


def _barren_drawn(model: BayesNet, codes: Tensor, barren: Tensor) -> Tensor:
    """Sites that nothing observed lies below, drawn given all others: [batch, T]."""
    order = model.network.order
    # parents are still first: what is above an observed site has no barren parent
    last = model.with_order(order[barren[order].long().argsort(stable=True)]).eval()
    sites = codes.unsqueeze(-1)
    seen = (~barren).reshape(1, -1, 1).expand(sites.shape)
    return ParticleFilter()(last.network, last.head, sites, seen, 1).sites.flatten(1)


def _exact(samples: Tensor, batch: Batch, value: Tensor) -> Imputation:
    """Samples that are independent draws, and log p of the observed cells without error."""
    num_rows, num_samples = samples.shape[:2]
    return Imputation(
        samples,
        value.new_full((num_rows, num_samples), 1 / num_samples),
        _mask(batch),
        value.new_full((num_rows,), float(num_samples)),
        Estimate(value, "exact", std_error=torch.zeros_like(value)),
        ("exactly, by sums over the missing cells",) * num_rows,
    )


def _mask(batch: Batch) -> Tensor:
    assert batch.observed is not None
    return batch.observed
