"""Each bad input ends in one line that says what was expected and what came, and a hint."""

from __future__ import annotations

import gzip
import struct
import zipfile

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from ancestral.core import AncestralError, DataError
from ancestral.data import load_dataset

IDX = struct.pack(">HBB3I", 0, 8, 3, 10, 4, 4)


def _refused(path, message, hint="", **options):
    with pytest.raises(AncestralError, match=message) as caught:
        load_dataset(path, **options)
    assert "\n" not in caught.value.message
    assert hint in (caught.value.hint or "")


@pytest.mark.parametrize(
    "name", ["a.npy", "a.npz", "a.csv", "a.parquet", "a.h5ad", "a.txt", "a.wav", "a.zip", "a.idx"]
)
def test_empty_and_foreign_files(tmp_path, name):
    (tmp_path / name).write_bytes(b"")
    _refused(tmp_path / name, "expected data in .*, got an empty file")
    (tmp_path / name).write_bytes(b"\x00\xffnonsense\x00" * 20)
    with pytest.raises(DataError, match="expected"):
        load_dataset(tmp_path / name)


def test_missing_file_and_unknown_format(tmp_path):
    (tmp_path / "iris.csv").write_text("1\n")
    _refused(tmp_path / "irs.csv", "expected a file or folder, got none", "'iris.csv'")
    _refused(tmp_path / "none" / "x.csv", "got none", "there is no folder")
    (tmp_path / "x.xlsx").write_bytes(b"x")
    _refused(tmp_path / "x.xlsx", "expected a file of a known format, got", ".npy")


def test_damaged_idx(tmp_path):
    path = tmp_path / "x-idx3-ubyte"
    path.write_bytes(IDX + bytes(100))
    _refused(path, r"expected 160 bytes of data \[10, 4, 4\] in .*, got 100", "again")
    path.write_bytes(b"PNG!")
    _refused(path, "expected an idx file, which begins 00 00 08, got 50 4e 47")
    path.write_bytes(IDX[:9])
    _refused(path, "expected the sizes of 3 axes")
    packed = tmp_path / "x-idx3-ubyte.gz"
    packed.write_bytes(gzip.compress(IDX + bytes(160))[:-20])
    _refused(packed, "expected a gzip file, got a damaged one", "again")


def test_damaged_gzip_table(tmp_path):
    (tmp_path / "x.csv.gz").write_bytes(gzip.compress(b"1,2\n" * 5000)[:-30])
    _refused(tmp_path / "x.csv.gz", "expected a gzip file, got a damaged one")
    (tmp_path / "x.csv.gz").write_bytes(b"1,2\n")
    _refused(tmp_path / "x.csv.gz", "expected a gzip file, got a damaged one")


def test_arrays(tmp_path):
    path = tmp_path / "x.npy"
    np.save(path, np.array([[1, None]], dtype=object))
    _refused(path, "got Python objects, which are never read", "float32")
    np.save(path, np.zeros((9, 9)))
    path.write_bytes(path.read_bytes()[:-80])
    _refused(path, "expected 648 bytes of numbers in .*, got 568: it is cut short")
    np.save(path, np.array(3.0))
    _refused(path, "expected an array of rows in .*, got a single number")
    np.save(path, np.zeros(9))
    _refused(path, r"expected an array of rows, \[rows, ...\], got shape \[9\]", "[rows, 1]")
    np.save(path, np.array([["a"]] * 9))
    _refused(path, "expected an array of numbers, got type <U1")
    np.save(path, np.zeros((0, 3)))
    _refused(path, "expected .* row")
    np.save(path, np.array([[1.0, np.inf]] * 9))
    _refused(path, "expected finite numbers in the data, got inf", "NaN")
    np.save(path, np.array([[1.0, 2.5]] * 9))
    _refused(path, "expected count values in the data, got numbers from 1 to 2.5", kind="count")
    _refused(path, "expected a table for kinds of columns", kinds={"a": "real"})
    _refused(path, "expected no option 'label' for the array", label="y")
    np.save(path, np.asfortranarray(np.ones((9, 9))))
    _refused(path, "column by column", "ascontiguousarray", max_memory=10)


def test_npz(tmp_path):
    path = tmp_path / "x.npz"
    np.savez(path, a=np.zeros((3, 2)), b=np.zeros((3, 2)))
    _refused(path, r"expected arrays train, valid and test.*a \[3, 2\] float64", "name the arrays")
    np.savez(path, a=np.array(["x"]))
    _refused(path, "expected arrays train, valid and test")
    np.savez(path, x=np.array([None]))
    _refused(path, "got Python objects")
    np.savez(path, train=np.zeros((3, 2)), test=np.zeros((3, 4)))
    _refused(path, r"expected all parts to have rows of shape \[2\], got \[4\]")
    np.savez(path, x=np.zeros((30, 2)), y=np.zeros(4, dtype=int))
    _refused(path, "expected one label for each of 30 rows, got 4")
    path.write_bytes(path.read_bytes()[:90])
    _refused(path, "expected an .npz archive, got a damaged one")


