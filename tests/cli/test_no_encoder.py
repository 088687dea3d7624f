"""What runs without an encoder, a bound or a context refuse, in the user's words."""

from __future__ import annotations

import pytest

SMALL = ("--epochs", 1, "--hidden-size", 8, "--num-blocks", 1, "--latent-size", 2)
QUIET = ("--quiet", "--no-report")


@pytest.fixture(scope="module")
def run_of(shared):
    """Name of a recipe -> folder of a tiny run of it on the digits."""
    from ancestral.cli import main

    def fitted(recipe, *words):
        folder = shared / f"without-{recipe}"
        if not folder.exists():
            options = map(str, (*words, *QUIET, "--out", folder))
            assert main(["fit", recipe, "digits", *options]) == 0
        return folder

    runs = {"mmd_net": SMALL, "wae": SMALL, "fvsbn": ("--epochs", 1)}
    return lambda recipe: fitted(recipe, *runs[recipe])


@pytest.mark.parametrize("recipe", ["mmd_net", "wae", "fvsbn"])
def test_gaps_of_no_bound_are_refused(cli, run_of, recipe):
    answer = cli("evaluate", run_of(recipe), "--gaps", 3)
    answer.refuses(f"a run of {recipe!r} has no encoder with a density", "leave out --gaps")


def test_gaps_and_samples_that_annealing_would_not_look_at(cli, vae_run, autoencoder_run):
    words = ("--rows", 2, "--temperatures", 2, "--chains", 2)
    bdmc = cli("evaluate", vae_run, "--method", "bdmc", "--gaps", 3, *words)
    bdmc.refuses("data that the model makes", "leave out --gaps")
    for method in ("ais", "bdmc"):
        answer = cli("evaluate", vae_run, "--method", method, "--samples", 9, *words)
        answer.refuses("--samples is an option of importance sampling", "--chains")
    cli("evaluate", autoencoder_run, "--gaps", 3).refuses("no bound", "leave out --gaps")


def test_a_generator_says_that_it_has_no_encoder(cli, run_of, tmp_path):
    answer = cli("encode", run_of("mmd_net"), "--out", tmp_path / "codes.npz")
    answer.refuses("the model has no encoder", "`vae` and `wae`")


def test_imputing_with_codes_that_are_points_proposes_from_the_prior(cli, run_of, tmp_path):
    few = ("--hide", 0.3, "--num", 3, "--draws", 5)
    answer = cli("impute", run_of("wae"), *few, "--out", tmp_path / "full.npz")
    assert answer.code == 0
    assert "lower bound" in answer.err


def test_smoothed_weights_of_an_exact_model_are_refused_with_a_way_out(cli, run_of):
    cli("evaluate", run_of("fvsbn"), "--method", "psis").refuses("latent-variable", "exact")


def test_a_recipe_that_cannot_be_given_anything_says_so(cli, tmp_path):
    words = ("--given", "label", "--out", tmp_path / "run", *QUIET)
    answer = cli("fit", "planar_vae", "digits", *SMALL, *words)
    answer.refuses("is not conditional", "leave out --given")
    assert "LatentVariableModel" not in answer.err


@pytest.mark.parametrize("words", ["vlae", "pixel_vae --decoder pixel_cnn"])
def test_decoders_of_images_name_one_for_tables(cli, table, tmp_path, words):
    answer = cli("fit", *words.split(), table, "--out", tmp_path / "run", *QUIET)
    answer.refuses("needs images", "`pixel_vae --decoder made`")


def test_runs_on_other_data_are_refused_before_any_is_scored(cli, vae_run, table_run, monkeypatch):
    def score(*arguments):
        raise AssertionError("scored")

    monkeypatch.setattr("ancestral.cli.measuring.measure", score)
    cli("compare", vae_run, table_run).refuses("got another shape")
