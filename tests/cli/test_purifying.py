"""`ancestral purify`, from what was typed to what is in the files."""

from __future__ import annotations

import csv
import json
from decimal import Decimal

import numpy as np
import pytest

from ancestral.cli import main

QUIET = ("--epochs", "1", "--quiet", "--no-report")


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """A tiny autoregressive run on the digits."""
    folder = tmp_path_factory.mktemp("purify") / "run"
    words = ["fit", "made", "digits", "--hidden-size", "16", *QUIET, "--out", str(folder)]
    assert main(words) == 0
    return folder


@pytest.fixture(scope="module")
def attacked(tmp_path_factory):
    """Pictures from 0 to 1, with labels."""
    path = tmp_path_factory.mktemp("attacked") / "attacked.npz"
    x = np.random.default_rng(0).uniform(0, 1, (6, 1, 8, 8)).astype(np.float32)
    np.savez(path, x=x, y=np.arange(6))
    return path


def test_attacked_pictures_come_back_in_their_own_units(cli, run, attacked, tmp_path):
    answer = cli("purify", run, attacked, "--epsilon", 0.3, "--out", tmp_path / "clean.npz")
    assert answer.code == 0, answer.err
    assert answer.out == f"{tmp_path / 'clean.npz'}\n"
    assert "6 of 6 rows of attacked.npz purified" in answer.err
    assert "nats a row (exact)" in answer.err
    with np.load(attacked) as before, np.load(tmp_path / "clean.npz") as after:
        assert after["purified"].shape == before["x"].shape
        assert after["purified"].dtype == np.float32
        assert np.array_equal(after["given"], before["x"])
        assert np.abs(after["purified"] - before["x"]).max() <= 0.3 + 1e-6
        assert np.array_equal(after["labels"], before["y"])
        assert (after["log_prob_after"] > after["log_prob_before"]).all()


def test_the_scale_does_not_matter(cli, run, attacked, tmp_path):
    x = np.load(attacked)["x"]
    found = {}
    for name, factor in (("unit", 1.0), ("levels", 16.0), ("bytes", 255.0)):
        np.save(tmp_path / f"{name}.npy", x * np.float32(factor))
        words = ("purify", run, tmp_path / f"{name}.npy", "--epsilon", 0.3)
        assert cli(*words, "--out", tmp_path / f"{name}-clean.npy").code == 0
        found[name] = np.load(tmp_path / f"{name}-clean.npy") / factor
    assert np.allclose(found["unit"], found["levels"], atol=1e-5)
    assert np.allclose(found["unit"], found["bytes"], atol=1e-5)


def test_black_and_white_that_cannot_move_is_said_to_be_so(cli, tmp_path):
    rows = tmp_path / "rows.npy"
    np.save(rows, np.random.default_rng(0).integers(0, 2, (60, 1, 4, 4)))
    run = tmp_path / "run"
    assert main(["fit", "made", str(rows), "--hidden-size", "8", *QUIET, "--out", str(run)]) == 0
    for epsilon, stuck in ((0.3, True), (1, False)):
        words = ("purify", run, rows, "--epsilon", epsilon, "--method", "sampled")
        answer = cli(*words, "--boldness", 90, "--out", tmp_path / f"{epsilon}.npy")
        assert answer.code == 0, answer.err
        assert ("none of these has another value" in answer.err) is stuck, answer.err


def test_json_and_p_values(cli, run, attacked, tmp_path):
    words = ("purify", run, attacked, "--epsilon", 0.1, "--p-below", 0.05, "--json")
    answer = cli(*words, "--out", tmp_path / "clean.npz")
    assert answer.code == 0, answer.err
    found = json.loads(answer.out)
    assert found["rows"] == 6
    assert found["purified"] == 6  # noise is none of the digits
    assert found["full_scale"] == 1.0
    assert found["epsilon"] == 0.1
    assert found["largest_change"] <= 0.1 + 1e-6
    assert found["log_prob"]["kind"] == "exact"
    with np.load(tmp_path / "clean.npz") as arrays:
        assert (arrays["p_values"] < 0.05).all()
    answer = cli("purify", run, "--epsilon", 0.1, "--p-below", 0.05, "--json", "--out",
                 tmp_path / "own.npz")  # fmt: skip
    assert json.loads(answer.out)["purified"] < 0.2 * json.loads(answer.out)["rows"]


