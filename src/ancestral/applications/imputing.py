"""`impute`: missing cells given the others, never by clamping that ignores later evidence."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor, nn

from ancestral.applications.importance_imputing import ImportanceImputing
from ancestral.applications.imputation import Imputation
from ancestral.applications.imputing_cells import separate_head
from ancestral.applications.imputing_methods import (
    METHODS,
    AutomaticImputing,
    LatentImputing,
    imputing_method,
)
from ancestral.applications.latent_imputing import PriorProposal, impute_latent
from ancestral.applications.latent_ordered_imputing import impute_latent_in_order
from ancestral.applications.ordered_imputing import impute_in_order
from ancestral.applications.particles import ParticleFilter
from ancestral.applications.table_imputing import impute_tables
from ancestral.core import (
    Batch,
    IncompatibleChoices,
    NotExact,
    OptionError,
    ShapeError,
    derived_seed,
    seeded,
)
from ancestral.core.noise import own_noise
from ancestral.core.row_noise import RowKeys
from ancestral.inference.posteriors import Posterior
from ancestral.models import (
    AutoregressiveLikelihood,
    AutoregressiveModel,
    BayesNet,
    LatentVariableModel,
    OrderEnsemble,
)

__all__ = ["impute", "imputed"]

_STREAM = 21  # of derived seeds
_NUMBERS = 1 << 24  # features of the completions made at once, all sites': 64 MB


def impute(
    model: nn.Module,
    batch: Batch,
    num_samples: int = 100,
    *,
    posterior: Posterior | None = None,
    seed: int = 0,
    particles: ParticleFilter | None = None,
    method: LatentImputing | str = "auto",
) -> Imputation:
    """Draws of what is missing given what is observed, for each row by itself.

    Of several ways the first that the model allows, row by row:

    1. tables over a graph: exact, by variable elimination, if the graph is not too dense;
    2. the observed sites are the first of the model's order: exact, by ancestral sampling;
    3. else weighted particles, with an effective number, an estimate of log p(observed) and its
       standard error, and a warning where the particles are too few.

    Ensembles of orders are mixtures, and each sample is of an order drawn by p(order | observed);
    2 or 3 goes for each order, so that an ensemble of M costs M times as much.

    Latent-variable models draw z given the observed cells by a `method`, and then x given z; where
    cells depend on each other even given z, by importance and particles for each z.

    Args:
        model: in evaluation mode: autoregressive, or latent-variable with its posterior.
        batch: rows, with `observed`.
        num_samples: completions of each row.
        posterior: q, for latent-variable models.
        seed: of the draws. Those of a row are a function of the seed and of what is in the row:
            they do not depend on the rows beside it, nor on their order. The second of two equal
            rows gets draws of its own.
        particles: settings of the way that needs them.
        method: of latent-variable models: auto (importance sampling where it suffices, else
            Metropolis-within-Gibbs), importance, metropolis, pseudo-gibbs (which is biased), or
            one with settings of its own, such as `MetropolisWithinGibbs(num_sweeps=500)`.

    Raises:
        ShapeError: the mask of observed cells has another shape than the rows.
        NotExact: the model has no distribution of cells given others.
        IncompatibleChoices: the model knows nothing of the method.
    """
    found = imputed(
        model,
        batch,
        num_samples,
        posterior=posterior,
        seed=seed,
        particles=particles,
        method=method,
    )
    return Imputation.concatenate(list(found))


def imputed(
    model: nn.Module,
    batch: Batch,
    num_samples: int = 100,
    *,
    posterior: Posterior | None = None,
    seed: int = 0,
    particles: ParticleFilter | None = None,
    method: LatentImputing | str = "auto",
    keys: Tensor | None = None,
) -> Iterator[Imputation]:
    """The same some rows at a time, so that memory is bounded.

    Args:
        model: as for `impute`.
        batch: as for `impute`.
        num_samples: as for `impute`.
        posterior: as for `impute`.
        seed: as for `impute`.
        particles: as for `impute`.
        method: as for `impute`.
        keys: [rows] int64, which decide each row's noise; None: those of what the rows hold.
    """
    if num_samples < 1:
        raise OptionError(f"expected at least 1 sample, got {num_samples}")
    if len(batch) == 0:
        raise ShapeError("expected rows to complete, got none")
    batch = _with_mask(batch)
    settings = particles or ParticleFilter()
    how = imputing_method(method)
    _check_method(model, how)
    num_rows = max(1, _NUMBERS // _numbers_of_a_row(model, batch, num_samples, settings, how))
    keys = RowKeys(seed).of(batch) if keys is None else keys
    for first in range(0, len(batch), num_rows):
        some = slice(first, first + num_rows)
        # where a part of a model asks torch's generator, it gets what it would get alone
        with seeded(derived_seed(seed, _STREAM)), own_noise(keys[some]), torch.no_grad():
            yield _some(model, batch.rows(some), num_samples, posterior, settings, how)


def _check_method(model: nn.Module, method: LatentImputing) -> None:
    """Refuse a method for models that it is not for."""
    if isinstance(method, AutomaticImputing):
        return
    what = None
    if not isinstance(model, LatentVariableModel):
        what = f"{type(model).__name__} has no latent variables"
    elif isinstance(model.likelihood, AutoregressiveLikelihood):
        if isinstance(method, ImportanceImputing):
            return
        what = "the cells of this model depend on each other even given the latent variables"
    if what is not None:
        names = [name for name, one in METHODS.items() if type(one) is type(method)]
        raise IncompatibleChoices(
            f"the method {names[0] if names else type(method).__name__!r} is for models whose "
            f"cells are separate given latent variables: {what}",
            hint="leave out the method: `auto` takes what the model allows",
        )


def _numbers_of_a_row(
    model: nn.Module,
    batch: Batch,
    num_samples: int,
    settings: ParticleFilter,
    method: LatentImputing,
) -> int:
    """Numbers held at once for each row: cells of completions, or the features that tell them."""
    size = batch.x[0].numel()
    many = max(num_samples, settings.num_particles)
    if isinstance(model, AutoregressiveModel | OrderEnsemble):
        one = model.model if isinstance(model, OrderEnsemble) else model
        return many * max(size, one.network.num_sites * one.head.num_features)
    if isinstance(model, LatentVariableModel):
        likelihood = model.likelihood
        if isinstance(likelihood, AutoregressiveLikelihood):
            return _numbers_of_a_row(likelihood.model, batch, num_samples, settings, method)
        size = max(size, separate_head(model).num_features)
        latent_size = model.sample_latents(1).shape[-1]
        return method.numbers_of_a_row(num_samples, size, latent_size)
    return many * size


def _some(
    model: nn.Module,
    batch: Batch,
    num_samples: int,
    posterior: Posterior | None,
    settings: ParticleFilter,
    method: LatentImputing,
) -> Imputation:
    if isinstance(model, LatentVariableModel):
        q = posterior if posterior is not None and posterior.has_density else PriorProposal()
        if isinstance(model.likelihood, AutoregressiveLikelihood):
            return impute_latent_in_order(model, q, batch, num_samples, settings)
        return impute_latent(model, q, batch, num_samples, method)
    if isinstance(model, BayesNet):
        return impute_tables(model, batch, num_samples, settings)
    if isinstance(model, AutoregressiveModel | OrderEnsemble):
        return impute_in_order(model, batch, num_samples, settings)
    raise NotExact(
        f"{type(model).__name__} cannot impute: it has no distribution of some cells given others",
        hint="autoregressive models, `vae`, `miwae` and `ppca` can",
    )


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
