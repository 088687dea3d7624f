"""`ancestral impute`, from what was typed to what is in the files."""

from __future__ import annotations

import csv
import json

import numpy as np
import pytest

from ancestral.cli import main
from ancestral.data import load_dataset


@pytest.fixture(scope="module")
def weather(tmp_path_factory):
    """A complete table, a run on it, and the same columns with gaps."""
    folder = tmp_path_factory.mktemp("weather")
    rng = np.random.default_rng(0)
    lines = ["rain,wet,colour"]
    for _ in range(300):
        rain = rng.random() < 0.4
        wet = rng.random() < (0.97 if rain else 0.03)
        lines.append(f"{int(rain)},{int(wet)},{rng.choice(['red', 'green', 'green'])}")
    table = folder / "weather.csv"
    table.write_text("\n".join(lines) + "\n")
    gaps = folder / "gaps.csv"
    gaps.write_text("rain,wet,colour\n1,,red\n,0,\n0,0,green\n")
    run = folder / "run"
    words = ["--structure", "rain->wet", "--quiet", "--no-report", "--out", str(run)]
    assert main(["fit", "bayes_net", str(table), *words]) == 0
    return run, gaps, table


def rows_of(path):
    with path.open(newline="", encoding="utf-8") as file:
        return list(csv.reader(file))


def test_a_file_with_gaps_comes_back_whole(cli, weather, tmp_path):
    run, gaps, _ = weather
    answer = cli("impute", run, gaps, "--out", tmp_path / "full.csv")
    assert answer.code == 0
    assert answer.out == f"{tmp_path / 'full.csv'}\n"
    assert "completed exactly" in answer.err
    assert "nats a row (exact)" in answer.err
    assert rows_of(tmp_path / "full.csv") == [
        ["rain", "wet", "colour"],
        ["1", "1", "red"],
        ["0", "0", "green"],
        ["0", "0", "green"],
    ]


def test_the_data_of_the_run_are_filled_in_whole_and_in_order(cli, weather, tmp_path):
    run, _, table = weather
    answer = cli("impute", run, "--hide", 0.3, "--out", tmp_path / "all.npz")
    assert answer.code == 0
    assert "300 of 300 rows of weather.csv, in its order" in answer.err
    typed = [row[:2] for row in rows_of(table)[1:]]
    with np.load(tmp_path / "all.npz") as found:
        data = found["data"][:, :2]
    assert len(data) == len(typed)
    known = ~np.isnan(data)
    assert (data[known] == np.array(typed, dtype=float)[known]).all()
    words = ("--split", "valid", "--hide", 0.3, "--num", 7)
    answer = cli("impute", run, *words, "--out", tmp_path / "some.csv")
    assert "7 of 30 rows of the valid split of weather.csv" in answer.err
    assert len(rows_of(tmp_path / "some.csv")) == 8


def test_draws_weights_and_evidence_are_kept(cli, weather, tmp_path):
    run, gaps, _ = weather
    words = ("--num-samples", 40, "--seed", 3)
    cli("impute", run, gaps, "--out", tmp_path / "a.npz", *words)
    cli("impute", run, gaps, "--out", tmp_path / "b.npz", *words)
    with np.load(tmp_path / "a.npz") as one, np.load(tmp_path / "b.npz") as other:
        assert set(one) == {
            "data",
            "completed",
            "samples",
            "weights",
            "ess",
            "log_evidence",
            "log_evidence_std_error",
        }
        assert np.isnan(one["data"]).sum() == 3
        assert not np.isnan(one["completed"]).any()
        assert one["samples"].shape == (3, 40, 3)
        known = ~np.isnan(one["data"])
        assert (one["completed"][known] == one["data"][known]).all()
        assert (one["log_evidence"] < 0).all()
        assert np.array_equal(one["samples"], other["samples"])


def test_other_models_fill_in_too(cli, vae_run, ppca_run, table_run, table, tmp_path):
    answer = cli("impute", vae_run, "--hide", "bottom", "--out", tmp_path / "digits.png")
    assert answer.code == 0
    assert "by importance sampling of the latent variables" in answer.err
    assert (tmp_path / "digits.png").read_bytes()[:8] == b"\x89PNG\r\n\x1a\n"
    answer = cli("impute", ppca_run, "--hide", 0.5, "--num", 4, "--out", tmp_path / "x.npy")
    assert "completed exactly, from the posterior" in answer.err
    assert "(lower bound)" in answer.err  # the data were dequantised
    assert np.load(tmp_path / "x.npy").shape == (4, 8, 8)
    assert cli("impute", table_run, table, "--out", tmp_path / "people.csv").code == 0
    found = rows_of(tmp_path / "people.csv")
    assert len(found) == 121
    assert all(cell for row in found for cell in row)