def test_tables(tmp_path):
    path = tmp_path / "t.csv"
    path.write_text("a,b\n1,2\n3\n4,5\n")
    _refused(path, "expected 2 cells in line 3 of .*, got 1", "quote")
    path.write_text("a,b\n1,2\n3,4,5\n")
    _refused(path, "expected 2 cells in line 3 of .*, got 3")
    path.write_text("a,a\n1,2\n3,4\n")
    _refused(path, "columns of different names in .*, got 'a' twice")
    path.write_text("a,b\n")
    _refused(path, "expected rows below the header of .*, got none")
    path.write_text("\n\n")
    _refused(path, "expected rows in .*, got none")
    path.write_text("a,b\n1,2\n2,inf\n3,1\n")
    _refused(path, "expected finite numbers in column 'b', got inf")
    path.write_bytes("größe\n1\n".encode("latin-1"))
    _refused(path, "expected UTF-8 text in .*, got byte 0xf6", "iconv")
    path.write_text("name,x\n" + "".join(f"person {k},{k / 7}\n" for k in range(40)))
    _refused(path, "column 'name', got 40 different texts in 40 rows", "--drop name or --label")
    assert load_dataset(path, drop=["name"]).spec.shape == (1,)
    _refused(path, "expected a column 'nam', got none", "'name'", label="nam")
    _refused(path, "expected a column 'nam', got none", "'name'", drop=["nam"])
    _refused(path, "expected a column 'y', got none", kinds={"y": "real"}, drop=["name"])
    _refused(
        path,
        "expected numbers in column 'name', which is to be real, got text such as 'person 0'",
        "--drop name",
        kinds={"name": "real"},
    )
    _refused(path, "expected count values in column 'x'", kinds={"x": "count"}, drop=["name"])
    _refused(path, "expected a list of columns to drop", drop="name")
    path.write_text("a,b\n1.5,x\n1.5,x\n1.5,x\n")
    _refused(path, "expected a column that varies, got: a")
    _refused(path, "expected values that differ in column 'a'", kinds={"a": "real"})


def test_frames():
    days = pd.DataFrame({"day": pd.date_range("2020-01-01", periods=9)})
    _refused(days, "expected numbers or text in column 'day', got datetime64", "--drop day")
    _refused(pd.DataFrame({"a": []}), "expected a table with rows and columns")


def test_pictures(tmp_path):
    _refused(tmp_path, "expected pictures .* got none", "folder")
    Image.fromarray(np.zeros((4, 5), dtype=np.uint8)).save(tmp_path / "a.png")
    Image.fromarray(np.zeros((5, 5), dtype=np.uint8)).save(tmp_path / "b.png")
    _refused(
        tmp_path, "expected pictures of one size, got 4 x 5 in a.png and 5 x 5 in b.png", "crop"
    )
    (tmp_path / "b.png").write_bytes((tmp_path / "a.png").read_bytes()[:40])
    _refused(tmp_path, "got a file that cannot be read as one: .*b.png")
    (tmp_path / "b.png").write_text("not a picture")
    _refused(tmp_path, "got a file that cannot be read as one: .*b.png")


def test_sounds(tmp_path):
    with zipfile.ZipFile(tmp_path / "x.zip", "w") as archive:
        archive.writestr("readme.md", "no sound")
    _refused(tmp_path / "x.zip", "expected .wav files in .*, got none")
    (tmp_path / "x.wav").write_bytes(b"RIFF....WAVEjunk")
    _refused(tmp_path / "x.wav", "expected a .wav file of plain samples", "PCM")


def test_text(tmp_path):
    (tmp_path / "t.txt").write_text("ab" * 10)
    _refused(tmp_path / "t.txt", "at least one window of 256 symbols, got 20", "smaller length")
    (tmp_path / "t.txt").write_text("a" * 100)
    _refused(tmp_path / "t.txt", "expected at least 2 different characters")
    _refused(tmp_path / "t.txt", "expected a length of at least 1, got 0", length=0)
    (tmp_path / "t.txt").write_bytes(b"\xff\xfe\x00")
    _refused(tmp_path / "t.txt", "expected UTF-8 text in .*, got other bytes at 0")


def test_objects():
    _refused(3.5, "expected a name, a path, an array, a DataFrame or an AnnData, got float")
    _refused([[1, 2], [3]], "expected rows of one length, got different ones")
    _refused(np.zeros((2, 2)), "expected enough rows to split|leave rows", validation=0.9)
    _refused(np.zeros((9, 2)), "shares of validation and test", validation=0.9)


def test_parquet_row_groups_that_are_too_large(tmp_path, monkeypatch):
    monkeypatch.setattr("ancestral.data.parquet._MOST_GROUP_BYTES", 1 << 20)
    frame = pd.DataFrame({f"c{k}": np.arange(20_000) / 7 for k in range(10)})
    frame.to_parquet(tmp_path / "t.parquet")
    _refused(
        tmp_path / "t.parquet",
        "expected row groups of at most 1 MB",
        "row_group_size",
        max_memory=1000,
    )
