"""Every verb, on small runs, from what was typed to what is in the files."""

from __future__ import annotations

import csv
import json
import re
import wave

import numpy as np
import pytest

from ancestral.cli.declared import recipes
from ancestral.data import DATASETS, mu_law


def rows_of(path):
    with path.open(newline="", encoding="utf-8") as file:
        return list(csv.reader(file))


def is_png(path):
    return path.read_bytes()[:8] == b"\x89PNG\r\n\x1a\n"


def test_list_has_a_line_for_everything(cli):
    answer = cli("list")
    assert answer.code == 0
    first_words = {line.split()[0] for line in answer.out.splitlines() if line}
    assert first_words >= set(recipes()) | set(DATASETS)
    assert "Kingma & Welling (2014)" in answer.out


def test_fit_reports(cli, tiny, tmp_path):
    words = [word for word in tiny if word not in ("--no-report", "--quiet")]
    answer = cli("fit", "vae", "--out", tmp_path / "run", *words)
    assert answer.code == 0
    assert "digits: rows of 8 x 8 cells (1,437 train, 180 valid, 180 test)" in answer.err
    assert "the last epoch is done" in answer.err
    assert re.search(r"log p\(x\) +-\d+\.\d\d ± \d\.\d\d nats", answer.out)
    assert answer.out.splitlines()[0] == str(tmp_path / "run")
    assert answer.out.splitlines()[-1] == str(tmp_path / "run" / "report.html")
    page = (tmp_path / "run" / "report.html").read_text()
    assert page.startswith("<!DOCTYPE html>")
    assert "What the model finds odd" in page
    assert (tmp_path / "run" / "pictures" / "oddest.png").exists()
    assert all(is_png(p) for p in (tmp_path / "run" / "pictures").iterdir())
    config = json.loads((tmp_path / "run" / "config.json").read_text())
    assert config["training"]["epochs"] == 1
    assert config["options"]["hidden_size"] == 8
    assert config["data"]["name"] == "digits"
    assert config["data"]["data_dir"] is None


def test_fit_has_a_default_folder(cli, tiny, tmp_path, monkeypatch, table):
    monkeypatch.chdir(tmp_path)
    answer = cli("fit", "vae", table, *tiny)
    assert answer.out == "runs/vae-people\n"
    assert answer.err == ""
    config = json.loads((tmp_path / "runs" / "vae-people" / "config.json").read_text())
    assert config["data"]["name"] == str(table)


def test_fit_resumes_and_overwrites(cli, tiny, tmp_path):
    run = tmp_path / "run"
    three = [*tiny[:1], "3", *tiny[2:]]
    assert cli("fit", "vae", "--out", run, *tiny).code == 0
    assert cli("fit", "vae", "--out", run, "--resume", *three).code == 0
    resumed = (run / "model.safetensors").read_bytes()
    assert len((run / "metrics.jsonl").read_text().splitlines()) == 3
    assert cli("fit", "vae", "--out", run, "--overwrite", *tiny).code == 0
    assert len((run / "metrics.jsonl").read_text().splitlines()) == 1
    assert cli("fit", "vae", "--out", tmp_path / "straight", *three).code == 0
    assert (tmp_path / "straight" / "model.safetensors").read_bytes() == resumed


def test_fit_writes_tensorboard_events(cli, tiny, tmp_path):
    pytest.importorskip("tensorboard")
    assert cli("fit", "vae", "--out", tmp_path / "run", "--tensorboard", *tiny).code == 0
    assert list((tmp_path / "run" / "tensorboard").glob("events*"))


def test_interrupted_fit_says_how_to_go_on(cli, tiny, tmp_path, monkeypatch):
    def interrupted(*_: object) -> None:
        raise KeyboardInterrupt

    run = tmp_path / "my run"
    monkeypatch.setattr("ancestral.training.loop._end_epoch", interrupted)
    answer = cli("fit", "vae", "--out", run, "--overwrite", "--dequantize", *tiny)
    monkeypatch.undo()
    assert answer.code == 130
    assert answer.err.count("\n") == 1
    assert answer.err.startswith(f"interrupted; the checkpoint in {run} is kept, go on with: ")
    command = answer.err.strip().split("go on with: ancestral ")[1]
    words = command.replace(f"'{run}'", "RUN").split()
    assert words[-1] == "--resume"
    assert cli(*[run if w == "RUN" else w for w in words], "--quiet", "--no-report").code == 0


def test_evaluate_prints_one_json_object(cli, vae_run):
    answer = cli("evaluate", vae_run, "--samples", 20, "--json")
    found = json.loads(answer.out)
    assert (found["recipe"], found["data"], found["split"], found["n"]) == (
        "vae",
        "digits",
        "test",
        180,
    )
    log_prob = found["log_prob"]
    assert set(log_prob) == {"value", "std_error", "kind", "unit", "samples"}
    assert (log_prob["kind"], log_prob["unit"], log_prob["samples"]) == ("lower_bound", "nats", 20)
    assert found["bits_per_dim"] == pytest.approx(-log_prob["value"] / (64 * np.log(2)))
    assert log_prob["value"] >= found["elbo"]["value"]
    assert answer.err == ""


