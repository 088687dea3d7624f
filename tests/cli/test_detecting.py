"""`ancestral detect`, from what was typed to what is in the files."""

from __future__ import annotations

import csv
import json
import re
import wave

import numpy as np
import pytest

from ancestral.cli import main

PNG = b"\x89PNG\r\n\x1a\n"


@pytest.fixture(scope="module")
def weights(tmp_path_factory):
    """A table, a run on it, and new rows with planted outliers and a label."""
    folder = tmp_path_factory.mktemp("weights")
    rng = np.random.default_rng(0)

    def line():
        height = rng.normal(170, 8)
        return [
            f"{height:.1f}",
            f"{0.9 * height - 90 + rng.normal(0, 5):.1f}",
            rng.choice(["red", "green", "blue"]),
        ]

    rows = [line() for _ in range(600)]
    table = folder / "people.csv"
    table.write_text("height,weight,colour\n" + "\n".join(",".join(r) for r in rows) + "\n")
    new = [[*line(), "well"] for _ in range(60)]
    new[7][1], new[31][0] = "640.0", "17.1"
    new[7][3] = new[31][3] = "sick"
    odd = folder / "new.csv"
    odd.write_text("height,weight,colour,state\n" + "\n".join(",".join(r) for r in new) + "\n")
    run = folder / "run"
    words = ["--epochs", "15", "--hidden-size", "32", "--latent-size", "2", "--quiet"]
    assert main(["fit", "vae", str(table), *words, "--no-report", "--out", str(run)]) == 0
    return run, odd, table


def test_it_works_out_of_the_box(cli, vae_run, tmp_path):
    answer = cli("detect", vae_run)
    assert answer.code == 0
    lines = answer.out.splitlines()
    assert lines[0].split()[:4] == ["row", "p_value", "corrected", "log_p"]
    assert len(lines) == 11
    assert "180 rows of the test split of digits" in answer.err
    assert "ranks among 180 rows that the run kept for validation" in answer.err
    assert "Kolmogorov-Smirnov" in answer.err
    assert "no sign against being uniform" in answer.err
    assert "lower bound" in answer.err
    few = cli("detect", vae_run, "--num", 19)
    assert "uniform" not in few.err  # so few rows say nothing on all of them


def test_rows_that_are_calibrated_on_are_judged_with_a_warning(cli, vae_run):
    for split in ("train", "valid"):
        answer = cli("detect", vae_run, "--split", split, "--num", 30, "--json")
        assert not json.loads(answer.out)["held_out"]
        warning = "warning: some of these rows were trained on, or are those that p-values"
        assert warning in cli("detect", vae_run, "--split", split, "--num", 30).err


def test_a_row_that_is_impossible_is_told_in_words_and_in_json(cli, weights, tmp_path):
    run, new, _ = weights
    lines = new.read_text().splitlines()
    lines[5] = "1e300,60.0,red,well"
    path = tmp_path / "absurd.csv"
    path.write_text("\n".join(lines) + "\n")
    answer = cli("detect", run, path, "--fdr", 0.05)
    assert answer.code == 0, answer.err
    assert answer.out.splitlines()[1].split()[0] == "4"
    assert "1e+300" in answer.out.splitlines()[1]
    assert "1 of the rows cannot be under the model: log p is minus infinity" in answer.err
    found = json.loads(cli("detect", run, path, "--json").out)
    assert found["rows"][0]["log_p"] is None
    assert found["together"]["mean_log_p_difference"] is None
    assert found["together"]["p_value"] < 0.001
    against = cli("detect", run, path, "--against", "noise", "--out", tmp_path / "x.png")
    assert against.code == 0, against.err


def test_p_values_of_rows_that_repeat(cli, tmp_path):
    rng = np.random.default_rng(0)
    table = tmp_path / "flags.npy"
    np.save(table, (rng.random((1200, 4)) < (0.1, 0.2, 0.5, 0.3)).astype(np.uint8))
    run = tmp_path / "run"
    words = ["--epochs", "5", "--quiet", "--no-report", "--out", str(run)]
    assert main(["fit", "fvsbn", str(table), *words]) == 0
    for score in ("log_prob", "corrected"):
        plain = cli("detect", run, "--score", score)
        assert "no sign against being uniform" in plain.err  # ranks alone are far from it
        assert "many rows have the same score" in plain.err
    random = cli("detect", run, "--score", "log_prob", "--ties", "random", "--json", "--top", 200)
    found = json.loads(random.out)
    assert found["ties"] == "random"
    p = np.array([row["p_value"] for row in found["rows"]])
    assert len(np.unique(p)) > 100
    assert abs(p.mean() - 0.5) < 0.12  # 120 rows, 120 of the calibration: 3 standard errors


