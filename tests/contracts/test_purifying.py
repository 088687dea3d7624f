"""Every recipe purifies rows within their ball, or refuses in a sentence with a way out."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from test_recipes import ROWS, SOURCES

import ancestral
from ancestral.core import AncestralError, Kind

EPSILON = 0.2
UNABLE = frozenset({"mmd_net"})
NUM_PURIFIED = 8


def _fitted(name, data):
    settings: dict[str, Any] = dict(ROWS[name].small)
    settings |= {"epochs": 1, "batch_size": 25, "seed": 4}
    return ancestral.build(name, **settings).fit(SOURCES[data]())


def _given(source):
    """Rows as they come from an attack: pictures from 0 to 1, moved by up to epsilon."""
    rng = np.random.default_rng(0)
    x = source.rows(slice(0, NUM_PURIFIED)).x.double().numpy()
    if source.spec.kind in (Kind.BINARY, Kind.LEVELS):
        x = x / ((source.spec.num_levels or 2) - 1)
        return np.clip(x + rng.uniform(-EPSILON, EPSILON, x.shape), 0, 1)
    return x


@pytest.mark.parametrize("name", list(ancestral.REGISTRY))
def test_purified_rows_stay_in_their_ball(name, single_precision):
    estimator = _fitted(name, ROWS[name].data)
    given = _given(SOURCES[ROWS[name].data]())
    if name in UNABLE:
        with pytest.raises(AncestralError, match="no encoder") as caught:
            estimator.purify(given, EPSILON)
        assert caught.value.hint
        return
    found = estimator.purify(given, EPSILON)
    assert found.shape == given.shape
    assert np.isfinite(found).all()
    assert np.abs(found - given).max() <= EPSILON + 1e-6
    assert np.array_equal(found, estimator.purify(given, EPSILON))
    # nothing may move, but to the levels that the model knows
    still = estimator.purify(found, 0.0)
    assert np.allclose(still, found)


@pytest.mark.parametrize("name", ["rnade", "made", "ppca", "vae"])
@pytest.mark.parametrize("data", ["reals", "counts", "table"])
def test_tables_move_in_the_units_of_each_column(name, data, single_precision):
    if data not in ROWS[name].accepts:
        pytest.skip(f"{name} does not take {data}")
    estimator, source = _fitted(name, data), SOURCES[data]()
    x = source.rows(slice(0, NUM_PURIFIED)).x.numpy()
    radius = np.linspace(0, 2, x[0].size).reshape(x.shape[1:])
    found = estimator.purify(x, radius)
    change = np.abs(found - x)
    assert (change <= radius + 1e-6 * (1 + np.abs(x))).all()
    assert change.max() > 0
    for i, column in enumerate(source.spec.columns or ()):
        if column.kind is Kind.CATEGORICAL:
            assert change[:, i].max() == 0
        if column.kind.is_discrete:
            assert np.array_equal(found[:, i], np.round(found[:, i]))


@pytest.mark.parametrize("method", ["greedy", "sampled", "reconstruction", "ascent"])
@pytest.mark.parametrize("name", ["fvsbn", "vae", "pixel_vae", "autoencoder"])
def test_methods_by_name(name, method, single_precision):
    able = {
        "fvsbn": {"greedy", "sampled"},
        "vae": {"reconstruction", "ascent"},
        "pixel_vae": {"greedy", "sampled", "reconstruction"},
        "autoencoder": {"reconstruction"},
    }
    estimator, given = _fitted(name, "binary"), _given(SOURCES["binary"]())
    if method not in able[name]:
        with pytest.raises(AncestralError, match="method") as caught:
            estimator.purify(given, 0.6, method=method)
        assert caught.value.hint
        return
    found = estimator.purify(given, 0.6, method=method, seed=1)
    assert np.abs(found - given).max() <= 0.6 + 1e-6
    assert np.abs(found - given).max() > 0


def test_only_rows_of_small_p_values_are_purified(single_precision):
    source = SOURCES["binary"]()
    estimator = ancestral.build("fvsbn", epochs=1, batch_size=25).fit(source)
    clean = source.rows(slice(0, 40)).x.numpy()
    x = source.rows(slice(40, 60)).x.numpy()
    with pytest.raises(AncestralError, match="calibrate") as caught:
        estimator.purify(x, 1.0, p_below=0.5)
    assert caught.value.hint
    found = estimator.purified(x, 1.0, p_below=0.5, calibration=clean)
    assert found.p_values is not None
    assert np.array_equal(found.chosen, found.p_values < 0.5)
    assert 0 < found.chosen.sum() < len(x)
    assert np.array_equal(found.values[~found.chosen], x[~found.chosen])
    assert (found.values[found.chosen] != x[found.chosen]).any()
    with pytest.raises(AncestralError, match="p_below"):
        estimator.purify(x, 1.0, p_below=0.0, calibration=clean)


def test_boldness_is_for_pictures(single_precision):
    """Without it, no row becomes less likely; with it, cells go to the rim all the same."""
    rng = np.random.default_rng(0)
    x = (rng.random((120, 5)) < 0.3).astype(np.uint8)
    model = ancestral.build("fvsbn", epochs=3, batch_size=25).fit(x)
    plain = model.purified(x[:40], 1.0)
    before, after = (model.rounded_log_prob(v).value for v in (x[:40], plain.values))
    assert bool((after >= before).all())
    assert np.array_equal(model.purify(x[:40], 1.0, boldness=0.0), plain.values)
    bold = model.purify(x[:40], 1.0, boldness=50.0)
    assert np.array_equal(bold, 1 - x[:40])
    assert not plain.kept.all()


def test_both_methods_take_the_same_words():
    import inspect

    both = (ancestral.DensityEstimator.purify, ancestral.DensityEstimator.purified)
    names = [list(inspect.signature(method).parameters) for method in both]
    assert names[0] == names[1]
    assert both[0].__name__ == "purify"
