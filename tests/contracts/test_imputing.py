"""Every recipe imputes, or refuses in words."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from test_recipes import NUM_ROWS, ROWS, SOURCES

import ancestral
from ancestral.applications import AutomaticImputing, MetropolisWithinGibbs, ParticleFilter
from ancestral.core import AncestralError, IncompatibleChoices, NotExact
from ancestral.data import Masked
from ancestral.models import AutoregressiveLikelihood, LatentVariableModel

SEEN = 6
PARTICLES = ParticleFilter(num_particles=8, num_moves=2)
QUICK = AutomaticImputing(more=0, metropolis=MetropolisWithinGibbs(8))
REFUSES = {"autoencoder"}  # no distribution of x at all


def _fitted(name, data):
    settings = dict(ROWS[name].small) | {"epochs": 1, "batch_size": 25, "seed": 4}
    return ancestral.build(name, **settings).fit(SOURCES[data]())


def _gappy(data):
    """A few rows, half of whose cells are missing: of the first none, of the last all."""
    source = SOURCES[data]()
    shape = (NUM_ROWS, *source.spec.shape)
    seen = torch.rand(shape, generator=torch.Generator().manual_seed(0)) < 0.5
    if len(source.spec.shape) == 3:  # whole pixels
        seen = seen[..., :1].expand(shape).clone()
    seen[0], seen[SEEN - 1] = True, False
    return Masked(source, seen).subset(slice(0, SEEN))


def _check(estimator, source, found, num):
    batch = source.rows(slice(None))
    x, seen = batch.x, batch.observed
    assert found.samples.shape == (SEEN, num, *source.spec.shape)
    assert bool(found.samples.isfinite().all())
    assert bool((found.samples.transpose(0, 1)[:, seen] == x[seen]).all())
    torch.testing.assert_close(found.weights.sum(1), torch.ones(SEEN))
    assert found.draws(3).shape == (SEEN, 3, *source.spec.shape)
    low, high = found.interval(0.9)
    assert bool((low <= high).all())
    assert bool((low[seen] == x[seen]).all())
    assert bool((found.std()[seen] == 0).all())
    assert len(found.methods) == SEEN
    assert found.log_evidence.kind in ("exact", "lower_bound")
    completed = found.completed(estimator.spec_)
    assert bool(completed.isfinite().all())
    assert bool((completed[seen] == x[seen]).all())
    for index, kind in enumerate(_kinds(estimator.spec_)):
        if kind.is_discrete:
            cells = found.samples.flatten(2)[..., index]
            assert bool((cells == cells.round()).all())
            assert bool((completed.flatten(1)[:, index] % 1 == 0).all())


def _kinds(spec):
    return [spec.kind] * spec.num_dims if spec.columns is None else [c.kind for c in spec.columns]


@pytest.mark.parametrize("name", list(ancestral.REGISTRY))
def test_every_recipe_imputes_or_refuses(name, single_precision):
    """Also by the ways that are for models with separate cells given latent variables."""
    row = ROWS[name]
    data = next((d for d in ("table", "gaps") if d in row.accepts), row.data)
    estimator, source = _fitted(name, data), _gappy(data)
    if name in REFUSES:
        with pytest.raises(NotExact, match="cannot impute") as caught:
            estimator.impute(source)
        assert caught.value.hint
        return
    found = estimator.impute_samples(source, 4, seed=1, particles=PARTICLES, method=QUICK)
    _check(estimator, source, found, 4)
    again = estimator.impute_samples(source, 4, seed=1, particles=PARTICLES, method=QUICK)
    assert torch.equal(found.samples, again.samples)
    model = estimator.model_
    separate = isinstance(model, LatentVariableModel) and not isinstance(
        model.likelihood, AutoregressiveLikelihood
    )
    for method in (MetropolisWithinGibbs(8), "importance"):
        if separate:
            found = estimator.impute_samples(source, 4, method=method)
            _check(estimator, source, found, 4)
        elif not isinstance(model, LatentVariableModel):
            with pytest.raises(IncompatibleChoices, match="separate given latent") as caught:
                estimator.impute(source, method=method)
            assert caught.value.hint
    if not separate:
        with pytest.raises(AncestralError, match="separate given latent"):
            estimator.impute(source, method="pseudo-gibbs")


@pytest.mark.parametrize("data", sorted(set(SOURCES) - {"colour"}))  # slow, and like levels
def test_data_of_every_kind(data, single_precision):
    source = _gappy(data)
    for name in ("vae", "miwae", "made"):
        if data not in ROWS[name].accepts:
            continue
        estimator = _fitted(name, data)
        found = estimator.impute_samples(source, 4, particles=PARTICLES, method=QUICK)
        _check(estimator, source, found, 4)
        filled = estimator.impute(_array(source), 4, particles=PARTICLES, method=QUICK)
        assert filled.shape == (SEEN, *source.spec.shape)
        assert not np.isnan(filled).any()


def _array(source):
    batch = source.rows(slice(None))
    return batch.x.masked_fill(~batch.observed, torch.nan).numpy()