@pytest.mark.parametrize(
    ("words", "parts"),
    [
        ((), ("expected rows with missing cells, got complete ones", "hint: leave cells empty")),
        (("--hide", "all"), ("expected --hide to be a share", "got 'all'")),
        (("--hide", "top"), ("expected --hide to be a share",)),
        (("--hide", "0.5", "--num-samples", "0"), ("at least 1 draw",)),
        (("--hide", "0.5", "--num-particles", "1"), ("at least 2 particles",)),
        (("--hide", "0.5", "--num", "0"), ("at least 1 row",)),
        (("--hide", "0.5", "--split", "tset"), ("expected a split 'tset'",)),
    ],
)
def test_bad_words(cli, weather, tmp_path, words, parts):
    cli("impute", weather[0], "--out", tmp_path / "x.npy", *words).refuses(*parts)
    assert list(tmp_path.iterdir()) == []


def test_bad_files(cli, weather, tmp_path):
    run, gaps, _ = weather
    cli("impute", run, gaps, "--out", tmp_path / "x.doc").refuses("expected an --out that ends in")
    bad = tmp_path / "bad.csv"
    bad.write_text("rain,wet,colour\n1,,violet\n")
    cli("impute", run, bad, "--out", tmp_path / "x.csv").refuses("'violet'")
    bad.write_text("rain,wet\n1,\n")
    cli("impute", run, bad, "--out", tmp_path / "x.csv").refuses("colour")
    cli("impute", run, tmp_path / "no.csv", "--out", tmp_path / "x.csv").refuses("no.csv")


@pytest.mark.parametrize(
    ("words", "parts"),
    [
        (("bayes_net", "--structure", "rain->wett"), ("expected a column of the data", "'wet'")),
        (("bayes_net", "--structure", "rain->wet->rain"), ("cycle, got rain -> wet -> rain",)),
        (("bayes_net", "--structure", "rain"), ("expected arrows between columns, got 'rain'",)),
        (("bayes_net", "--max-parents", "0"), ("expected at least 1 parent",)),
        (("bayes_net", "--smoothing", "0"), ("smoothing greater than 0",)),
        (("chow_liu", "--root", "9"), ("expected a column of the data, got '9'",)),
    ],
)
def test_graphs_in_words(cli, weather, tmp_path, words, parts):
    recipe, *rest = words
    out = tmp_path / "run"
    cli("fit", recipe, weather[2], "--out", out, "--quiet", *rest).refuses(*parts)
    assert not out.exists()


def test_tables_need_codes(cli, table, tmp_path):
    words = ("--drop", "height", "--label", "class", "--out", tmp_path / "run")
    cli("fit", "chow_liu", table, *words).refuses("column 'visits' of kind count", "discretise")


def test_json_says_it_row_by_row(cli, weather, tmp_path):
    run, gaps, _ = weather
    answer = cli("impute", run, gaps, "--out", tmp_path / "full.csv", "--json")
    assert answer.code == 0
    found = json.loads(answer.out)
    assert (found["n"], found["of"], found["data"]) == (3, 3, "gaps.csv, in its order")
    assert found["log_prob_known"]["kind"] == "exact"
    assert [row["row"] for row in found["rows"]] == [0, 1, 2]
    assert [row["missing"] for row in found["rows"]] == [1, 2, 0]
    assert all(row["ess"] == 100 for row in found["rows"])
    assert found["files"] == [str(tmp_path / "full.csv")]
    assert found["warnings"] == []


def test_dequantised_runs_give_integers_back(cli, ppca_run, tmp_path):
    rows = load_dataset("digits").test.rows(slice(0, 12)).x.numpy()
    rows[:, :2] = np.nan
    np.save(tmp_path / "rows.npy", rows)
    words = ("--draws", 4, "--out-draws", tmp_path / "d.npy", "--out", tmp_path / "o.npz")
    answer = cli("impute", ppca_run, tmp_path / "rows.npy", *words)
    assert answer.code == 0, answer.err
    known = ~np.isnan(rows)
    draws = np.load(tmp_path / "d.npy")
    with np.load(tmp_path / "o.npz") as found:
        assert np.array_equal(found["data"], rows, equal_nan=True)
        for values in (found["completed"], found["samples"][:, 1], draws[:, 0]):
            assert (values[known] == rows[known]).all()
            assert (values % 1 == 0).all()
            assert values.min() >= 0
            assert values.max() <= 16


def test_words_among_numbers_are_named(cli, weather, tmp_path):
    run, _, _ = weather
    gaps = tmp_path / "gaps.csv"
    gaps.write_text("rain,wet,colour\n1,007,red\n0,,green \n,0x1F,red\n")
    answer = cli("impute", run, gaps, "--out", tmp_path / "full.csv")
    answer.refuses("'0x1F'", "row 2", "empty")
    assert "--drop" not in answer.err
    marks = ("NaN", "n/a", "<NA>", "#N/A", "?", "")
    gaps.write_text("rain,wet,colour\n" + "".join(f"{m},1,green  \n" for m in marks))
    assert cli("impute", run, gaps, "--out", tmp_path / "full.csv").code == 0
    written = (tmp_path / "full.csv").read_text().splitlines()[1:]
    assert written == ["1,1,green  "] * len(marks)
