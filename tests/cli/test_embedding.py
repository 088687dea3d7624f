"""`encode --scores`, `interpolate` and `arithmetic`, from what was typed to what is in files."""

from __future__ import annotations

import csv
import json

import numpy as np
import pytest
from PIL import Image


def rows_of(path):
    with path.open(newline="", encoding="utf-8") as file:
        return list(csv.reader(file))


@pytest.fixture(scope="module")
def made_run(tmp_path_factory, tiny_words):
    from ancestral.cli import main

    folder = tmp_path_factory.mktemp("made") / "run"
    assert main(["fit", "made", "digits", *tiny_words, "--out", str(folder)]) == 0
    return folder


@pytest.fixture(scope="module")
def tiny_words():
    return ("--epochs", "1", "--hidden-size", "16", "--quiet", "--no-report")


def test_scores_of_codes(cli, vae_run, tmp_path):
    answer = cli("encode", vae_run, "--out", tmp_path / "z.npz", "--scores")
    assert answer.code == 0
    head, *lines = answer.out.splitlines()
    assert head.startswith("vae on digits, test split")
    assert [line.split("  ")[0] for line in lines[:2]] == [
        "linear probe, accuracy",
        "5 nearest neighbours, accuracy",
    ]
    assert lines[-1] == str(tmp_path / "z.npz")
    assert "10 classes that the model has not seen; classifiers trained on 1,437" in answer.err
    assert "codes less x, in pairs" in answer.err
    assert np.load(tmp_path / "z.npz")["codes"].shape == (180, 2)


def test_scores_as_json_agree_with_a_count(cli, vae_run, made_run):
    found = [json.loads(cli("encode", vae_run, "--json").out) for _ in range(2)]
    assert found[0] == found[1]
    # a linear probe on the 64 pixels of a digit is right 19 times in 20
    assert found[0]["linear_raw"]["value"] > 0.95
    assert found[0]["linear"]["value"] < found[0]["linear_raw"]["value"]  # two numbers, untrained
    share = found[0]["majority"]["value"]
    assert found[0]["majority"]["std_error"] == pytest.approx(np.sqrt(share * (1 - share) / 180))
    of_made = json.loads(cli("encode", made_run, "--json").out)
    assert of_made["num_codes"] == 16
    assert of_made["linear_raw"] == found[0]["linear_raw"]


def test_encode_wants_a_file_or_scores(cli, vae_run, table_run, table, tmp_path):
    answer = cli("encode", vae_run)
    assert (answer.code, answer.out) == (2, "")
    assert "expected --out or --scores" in answer.err
    answer = cli("encode", vae_run, "--scores", "--split", "train")
    assert answer.code == 2
    assert "classifiers are trained on it" in answer.err
    lines = [line.rsplit(",", 1)[0] for line in table.read_text().splitlines()]
    (tmp_path / "unlabelled.csv").write_text("\n".join(lines) + "\n")
    answer = cli("encode", table_run, tmp_path / "unlabelled.csv", "--scores")
    assert answer.code == 2
    assert "expected labels to score codes by, got none" in answer.err
    answer = cli("encode", table_run, table, "--label", "class", "--scores")
    assert answer.code == 0
    assert "2 classes" in answer.err


def test_autoregressive_runs_embed_and_do_not_decode(cli, made_run, tmp_path):
    assert cli("encode", made_run, "--out", tmp_path / "h.csv").code == 0
    assert rows_of(tmp_path / "h.csv")[0] == [*(f"z_{i + 1}" for i in range(16)), "labels"]
    for verb in (("interpolate",), ("arithmetic", "--add", "label=3"), ("reconstruct",)):
        answer = cli(verb[0], made_run, *verb[1:], "--out", tmp_path / "no.png")
        assert answer.code == 2
        assert "no latent variables, so there is nothing to decode" in answer.err
        assert "hint: latent-variable recipes have them" in answer.err
    answer = cli("encode", made_run, "--layers", "top", "--out", tmp_path / "t.npz")
    assert answer.code == 2
    assert "no stochastic layers above each other" in answer.err
    assert [path.name for path in tmp_path.iterdir()] == ["h.csv"]


