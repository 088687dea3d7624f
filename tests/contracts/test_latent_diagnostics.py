"""Every latent recipe: finite at a high learning rate, and every diagnostic works on it."""

from __future__ import annotations

import importlib
import json
import math
import pkgutil

import pytest
import rows
from row import Row

import ancestral
from ancestral.evaluation import GapsOptions, Setting, evaluate
from ancestral.inference.evidence import Exact, Importance, has_proposal
from ancestral.inference.posteriors import Refinement
from ancestral.models import Autoencoder, ExactLogProb

ROWS: dict[str, Row] = {
    name: row
    for module in pkgutil.iter_modules(rows.__path__)
    for name, row in importlib.import_module(f"rows.{module.name}").ROWS.items()
}
LATENT = [
    name
    for name, recipe in ancestral.REGISTRY.items()
    if {"latent", "no bound"} & set(recipe.tags) and ROWS[name].trained
]


def _digits():
    data = ancestral.load_dataset("digits")
    return data.train.subset(slice(0, 400)), data.valid.subset(slice(0, 60))


def _fitted(name, num_steps, train, valid):
    settings = dict(ROWS[name].small) | {"learning_rate": 1e-2, "seed": 1, "patience": 0}
    epochs = math.ceil(num_steps / 8)
    estimator = ancestral.build(name, **settings, epochs=epochs, batch_size=50)
    return estimator.fit(train, validation=valid)


@pytest.mark.slow
@pytest.mark.parametrize("name", LATENT)
def test_finite_at_a_high_learning_rate(name, single_precision):
    train, valid = _digits()
    estimator = _fitted(name, 200, train, valid)
    for record in estimator.history_.records:
        assert all(math.isfinite(v) for v in record.values() if isinstance(v, float)), record
    modules = [m for m in (estimator.model_, estimator.posterior_) if m is not None]
    for module in modules:
        assert all(bool(p.isfinite().all()) for p in module.parameters())


@pytest.mark.parametrize("name", LATENT)
def test_every_diagnostic_works(name, single_precision):
    train, valid = _digits()
    _diagnosed(name, _fitted(name, 16, train, valid), valid.subset(slice(0, 20)))


def _diagnosed(name, estimator, valid):
    model, posterior = estimator.model_, estimator.posterior_
    setting = Setting(name, "digits", "valid")
    if isinstance(model, Autoencoder) or not has_proposal(posterior):
        # no density q(z | x): the reconstruction error, or nothing, but never a likelihood
        found = evaluate(model, posterior, valid, setting=setting)
        assert found.log_prob is None
        assert found.information is None
        assert found.gaps is None
        return
    found = evaluate(
        model,
        posterior,
        valid,
        setting=setting,
        method=Exact() if isinstance(model, ExactLogProb) else Importance(20),
        elbo_samples=2,
        gaps=GapsOptions(3, num_samples=10, refinement=Refinement(3, 0.1, 2)),
    )
    d = json.loads(json.dumps(found.to_dict(), allow_nan=False))
    assert d["collapse"]
    assert 0 <= d["active_units"] <= d["latent_size"]
    known = found.information
    assert known is not None
    assert 0 <= known.mutual_information <= known.limit + 1e-9
    assert known.mutual_information <= known.mutual_information_at_most + 1e-9
    assert known.marginal_kl_at_least <= known.marginal_kl + 1e-9
    assert d["gaps"]["rows"] == 3
    assert math.isfinite(d["gaps"]["total"]["value"])