def test_outliers_are_made_of_tables_with_gaps(cli, table_run):
    answer = cli("detect", table_run, "--against", "all", "--json")
    assert answer.code == 0, answer.err
    assert list(json.loads(answer.out)["against"]) == ["noise", "independent"]


def test_files_in_a_folder_are_part_of_the_key_of_a_calibration(tmp_path):
    from ancestral.cli.detection_reference import _state

    folder = tmp_path / "pictures"
    (folder / "cats").mkdir(parents=True)
    (folder / "cats" / "a.png").write_bytes(b"1")
    before = _state(str(folder))
    assert before == _state(str(folder))
    (folder / "cats" / "a.png").write_bytes(b"12")
    changed = _state(str(folder))
    assert changed != before
    (folder / "cats" / "b.png").write_bytes(b"12")
    assert _state(str(folder)) not in (before, changed)


def test_planted_outliers_come_first_with_the_cell_that_is_odd(cli, weights, tmp_path):
    run, new, _ = weights
    out = tmp_path / "odd.csv"
    answer = cli("detect", run, new, "--out", out, "--fdr", 0.05)
    assert answer.code == 0
    assert answer.out.splitlines()[-1] == str(out)
    with out.open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 60
    first = {row["row"]: (row["odd_cell"], row["odd_value"]) for row in rows[:2]}
    assert first == {"7": ("weight", "640"), "31": ("height", "17.1")}
    assert [row["flagged"] for row in rows[:2]] == ["True", "True"]
    assert sum(row["flagged"] == "True" for row in rows) <= 4
    p = [float(row["p_value"]) for row in rows]
    assert p == sorted(p)
    assert p[0] == pytest.approx(1 / 61, rel=1e-3)


def test_arrays_and_json_agree(cli, weights, tmp_path):
    run, new, _ = weights
    answer = cli("detect", run, new, "--out", tmp_path / "odd.npz", "--json", "--top", 60)
    found = json.loads(answer.out)
    assert found["n"] == len(found["rows"]) == 60
    assert found["log_p"] == {"kind": "lower_bound", "unit": "nats"}
    assert found["calibration"] == {"split": "valid", "rows": 60}
    assert set(found["scores"]) == {"corrected", "log_prob", "complexity", "typicality"}
    with np.load(tmp_path / "odd.npz") as arrays:
        assert arrays["surprise"].shape == (60, 3)
        assert arrays["usual_surprise"].shape == (3,)
        for row in found["rows"]:
            number = row["row"]
            assert arrays["p_value"][number] == pytest.approx(row["p_value"])
            assert arrays["corrected"][number] == pytest.approx(row["corrected"])
            assert arrays["log_p"][number] == pytest.approx(row["log_p"])
        beyond = arrays["surprise"][7] - arrays["usual_surprise"]
        assert beyond.argmax() == 1


def test_the_runs_own_file_is_judged_whole_with_a_warning(cli, weights):
    run, _, table = weights
    answer = cli("detect", run, table)
    assert answer.code == 0
    assert "600 rows of people.csv" in answer.err
    assert "warning: some of these rows were trained on" in answer.err
    assert "warning" not in cli("detect", run).err


def test_auroc_against_made_outliers_and_labels(cli, weights, vae_run, tmp_path):
    run, new, _ = weights
    words = ("--against", "noise,shuffled", "--against", "inverted")
    answer = cli("detect", vae_run, *words, "--json", "--out", tmp_path / "x.png")
    found = json.loads(answer.out)["against"]
    assert list(found) == ["noise", "shuffled", "inverted"]
    assert found["noise"]["corrected"]["auroc"] > 0.95
    assert set(found["noise"]["log_prob"]) == {
        "auroc",
        "std_error",
        "fpr_at_95_tpr",
        "num_normal",
        "num_anomalous",
    }
    assert (tmp_path / "x.png").read_bytes()[:8] == PNG
    answer = cli("detect", run, new, "--label", "state", "--anomalous", "sick")
    assert answer.code == 0
    assert "label sick  2     1.000" in answer.out
    assert "against 58 rows of" in answer.err or "against 58 rows" in answer.err
    seven = cli("detect", vae_run, "--anomalous", "7", "--json")
    assert json.loads(seven.out)["against"]["label 7"]["log_prob"]["num_anomalous"] > 5


