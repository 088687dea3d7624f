"""Objects in memory, and rows read as a trained model was taught."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import torch

from ancestral.core import DataError, Kind, ShapeError
from ancestral.data import Dataset, MemmapSource, as_source, load_dataset

RNG = np.random.default_rng(0)
GREY = RNG.integers(0, 256, (40, 6, 5), dtype=np.uint8)


def _all_rows(dataset: Dataset) -> np.ndarray:
    return np.concatenate([s.rows(slice(None)).x.numpy() for s in dataset.splits.values()])


def _same_rows(dataset: Dataset, x: np.ndarray) -> bool:
    ours, theirs = (
        np.asarray(v, dtype=np.float64).reshape(len(v), -1) for v in (_all_rows(dataset), x)
    )
    return np.array_equal(ours[np.lexsort(ours.T)], theirs[np.lexsort(theirs.T)])


def test_objects():
    array = RNG.normal(size=(50, 3))
    for data in (array, torch.from_numpy(array), array.tolist()):
        assert _same_rows(load_dataset(data), array)
    dataset = load_dataset({"train": array[:30], "valid": array[30:40], "test": array[40:]})
    assert np.array_equal(dataset.test.rows(slice(None)).x.numpy(), array[40:])
    assert load_dataset(dataset) is dataset


def test_whole_numbers_as_real_are_dequantised():
    dataset = load_dataset(GREY, kind="real")
    assert dataset.spec.kind == Kind.REAL
    assert dataset.train.log_prob_kind == "lower_bound"
    assert "lower bound" in dataset.spec.reason


def test_new_rows_are_read_as_the_model_was_taught(tmp_path):
    first = pd.DataFrame({"g": ["a", "b", "c"] * 4, "n": range(12)})
    spec = load_dataset(first).spec
    second = pd.DataFrame({"n": [1.0, 2, 3, 4], "g": ["c", "c", "b", "c"]})
    dataset = load_dataset(second, like=spec)
    assert dataset.spec == spec
    assert _same_rows(dataset, np.array([[2, 1], [2, 2], [1, 3], [2, 4]]))
    with pytest.raises(DataError, match="expected a known category in column 'g', got 'z'"):
        load_dataset(second.assign(g="z"), like=spec)
    with pytest.raises(DataError, match="expected a column 'n', got none"):
        load_dataset(second.drop(columns="n"), like=spec)
    with pytest.raises(DataError, match="expected complete rows, got missing cells"):
        load_dataset(second.assign(n=np.nan), like=spec)
    grey = load_dataset(GREY).spec
    assert load_dataset(GREY // 100, like=grey).spec == grey
    with pytest.raises(ShapeError, match=r"expected rows of shape \[6, 5\], got \[5, 5\]"):
        load_dataset(GREY[:, :5], like=grey)
    drawn = load_dataset(GREY, binarization="dynamic").spec
    assert load_dataset(GREY, like=drawn).spec.binarization == drawn.binarization


def test_as_source_takes_rows_without_a_split():
    array = RNG.normal(size=(50, 3))
    source = as_source(array)
    assert np.array_equal(source.rows(slice(None)).x.numpy(), array)
    assert as_source(source, source.spec) is source
    with pytest.raises(ShapeError, match="X has 2 features"):
        as_source(array[:, :2], source.spec)
    with pytest.raises(ShapeError, match=r"expected rows of shape \[8, 8\], got \[3\]"):
        as_source(source, load_dataset("digits").spec)
    with pytest.raises(DataError, match="expected rows, got the data set 'digits'"):
        as_source(load_dataset("digits"))


def test_gaps_are_let_in_where_the_specification_says_so():
    array = RNG.normal(size=(50, 3))
    spec = as_source(array).spec
    array[0, 0] = np.nan
    with pytest.raises(DataError, match="expected complete rows, got missing cells"):
        load_dataset(array, like=spec)
    dataset = load_dataset(array, like=replace(spec, missing=True))
    missing = [
        (~s.observed).sum().item() for s in dataset.splits.values() if s.observed is not None
    ]
    assert missing == [1]


def test_gaps_in_streamed_rows_become_a_mask(tmp_path):
    array = RNG.normal(size=(50, 3))
    array[7, 1] = np.nan
    np.save(tmp_path / "x.npy", array)
    train = MemmapSource(tmp_path / "x.npy")
    assert train.spec.missing
    batch = train.rows(slice(6, 8))
    assert batch.observed.tolist() == [[True] * 3, [True, False, True]]
    assert batch.x[1, 1] == 0


def test_streamed_rows_are_read_as_the_model_was_taught(tmp_path):
    spec = load_dataset(GREY).spec
    np.save(tmp_path / "x.npy", GREY // 100)
    assert load_dataset(tmp_path / "x.npy", max_memory=9).spec.num_levels == 3
    assert load_dataset(tmp_path / "x.npy", max_memory=9, like=spec).spec == spec
    np.save(tmp_path / "x.npy", GREY[:, :5])
    with pytest.raises(ShapeError, match=r"expected rows of shape \[6, 5\], got \[5, 5\]"):
        load_dataset(tmp_path / "x.npy", max_memory=9, like=spec)
