"""The same model gives a row the same number: saved, in other batches, orders and threads."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from test_recipes import ROWS, SOURCES

import ancestral
from ancestral.evaluation import Setting, evaluate
from ancestral.inference.evidence import default_method

TOLERANCE = 1e-4  # nats, relative to |log p| where that is above 1, in single precision
CODES = 1e-3  # relative to the largest number of the codes
SCORED = [name for name, row in ROWS.items() if row.kind is not None]
ENCODED = [name for name in ROWS if name != "mmd_net"]
_NUM_ROWS, _SAMPLES = 40, 30


def fitted(name):
    source = SOURCES[ROWS[name].data]().subset(slice(0, _NUM_ROWS))
    settings = dict(ROWS[name].small) | {"epochs": 1, "batch_size": 25, "seed": 4}
    return ancestral.build(name, **settings).fit(source), source


def close(values, others):
    scale = others.abs().clamp_min(1)
    assert float(((values - others).abs() / scale).max()) <= TOLERANCE


@pytest.mark.parametrize("name", SCORED)
def test_scores(name, tmp_path, single_precision):
    model, source = fitted(name)
    method = default_method(model.model_, _SAMPLES)

    def scores(rows, of=model):
        return of.score_samples(rows, method).value

    whole = scores(source)
    # saved and loaded: to the last bit
    model.save(tmp_path / "run")
    assert torch.equal(scores(source, ancestral.load(tmp_path / "run")), whole)
    # in another order, and alone
    order = np.random.default_rng(0).permutation(_NUM_ROWS)
    close(scores(source.subset(order)), whole[order])
    close(scores(source.subset(slice(7, 8))), whole[7:8])
    # in other batches, by `evaluate`
    setting = Setting(name, "toy", "test")
    parts = (model.model_, model.posterior_, source)
    found = [
        evaluate(*parts, setting=setting, method=method, batch_size=size, elbo_samples=2)
        for size in (7, 100)
    ]
    for one in found:
        close(torch.as_tensor(one.values), whole)
    if found[0].elbo is not None:
        close(torch.tensor([found[0].elbo.value]), torch.tensor([found[1].elbo.value]))
    assert found[0].fingerprint == found[1].fingerprint
    # with another number of threads
    torch.set_num_threads(2)
    try:
        close(scores(source), whole)
    finally:
        torch.set_num_threads(1)


@pytest.mark.parametrize("name", ENCODED)
def test_codes(name, tmp_path, single_precision):
    model, source = fitted(name)
    whole = model.encode(source)
    assert len(whole) == _NUM_ROWS
    assert np.isfinite(whole).all()
    assert len(np.unique(whole.round(5), axis=0)) > 1
    model.save(tmp_path / "run")
    assert np.array_equal(ancestral.load(tmp_path / "run").encode(source), whole)
    order = np.random.default_rng(0).permutation(_NUM_ROWS)
    largest = np.abs(whole).max()
    assert np.abs(model.encode(source.subset(order)) - whole[order]).max() <= CODES * largest
    assert np.abs(model.encode(source.subset(slice(7, 8))) - whole[7:8]).max() <= CODES * largest


@pytest.mark.parametrize("name", ["vae", "sigmoid_belief_net", "hvi"])
def test_equal_rows_have_noise_of_their_own(name, single_precision):
    """Else a mean over data with repeated rows would be surer than it is."""
    model, source = fitted(name)
    same = source.subset([3, 3, 3])
    found = model.score_samples(same, default_method(model.model_, 5)).value
    assert len(found.unique()) == 3
