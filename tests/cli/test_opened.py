"""Which rows a report looks at."""

from __future__ import annotations

import json

import numpy as np
import pytest

from ancestral.cli.opened import random_rows
from ancestral.data import as_source, load_dataset


def test_rows_of_a_sorted_split_are_a_fair_sample():
    source = as_source(np.repeat(np.arange(10.0) + 0.5, 200).reshape(-1, 1))
    drawn = random_rows(source, 500).rows(slice(None)).x.flatten().numpy()
    counts = np.unique(drawn, return_counts=True)[1]
    # 500 of 2,000 without replacement: 50 of each, standard deviation under 6; seed fixed
    assert len(drawn) == 500
    assert (np.abs(counts - 50) < 24).all()
    assert len(counts) == 10
    again = random_rows(source, 500).rows(slice(None)).x.flatten().numpy()
    assert np.array_equal(drawn, again)
    assert random_rows(source, 5000) is source


@pytest.mark.parametrize("kind", [None, "real"])
def test_streamed_rows_can_be_drawn_too(tmp_path, kind):
    rows = np.random.default_rng(0).integers(0, 50, (4000, 30)).astype(np.uint8)
    np.save(tmp_path / "rows.npy", rows)
    dataset = load_dataset(tmp_path / "rows.npy", kind=kind, max_memory=1000)
    drawn = random_rows(dataset.train, 100)
    assert drawn.rows(slice(None)).x.shape == (100, 30)


def test_a_named_file_is_taken_whole_and_in_its_order(cli, vae_run, ppca_run, tmp_path):
    """By every verb; a split that is typed is kept, and stderr says how many rows it has."""
    digits = load_dataset("digits")
    rows = digits.test.rows(slice(0, 40)).x.numpy().astype(np.uint8)
    file, out = tmp_path / "own.npy", tmp_path / "out.npz"
    np.save(file, rows)

    def written(*words):
        answer = cli(*words, "--out", out, "--overwrite")
        assert answer.code == 0, answer.err
        with np.load(out) as found:
            return dict(found), answer.err

    codes, told = written("encode", vae_run, file)
    assert len(codes["codes"]) == 40
    assert "40 of 40 rows of own.npy" in told
    some, told = written("encode", vae_run, file, "--split", "test")
    assert len(some["codes"]) == 4
    assert "4 of 40 rows of own.npy: its test split" in told
    assert len(written("encode", vae_run)[0]["codes"]) == 180
    for run in (vae_run, ppca_run):
        assert np.array_equal(written("reconstruct", run, file)[0]["data"], rows)
        found, _ = written("interpolate", run, file, "--num", 2)
        assert np.array_equal(found["start"], rows[:2])
    for words, number in (((), 40), (("--split", "valid"), 4)):
        options = ("--samples", 5, "--json", *words)
        answer = cli("compare", vae_run, ppca_run, "--data", file, *options)
        assert json.loads(answer.out)["n"] == number
        answer = cli("evaluate", vae_run, file, *options)
        assert json.loads(answer.out)["n"] == number
        assert f"{number} of 40 rows of own.npy" in answer.err


def test_rows_that_were_trained_on_are_no_test(cli, table_run, table, tmp_path):
    """The run's own file by its name: measured on its test split, and embedded whole."""
    answer = cli("evaluate", table_run, table, "--samples", 5, "--json")
    assert json.loads(answer.out)["n"] == 12
    assert "12 of 120 rows of people.csv: its test split" in answer.err
    answer = cli("encode", table_run, table, "--out", tmp_path / "z.npy")
    assert answer.code == 0, answer.err
    assert len(np.load(tmp_path / "z.npy")) == 120
    answer = cli("interpolate", table_run, "--num", -2, "--out", tmp_path / "o.csv")
    answer.refuses("at least 1 pair of rows", "got -2")
