"""What every recipe of the registry must do, on data of every kind it accepts."""

from __future__ import annotations

import importlib
import inspect
import pkgutil

import numpy as np
import pytest
import rows
import torch
from row import Row

import ancestral
from ancestral.core import (
    AncestralError,
    Column,
    DataError,
    Kind,
    NotExact,
    OptionError,
    RunError,
    ShapeError,
    Specification,
)
from ancestral.data import TensorSource, given_labels
from ancestral.models import LatentVariableModel

ROWS: dict[str, Row] = {
    name: row
    for module in pkgutil.iter_modules(rows.__path__)
    for name, row in importlib.import_module(f"rows.{module.name}").ROWS.items()
}
NUM_ROWS = 60


def _table() -> TensorSource:
    rng = np.random.default_rng(0)
    columns = (
        Column("sex", Kind.BINARY),
        Column("colour", Kind.CATEGORICAL, 3, ("blue", "green", "red")),
        Column("grade", Kind.LEVELS, 5),
        Column("visits", Kind.COUNT),
        Column("height", Kind.REAL),
        Column("income", Kind.POSITIVE),
        Column("share", Kind.UNIT),
    )
    rows = np.stack(
        [
            rng.integers(0, 2, NUM_ROWS),
            rng.integers(0, 3, NUM_ROWS),
            rng.integers(0, 5, NUM_ROWS),
            rng.poisson(3, NUM_ROWS),
            rng.normal(170, 10, NUM_ROWS),
            rng.lognormal(8, 1, NUM_ROWS),
            rng.uniform(0, 1, NUM_ROWS),
        ],
        1,
    )
    rows[rng.random(rows.shape) < 0.2] = np.nan
    return TensorSource(rows, Specification(None, (7,), columns=columns, missing=True))


def _image(kind: Kind, shape: tuple[int, ...], num_levels: int | None = None) -> TensorSource:
    rng = np.random.default_rng(1)
    top = 2 if kind is Kind.BINARY else num_levels
    rows = rng.integers(0, top, (NUM_ROWS, *shape)).astype(np.uint8)
    return TensorSource(rows, Specification(kind, shape, num_levels))


def _reals(missing: bool) -> TensorSource:
    rng = np.random.default_rng(2)
    rows = rng.normal(5.0, 3.0, (NUM_ROWS, 6)) @ rng.normal(size=(6, 6))
    if missing:
        rows[rng.random(rows.shape) < 0.3] = np.nan
    return TensorSource(rows, Specification(Kind.REAL, (6,), missing=missing))


def _counts() -> TensorSource:
    rows = np.random.default_rng(3).poisson(2.0, (NUM_ROWS, 9)).astype(np.int64)
    return TensorSource(rows, Specification(Kind.COUNT, (9,)))


SOURCES = {
    "table": _table,
    "binary": lambda: _image(Kind.BINARY, (6, 5)),
    "levels": lambda: _image(Kind.LEVELS, (6, 5), 256),
    "colour": lambda: _image(Kind.LEVELS, (4, 6, 3), 256),
    "reals": lambda: _reals(False),
    "gaps": lambda: _reals(True),
    "counts": _counts,
}
PAIRS = [(name, data) for name in ancestral.REGISTRY for data in sorted(SOURCES)]


def _fitted(name, data, **options):
    settings = dict(ROWS[name].small) | {"epochs": 2, "batch_size": 25, "seed": 4} | options
    return ancestral.build(name, **settings).fit(SOURCES[data]())


def test_every_recipe_is_covered_here():
    assert set(ROWS) == set(ancestral.REGISTRY)


@pytest.mark.parametrize(("name", "data"), PAIRS)
def test_fit_and_ask_or_refuse_with_a_hint(name, data, single_precision):
    source = SOURCES[data]()
    row = ROWS[name]
    if data not in row.accepts:
        with pytest.raises(AncestralError) as caught:
            _fitted(name, data)
        assert caught.value.hint
        return
    estimator = _fitted(name, data)
    if row.latent:
        _encode_and_decode(estimator, source)
    else:
        with pytest.raises(NotExact, match=r"no latent variables|no encoder"):
            estimator.reconstruct(source)
    if row.kind is None:
        with pytest.raises(NotExact, match="has no log p"):
            estimator.score_samples(source)
        if row.samples:
            _sample(estimator, source)
            return
        with pytest.raises(NotExact, match="cannot sample"):
            estimator.sample(2)
        return
    score = estimator.score_samples(source)
    assert score.value.shape == (NUM_ROWS,)
    assert bool(score.value.isfinite().all())
    assert score.kind == row.kind
    assert estimator.score(source) == pytest.approx(score.mean)
    _sample(estimator, source)


