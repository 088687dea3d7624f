from __future__ import annotations

import gzip
import struct
import wave
import zipfile

import numpy as np
import pandas as pd
import pytest
import torch
from PIL import Image

from ancestral.core import DataError, Kind
from ancestral.data import (
    Dataset,
    Vocabulary,
    load_dataset,
    mu_law,
    mu_law_inverse,
)

RNG = np.random.default_rng(0)
GREY = RNG.integers(0, 256, (40, 6, 5), dtype=np.uint8)


def _all_rows(dataset: Dataset) -> np.ndarray:
    return np.concatenate([s.rows(slice(None)).x.numpy() for s in dataset.splits.values()])


def _same_rows(dataset: Dataset, x: np.ndarray) -> bool:
    ours, theirs = (
        np.asarray(v, dtype=np.float64).reshape(len(v), -1) for v in (_all_rows(dataset), x)
    )
    return np.array_equal(ours[np.lexsort(ours.T)], theirs[np.lexsort(theirs.T)])


def _write_idx(path, array):
    header = struct.pack(f">HBB{array.ndim}I", 0, 8, array.ndim, *array.shape)
    opener = gzip.open if path.suffix == ".gz" else open
    with opener(path, "wb") as file:
        file.write(header + array.tobytes())


def _write_wav(path, samples, rate=8000, width=2):
    with wave.open(str(path), "wb") as sound:
        sound.setnchannels(1)
        sound.setsampwidth(width)
        sound.setframerate(rate)
        sound.writeframes(samples.astype("<i2").tobytes())


def test_npy(tmp_path):
    np.save(tmp_path / "x.npy", GREY)
    dataset = load_dataset(tmp_path / "x.npy")
    assert _same_rows(dataset, GREY)
    assert dataset.spec.kind == Kind.LEVELS
    assert "at random (seed 0)" in dataset.provenance
    assert [len(dataset.split(p)) for p in ("train", "valid", "test")] == [32, 4, 4]


@pytest.mark.parametrize("dtype", ["<f4", ">f8", "<u2", "<i8", "|b1", "<f2"])
def test_any_number_type_and_byte_order(tmp_path, dtype):
    x = (GREY > 100).astype(dtype)
    np.save(tmp_path / "x.npy", x)
    dataset = load_dataset(tmp_path / "x.npy")
    assert dataset.spec.kind == Kind.BINARY
    assert _same_rows(dataset, x.astype(np.float64))