def test_pictures_and_other_levels(cli, run, vae_run, attacked, tmp_path):
    for folder in (run, vae_run):
        answer = cli("purify", folder, attacked, "--epsilon", 0.3, "--overwrite", "--out",
                     tmp_path / "clean.png")  # fmt: skip
        assert answer.code == 0, answer.err
        assert (tmp_path / "clean.png").read_bytes().startswith(b"\x89PNG")
    answer = cli("purify", run, "digits", "--epsilon", 0.2, "--num", 3, "--out",
                 tmp_path / "few.npy")  # fmt: skip
    assert answer.code == 0, answer.err
    assert np.load(tmp_path / "few.npy").shape == (3, 8, 8)


def test_tables_have_an_epsilon_for_each_column(cli, tmp_path):
    rng = np.random.default_rng(0)
    table, out = tmp_path / "wine.csv", tmp_path / "clean.csv"
    x = rng.normal(size=(300, 2)) @ np.array([[1.0, 50.0], [0.2, 5.0]]) + 100
    lines = ["acid,sugar,colour"] + [
        f"{a:.3f},{b:.3f},{'red' if b > 100 else 'white'}" for a, b in x
    ]
    table.write_text("\n".join(lines) + "\n")
    run = tmp_path / "run"
    assert main(["fit", "made", str(table), *QUIET, "--out", str(run)]) == 0
    answer = cli("purify", run, table, "--epsilon", "sugar=3", "--out", out)
    assert answer.code == 0, answer.err
    with out.open(newline="") as file:
        rows = list(csv.reader(file))
    assert rows[0] == ["acid", "sugar", "colour"]
    given = [line.split(",") for line in lines[1:]]
    moved = [abs(float(a[1]) - float(b[1])) for a, b in zip(rows[1:], given, strict=True)]
    assert 0 < max(moved) <= 3 + 1e-3
    assert all(
        abs(float(a[0]) - float(b[0])) < 1e-3 and a[2] == b[2]
        for a, b in zip(rows[1:], given, strict=True)
    )
    refused = cli("purify", run, table, "--epsilon", "suger=3", "--out", tmp_path / "x.csv")
    refused.refuses("no column 'suger'", "'sugar'")


def test_what_does_not_move_keeps_its_text(cli, tmp_path):
    rng = np.random.default_rng(0)
    table, out = tmp_path / "t.csv", tmp_path / "clean.csv"
    lines = ["id,tiny,size,dose,colour"]
    for _ in range(120):
        numbers = 185062000 + rng.integers(0, 9999) / 16, rng.normal() * 1e-4
        lines.append(
            f"{float(numbers[0])!r},{numbers[1]:.15g},{rng.integers(1, 4)}.0,{rng.normal():.3f},"
            f"{rng.choice(['red', 'blue'])}"
        )
    table.write_text("\r\n".join(lines) + "\r\n", newline="")
    run = tmp_path / "run"
    assert main(["fit", "made", str(table), *QUIET, "--out", str(run)]) == 0
    answer = cli("purify", run, table, "--epsilon", "dose=0.1", "--out", out, "--json")
    assert answer.code == 0, answer.err
    told = json.loads(answer.out)
    content = out.read_bytes().decode()
    assert content.endswith("\r\n")
    found = content.split("\r\n")[:-1]
    moved = 0
    for before, after in zip(lines, found, strict=True):
        a, b = before.split(","), after.split(",")
        assert a[:3] + a[4:] == b[:3] + b[4:]
        if a[3] != b[3]:
            moved += 1
            assert abs(Decimal(a[3]) - Decimal(b[3])) <= Decimal("0.1")
    assert moved > 60
    assert told["kept"] + told["purified"] == 120
    assert 0 < told["largest_change"] <= 0.1
    assert told["changed_cells"] == pytest.approx(moved / 600)
    arrays = tmp_path / "clean.npz"
    cli("purify", run, table, "--epsilon", 0.001, "--out", arrays)
    with np.load(arrays) as z:
        assert z["purified"].dtype == np.float64
        assert np.abs(z["purified"] - z["given"]).max() <= 0.001
        worse = z["log_prob_after"] < z["log_prob_before"]
        assert not worse.any()
        assert np.array_equal(z["purified"][z["kept"]], z["given"][z["kept"]])