def _sample(estimator, source):
    samples = estimator.sample(5, seed=1)
    assert samples.shape == (5, *source.spec.shape)
    assert np.isfinite(samples).all()
    assert np.array_equal(samples, estimator.sample(5, seed=1))
    assert not np.array_equal(samples, estimator.sample(5, seed=2))


def _encode_and_decode(estimator, source):
    shape = source.spec.shape
    codes = estimator.encode(source)
    assert codes.shape == (NUM_ROWS, 2)
    assert np.array_equal(codes, estimator.encode(source))
    # a row's code is its own, in any company
    few = estimator.encode(source.subset(slice(3, 6)))
    assert np.allclose(few, codes[3:6], rtol=1e-3, atol=1e-3)
    rebuilt = estimator.reconstruct(source)
    assert rebuilt.shape == (NUM_ROWS, *shape)
    assert np.isfinite(rebuilt).all()
    first, last = source.subset(slice(0, 3)), source.subset(slice(3, 6))
    lines = estimator.interpolate(first, last, 4)
    assert lines.shape == (3, 4, *shape)
    assert np.allclose(lines[:, 0], estimator.reconstruct(first), rtol=1e-3, atol=1e-3)


def _labelled(data):
    source = SOURCES[data]()
    labels = np.random.default_rng(7).integers(0, 3, NUM_ROWS)
    return given_labels(TensorSource(source.x, source.spec, labels=labels), ("a", "b", "c"))


@pytest.mark.parametrize("name", list(ancestral.REGISTRY))
def test_classes_are_taken_or_refused(name, tmp_path, single_precision):
    row = ROWS[name]
    source = _labelled(row.data)
    settings = dict(row.small) | {"epochs": 2, "batch_size": 25, "seed": 4}
    estimator = ancestral.build(name, **settings)
    if not row.conditional:
        with pytest.raises(AncestralError, match="conditional"):
            estimator.fit(source)
        return
    estimator.fit(source)
    score = estimator.score_samples(source)
    plain = source.rows(slice(None)).x.numpy()
    again = estimator.score_samples(plain, context=source.context)
    assert torch.equal(score.value, again.value)
    other = estimator.score_samples(plain, context=np.roll(source.context.numpy(), 1, 1))
    assert not torch.equal(score.value, other.value)
    with pytest.raises(ShapeError, match="conditional"):
        estimator.score_samples(plain)
    first = estimator.sample(3, context=np.array([1.0, 0, 0]))
    assert first.shape == (3, *source.spec.shape)
    with pytest.raises(ShapeError, match="conditional"):
        estimator.sample(3)
    estimator.save(tmp_path / "run")
    loaded = ancestral.load(tmp_path / "run")
    assert loaded.spec_.context == ("a", "b", "c")
    assert np.array_equal(loaded.sample(3, context=np.array([1.0, 0, 0])), first)


@pytest.mark.parametrize("name", list(ancestral.REGISTRY))
def test_save_and_load_give_the_same_numbers(name, tmp_path, single_precision):
    row = ROWS[name]
    source = SOURCES[row.data]()
    estimator = _fitted(name, row.data)
    estimator.save(tmp_path / "run")
    again = ancestral.load(tmp_path / "run")
    if row.latent:
        assert np.array_equal(estimator.encode(source), again.encode(source))
    if row.kind is not None:
        before, after = estimator.score_samples(source), again.score_samples(source)
        assert torch.equal(before.value, after.value)
        assert np.array_equal(estimator.sample(3), again.sample(3))
    assert again.history_.records == estimator.history_.records
    assert repr(again).startswith(f"DensityEstimator({name!r}")
    with pytest.raises(RunError, match="is not empty"):
        estimator.save(tmp_path / "run")


