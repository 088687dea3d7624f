from __future__ import annotations

import numpy as np
import pytest
import torch

from ancestral.core import DataError, Kind
from ancestral.data import DATASETS, load_dataset, load_folds

B, C, L, N, R = Kind.BINARY, Kind.CATEGORICAL, Kind.LEVELS, Kind.COUNT, Kind.REAL
# name: (kind, shape, number of levels, rows of train, valid and test; None where there are none)
EXPECTED = {
    "digits": (L, (8, 8), 17, 1437, 180, 180),
    "mnist": (L, (28, 28), 256, 50000, 10000, 10000),
    "binarized-mnist": (B, (28, 28), None, 50000, 10000, 10000),
    "dynamic-mnist": (B, (28, 28), None, 50000, 10000, 10000),
    "omniglot": (B, (28, 28), None, 12614, 901, 4505),
    "silhouettes": (B, (28, 28), None, 4100, 2264, 2307),
    "freyfaces": (L, (28, 20), 256, 1565, 200, 200),
    "cifar10-subset": (L, (32, 32, 3), 256, 3600, 400, 1000),
    "tinyshakespeare": (C, (256,), 65, 3921, 217, 217),
    "names": (C, (16,), 27, 25627, 3203, 3203),
    "ptb": (C, (64,), 10000, 929589 // 64, 73760 // 64, 82430 // 64),
    "nltcs": (B, (16,), None, 16181, 2157, 3236),
    "baudio": (B, (100,), None, 15000, 2000, 3000),
    "bnetflix": (B, (100,), None, 15000, 2000, 3000),
    "accidents": (B, (111,), None, 12758, 1700, 2551),
    "pumsb-star": (B, (163,), None, 12262, 1635, 2452),
    "dna": (B, (180,), None, 1600, 400, 1186),
    "dna-nade": (B, (180,), None, 1400, 600, 1186),
    "mushrooms": (B, (112,), None, 2000, 500, 5624),
    "nips": (B, (500,), None, 400, 100, 1240),
    "adult": (B, (123,), None, 5000, 1414, 26147),
    "bbc": (B, (1058,), None, 1670, 225, 330),
    "connect4": (B, (126,), None, 16000, 4000, None),
    "ocr-letters": (B, (16, 8), None, None, 10000, 10000),
    "wine-red": (R, (11,), None, 1279, 160, 160),
    "wine-white": (R, (11,), None, 3918, 490, 490),
    "wine-red-folds": (R, (11,), None, 1296, 144, 159),
    "boston": (None, (14,), None, 404, 51, 51),
    "parkinsons": (R, (21,), None, 4699, 588, 588),
    "ionosphere": (R, (32,), None, 281, 35, 35),
    "iris": (R, (4,), None, 120, 15, 15),
    "faithful": (R, (2,), None, 218, 27, 27),
    "galaxies": (R, (1,), None, 66, 8, 8),
    "breast-cancer": (R, (30,), None, 455, 57, 57),
    "jsb": (B, (88,), None, 13807, 4602, 4725),
    "piano-midi": (B, (88,), None, 75911, 8540, 19036),
    "musedata": (B, (88,), None, 245202, 82755, 64339),
    "nile": (R, (100, 1), None, 1, None, None),
    "fsdd": (L, (1024,), 256, 510, 59, 281),
    "worm-neuron": (N, (13488,), None, 3348, 419, 419),
    "mixology": (N, (15073,), None, 399, 50, 50),
    "pbmc-cite": (N, (15792,), None, 320, 40, 40),
    "osmfish": (N, (33,), None, 3624, 453, 453),
}


def test_every_registered_set_is_expected():
    assert set(DATASETS) == set(EXPECTED)
    assert all(row.title and row.reference for row in DATASETS.values())


@pytest.mark.data
@pytest.mark.parametrize("name", EXPECTED)
def test_it_loads_with_its_kind_shape_and_split(name, data_dir):
    dataset = load_dataset(name, data_dir=data_dir)
    kind, shape, num_levels, *sizes = EXPECTED[name]
    spec = dataset.spec
    assert (spec.kind, spec.shape, spec.num_levels, spec.missing) == (
        kind,
        shape,
        num_levels,
        False,
    )
    for part, size in zip(("train", "valid", "test"), sizes, strict=True):
        if size is None:
            with pytest.raises(DataError, match=f"expected a split '{part}'"):
                dataset.split(part)
            continue
        source = dataset.split(part)
        assert len(source) == size
        assert source.spec == spec
        assert source.labels is None or source.labels.shape == (size,)
        batch = next(iter(source.batches(7, seed=0, epoch=0)))
        assert batch.x.shape[1:] == shape
        assert bool(torch.isfinite(batch.x).all())
    assert spec.reason
    assert dataset.provenance
    assert dataset.reference


def test_digits_are_those_of_scikit_learn():
    from sklearn.datasets import load_digits

    dataset = load_dataset()
    theirs = load_digits()
    ours = np.concatenate([s.rows(slice(None)).x.numpy() for s in dataset.splits.values()])
    assert sorted(map(bytes, ours.astype(np.uint8))) == sorted(
        map(bytes, theirs.images.astype(np.uint8))
    )
    assert (
        np.bincount(np.concatenate([s.labels for s in dataset.splits.values()])).tolist()
        == np.bincount(theirs.target).tolist()
    )
    assert dataset.train.x.dtype == torch.uint8


def test_digits_binarised_each_way():
    static = load_dataset("digits", binarization="static")
    assert static.spec.kind == Kind.BINARY
    assert "static" in static.provenance
    dynamic = load_dataset("digits", binarization="dynamic")
    assert torch.equal(static.test.rows(slice(None)).x, dynamic.test.rows(slice(None)).x)
    assert load_dataset("digits", binarization="none").spec.kind == Kind.LEVELS


def test_another_seed_gives_another_split():
    a, b = (load_dataset("digits", seed=s).test.rows(slice(None)).x for s in (0, 1))
    assert not torch.equal(a, b)
    assert torch.equal(a, load_dataset("digits").test.rows(slice(None)).x)


@pytest.mark.data
def test_the_ten_folds_cover_the_wines_once(data_dir):
    folds = load_folds(data_dir=data_dir)
    tests = np.concatenate([f.test.rows(slice(None)).x.numpy() for f in folds])
    assert len(folds) == 10
    assert len(tests) == 1599
    assert all(len(f.train) + len(f.valid) + len(f.test) == 1599 for f in folds)
    with pytest.raises(DataError, match="expected a data set with folds, got 'iris'"):
        load_folds("iris")


@pytest.mark.data
def test_text_decodes_to_itself(data_dir):
    dataset = load_dataset("tinyshakespeare", data_dir=data_dir, length=100)
    first = dataset.vocabulary.decode(dataset.train.rows(slice(0, 1)).x[0].long())
    assert first.startswith("First Citizen:\nBefore we proceed")
    names = load_dataset("names", data_dir=data_dir)
    assert (
        names.vocabulary.decode(names.train.rows(slice(0, 1)).x[0].long()).rstrip("\n").isalpha()
    )
    ptb = load_dataset("ptb", data_dir=data_dir)
    assert ptb.vocabulary.decode(ptb.test.rows(slice(0, 1)).x[0].long()).startswith(
        "no it was n't"
    )


@pytest.mark.data
def test_music_keeps_the_lengths_of_its_pieces(data_dir):
    dataset = load_dataset("jsb", data_dir=data_dir)
    assert {k: (len(v), v.sum()) for k, v in dataset.lengths.items()} == {
        "train": (229, 13807),
        "valid": (76, 4602),
        "test": (77, 4725),
    }


def test_files_that_are_not_there(tmp_path, monkeypatch):
    monkeypatch.delenv("ANCESTRAL_DATA", raising=False)
    monkeypatch.setenv("ANCESTRAL_CACHE", str(tmp_path))
    with pytest.raises(DataError, match="expected images/mnist/train-images") as caught:
        load_dataset("mnist")
    assert "ancestral data get mnist" in caught.value.hint


def test_the_cache_and_the_variable_are_searched(tmp_path, monkeypatch):
    monkeypatch.delenv("ANCESTRAL_DATA", raising=False)
    monkeypatch.setenv("ANCESTRAL_CACHE", str(tmp_path))
    (tmp_path / "timeseries").mkdir()
    lines = "rownames,time,value\n1,1871,1120\n2,1872,1160\n"
    (tmp_path / "timeseries" / "nile.csv").write_text(lines)
    assert load_dataset("nile").train.rows(slice(None)).x.flatten().tolist() == [1120, 1160]


def test_unknown_names_and_options_are_answered_with_the_nearest():
    with pytest.raises(DataError, match="unknown data set 'digts'") as caught:
        load_dataset("digts")
    assert "did you mean 'digits'" in caught.value.hint
    with pytest.raises(DataError, match="expected no option 'label' for the data set 'digits'"):
        load_dataset("digits", label="x")
    with pytest.raises(DataError, match="expected no length for the data set 'digits', got 5"):
        load_dataset("digits", length=5)
    with pytest.raises(ValueError, match="expected a binarization of none, static, dynamic"):
        load_dataset("digits", binarization="statik")
    with pytest.raises(ValueError, match="expected a kind of binary"):
        load_dataset("digits", kind="reel")