def test_npz_brings_its_own_split(tmp_path):
    parts = {"train": GREY[:20], "validation": GREY[20:30], "test": GREY[30:]}
    labels = {f"{p}_labels": np.array(["b", "a"] * (len(x) // 2)) for p, x in parts.items()}
    np.savez(tmp_path / "x.npz", **parts, **labels)
    dataset = load_dataset(tmp_path / "x.npz")
    assert np.array_equal(dataset.valid.rows(slice(None)).x.numpy(), GREY[20:30])
    assert dataset.label_names == ("a", "b")
    assert dataset.test.labels.tolist() == [1, 0] * 5


def test_npz_with_one_array_and_labels(tmp_path):
    np.savez(tmp_path / "x.npz", x=GREY, y=np.arange(40))
    dataset = load_dataset(tmp_path / "x.npz")
    codes = dataset.test.labels
    assert np.array_equal(dataset.test.rows(slice(None)).x.numpy(), GREY[codes])


def test_npz_without_valid_takes_it_from_train(tmp_path):
    np.savez(tmp_path / "x.npz", train=GREY[:30], test=GREY[30:])
    dataset = load_dataset(tmp_path / "x.npz")
    assert [len(dataset.split(p)) for p in ("train", "valid", "test")] == [27, 3, 10]
    assert "10% of the training rows" in dataset.provenance


TABLE = """age,city,height,smokes,"note, private"
31,Graz,1.71,True,a
42,Wien,?,False,b
27,Graz,1.80,True,c
,Linz,1.65,False,d
58,NA,1.77,True,e
33,Wien,1.69,False,f
"""


@pytest.mark.parametrize("packed", [False, True])
def test_csv_with_kinds_gaps_and_quotes(tmp_path, packed):
    path = tmp_path / ("t.csv.gz" if packed else "t.csv")
    path.write_bytes(gzip.compress(TABLE.encode()) if packed else TABLE.encode())
    dataset = load_dataset(path, label="note, private")
    assert [c.kind for c in dataset.spec.columns] == [
        Kind.COUNT,
        Kind.CATEGORICAL,
        Kind.REAL,
        Kind.BINARY,
    ]
    assert dataset.spec.columns[1].categories == ("Graz", "Linz", "Wien")
    assert dataset.spec.missing
    assert dataset.spec.kind is None
    assert dataset.label_names == ("a", "b", "c", "d", "e", "f")
    rows = {
        dataset.label_names[label]: (x, o)
        for s in dataset.splits.values()
        for label, x, o in zip(
            s.labels, s.rows(slice(None)).x, s.rows(slice(None)).observed, strict=True
        )
    }
    assert rows["d"][1].tolist() == [False, True, True, True]
    assert rows["b"][0].tolist() == [42, 2, 0, 0]
    assert rows["e"][1].tolist() == [True, False, True, True]
    assert "age: whole numbers" in dataset.spec.reason


def test_csv_overrides_drops_and_constants(tmp_path):
    (tmp_path / "t.csv").write_text("rownames,a,b,c\n1,3,2.5,x\n2,4,2.5,y\n3,5,2.5,x\n4,9,2.5,y\n")
    dataset = load_dataset(tmp_path / "t.csv", kinds={"a": "real"}, drop=["c"])
    assert [(c.name, c.kind) for c in dataset.spec.columns] == [("a", Kind.REAL)]
    assert dataset.spec.kind == Kind.REAL
    assert "left out: rownames (row numbers), b (always 2.5)" in dataset.spec.reason


def test_csv_without_header_and_with_semicolons(tmp_path):
    (tmp_path / "t.csv").write_text("1.5;2\n2.5;3\n\n3.5;4\n")
    dataset = load_dataset(tmp_path / "t.csv")
    assert [c.name for c in dataset.spec.columns] == ["column_1", "column_2"]
    assert "without a header" in dataset.provenance


def test_parquet_and_frame_agree(tmp_path):
    frame = pd.DataFrame(
        {
            "n": RNG.poisson(5, 60),
            "g": pd.Categorical(RNG.choice(["u", "v"], 60), categories=["v", "u", "w"]),
            "f": RNG.normal(size=60),
        }
    )
    frame.loc[3, "f"] = np.nan
    frame.to_parquet(tmp_path / "t.parquet", row_group_size=20)
    whole, file = load_dataset(frame), load_dataset(tmp_path / "t.parquet")
    assert whole.spec == file.spec
    assert whole.spec.columns[1].categories == ("v", "u", "w")
    assert np.array_equal(_all_rows(whole), _all_rows(file))
    streamed = load_dataset(tmp_path / "t.parquet", max_memory=100, label="g")
    assert "streamed" in streamed.provenance
    assert [c.kind for c in streamed.spec.columns] == [Kind.COUNT, Kind.REAL]
    assert streamed.spec.missing
    assert _same_rows(streamed, frame[["n", "f"]].fillna(0).to_numpy())
    labels = np.concatenate([s.labels for s in streamed.splits.values()])
    assert streamed.label_names == ("v", "u")
    assert np.bincount(labels).tolist() == [(frame.g == g).sum() for g in ("v", "u")]


def test_large_npy_is_streamed(tmp_path):
    np.save(tmp_path / "x.npy", GREY)
    dataset = load_dataset(tmp_path / "x.npy", max_memory=100, binarization="dynamic")
    assert dataset.spec.kind == Kind.BINARY
    assert sum(len(s) for s in dataset.splits.values()) == 40
    with pytest.raises(DataError, match="expected data that fit in memory for static"):
        load_dataset(tmp_path / "x.npy", max_memory=100, binarization="static")


def test_text_is_windows_of_codes(tmp_path):
    (tmp_path / "t.txt").write_text("to be or not to be, " * 50)
    dataset = load_dataset(tmp_path / "t.txt", length=20)
    assert dataset.spec.kind == Kind.CATEGORICAL
    assert dataset.spec.num_levels == len(dataset.vocabulary)
    assert [len(s) for s in dataset.splits.values()] == [40, 5, 5]
    row = dataset.test.rows(slice(0, 1)).x[0].long()
    assert dataset.vocabulary.decode(row) == "to be or not to be, "
    again = load_dataset(
        tmp_path / "t.txt", length=20, vocabulary=dataset.vocabulary, like=dataset.spec
    )
    assert again.spec == dataset.spec
    with pytest.raises(DataError, match="expected text of the 2 known symbols, got 't'"):
        load_dataset(tmp_path / "t.txt", vocabulary=Vocabulary(("a", "b")))


def test_sound(tmp_path):
    samples = 20_000 * np.sin(np.arange(5000) / 7)
    _write_wav(tmp_path / "a.wav", samples)
    dataset = load_dataset(tmp_path / "a.wav", length=100)
    assert (dataset.spec.kind, dataset.spec.num_levels, dataset.sample_rate) == (
        Kind.LEVELS,
        256,
        8000,
    )
    assert [len(s) for s in dataset.splits.values()] == [40, 5, 5]
    decoded = mu_law_inverse(_all_rows(dataset).ravel())
    assert np.abs(decoded - np.round(samples) / 2**15).max() < 0.02
    assert np.array_equal(mu_law(mu_law_inverse(np.arange(256))), np.arange(256))


def test_zip_of_sounds_keeps_recordings_together(tmp_path):
    with zipfile.ZipFile(tmp_path / "s.zip", "w") as archive:
        for number in range(10):
            _write_wav(tmp_path / "a.wav", np.full(300, 3000 * number))
            archive.write(tmp_path / "a.wav", f"{'low' if number < 5 else 'high'}/{number}.wav")
    dataset = load_dataset(tmp_path / "s.zip", length=100)
    seen = [set(s.rows(slice(None)).x[:, 0].tolist()) for s in dataset.splits.values()]
    assert [len(s) for s in seen] == [8, 1, 1]
    assert not seen[0] & seen[1]
    assert dataset.label_names == ("high", "low")
    assert "by recording" in dataset.provenance


@pytest.mark.parametrize("suffix", ["", ".gz"])
def test_idx(tmp_path, suffix):
    _write_idx(tmp_path / f"train-images-idx3-ubyte{suffix}", GREY)
    _write_idx(tmp_path / f"train-labels-idx1-ubyte{suffix}", np.arange(40, dtype=np.uint8))
    dataset = load_dataset(tmp_path / f"train-images-idx3-ubyte{suffix}")
    assert np.array_equal(dataset.test.rows(slice(None)).x.numpy(), GREY[dataset.test.labels])
    _write_idx(tmp_path / f"t10k-images-idx3-ubyte{suffix}", GREY[:7])
    folder = load_dataset(tmp_path)
    assert [len(folder.split(p)) for p in ("train", "valid", "test")] == [36, 4, 7]


@pytest.mark.parametrize(("colour", "suffix"), [(False, "png"), (True, "png"), (False, "jpg")])
def test_folder_of_pictures(tmp_path, colour, suffix):
    pictures = RNG.integers(0, 256, (20, 6, 5, 3) if colour else (20, 6, 5), dtype=np.uint8)
    for number, picture in enumerate(pictures):
        folder = tmp_path / ("cat" if number % 2 else "dog")
        folder.mkdir(exist_ok=True)
        Image.fromarray(picture).save(folder / f"{number:02d}.{suffix}")
    dataset = load_dataset(tmp_path)
    assert dataset.spec.shape == pictures.shape[1:]
    assert (dataset.spec.kind, dataset.spec.num_levels) == (Kind.LEVELS, 256)
    assert dataset.label_names == ("cat", "dog")
    if suffix == "png":
        assert _same_rows(dataset, pictures)


def test_folder_with_its_own_split(tmp_path):
    for part in ("train", "val", "test"):
        (tmp_path / part).mkdir()
        for number in range(3):
            Image.fromarray(GREY[number]).save(tmp_path / part / f"{number}.png")
    dataset = load_dataset(tmp_path)
    assert set(dataset.splits) == {"train", "valid", "test"}
    assert dataset.train.labels is None
    assert np.array_equal(dataset.valid.rows(slice(None)).x.numpy(), GREY[:3])


@pytest.mark.parametrize("sparse", [False, True])
def test_anndata_file_and_object(tmp_path, sparse):
    import anndata
    import scipy.sparse

    counts = RNG.poisson(0.5, (30, 7)).astype(np.float32)
    x = scipy.sparse.csr_matrix(counts) if sparse else counts
    obs = pd.DataFrame({"cell": ["t", "b"] * 15}, index=[f"c{k}" for k in range(30)])
    data = anndata.AnnData(x, obs=obs)
    data.write_h5ad(tmp_path / "d.h5ad")
    for dataset in (
        load_dataset(data, label="cell"),
        load_dataset(tmp_path / "d.h5ad", label="cell"),
    ):
        assert dataset.spec.kind == Kind.COUNT
        assert dataset.train.x.dtype == torch.uint8
        assert dataset.label_names == ("b", "t")
        assert _same_rows(dataset, counts)
    with pytest.raises(DataError, match="expected a column 'cel' in obs, got none") as caught:
        load_dataset(data, label="cel")
    assert "did you mean 'cell'" in caught.value.hint