def test_evaluate_repeats_itself_and_follows_its_options(cli, vae_run):
    def value(*words):
        answer = cli("evaluate", vae_run, "--samples", 5, "--json", *words)
        return json.loads(answer.out)["log_prob"]["value"]

    assert value() == value()
    assert value() != value("--seed", 1)
    assert value() != value("--split", "valid")


def test_evaluate_with_bf16_products_gives_nearly_the_same(cli, vae_run, single_precision):
    values = [
        json.loads(
            cli("evaluate", vae_run, "--samples", 5, "--precision", precision, "--json").out
        )["log_prob"]["value"]
        for precision in ("float32", "bf16")
    ]
    assert values[0] != values[1]
    assert values[1] == pytest.approx(values[0], abs=1.0)  # five samples of a model hardly trained


def test_evaluate_other_data_of_the_same_kind(cli, vae_run, tmp_path):
    rows = np.random.default_rng(0).integers(0, 17, (50, 8, 8))
    np.savez(tmp_path / "others.npz", test=rows)
    answer = cli("evaluate", vae_run, tmp_path / "others.npz", "--samples", 5, "--json")
    found = json.loads(answer.out)
    assert (found["data"], found["n"]) == ("others.npz", 50)


def test_evaluate_in_words(cli, ppca_run, autoencoder_run):
    answer = cli("evaluate", ppca_run)
    assert "log p(x)" in answer.out
    assert "note: the integers were dequantised" in answer.err
    answer = cli("evaluate", autoencoder_run)
    assert "reconstruction error" in answer.out
    assert "log p(x)" not in answer.out


def test_sample_images(cli, vae_run, tmp_path):
    for name in ("a.npz", "b.npz", "c.npy", "d.png"):
        answer = cli("sample", vae_run, "--num", 10, "--out", tmp_path / name)
        assert answer.out == f"{tmp_path / name}\n"
    a, b = (np.load(tmp_path / name)["samples"] for name in ("a.npz", "b.npz"))
    assert a.shape == (10, 8, 8)
    assert set(np.unique(a)) <= set(range(17))
    np.testing.assert_array_equal(a, b)
    np.testing.assert_array_equal(a, np.load(tmp_path / "c.npy"))
    assert is_png(tmp_path / "d.png")
    cli("sample", vae_run, "--num", 10, "--seed", 1, "--overwrite", "--out", tmp_path / "b.npz")
    assert (np.load(tmp_path / "b.npz")["samples"] != a).any()
    assert {p.name for p in tmp_path.iterdir()} == {"a.npz", "b.npz", "c.npy", "d.png"}


def test_sample_a_table(cli, table_run, tmp_path):
    assert cli("sample", table_run, "--num", 50, "--out", tmp_path / "s.csv").code == 0
    head, *rows = rows_of(tmp_path / "s.csv")
    assert head == ["height", "visits", "colour"]
    assert len(rows) == 50
    assert {row[2] for row in rows} <= {"red", "green", "blue"}
    assert all(row[1].isdigit() for row in rows)
    assert any("." in row[0] for row in rows)


def test_a_table_without_labels_can_be_encoded(cli, table_run, table, tmp_path):
    lines = [line.rsplit(",", 1)[0] for line in table.read_text().splitlines()]
    (tmp_path / "unlabelled.csv").write_text("\n".join(lines) + "\n")
    answer = cli("encode", table_run, tmp_path / "unlabelled.csv", "--out", tmp_path / "z.csv")
    assert answer.code == 0
    assert rows_of(tmp_path / "z.csv")[0] == ["z_1", "z_2"]


def test_encode(cli, vae_run, table_run, tmp_path):
    cli("encode", vae_run, "--split", "valid", "--out", tmp_path / "z.npz")
    found = np.load(tmp_path / "z.npz")
    assert found["codes"].shape == (180, 2)
    assert set(found["labels"]) <= set(range(10))
    cli("encode", vae_run, "--split", "valid", "--out", tmp_path / "z.npy")
    np.testing.assert_array_equal(np.load(tmp_path / "z.npy"), found["codes"])
    cli("encode", table_run, "--out", tmp_path / "z.csv")
    head, *rows = rows_of(tmp_path / "z.csv")
    assert head == ["z_1", "z_2", "labels"]
    assert {row[2] for row in rows} == {"short", "tall"}


def test_reconstruct(cli, vae_run, table_run, tmp_path):
    cli("reconstruct", vae_run, "--num", 7, "--out", tmp_path / "r.npz")
    found = np.load(tmp_path / "r.npz")
    assert found["data"].shape == found["reconstructions"].shape == (7, 8, 8)
    assert cli("reconstruct", vae_run, "--num", 7, "--out", tmp_path / "r.png").code == 0
    assert is_png(tmp_path / "r.png")
    cli("reconstruct", table_run, "--out", tmp_path / "r.csv")
    head, *rows = rows_of(tmp_path / "r.csv")
    assert head == ["height", "visits", "colour"]
    assert all(row[0] and row[2] in ("red", "green", "blue") for row in rows)  # gaps are filled


