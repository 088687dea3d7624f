"""`compare`: rows are compared by what they hold, and results are written in three formats."""

from __future__ import annotations

import csv
import json

import numpy as np
import pytest

from ancestral.cli import main

RNG = np.random.default_rng(0)
X = (RNG.random((200, 6)) < RNG.random(6)).astype(np.uint8)
FEW = ("--epochs", "1", "--quiet", "--no-report")


def fit(folder, recipe, data, *words):
    assert main(["fit", recipe, str(data), *FEW, *words, "--out", str(folder)]) == 0
    return folder


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    return tmp_path_factory.mktemp("compared")


@pytest.fixture(scope="module")
def first(place):
    np.save(place / "rows.npy", X)
    return fit(place / "first", "fvsbn", place / "rows.npy")


@pytest.fixture(scope="module")
def other(place, first):
    """Another family, on a renamed file of another format with the same numbers."""
    with (place / "renamed.csv").open("w", newline="") as file:
        csv.writer(file).writerows([[f"c{i}" for i in range(6)], *X.tolist()])
    return fit(place / "other", "vae", place / "renamed.csv", "--hidden-size", "8")


def test_a_renamed_copy_is_fine_whatever_its_format(cli, first, other):
    answer = cli("compare", first, other, "--samples", 5)
    assert answer.code == 0, answer.err
    assert "rows.npy = renamed.csv" in answer.err
    head, *lines = answer.out.splitlines()
    assert head.split()[:2] == ["run", "recipe"]
    assert {line.split()[1] for line in lines} == {"fvsbn", "vae"}
    assert "1,000" not in answer.out


VARIANTS = {
    "another order": (lambda: X[::-1], "another order"),
    "other cells": (lambda: 1 - X, "other rows"),
    "fewer rows": (lambda: X[:150], "another number of data"),
    "fewer columns": (lambda: X[:, :5], "another shape"),
}


@pytest.mark.parametrize("name", VARIANTS)
def test_the_same_name_with_other_rows_is_refused(cli, place, first, tmp_path, name):
    rows, words = VARIANTS[name]
    (tmp_path / "here").mkdir()
    # with a split of its own, so that its order stays
    splits = {"train": rows()[:100], "valid": rows()[100:120], "test": rows()[120:]}
    np.savez(tmp_path / "here" / "rows.npz", **splits)
    original = {"train": X[:100], "valid": X[100:120], "test": X[120:]}
    np.savez(tmp_path / "rows.npz", **original)
    if name == "another order":
        splits["test"] = original["test"][::-1]
        np.savez(tmp_path / "here" / "rows.npz", **splits)
    a = fit(tmp_path / "a", "fvsbn", tmp_path / "rows.npz")
    b = fit(tmp_path / "b", "fvsbn", tmp_path / "here" / "rows.npz")
    answer = cli("compare", a, b)
    assert (answer.code, answer.out) == (2, "")
    assert words in answer.err
    assert "hint: " in answer.err
    # on one file they can be compared, where its shape fits
    if name != "fewer columns":
        assert cli("compare", a, b, "--data", tmp_path / "rows.npz").code == 0


def test_other_units_are_refused(cli, place, first, tmp_path):
    real = fit(tmp_path / "real", "ppca", place / "rows.npy", "--dequantize", "--latent-size", "2")
    answer = cli("compare", first, real)  # integers with noise: a bound in the same unit
    assert answer.code == 0
    assert "lower bound" in answer.out
    np.save(tmp_path / "scaled.npy", (X - X.mean(0)) / X.std(0))
    scaled = fit(tmp_path / "scaled", "ppca", tmp_path / "scaled.npy", "--latent-size", "2")
    answer = cli("compare", first, scaled)
    assert answer.code == 2
    assert "cannot be compared" in answer.err


def test_binarisation_is_refused(cli, vae_run, tmp_path, tiny):
    runs = []
    for how in ("static", "dynamic"):
        words = (*tiny, "--binarization", how, "--out", str(tmp_path / how))
        assert main(["fit", "vae", "digits", *words]) == 0
        runs.append(tmp_path / how)
    answer = cli("compare", *runs)
    assert answer.code == 2
    assert "another binarization" in answer.err
    assert cli("compare", vae_run, runs[0]).code == 2


def test_files_and_json(cli, first, other, tmp_path):
    words = ("compare", first, other, "--samples", 5)
    for suffix in ("png", "csv", "html"):
        assert cli(*words, "--out", tmp_path / f"c.{suffix}").code == 0
    assert (tmp_path / "c.png").read_bytes()[:4] == b"\x89PNG"
    with (tmp_path / "c.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    page = (tmp_path / "c.html").read_text()
    assert page.startswith("<!DOCTYPE html>")
    assert "<svg" in page
    found = json.loads(cli(*words, "--json").out)
    assert [run["name"] for run in found["runs"]] == [row["name"] for row in rows]
    best, second = found["runs"]
    assert second["below_best"] == pytest.approx(best["log_prob"] - second["log_prob"])
    assert second["difference_kind"] in ("at_most", "at_least")
    assert all(run["num_parameters"] > 0 and run["scoring_seconds"] > 0 for run in found["runs"])
    assert len(found["rows"]) == 32
    answer = cli(*words, "--out", tmp_path / "c.png")
    assert answer.code == 2
    assert "exists" in answer.err


def test_the_same_run_twice(cli, first):
    answer = cli("compare", first, first)
    assert answer.code == 2
    assert "expected each run once" in answer.err
