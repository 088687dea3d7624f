"""Every recipe: codes, paths and attributes, or a refusal with a hint."""

from __future__ import annotations

import numpy as np
import pytest
from test_recipes import ROWS, SOURCES

import ancestral
from ancestral.core import IncompatibleChoices, NotExact, OptionError, ShapeError
from ancestral.models import LayeredPrior

DECODES = [name for name, row in ROWS.items() if row.latent]
OTHERS = [name for name, row in ROWS.items() if not row.latent]


def fitted(name):
    source = SOURCES[ROWS[name].data]()
    settings = dict(ROWS[name].small) | {"epochs": 1, "batch_size": 25, "seed": 4}
    return ancestral.build(name, **settings).fit(source), source


@pytest.mark.parametrize("name", DECODES)
def test_paths_and_arithmetic(name, single_precision):
    model, source = fitted(name)
    first, last = source.subset(slice(0, 3)), source.subset(slice(3, 6))
    ends = [model.reconstruct(rows) for rows in (first, last)]
    for path in ("linear", "spherical"):
        lines = model.interpolate(first, last, 4, path=path)
        assert lines.shape == (3, 4, *source.spec.shape)
        for found, end in zip((lines[:, 0], lines[:, -1]), ends, strict=True):
            np.testing.assert_allclose(found, end, rtol=1e-3, atol=1e-3)
    vector = model.attribute_vector(source, np.arange(len(source)) % 3 == 0)
    assert vector.shape == (2,)
    moved = model.shift(first, vector, [-1.0, 0.0])
    assert moved.shape == (3, 2, *source.spec.shape)
    np.testing.assert_allclose(moved[:, 1], ends[0], rtol=1e-3, atol=1e-3)
    codes = model.encode(first)
    np.testing.assert_allclose(model.decode(codes), ends[0], rtol=1e-3, atol=1e-3)
    assert np.array_equal(model.transform(first), codes)


@pytest.mark.parametrize("name", OTHERS)
def test_what_cannot_be_decoded_is_refused(name, single_precision):
    model, source = fitted(name)
    rows = source.subset(slice(0, 4))
    asked = [
        lambda: model.interpolate(rows, rows),
        lambda: model.attribute_vector(rows, [True, False, True, False]),
        lambda: model.reconstruct(rows),
    ]
    for ask in asked:
        with pytest.raises(NotExact, match=r"no latent variables|no encoder") as refusal:
            ask()
        assert refusal.value.hint
    if name == "mmd_net":
        with pytest.raises(NotExact, match="no encoder"):
            model.encode(rows)


@pytest.mark.parametrize("name", ["vae", "hierarchical_vae", "sigmoid_belief_net", "made"])
def test_layers_by_name(name, single_precision):
    model, source = fitted(name)
    prior = getattr(model.model_, "prior", None)
    if isinstance(prior, LayeredPrior):
        top = model.encode(source, layers="top")
        assert np.array_equal(top, model.encode(source)[:, -prior.sizes[-1] :])
    else:
        with pytest.raises(IncompatibleChoices, match="no stochastic layers above each other"):
            model.encode(source, layers="top")
    with pytest.raises(OptionError, match="expected layers to be one of all, top, got 'first'"):
        model.encode(source, layers="first")


def test_wrong_words_and_shapes(single_precision):
    model, source = fitted("vae")
    rows = source.subset(slice(0, 4))
    with pytest.raises(OptionError, match="expected path to be one of linear, spherical"):
        model.interpolate(rows, rows, path="sphericle")
    with pytest.raises(OptionError, match="at least 2 steps"):
        model.interpolate(rows, rows, 1)
    with pytest.raises(ShapeError, match="as many codes"):
        model.interpolate(rows, source.subset(slice(0, 3)))
    with pytest.raises(OptionError, match="a mask of True and False"):
        model.attribute_vector(rows, [0, 1, 2, 3])
    with pytest.raises(ShapeError, match="a mask of 4 rows"):
        model.attribute_vector(rows, [True, False])
    with pytest.raises(ShapeError, match="a vector of 2 latent variables"):
        model.shift(rows, np.zeros(3))