def test_interpolate(cli, vae_run, tmp_path):
    cli("interpolate", vae_run, "--num", 2, "--steps", 5, "--out", tmp_path / "i.npz")
    assert np.load(tmp_path / "i.npz")["interpolations"].shape == (2, 5, 8, 8)
    assert cli("interpolate", vae_run, "--out", tmp_path / "i.png").code == 0
    assert is_png(tmp_path / "i.png")


def test_compare(cli, vae_run, autoencoder_run, ppca_run):
    answer = cli("compare", autoencoder_run, ppca_run, vae_run, "--samples", 5)
    head, *lines = answer.out.splitlines()
    assert head.split()[:2] == ["run", "recipe"]
    assert [line.split()[1] for line in lines] == ["vae", "ppca", "autoencoder"]
    assert "no likelihood" in lines[2]
    answer = cli("compare", ppca_run, vae_run, "--samples", 5, "--json")
    found = json.loads(answer.out)
    assert (found["data"], found["split"], found["unit"]) == ("digits", "test", "nats")
    assert [row["recipe"] for row in found["runs"]] == ["vae", "ppca"]
    assert found["runs"][1]["below_best"] > 0


def test_report_and_cite(cli, ppca_run):
    answer = cli("report", ppca_run)
    assert answer.out == f"{ppca_run / 'report.html'}\n"
    page = (ppca_run / "report.html").read_text()
    assert "ppca on digits" in page
    assert "dequantised" in page
    assert cli("cite", ppca_run).out == cli("cite", "ppca").out
    assert cli("cite", "ppca").out.startswith("@article{tipping1999probabilistic,")


def test_text_and_sound_come_back(cli, tiny, tmp_path):
    (tmp_path / "verse.txt").write_text("the quick brown fox jumps over the lazy dog\n" * 150)
    assert cli("fit", "vae", tmp_path / "verse.txt", "--out", tmp_path / "text", *tiny).code == 0
    out = tmp_path / "s.txt"
    assert cli("sample", tmp_path / "text", "--num", 2, "--out", out).code == 0
    # the windows of running text stand between rules
    assert set(out.read_text()) <= set("the quick brown fox jumps over the lazy dog\n-")
    assert cli("evaluate", tmp_path / "text", "--samples", 5).code == 0
    codes = mu_law(np.sin(np.arange(1024 * 40) / 9))
    with wave.open(str(tmp_path / "tone.wav"), "wb") as file:
        file.setparams((1, 2, 8000, 0, "NONE", ""))
        file.writeframes((np.sin(np.arange(len(codes)) / 9) * 30000).astype("<i2").tobytes())
    assert cli("fit", "vae", tmp_path / "tone.wav", "--out", tmp_path / "tone", *tiny).code == 0
    assert cli("sample", tmp_path / "tone", "--num", 2, "--out", tmp_path / "s.wav").code == 0
    with wave.open(str(tmp_path / "s.wav")) as file:
        # a quarter of a second of silence stands between two frames
        assert (file.getframerate(), file.getnframes()) == (8000, 2 * 1024 + 2000)


def test_data_dir_is_kept_only_if_it_was_typed(cli, tiny, tmp_path, monkeypatch):
    (tmp_path / "data" / "binary").mkdir(parents=True)
    bits = np.random.default_rng(0).integers(0, 2, (60, 16)).astype(np.uint8)
    np.savez(tmp_path / "data" / "binary" / "nltcs.npz", train=bits, valid=bits, test=bits)
    monkeypatch.setenv("ANCESTRAL_DATA", str(tmp_path / "data"))
    assert cli("fit", "vae", "nltcs", "--out", tmp_path / "a", *tiny).code == 0
    assert json.loads((tmp_path / "a" / "config.json").read_text())["data"]["data_dir"] is None
    monkeypatch.delenv("ANCESTRAL_DATA")
    monkeypatch.setenv("ANCESTRAL_CACHE", str(tmp_path / "nothing"))
    words = ("evaluate", tmp_path / "a", "--samples", 5)
    cli(*words).refuses("nltcs", "--data-dir")
    assert cli(*words, "--data-dir", tmp_path / "data").code == 0
    folder = ("--data-dir", tmp_path / "data")
    assert cli("fit", "vae", "nltcs", "--out", tmp_path / "b", *folder, *tiny).code == 0
    assert cli("evaluate", tmp_path / "b", "--samples", 5).code == 0


def test_data_list_and_get(cli, tmp_path):
    lines = dict(line.split()[:2] for line in cli("data", "list").out.splitlines())
    assert (lines["mnist"], lines["ptb"], lines["digits"]) == ("yes", "no", "no")
    cli("data", "get", "ptb", "--data-dir", tmp_path).refuses("public source", "hint")
