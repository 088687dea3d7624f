"""Made outliers, mutated rows, and the length of files."""

from __future__ import annotations

import io
import zlib

import numpy as np
import pytest
import torch
from PIL import Image

from ancestral.applications.detection import OUTLIERS, Mutated, outliers
from ancestral.applications.detection.complexity import complexity_bits
from ancestral.core import (
    AncestralError,
    Column,
    DataError,
    IncompatibleChoices,
    Kind,
    OptionError,
    Specification,
)
from ancestral.data import TensorSource

GREY = Specification(Kind.LEVELS, (8, 8), num_levels=17)
BLACK = Specification(Kind.BINARY, (8, 8))
COLOUR = Specification(Kind.LEVELS, (8, 8, 3), num_levels=256)
TEXT = Specification(Kind.CATEGORICAL, (30,), num_levels=12)
TABLE = Specification(
    None, (3,), columns=(Column("a", Kind.REAL), Column("b", Kind.COUNT), Column("c", Kind.BINARY))
)


def _rows(spec, count=20):
    rng = np.random.default_rng(0)
    if spec is TABLE:
        return np.stack(
            (rng.normal(size=count), rng.poisson(4, count), rng.integers(0, 2, count)), 1
        )
    return rng.integers(0, spec.num_levels or 2, (count, *spec.shape)).astype(float)


@pytest.mark.parametrize("spec", [GREY, BLACK, COLOUR, TEXT, TABLE], ids=lambda s: str(s.kind))
@pytest.mark.parametrize("name", OUTLIERS)
def test_outliers_are_of_the_rows_kind(name, spec):
    x = _rows(spec)
    if not OUTLIERS[name].fits(spec):
        with pytest.raises(IncompatibleChoices, match="makes no sense"):
            outliers(name, x, spec)
        return
    made = outliers(name, x, spec, seed=3)
    assert made.shape == x.shape
    if spec is not TABLE:
        assert ((made >= 0) & (made < (spec.num_levels or 2)) & (made == made.round())).all()
        assert name in ("mirrored", "upside-down") or not np.array_equal(made, x)
    assert np.array_equal(made, outliers(name, x, spec, seed=3))
    assert np.array_equal(x, _rows(spec)), "the rows themselves were changed"


def test_what_some_outliers_are():
    x = _rows(GREY)
    assert np.array_equal(outliers("inverted", x, GREY), 16 - x)
    assert np.array_equal(
        outliers("rotated", outliers("rotated", x, GREY), GREY), outliers("upside-down", x, GREY)
    )
    assert np.array_equal(
        np.sort(outliers("shuffled", x, GREY).reshape(20, -1)), np.sort(x.reshape(20, -1))
    )
    flat = outliers("constant", x, GREY).reshape(20, -1)
    assert (flat == flat[:, :1]).all()
    assert flat[:17, 0].tolist() == list(range(17))  # every grey value
    spread = outliers("independent", _rows(TABLE), TABLE)
    assert np.array_equal(np.sort(spread, 0), np.sort(_rows(TABLE), 0))
    with pytest.raises(OptionError, match="unknown outliers 'nois'"):
        outliers("nois", x, GREY)


@pytest.mark.parametrize("spec", [GREY, BLACK, TEXT, TABLE], ids=lambda s: str(s.kind))
def test_mutation_replaces_a_share_of_the_cells(spec):
    x = _rows(spec, 400)
    source = Mutated(TensorSource(x, spec), 0.3)
    fixed = source.rows(slice(None)).x.numpy()
    fresh = [next(source.batches(400, seed=1, epoch=e)) for e in (0, 1, 0)]
    assert np.array_equal(fixed, source.rows(slice(None)).x.numpy())
    assert torch.equal(fresh[0].x, fresh[2].x)
    assert not torch.equal(fresh[0].x, fresh[1].x)
    if spec is TABLE:
        assert all(set(fixed[:, c]) <= set(x[:, c]) for c in range(3))
        changed, expected = (fixed != x)[:, 0].mean(), 0.3
    else:
        codes = spec.num_levels or 2
        assert set(np.unique(fixed)) <= set(range(codes))
        changed, expected = (fixed != x).mean(), 0.3 * (1 - 1 / codes)
    cells = x[:, 0].size if spec is TABLE else x.size
    assert abs(changed - expected) < 5 * np.sqrt(0.25 / cells)


