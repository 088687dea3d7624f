"""Bad data, runs and outputs: one line, exit code 2, and nothing on disk is touched."""

from __future__ import annotations

import struct

import numpy as np
import pytest
from safetensors import SafetensorError

from ancestral import load


@pytest.fixture
def folder(tmp_path):
    """A folder with bad data of every sort, and some good data of another shape."""
    rng = np.random.default_rng(0)
    (tmp_path / "empty.csv").write_text("")
    (tmp_path / "empty.npy").write_bytes(b"")
    header = struct.pack(">IIII", 0x803, 100, 28, 28)
    (tmp_path / "cut-idx3-ubyte").write_bytes(header + bytes(1000))
    full = rng.standard_normal((60, 5))
    np.save(tmp_path / "full.npy", full)
    np.save(tmp_path / "wide.npy", rng.standard_normal((60, 7)))
    full[3, 2] = np.nan
    np.save(tmp_path / "gaps.npy", full)
    images = rng.integers(0, 17, (60, 8, 8)).astype(float)
    images[0, 0, 0] = np.nan
    np.save(tmp_path / "gaps-images.npy", images)
    names = "".join(f"{i * 0.37},person {i}\n" for i in range(60))
    (tmp_path / "strings.csv").write_text("size,name\n" + names)
    (tmp_path / "counts.csv").write_text("a,b\n" + "".join(f"{i},{i * i}\n" for i in range(60)))
    (tmp_path / "foreign").mkdir()
    (tmp_path / "foreign" / "notes.txt").write_text("mine")
    (tmp_path / "other-tool").mkdir()
    (tmp_path / "other-tool" / "config.json").write_text('{"model": "bert"}')
    (tmp_path / "file.txt").write_text("here")
    return tmp_path


@pytest.mark.parametrize(
    ("data", "parts"),
    [
        ("empty.csv", ("got an empty file",)),
        ("empty.npy", ("got an empty file",)),
        ("cut-idx3-ubyte", ("expected 78400 bytes", "got 1000")),
        ("strings.csv", ("text column 'name'", "--label name")),
        ("absent.csv", ("expected a file or folder, got none",)),
        ("foreign", ("expected",)),
    ],
)
def test_data_that_cannot_be_trained_on(cli, folder, fingerprint, tiny, data, parts):
    before = fingerprint(folder)
    cli("fit", "vae", folder / data, "--out", folder / "run", *tiny).refuses(*parts)
    assert fingerprint(folder) == before


@pytest.mark.parametrize(
    ("words", "parts"),
    [
        ("fit vae nosuch", ("unknown data set 'nosuch'", "hint")),
        ("fit vae digits --label class", ("option 'label'",)),
        ("fit vae strings.csv --label nam", ("expected a column 'nam'", "'name'")),
        ("fit vae strings.csv --drop nam", ("expected a column 'nam'", "'name'")),
        ("fit conv_vae full.npy", ("expected complete images", "`vae`")),
        ("fit conv_vae gaps-images.npy", ("with gaps", "`vae`")),
        ("fit ppca strings.csv", ("text column 'name'",)),
        ("fit ppca digits", ("ppca needs real numbers", "--dequantize")),
        ("fit vae full.npy --likelihood bernoulli", ("bernoulli",)),
        ("fit vae full.npy --dequantize", ("whole numbers to dequantise, got full.npy",)),
        ("fit ppca counts.csv --dequantize", ("whole numbers to dequantise, got counts.csv",)),
        ("fit vae full.npy --binarization static", ("grey values",)),
    ],
)
def test_choices_that_do_not_fit_the_data(cli, folder, fingerprint, monkeypatch, words, parts):
    monkeypatch.chdir(folder)
    before = fingerprint(folder)
    cli(*words.split(), "--out", "run").refuses(*parts)
    assert fingerprint(folder) == before


@pytest.mark.parametrize(
    ("data", "parts"),
    [
        ("full.npy", ("expected rows of shape [8, 8], got [5]",)),
        ("gaps-images.npy", ("expected complete rows",)),
        ("strings.csv", ("expected an array of rows [8, 8], got a table",)),
        ("empty.npy", ("got an empty file",)),
    ],
)
@pytest.mark.parametrize("verb", ["evaluate", "encode", "reconstruct", "interpolate"])
def test_data_that_the_model_cannot_read(cli, folder, fingerprint, vae_run, verb, data, parts):
    before = fingerprint(folder)
    out = () if verb == "evaluate" else ("--out", folder / "result.npz")
    cli(verb, vae_run, folder / data, *out).refuses(*parts)
    assert fingerprint(folder) == before


@pytest.mark.parametrize("verb", ["evaluate", "encode", "report", "compare", "cite", "sample"])
@pytest.mark.parametrize("run", ["foreign", "other-tool", "file.txt", "absent"])
def test_a_folder_that_is_no_run(cli, folder, fingerprint, verb, run):
    before = fingerprint(folder)
    out = ("--out", folder / "x.npz") if verb in ("encode", "sample") else ()
    answer = cli(verb, folder / run, *out)
    answer.refuses("run")
    assert fingerprint(folder) == before