@pytest.mark.parametrize("path", ["linear", "spherical"])
def test_strips_between_images(cli, vae_run, tmp_path, path):
    words = ("interpolate", vae_run, "--path", path, "--num", 2, "--steps", 5)
    cli("reconstruct", vae_run, "--num", 4, "--out", tmp_path / "r.npz")
    assert cli(*words, "--out", tmp_path / "i.npz").code == 0
    found, ends = np.load(tmp_path / "i.npz"), np.load(tmp_path / "r.npz")
    assert found["interpolations"].shape == (2, 5, 8, 8)
    assert found["codes"].shape == (2, 5, 2)
    np.testing.assert_array_equal(found["start"], ends["data"][:2])
    np.testing.assert_array_equal(found["end"], ends["data"][2:])
    np.testing.assert_allclose(found["interpolations"][:, 0], ends["reconstructions"][:2], 1e-3)
    np.testing.assert_allclose(found["interpolations"][:, -1], ends["reconstructions"][2:], 1e-3)
    assert cli(*words, "--out", tmp_path / "i.png").code == 0
    with Image.open(tmp_path / "i.png") as picture:
        assert picture.width == 1000


def test_strips_of_a_table(cli, table_run, tmp_path):
    out = tmp_path / "i.csv"
    assert cli("interpolate", table_run, "--num", 3, "--steps", 4, "--out", out).code == 0
    head, *rows = rows_of(out)
    assert head == ["pair", "step", "t", "height", "visits", "colour"]
    assert [row[0] for row in rows] == ["1"] * 4 + ["2"] * 4 + ["3"] * 4
    assert [row[1] for row in rows[:4]] == ["0", "1", "2", "3"]
    assert [float(row[2]) for row in rows[:4]] == pytest.approx([0, 1 / 3, 2 / 3, 1], abs=1e-5)
    assert {row[5] for row in rows} <= {"red", "green", "blue"}


def test_arithmetic_of_labels(cli, vae_run, tmp_path):
    words = ("arithmetic", vae_run, "--add", "label=3", "--subtract", "label=8", "--num", 2)
    answer = cli(*words, "--out", tmp_path / "a.npz")
    assert answer.code == 0
    assert "label=3: the mean code of" in answer.err
    found = np.load(tmp_path / "a.npz")
    assert found["decoded"].shape == (2, 5, 8, 8)
    assert found["strength"].tolist() == [-2, -1, 0, 1, 2]
    cli("encode", vae_run, "--split", "train", "--out", tmp_path / "z.npz")
    z = np.load(tmp_path / "z.npz")
    expected = z["codes"][z["labels"] == 3].mean(0) - z["codes"][z["labels"] == 8].mean(0)
    np.testing.assert_allclose(found["vector"], expected, rtol=1e-3, atol=1e-5)
    assert cli(*words, "--out", tmp_path / "a.png", "--steps", 3, "--strength", 1).code == 0


def test_arithmetic_of_columns(cli, table_run, tmp_path):
    out = tmp_path / "a.csv"
    answer = cli("arithmetic", table_run, "--add", "colour=red", "--num", 2, "--out", out)
    assert answer.code == 0
    head, *rows = rows_of(out)
    assert head == ["row", "step", "strength", "height", "visits", "colour"]
    assert len(rows) == 10
    words = ("arithmetic", table_run, "--num", 1, "--overwrite", "--out", out)
    assert cli(*words, "--add", "height>175", "--subtract", "height<=165").code == 0
    assert cli(*words, "--add", "label=tall").code == 0


WRONG = {
    "colour": "expected an attribute NAME=VALUE",
    "label=giant": "no row has the label 'giant'",
    "colour=pink": "expected colour to be one of blue, green, red, got 'pink'",
    "colour>red": "expected = or != for categories",
    "height=tall": "expected a number to compare height with, got 'tall'",
    "size=3": "expected an attribute of height, visits, colour, label, got 'size'",
    "height>1e9": "expected training rows with height>1e9, got none",
    "label<3": "expected = or != for labels in words",
}


@pytest.mark.parametrize("attribute", WRONG)
def test_wrong_attributes(cli, table_run, tmp_path, attribute):
    answer = cli("arithmetic", table_run, "--add", attribute, "--out", tmp_path / "a.csv")
    assert answer.code == 2
    assert WRONG[attribute] in answer.err
    assert "hint: " in answer.err
    assert list(tmp_path.iterdir()) == []


def test_strips_of_text(cli, tiny, tmp_path):
    (tmp_path / "verse.txt").write_text("the quick brown fox jumps over the lazy dog\n" * 150)
    assert cli("fit", "vae", tmp_path / "verse.txt", "--out", tmp_path / "text", *tiny).code == 0
    words = ("interpolate", tmp_path / "text", "--num", 1, "--steps", 2, "--split", "train")
    assert cli(*words, "--out", tmp_path / "i.txt").code == 0
    text = (tmp_path / "i.txt").read_text()
    assert text.startswith("[pair 1, data]\n")
    assert "[pair 1, t 0]" in text
    assert "[pair 1, t 1]" in text