def test_pictures(cli, vae_run, tmp_path):
    answer = cli("detect", vae_run, "--out", tmp_path / "odd.png", "--num", 9)
    assert answer.code == 0
    # numbers are those of the split, whatever part of it is looked at
    whole = cli("detect", vae_run, "--top", 180).out.splitlines()
    assert {line.split()[0] for line in answer.out.splitlines()[1:-1]} <= {
        line.split()[0] for line in whole if line.split()[3] in answer.out
    }
    assert (tmp_path / "odd.png").read_bytes()[:8] == PNG


def test_sounds_are_drawn_along_time(cli, tmp_path):
    times = np.arange(12_000) / 4000
    sound = 0.5 * np.sin(2 * np.pi * 220 * times)
    path, run = tmp_path / "hum.wav", tmp_path / "run"
    with wave.open(str(path), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(4000)
        file.writeframes((sound * 20_000).astype("<i2").tobytes())
    words = ["--epochs", "1", "--channels", "4", "--length", "100", "--quiet", "--no-report"]
    assert main(["fit", "wavenet", str(path), *words, "--out", str(run)]) == 0
    answer = cli("detect", run, "--out", tmp_path / "odd.png")
    assert answer.code == 0, answer.err
    assert (tmp_path / "odd.png").read_bytes()[:8] == PNG


def test_pages_stand_alone(cli, vae_run, weights, tmp_path):
    for words in ((vae_run,), (vae_run, "--against", "noise"), (weights[0], weights[1])):
        out = tmp_path / "page.html"
        assert cli("detect", *words, "--out", out, "--overwrite").code == 0
        page = out.read_text()
        assert page.startswith("<!DOCTYPE html>")
        assert "corrected" in page
        assert ("data:image/png" in page) == (words[0] == vae_run)
        assert "http" not in page.replace("http://www.w3.org", "")


def test_background_models_are_trained_and_used(cli, vae_run, tmp_path):
    words = ("--max-minutes", 0.05, "--num", 20)
    answer = cli(
        "detect",
        vae_run,
        "--train-background",
        tmp_path / "bg",
        *words,
        "--score",
        "likelihood_ratio",
    )
    assert answer.code == 0, answer.err
    assert answer.out.split()[2] == "likelihood_ratio"
    again = cli(
        "detect",
        vae_run,
        "--background",
        tmp_path / "bg",
        "--num",
        20,
        "--score",
        "likelihood_ratio",
    )
    assert again.out == answer.out
    cli("detect", vae_run, "--train-background", tmp_path / "bg").refuses("is not empty")


def test_remembered_calibration_is_of_this_very_model(cli, vae_run, tmp_path, monkeypatch):
    import shutil

    from ancestral.cli import detection_reference

    monkeypatch.setattr(detection_reference, "_SLOW", -1.0)  # every calibration is worth a file
    run = tmp_path / "run"
    shutil.copytree(vae_run, run)
    fresh = cli("detect", run).out
    assert (run / "detection.npz").exists()
    before = (run / "detection.npz").read_bytes()
    assert cli("detect", run).out == fresh
    assert (run / "detection.npz").read_bytes() == before
    # another seed of the samples, damage, and other weights: never used
    cli("detect", run, "--seed", 1)
    assert (run / "detection.npz").read_bytes() != before
    (run / "detection.npz").write_bytes(b"PK\x03\x04 damaged")
    assert cli("detect", run).out == fresh
    kept = (run / "detection.npz").read_bytes()
    weights = run / "model.safetensors"
    content = bytearray(weights.read_bytes())
    content[-1] ^= 1
    weights.write_bytes(bytes(content))
    cli("detect", run)
    assert (run / "detection.npz").read_bytes() != kept


@pytest.mark.parametrize(
    ("words", "parts"),
    [
        (("--score", "best"), ("unknown score 'best'", "hint")),
        (("--score", "likelihood_ratio"), ("needs a background model", "--train-background")),
        (("--fdr", "2"), ("between 0 and 1, got 2",)),
        (("--num", "0"), ("at least 1 row",)),
        (("--samples", "0"), ("at least 1 sample",)),
        (("--calibration-rows", "3"), ("at least 10 calibration rows",)),
        (("--against", "nois"), ("there is no 'nois' to compare with", "'noise'")),
        (("--against", "noise", "--fdr", "0.1"), ("leave out one of them",)),
        (("--label", "x"), ("needs --anomalous",)),
        (("--anomalous", "11"), ("no row has the label '11'", "there are: 0, 1, 2")),
        (("--split", "tset"), ("expected a split 'tset'",)),
        (("--out", "x.wav"), ("ends in .csv .npz .html .png",)),
        (("--against", "noise", "--out", "x.csv"), ("ends in .png .html",)),
        (("--background", "a", "--train-background", "b"), ("got both",)),
        (("--background", "nowhere"), ("no run folder",)),
        (("--train-background", "bg", "--mutation", "0"), ("mutation rate above 0",)),
    ],
)
def test_bad_words(cli, vae_run, tmp_path, monkeypatch, words, parts):
    monkeypatch.chdir(tmp_path)
    cli("detect", vae_run, *words).refuses(*parts)
    assert list(tmp_path.iterdir()) == []


def test_bad_files(cli, vae_run, weights, tmp_path):
    empty, foreign, nan = tmp_path / "e.npz", tmp_path / "f.csv", tmp_path / "n.npy"
    empty.write_bytes(b"")
    foreign.write_text("a,b\n1,2\n3,4\n")
    rows = np.zeros((3, 8, 8))
    rows[1, 2, 2] = np.nan
    np.save(nan, rows)
    before = sorted(tmp_path.iterdir())
    for path in (empty, foreign, nan, tmp_path / "absent.csv"):
        cli("detect", vae_run, path, "--out", tmp_path / "o.csv").refuses("error:")
    cli("detect", weights[0], foreign).refuses("error:")
    assert sorted(tmp_path.iterdir()) == before


def test_models_without_log_p_are_refused(cli, autoencoder_run):
    cli("detect", autoencoder_run).refuses("expected a model with a log p(x)", "hint: `vae`")


def test_the_report_lists_the_oddest_rows_of_a_table(cli, weights):
    from ancestral.cli.opened import open_run
    from ancestral.cli.reported_oddities import oddest_table, oddities

    run = open_run(weights[0])
    found = oddities(run, run.data(None, None), "test")
    assert found is not None
    table = oddest_table(found)
    assert table is not None
    assert len(table.rows) == 5
    known = json.loads(cli("detect", weights[0], "--top", 5, "--json").out)["rows"]
    for told, row in zip(table.rows, known, strict=True):
        assert told[0] == str(row["row"])
        assert float(told[1]) == pytest.approx(row["p_value"], rel=0.1)
        assert told[2] == f"{row['odd_cell']} = {row['odd_value']}"


def test_the_report_says_how_far_each_label_stands_out(cli, tmp_path):
    rng = np.random.default_rng(0)
    rows = rng.normal(size=(900, 3))
    is_sick = rng.random(900) < 0.1
    rows[is_sick] += 8.0
    lines = [
        ",".join([*(f"{x:.3f}" for x in row), "sick" if sick else "well"])
        for row, sick in zip(rows, is_sick, strict=True)
    ]
    table = tmp_path / "people.csv"
    table.write_text("a,b,c,state\n" + "\n".join(lines) + "\n")
    run = tmp_path / "run"
    words = ["--label", "state", "--latent-size", 1, "--quiet", "--no-report", "--out", run]
    assert cli("fit", "ppca", table, *words).code == 0
    assert cli("report", run).code == 0
    page = (run / "report.html").read_text()
    section = page[page.index("What the model finds odd") :]
    assert "AUROC, corrected" in section
    cells = re.findall(r'<th scope="row">sick</th><td>\d+</td><td>([\d.]+)', section)
    assert float(cells[0]) > 0.6  # they were trained on, too, and are a tenth of all
