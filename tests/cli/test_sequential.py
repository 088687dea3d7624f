"""Verbs on runs of autoregressive models."""

from __future__ import annotations

import json

import numpy as np
import pytest

from ancestral.cli import main


@pytest.fixture(scope="module")
def run(shared):
    """A network of logistic regressions on binarised digits, given their class."""
    folder = shared / "sequential"
    words = ("fit", "fvsbn", "digits", "--out", str(folder), "--epochs", "2", "--quiet")
    words += ("--binarization", "static", "--given", "label")
    assert main(list(words)) == 0
    return folder


def test_the_report_shows_what_was_expected(run):
    pictures = {path.stem for path in (run / "pictures").iterdir()}
    assert {"samples", "surprise", "learning-curves", "log-prob-histogram"} <= pictures
    assert "What the model expected" in (run / "report.html").read_text()


def test_log_prob_is_exact(cli, run):
    answer = json.loads(cli("evaluate", run, "--json").out)
    assert answer["log_prob"]["kind"] == "exact"
    assert answer["n"] == 180


def test_every_method_draws_the_same(cli, run, tmp_path):
    drawn = {}
    for method in ("auto", "naive", "cached", "jacobi"):
        out = tmp_path / f"{method}.npz"
        answer = cli("sample", run, "--num", 12, "--method", method, "--out", out)
        assert answer.code == 0
        assert ("passes of the network" in answer.err) == (method in ("naive", "jacobi"))
        drawn[method] = np.load(out)["samples"]
    assert drawn["auto"].shape == (12, 8, 8)
    # float32: a uniform may fall between two roundings of one probability
    for method in ("naive", "cached", "jacobi"):
        assert (drawn[method] != drawn["auto"]).mean() < 0.01


def test_truncated_samples_are_named_so(cli, run, tmp_path):
    out = tmp_path / "s.npz"
    answer = cli("sample", run, "--num", 6, "--top-k", 1, "--given", 3, "--out", out)
    assert "not samples of the model" in answer.err
    samples = np.load(out)["samples"]
    assert (samples == samples[0]).all()


def test_what_cannot_be_is_refused(cli, run, vae_run, tmp_path):
    out = tmp_path / "s.npz"
    words = ("sample", run, "--out", out)
    cli(*words, "--given", "x").refuses("expected --given one of 0, 1, 2", "got 'x'")
    cli(*words, "--temperature", 0).refuses("expected a temperature above 0, got 0.0")
    cli(*words, "--top-p", 2).refuses("expected top_p in (0, 1], got 2.0")
    cli(*words, "--method", "row_jacobi").refuses("row")
    words = ("sample", vae_run, "--out", out)
    cli(*words, "--given", "3").refuses("the run is not conditional")
    cli(*words, "--method", "jacobi").refuses("for autoregressive models")
    cli("fit", "vae", "digits", "--given", "label", "--out", tmp_path / "v", "--quiet").refuses(
        "conditional"
    )
    assert not out.exists()