@pytest.mark.parametrize("name", list(ancestral.REGISTRY))
def test_the_seed_decides(name, single_precision):
    def weights(seed):
        estimator = _fitted(name, ROWS[name].data, seed=seed)
        return torch.cat([p.detach().flatten() for p in estimator.model_.parameters()])

    assert torch.equal(weights(1), weights(1))
    if ROWS[name].trained:
        assert not torch.equal(weights(1), weights(2))


@pytest.mark.parametrize("name", [n for n, row in ROWS.items() if row.trained])
def test_gradients_reach_every_parameter(name):
    source = SOURCES[ROWS[name].data]()
    recipe = ancestral.REGISTRY[name]
    parts = recipe.build(source.spec, ROWS[name].small)
    batch = source.rows(slice(0, 20))
    parts.objective(parts.model, parts.posterior, batch, 0).value.backward()
    modules = [("model", parts.model)]
    modules += [("posterior", parts.posterior)] if parts.posterior else []
    for prefix, module in modules:
        for parameter_name, parameter in module.named_parameters():
            assert parameter.grad is not None, f"{prefix}.{parameter_name}"


@pytest.mark.parametrize("name", list(ancestral.REGISTRY))
def test_a_recipe_says_where_it_comes_from(name):
    recipe = ancestral.REGISTRY[name]
    assert recipe.reference
    assert recipe.bibtex.startswith("@")
    assert recipe.summary
    doc = inspect.getdoc(recipe.assemble)
    for option in recipe.options:
        assert f"{option}:" in doc, f"{option} is not documented"


@pytest.mark.parametrize("name", list(ancestral.REGISTRY))
def test_unknown_options_are_refused_with_the_nearest(name):
    with pytest.raises(OptionError, match=r"unknown option 'latent_sise'.*\n\nhint: did you mean"):
        ancestral.build(name, latent_sise=3)


def test_unknown_recipe():
    with pytest.raises(OptionError, match="hint: did you mean 'iwae'"):
        ancestral.build("iwaee")


def test_rows_of_another_width_or_with_gaps_are_refused(single_precision):
    estimator = _fitted("vae", "reals")
    with pytest.raises(ShapeError, match="X has 5 features, but DensityEstimator is expecting 6"):
        estimator.score_samples(np.zeros((3, 5)))
    gap = np.full((2, 6), 1.5)
    gap[0, 0] = np.nan
    with pytest.raises(DataError, match="expected complete rows, got missing cells"):
        estimator.score_samples(gap)


def test_raw_and_standardised_data_give_the_same_log_p_in_their_units(single_precision):
    """The units of a column change its density by a constant, and training not at all."""
    source = _reals(False)
    raw = source.rows(slice(None)).x.double().numpy()
    scale, shift = np.array([1.0, 10.0, 0.1, 3.0, 1e3, 2.0]), 50.0
    scaled = raw * scale + shift
    options = dict(ROWS["vae"].small) | {"epochs": 3, "seed": 1, "precision": "float32"}
    first = ancestral.build("vae", **options).fit(raw).score_samples(raw)
    second = ancestral.build("vae", **options).fit(scaled).score_samples(scaled)
    assert second.mean == pytest.approx(first.mean - np.log(scale).sum(), abs=2e-2)


def test_full_covariance_posterior(single_precision):
    estimator = _fitted("vae", "binary", posterior="full")
    assert isinstance(estimator.model_, LatentVariableModel)
    assert estimator.score_samples(SOURCES["binary"]()).kind == "lower_bound"
    with pytest.raises(OptionError, match="expected posterior to be 'diagonal' or 'full'"):
        _fitted("vae", "binary", posterior="fill")


@pytest.mark.parametrize(
    ("likelihood", "data"),
    [
        ("normal", "reals"),
        ("student-t", "reals"),
        ("laplace", "gaps"),
        ("normal-mixture", "reals"),
        ("normal-full", "gaps"),
        ("discretized-logistic-mixture", "levels"),
        ("categorical", "levels"),
        ("poisson", "counts"),
        ("zero-inflated-negative-binomial", "counts"),
    ],
)
def test_likelihoods_by_name(likelihood, data, single_precision):
    estimator = _fitted("vae", data, likelihood=likelihood)
    assert bool(estimator.score_samples(SOURCES[data]()).value.isfinite().all())


def test_bernoulli_on_grey_values_is_refused(single_precision):
    with pytest.raises(AncestralError, match="hint"):
        _fitted("vae", "levels", likelihood="bernoulli")