def test_mutation_refuses_what_it_cannot_do():
    with pytest.raises(OptionError, match="expected a mutation rate above 0"):
        Mutated(TensorSource(_rows(GREY), GREY), 0.0)
    gaps = Specification(Kind.REAL, (2,), missing=True)
    with pytest.raises(DataError, match="expected complete rows"):
        Mutated(TensorSource(np.array([[1.0, np.nan]]), gaps), 0.1)


def test_complexity_is_the_shortest_file():
    rng = np.random.default_rng(0)
    spec = Specification(Kind.LEVELS, (28, 28), num_levels=256)
    smooth = np.add.outer(np.arange(28), np.arange(28)) * 4.0
    noise = rng.integers(0, 256, (28, 28)).astype(float)
    flat = np.full((28, 28), 77.0)
    found = complexity_bits(np.stack((flat, smooth, noise)), spec)
    assert found[0] < found[1] < found[2] == 28 * 28 * 8
    for bits, pixels in zip(found, (flat, smooth, noise), strict=True):
        raw = pixels.astype(np.uint8)
        file = io.BytesIO()
        Image.fromarray(raw).save(file, "PNG")
        deflated = len(zlib.compress(raw.tobytes(), 9)) - 6  # head and checksum
        lengths = (file.tell(), deflated, raw.size)
        assert bits == 8 * min(lengths)


@pytest.mark.parametrize("spec", [BLACK, COLOUR, TEXT, TABLE], ids=lambda s: str(s.kind))
def test_complexity_of_other_rows(spec):
    x = _rows(spec)
    found = complexity_bits(x, spec)
    assert found.shape == (20,)
    assert (found > 0).all()
    same = complexity_bits(np.repeat(x[:1], 2, 0), spec)
    assert same[0] == same[1] == found[0]
    if spec is not TABLE:
        constant = complexity_bits(np.zeros_like(x[:1]), spec)
        assert constant[0] < found.min()


def test_errors_have_hints():
    with pytest.raises(AncestralError) as caught:
        outliers("rotated", _rows(TABLE), TABLE)
    assert "these do: noise, independent" in str(caught.value)


@pytest.mark.parametrize("name", ["noise", "independent", "constant", "blank"])
def test_outliers_of_rows_with_gaps_have_the_same_gaps(name):
    rng = np.random.default_rng(0)
    spec = Specification(Kind.REAL, (3,), missing=True)
    x = rng.normal(size=(50, 3))
    x[rng.random((50, 3)) < 0.3] = np.nan
    made = outliers(name, x, spec)
    assert np.array_equal(np.isnan(made), np.isnan(x))
    assert not np.array_equal(made, x, equal_nan=True)
    if name == "independent":
        assert np.array_equal(np.sort(made, 0), np.sort(x, 0), equal_nan=True)
    with pytest.raises(DataError, match="complete rows") as caught:
        outliers("shuffled", x, spec)
    assert "noise" in str(caught.value.hint)


@pytest.mark.parametrize(
    "spec",
    [
        Specification(Kind.LEVELS, (8, 8), num_levels=256, missing=True),
        Specification(Kind.BINARY, (8, 8), missing=True),
        Specification(Kind.CATEGORICAL, (30,), num_levels=300, missing=True),
        Specification(Kind.REAL, (5,), missing=True),
    ],
    ids=lambda s: str(s.kind),
)
def test_complexity_of_a_row_is_not_changed_by_others(spec):
    rng = np.random.default_rng(0)
    x = rng.integers(0, 2, (4, *spec.shape)).astype(float)
    alone = complexity_bits(x[:1], spec)
    x[1] *= (spec.num_levels or 2) - 1  # codes that take more bytes
    x[2].flat[3] = np.nan
    assert complexity_bits(x, spec)[0] == alone[0]
    assert complexity_bits(x[2:3], spec)[0] == complexity_bits(x, spec)[2]