def test_a_run_whose_weights_are_damaged(cli, vae_run, tmp_path):
    (tmp_path / "config.json").write_bytes((vae_run / "config.json").read_bytes())
    cli("evaluate", tmp_path).refuses("holds no trained model yet", "--resume")
    (tmp_path / "model.safetensors").write_bytes(b"\0" * 100)
    cli("evaluate", tmp_path).refuses("does not hold the weights")


@pytest.mark.parametrize("option", ["--overwrite", "--resume"])
@pytest.mark.parametrize("run", ["foreign", "other-tool"])
def test_a_foreign_folder_is_never_written_to(cli, folder, fingerprint, tiny, run, option):
    before = fingerprint(folder)
    cli("fit", "vae", "--out", folder / run, option, *tiny).refuses("run")
    assert fingerprint(folder) == before


def test_a_run_is_not_overwritten_unasked(cli, vae_run, fingerprint, tiny):
    before = fingerprint(vae_run)
    cli("fit", "vae", "--out", vae_run, *tiny).refuses("is not empty", "--resume", "--overwrite")
    another = ("--resume", "--latent-size", "3", "--quiet")
    cli("fit", "vae", "--out", vae_run, *another).refuses("was started with")
    cli("fit", "ppca", "--dequantize", "--out", vae_run, "--resume").refuses("is of recipe 'vae'")
    assert fingerprint(vae_run) == before


@pytest.mark.parametrize("place", ["file.txt", "file.txt/run", "/proc/run"])
def test_a_run_folder_that_cannot_be_made(cli, folder, fingerprint, tiny, place):
    before = fingerprint(folder)
    cli("fit", "vae", "--out", folder / place, *tiny).refuses("choose another --out")
    assert fingerprint(folder) == before


@pytest.mark.parametrize(
    ("out", "parts"),
    [
        ("file.txt/s.npz", ("there is no folder",)),
        ("/proc/s.npz", ("cannot write to the folder /proc",)),
        ("absent/s.npz", ("there is no folder", "mkdir")),
        ("foreign", ("expected an --out that ends in",)),
        ("s.pgn", ("expected an --out that ends in .npz .npy .png",)),
        ("s.csv", ("expected an --out that ends in",)),
        ("s.wav", ("expected an --out that ends in",)),
        ("full.npy", ("exists", "--overwrite")),
    ],
)
def test_an_output_that_cannot_be_written(cli, folder, fingerprint, vae_run, out, parts):
    before = fingerprint(folder)
    cli("sample", vae_run, "--out", folder / out, "--num", 2).refuses(*parts)
    assert fingerprint(folder) == before


@pytest.mark.parametrize(
    ("words", "parts"),
    [
        (("sample", "--num", "0"), ("at least 1 sample",)),
        (("encode", "--split", "exam"), ("'train' or 'valid' or 'test', got 'exam'",)),
        (("reconstruct", "--num", "0"), ("at least 1 row",)),
        (("interpolate", "--steps", "1"), ("at least 2 steps",)),
        (("interpolate", "--num", "5000"), ("expected 10000 rows for 5000 pairs",)),
    ],
)
def test_numbers_that_make_no_sense_leave_no_file(cli, vae_run, tmp_path, words, parts):
    verb, *options = words
    cli(verb, vae_run, "--out", tmp_path / "x.npz", *options).refuses(*parts)
    assert list(tmp_path.iterdir()) == []


def test_an_autoencoder_says_what_it_cannot_do(cli, autoencoder_run, tmp_path):
    cli("sample", autoencoder_run, "--out", tmp_path / "x.npz").refuses("cannot sample", "`vae`")
    cli("evaluate", autoencoder_run, "--method", "exact").refuses("has no log p(x)")
    assert list(tmp_path.iterdir()) == []


def test_numbers_on_other_rows_are_not_compared(cli, vae_run, table_run):
    cli("compare", vae_run, table_run, "--samples", 5).refuses("got another shape")


def test_a_full_disk_is_a_sentence(cli, vae_run, tmp_path, monkeypatch):
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("ancestral.cli.contents.save_arrays", full)
    cli("sample", vae_run, "--out", tmp_path / "x.npz").refuses("No space left on device")
    assert list(tmp_path.iterdir()) == []


def test_a_full_disk_while_training_is_a_sentence(cli, tiny, tmp_path, monkeypatch):
    def full(*_: object) -> None:
        raise SafetensorError("I/O error: No space left on device (os error 28)")

    monkeypatch.setattr("ancestral.training.checkpoint.save_file", full)
    cli("fit", "vae", "--out", tmp_path / "run", *tiny).refuses("No space left on device")


def test_a_run_saved_by_the_library_asks_for_data(cli, vae_run, tmp_path):
    load(vae_run).save(tmp_path / "saved")
    words = ("evaluate", tmp_path / "saved")
    cli(*words).refuses("does not say which data", "RUN DATA")
    assert cli(*words, "digits", "--samples", 5).code == 0
