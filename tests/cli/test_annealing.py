"""`evaluate --method psis|ais|bdmc` on the command line."""

from __future__ import annotations

import json

import pytest

QUICK = ("--rows", 5, "--temperatures", 6, "--chains", 3, "--leapfrog-steps", 2)


def test_annealed_importance_sampling_says_what_it_took(cli, vae_run):
    answer = cli("evaluate", vae_run, "--method", "ais", *QUICK, "--json")
    assert answer.code == 0, answer.err
    found = json.loads(answer.out)
    assert found["n"] == 5
    assert found["log_prob"]["kind"] == "lower_bound"
    assert found["log_prob"]["samples"] == 3
    assert any(note.startswith("these are 5 rows at random of") for note in found["notes"])
    assert any("3 chains of 6 temperatures with 2 leapfrog steps" in n for n in found["notes"])
    assert not any("too few" in warning for warning in found["warnings"])
    again = cli("evaluate", vae_run, "--method", "ais", *QUICK, "--json")
    assert json.loads(again.out) == found
    prior = cli("evaluate", vae_run, "--method", "ais", *QUICK, "--start", "prior", "--json")
    assert json.loads(prior.out)["log_prob"]["value"] != found["log_prob"]["value"]


def test_bidirectional_gives_both_bounds_and_no_log_p_of_the_data(cli, vae_run):
    answer = cli("evaluate", vae_run, "--method", "bdmc", *QUICK, "--json")
    assert answer.code == 0, answer.err
    found = json.loads(answer.out)
    assert "log_prob" not in found
    assert found["lower"]["kind"] == "lower_bound"
    assert found["upper"]["kind"] == "upper_bound"
    gap = found["upper"]["value"] - found["lower"]["value"]
    assert found["gap"]["value"] == pytest.approx(gap, abs=1e-4)
    assert any("the model itself made" in note for note in found["notes"])
    words = cli("evaluate", vae_run, "--method", "bdmc", *QUICK)
    assert "lower bound" in words.out
    assert "upper bound" in words.out
    assert "gap" in words.out
    assert "the model itself made" in words.err


def test_smoothed_importance_sampling_is_no_bound(cli, vae_run):
    answer = cli("evaluate", vae_run, "--method", "psis", "--samples", 100, "--rows", 9, "--json")
    found = json.loads(answer.out)
    assert found["n"] == 9
    assert found["log_prob"]["kind"] == "consistent"
    assert "khat" in found
    words = cli("evaluate", vae_run, "--method", "psis", "--samples", 100, "--rows", 9)
    assert "not a bound" in words.out


@pytest.mark.parametrize(
    ("words", "message", "hint"),
    [
        ("--method ais --temperatures 0", "expected --temperatures to be at least 1, got 0", ""),
        ("--method bdmc --chains 0", "expected --chains to be at least 1, got 0", ""),
        ("--method ais --rows 0", "expected --rows to be at least 1, got 0", ""),
        ("--method psis --chains 4", "--chains is an option of --method ais and bdmc", "ais"),
        ("--leapfrog-steps 4", "--leapfrog-steps is an option of --method ais", "leave out"),
        ("--method ais --start here", "'prior' or 'posterior', got 'here'", "--help"),
    ],
)
def test_options_that_do_not_fit_are_refused(cli, vae_run, words, message, hint):
    cli("evaluate", vae_run, *words.split()).refuses(message, hint)


def test_models_without_latent_variables_are_refused(cli, autoencoder_run):
    answer = cli("evaluate", autoencoder_run, "--method", "bdmc", *QUICK)
    answer.refuses("an autoencoder has no log p", "vae")


@pytest.mark.parametrize("layers", ["3", "3,2"])
@pytest.mark.parametrize("method", ["ais", "bdmc"])
def test_binary_latent_variables_cannot_be_annealed(cli, shared, layers, method):
    run = shared / f"sigmoid-{layers}"
    if not run.exists():
        words = ("--layers", layers, "--epochs", 1, "--quiet", "--no-report", "--out", run)
        answer = cli("fit", "sigmoid_belief_net", "digits", *words)
        assert answer.code == 0, answer.err
    cli("evaluate", run, "--method", method, *QUICK).refuses(
        "continuous latent variables", "--method importance"
    )