def test_rows_of_the_runs_own_split_are_written_in_full(cli, tmp_path):
    rng = np.random.default_rng(1)
    table, out = tmp_path / "t.csv", tmp_path / "clean.csv"
    x = rng.normal(size=(300, 2)) * np.array([1e-4, 1.0])
    table.write_text("a,b\n" + "\n".join(f"{a!r},{b!r}" for a, b in x.tolist()) + "\n")
    run = tmp_path / "run"
    assert main(["fit", "made", str(table), *QUIET, "--out", str(run)]) == 0
    assert cli("purify", run, "--epsilon", "b=0.1", "--out", out).code == 0
    found = np.loadtxt(out, delimiter=",", skiprows=1)
    assert found.shape == (30, 2)
    distance = np.abs(found[:, None] - x).min(1)  # to the nearest number of the file
    assert (distance[:, 0] < 1e-15).all()  # the last digit is that of the reader
    assert distance[:, 1].max() > 0


def test_pictures_for_a_run_of_integers_with_noise(cli, ppca_run, attacked, tmp_path):
    out = tmp_path / "clean.npz"
    words = ("--epsilon", 0.3, "--p-below", 0.9, "--json")
    answer = cli("purify", ppca_run, attacked, *words, "--out", out)
    assert answer.code == 0, answer.err
    assert json.loads(answer.out)["full_scale"] == 1.0
    assert json.loads(answer.out)["log_prob"]["kind"] == "lower_bound"
    with np.load(out) as z, np.load(attacked) as given:
        assert np.abs(z["purified"] - given["x"]).max() <= 0.3
        assert (z["purified"] != given["x"]).any()
    answer = cli("purify", ppca_run, "--epsilon", 0.2, "--num", 4, "--out", tmp_path / "own.png")
    assert answer.code == 0, answer.err


def _broken(path, content):
    path.write_bytes(content)
    return path


def test_what_cannot_be_purified_is_refused(cli, run, attacked, tmp_path, fingerprint):
    good = attacked.read_bytes()
    x = np.load(attacked)["x"]
    gaps = x.copy()
    gaps[0, 0, 0, 0] = np.nan
    for name, array in (("nan", gaps), ("low", x - 0.5), ("wide", x[..., :7]), ("big", x * 400)):
        np.save(tmp_path / f"{name}.npy", array)
    np.save(tmp_path / "none.npy", x[:0])
    _broken(tmp_path / "empty.npz", b"")
    _broken(tmp_path / "cut.npz", good[: len(good) // 2])
    before = fingerprint(tmp_path)
    for words, parts in (
        (("nan.npy",), ("missing cells",)),
        (("low.npy",), ("at least 0", "clip")),
        (("wide.npy",), ("shape",)),
        (("big.npy",), ("up to",)),
        (("none.npy",), ("expected rows, got 0 samples", "[0, 1, 8, 8]")),
        (("empty.npz",), ("empty file",)),
        (("cut.npz",), ("damaged",)),
        (("absent.npz",), ("got none",)),
    ):
        answer = cli("purify", run, tmp_path / words[0], "--epsilon", 0.3, "--out",
                     tmp_path / "out.npz")  # fmt: skip
        answer.refuses(*parts)
    for words, parts in (
        (("--epsilon", "much"), ("number", "'much'")),
        (("--epsilon", "-0.1"), ("at least 0",)),
        (("--epsilon", 0.3, "--method", "ascent"), ("greedy",)),
        (("--epsilon", 0.3, "--method", "best"), ("--method",)),
        (("--epsilon", 0.3, "--p-below", 2), ("p_below",)),
        (("--epsilon", 0.3, "--num", 0), ("at least 1 row",)),
        (("--epsilon", 0.3, "--full-scale", 0), ("above 0",)),
    ):
        cli("purify", run, attacked, *words, "--out", tmp_path / "out.npz").refuses(*parts)
    answer = cli("purify", run, "--epsilon", 0.3, "--full-scale", 0, "--out", tmp_path / "o.npz")
    answer.refuses("above 0")
    cli("purify", run, attacked, "--epsilon", 0.3, "--out", tmp_path / "out.wav").refuses(".npz")
    assert fingerprint(tmp_path) == before


def test_text_has_no_ball(cli, tmp_path):
    text = tmp_path / "text.txt"
    text.write_text("the quick brown fox jumps over the lazy dog\n" * 200)
    run = tmp_path / "run"
    words = ["fit", "char_rnn", str(text), "--hidden-size", "8", "--length", "32", *QUIET]
    assert main([*words, "--out", str(run)]) == 0
    answer = cli("purify", run, "--epsilon", 1, "--out", tmp_path / "x.npz")
    answer.refuses("categories", "distance")
