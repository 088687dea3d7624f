"""Which rows a number is of: same for the same rows, another for any other."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest
import torch

from ancestral.core import Column, IncompatibleChoices, Kind, Specification
from ancestral.data import (
    Binarization,
    Conditioned,
    Dequantized,
    TensorSource,
    load_dataset,
)
from ancestral.evaluation import Fingerprint, compare, evaluate, fingerprint, refuse_other_rows

REAL = Specification(Kind.REAL, (4,))
X = np.random.default_rng(0).normal(size=(50, 4))
LEVELS = np.random.default_rng(1).integers(0, 17, (30, 4)).astype(np.uint8)


def of(x, spec=REAL):
    return fingerprint(TensorSource(np.asarray(x), spec))


def test_the_same_rows_whatever_holds_them(single_precision):
    one = of(X)
    assert of(X.astype(np.float32)) == one
    assert fingerprint(TensorSource(torch.as_tensor(X), replace(REAL, reason="other"))) == one
    levels = Specification(Kind.LEVELS, (4,), 17)
    assert of(LEVELS, levels) == of(LEVELS.astype(np.float64), levels)
    refuse_other_rows({"a": one, "b": of(X.copy())})


CHANGES = {
    "another number of data": X[:-1],
    "the same rows in another order": X[::-1],
    "other rows": (X - X.mean(0)) / X.std(0),
    "other rows (one cell)": np.where(np.arange(200).reshape(50, 4) == 77, X + 1e-3, X),
    "other rows (columns)": X[:, ::-1],
    "another shape": X[:, :3],
}


@pytest.mark.parametrize("words", CHANGES)
def test_other_rows_are_refused(words):
    x = CHANGES[words]
    other = of(x, replace(REAL, shape=x.shape[1:]))
    with pytest.raises(IncompatibleChoices, match=words.split(" (")[0]) as refusal:
        refuse_other_rows({"a": of(X), "b": other})
    assert refusal.value.hint


def test_masses_are_not_compared_with_densities():
    count, real = Specification(Kind.COUNT, (4,)), REAL
    with pytest.raises(IncompatibleChoices, match="cannot be compared: probabilities of whole"):
        refuse_other_rows({"a": of(LEVELS, count), "b": of(LEVELS, real)})
    columns = (Column("a", Kind.REAL), *(Column(n, Kind.COUNT) for n in "bcd"))
    mixed = Specification(None, (4,), columns=columns)
    with pytest.raises(IncompatibleChoices, match="some cells of each"):
        refuse_other_rows({"a": of(LEVELS, mixed), "b": of(LEVELS, count)})


def test_integers_with_noise_are_those_integers():
    """A bound on their log-probability stands beside others in one unit."""
    source = TensorSource(LEVELS, Specification(Kind.LEVELS, (4,), 17))
    plain, noisy = fingerprint(source), fingerprint(Dequantized(source))
    refuse_other_rows({"a": plain, "b": noisy, "c": fingerprint(Dequantized(source, 3))})
    other = TensorSource((LEVELS + 1) % 17, source.spec)
    with pytest.raises(IncompatibleChoices, match="other rows"):
        refuse_other_rows({"a": plain, "b": fingerprint(Dequantized(other))})


def test_binarisations_differ():
    def digits(how, seed=0):
        return fingerprint(load_dataset("digits", binarization=how, seed=seed).test)

    static = digits(Binarization.STATIC)
    refuse_other_rows({"a": static, "b": digits(Binarization.STATIC)})
    with pytest.raises(IncompatibleChoices, match="another binarization"):
        refuse_other_rows({"a": static, "b": digits(Binarization.DYNAMIC)})
    with pytest.raises(IncompatibleChoices, match="expected runs evaluated on the same rows"):
        refuse_other_rows({"a": static, "b": digits(Binarization.STATIC, seed=1)})
    # another seed under the same words, as files of somebody else's draw have it
    same_words = replace(digits(Binarization.STATIC, seed=1), binarization=static.binarization)
    with pytest.raises(IncompatibleChoices, match="other rows"):
        refuse_other_rows({"a": static, "b": same_words})


def test_gaps_and_conditions_count():
    gaps = X.copy()
    gaps[3, 2] = np.nan
    missing = replace(REAL, missing=True)
    zero = np.where(np.isnan(gaps), 0.0, gaps)
    with pytest.raises(IncompatibleChoices, match="other rows"):
        refuse_other_rows({"a": of(gaps, missing), "b": of(zero, missing)})
    refuse_other_rows({"a": of(X), "b": of(X, missing)})
    given = Conditioned(TensorSource(X, REAL), torch.ones(50, 1), ("dose",))
    with pytest.raises(IncompatibleChoices, match="given nothing for a, given dose for b"):
        refuse_other_rows({"a": of(X), "b": fingerprint(given)})


def test_evaluations_carry_it(ppca):
    found = evaluate(ppca.model, ppca.posterior, ppca.source, setting=ppca.setting, batch_size=7)
    assert found.fingerprint == fingerprint(ppca.source)
    d = json.loads(json.dumps(found.to_dict(), allow_nan=False))
    assert Fingerprint.from_dict(d["fingerprint"]) == found.fingerprint
    assert type(found).from_dict(d).fingerprint == found.fingerprint
    # another name is fine, and other rows under the same name are not
    renamed = replace(found, setting=replace(found.setting, data="renamed"))
    assert len(compare({"a": found, "b": renamed})) == 2
    shuffled = evaluate(
        ppca.model, ppca.posterior, ppca.source.subset(np.arange(39, -1, -1)), setting=ppca.setting
    )
    with pytest.raises(IncompatibleChoices, match="the same rows in another order"):
        compare({"a": found, "b": shuffled})
