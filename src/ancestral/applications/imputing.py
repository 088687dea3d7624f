"""`impute`: missing cells given the others, never by clamping that ignores later evidence."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import torch
from torch import Tensor, nn

from ancestral.applications.imputation import Imputation
from ancestral.applications.latent_imputing import impute_latent
from ancestral.applications.particles import ParticleFilter, metropolis_moves, resampled
from ancestral.core import (
    Batch,
    Estimate,
    IncompatibleChoices,
    NotExact,
    OptionError,
    ShapeError,
    derived_seed,
    seeded,
)
from ancestral.inference.posteriors import Posterior
from ancestral.models import AutoregressiveModel, BayesNet, LatentVariableModel, OrderEnsemble
from ancestral.models.autoregressive.sampling import open_uniforms

__all__ = ["impute", "imputed"]

_STREAM = 21  # of derived seeds
_CELLS = 1 << 22  # of the completions made at once: features of a few values each
_POOR = 0.1  # share of the particles below which a row is warned of
_MISSED = 0.5  # nats by which moves may raise log p on average


def impute(
    model: nn.Module,
    batch: Batch,
    num_samples: int = 100,
    *,
    posterior: Posterior | None = None,
    seed: int = 0,
    particles: ParticleFilter | None = None,
) -> Imputation:
    """Draws of what is missing given what is observed, for each row by itself.

    Of several ways the first that the model allows, row by row:

    1. tables over a graph: exact, by variable elimination, if the graph is not too dense;
    2. the observed sites are the first of the model's order: exact, by ancestral sampling;
    3. the model takes any order: exact under the order that puts the observed sites first, which
       is a model of its own;
    4. else weighted particles, with an effective number, an estimate of log p(observed) and its
       standard error, and a warning where the particles are too few.

    Latent-variable models draw z from q, weight it by importance, and then x given z.

    Args:
        model: in evaluation mode: autoregressive, or latent-variable with its posterior.
        batch: rows, with `observed`.
        num_samples: completions of each row.
        posterior: q, for latent-variable models.
        seed: of the draws.
        particles: settings of the way that needs them.

    Raises:
        ShapeError: the mask of observed cells has another shape than the rows.
        NotExact: the model has no distribution of cells given others.
    """
    found = imputed(model, batch, num_samples, posterior=posterior, seed=seed, particles=particles)
    return Imputation.concatenate(list(found))


def imputed(
    model: nn.Module,
    batch: Batch,
    num_samples: int = 100,
    *,
    posterior: Posterior | None = None,
    seed: int = 0,
    particles: ParticleFilter | None = None,
) -> Iterator[Imputation]:
    """The same some rows at a time, so that memory is bounded."""
    if num_samples < 1:
        raise OptionError(f"expected at least 1 sample, got {num_samples}")
    if len(batch) == 0:
        raise ShapeError("expected rows to complete, got none")
    batch = _with_mask(batch)
    settings = particles or ParticleFilter()
    most = max(num_samples, settings.num_particles)
    num_rows = max(1, _CELLS // (most * batch.x[0].numel()))
    for number, first in enumerate(range(0, len(batch), num_rows)):
        rows = batch.rows(slice(first, first + num_rows))
        with seeded(derived_seed(seed, _STREAM, number)), torch.no_grad():
            yield _some(model, rows, num_samples, posterior, settings)


def _some(
    model: nn.Module,
    batch: Batch,
    num_samples: int,
    posterior: Posterior | None,
    settings: ParticleFilter,
) -> Imputation:
    if isinstance(model, LatentVariableModel) and posterior is not None:
        return impute_latent(model, posterior, batch, num_samples)
    if isinstance(model, BayesNet):
        try:
            return _by_elimination(model, batch, num_samples)
        except NotExact:
            pass  # too dense for exact sums; particles are honest about what they cost
    if isinstance(model, AutoregressiveModel | OrderEnsemble):
        return _in_order(model, batch, num_samples, settings)
    raise NotExact(
        f"{type(model).__name__} cannot impute: it has no distribution of some cells given others",
        hint="autoregressive models, `vae` and `ppca` can",
    )


def _by_elimination(model: BayesNet, batch: Batch, num_samples: int) -> Imputation:
    x, observed = batch.x, _mask(batch)
    num_sites = model.network.num_sites
    uniforms = open_uniforms((len(x), num_samples, num_sites), x.dtype, x.device)
    samples = x.new_zeros(len(x), num_samples, *model.shape)
    marginals = x.new_zeros(len(x), num_sites, model.network.num_features)
    value = x.new_zeros(len(x))
    for rows, sums in model.conditioned(x, observed, num_samples):
        samples[rows] = sums.draw(uniforms[rows]).to(x.dtype).unflatten(-1, model.shape)
        marginals[rows] = sums.marginals()
        value[rows] = sums.log_evidence
    exact = _exact(samples, batch, value, "exactly, by sums over the missing cells")
    return replace(exact, exact_marginals=marginals.unflatten(1, model.shape))


def _in_order(
    model: AutoregressiveModel | OrderEnsemble,
    batch: Batch,
    num_samples: int,
    settings: ParticleFilter,
) -> Imputation:
    """Each row by the best way that its pattern of gaps allows."""
    observed = _mask(batch)
    parts: list[tuple[Tensor, Imputation]] = []
    patterns, which = observed.flatten(1).unique(dim=0, return_inverse=True)
    in_particles = torch.zeros(len(batch), dtype=torch.bool, device=observed.device)
    clamped = torch.zeros_like(in_particles)
    for number, pattern in enumerate(patterns):
        if isinstance(model, AutoregressiveModel) and _comes_first(model, pattern):
            clamped |= which == number
            continue
        other = _reordered(model, pattern)
        if other is None:
            in_particles |= which == number
            continue
        rows = (which == number).nonzero().squeeze(1)
        said = "exactly, under the order that puts the observed cells first"
        parts.append((rows, _clamped(other, batch.rows(rows), num_samples, said)))
    if bool(clamped.any()):
        assert isinstance(model, AutoregressiveModel)
        rows = clamped.nonzero().squeeze(1)
        said = "exactly, since the observed cells come first in the model's order"
        parts.append((rows, _clamped(model, batch.rows(rows), num_samples, said)))
    if bool(in_particles.any()):
        if not isinstance(model, AutoregressiveModel):
            raise IncompatibleChoices("expected an ensemble whose model takes any order")
        rows = in_particles.nonzero().squeeze(1)
        parts.append((rows, _by_particles(model, batch.rows(rows), num_samples, settings)))
    return _joined(parts)


def _clamped(model: AutoregressiveModel, batch: Batch, num_samples: int, said: str) -> Imputation:
    """Ancestral sampling after the observed sites; their weights are all equal."""
    x, observed = batch.x, _mask(batch)
    sites, seen = _sites(model, x, observed)
    found = ParticleFilter()(model.network, model.head, sites, seen, num_samples, batch.context)
    value = model.log_prob(torch.where(observed, x, 0.0), batch.context, observed)
    return _exact(_data(model, found.sites, batch), batch, value, said)


def _by_particles(
    model: AutoregressiveModel, batch: Batch, num_samples: int, settings: ParticleFilter
) -> Imputation:
    network, head, observed = model.network, model.head, _mask(batch)
    sites, seen = _sites(model, batch.x, observed)
    num_particles = max(num_samples, settings.num_particles)
    found = settings(network, head, sites, seen, num_particles, batch.context)
    moved = metropolis_moves(
        network, head, resampled(found, num_samples), seen, settings.num_moves, batch.context
    )
    value = found.log_evidence.to(batch.x.dtype)
    if model.units is not None:
        value = value + model.units.log_det(observed)
    moves = f" and {settings.num_moves} Metropolis moves" if settings.num_moves else ""
    return Imputation(
        _data(model, moved.sites, batch),
        torch.full(moved.sites.shape[:2], 1 / num_samples, dtype=value.dtype, device=value.device),
        observed,
        found.ess.to(value.dtype),
        Estimate(value, "lower_bound", std_error=found.std_error.to(value.dtype)),
        (f"by sequential Monte Carlo with {num_particles} particles{moves}",) * len(batch),
        (*_few(found.ess, num_particles), *_missed(moved.gain)),
    )


def _few(ess: Tensor, num_particles: int) -> tuple[str, ...]:
    poor = int((ess < _POOR * num_particles).sum())
    if poor == 0:
        return ()
    rows = "row rests" if poor == 1 else "rows rest"
    return (
        f"{poor:,} {rows} on few independent particles: {float(ess.min()):.3g} of "
        f"{num_particles} at worst; take more particles, or a model that takes any order "
        "or sums exactly",
    )


def _missed(gain: Tensor) -> tuple[str, ...]:
    """Moves that keep a distribution raise log p on average only where it was not reached."""
    mean = gain.mean(1)
    error = gain.std(1, correction=0) / gain.shape[1] ** 0.5
    missed = int((mean > _MISSED + 4 * error).sum())
    if missed == 0:
        return ()
    rows = "row" if missed == 1 else "rows"
    return (
        f"the particles of {missed:,} {rows} had missed likely completions: moves raised log p by "
        f"{float(mean.max()):.3g} nats at most, and the estimates of log p are too low; take "
        "more particles, or a model that takes any order or sums exactly",
    )


def _exact(samples: Tensor, batch: Batch, value: Tensor, said: str) -> Imputation:
    """Samples that are independent draws, and log p of the observed cells without error."""
    num_rows, num_samples = samples.shape[:2]
    weights = value.new_full((num_rows, num_samples), 1 / num_samples)
    ess = value.new_full((num_rows,), float(num_samples))
    evidence = Estimate(value, "exact", std_error=torch.zeros_like(value))
    return Imputation(samples, weights, _mask(batch), ess, evidence, (said,) * num_rows)


def _joined(parts: list[tuple[Tensor, Imputation]]) -> Imputation:
    """The rows of several ways, in their own order again."""
    joined = Imputation.concatenate([part for _, part in parts])
    back = torch.cat([rows for rows, _ in parts]).argsort()
    return Imputation(
        joined.samples[back],
        joined.weights[back],
        joined.observed[back],
        joined.ess[back],
        joined.log_evidence[back],
        tuple(joined.methods[i] for i in back.tolist()),
        joined.warnings,
    )


def _comes_first(model: AutoregressiveModel, pattern: Tensor) -> bool:
    """Whether the observed sites, each as a whole, are the first of the order."""
    network = model.network
    sites = pattern.reshape(network.num_sites, network.width)
    seen = sites.all(1)[network.order]
    whole = bool((sites.any(1) == sites.all(1)).all())
    return whole and bool((seen[1:] <= seen[:-1]).all())


def _reordered(
    model: AutoregressiveModel | OrderEnsemble, pattern: Tensor
) -> AutoregressiveModel | None:
    """The model with the observed sites first, if it takes that order."""
    network = (model.model if isinstance(model, OrderEnsemble) else model).network
    sites = pattern.reshape(network.num_sites, network.width)
    if not bool((sites.any(1) == sites.all(1)).all()):
        return None
    order = network.order[torch.argsort(~sites.all(1)[network.order], stable=True)]
    try:
        return model.with_order(order).eval()
    except IncompatibleChoices:
        return None


def _sites(model: AutoregressiveModel, x: Tensor, observed: Tensor) -> tuple[Tensor, Tensor]:
    """Rows and mask as sites, [rows, T, W]; a missing cell is zero."""
    sites = model.to_sites(torch.where(observed, x, 0.0))
    return sites, observed.reshape(sites.shape)


def _data(model: AutoregressiveModel, sites: Tensor, batch: Batch) -> Tensor:
    """[rows, samples, T, W] -> [rows, samples, *shape], observed cells exactly as given."""
    found = model.from_sites(sites.flatten(0, 1)).unflatten(0, sites.shape[:2])
    return torch.where(_mask(batch).unsqueeze(1), batch.x.unsqueeze(1), found)


def _mask(batch: Batch) -> Tensor:
    assert batch.observed is not None
    return batch.observed


def _with_mask(batch: Batch) -> Batch:
    observed = batch.observed
    if observed is None:
        observed = torch.ones_like(batch.x, dtype=torch.bool)
    if observed.shape != batch.x.shape:
        raise ShapeError(
            f"expected a mask of observed cells of shape {list(batch.x.shape)}, that of the rows, "
            f"got {list(observed.shape)}",
            hint="it says of each cell of each row whether it is known",
        )
    return Batch(batch.x, observed.bool(), batch.index, batch.context)
