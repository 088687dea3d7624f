"""Command lines that name what does not exist: one line, a hint, exit code 2, no torch."""

from __future__ import annotations

import pytest

from ancestral.cli import main


@pytest.mark.parametrize(
    ("words", "message", "hint"),
    [
        ("fitt", "unknown verb 'fitt'", "'fit'"),
        ("zzz", "unknown verb 'zzz'", "there are: list, fit, evaluate"),
        ("fit vea", "unknown recipe 'vea'", "'vae'"),
        ("fit --out x vae", "expected a recipe right after `ancestral fit`", "RECIPE"),
        ("fit vae --latent-sise 3", "unknown option --latent-sise of `ancestral fit vae`", "size"),
        ("fit vae --chanels 3", "unknown option --chanels", "hint"),
        ("fit ppca --dropout 0.1", "unknown option --dropout of `ancestral fit ppca`", "--drop"),
        ("fit vae --latent-size", "--latent-size needs a value", "--help"),
        ("fit vae --epochs many", "expected --epochs to be a whole number, got 'many'", "--help"),
        ("fit vae --dropout lots", "expected --dropout to be a number, got 'lots'", "--help"),
        ("fit vae --schedule fast", "'constant' or 'cosine' or 'linear', got 'fast'", "--help"),
        ("fit vae --binarization maybe", "'none' or 'static' or 'dynamic'", "--help"),
        ("fit vae digits mnist", "does not expect 'mnist'", "--help"),
        ("evaluate", "`ancestral evaluate` needs RUN", "--help"),
        ("evaluate x --method guess", "'auto' or 'exact' or 'importance'", "--help"),
        ("evaluate x --jsn", "unknown option --jsn", "--json"),
        ("sample x", "`ancestral sample` needs --out", "--help"),
        ("data fetch mnist", "unknown word 'fetch'", "'get'"),
        ("data get mnits", "unknown data set 'mnits'", "'mnist'"),
        ("cite ippca", "expected a run folder or a recipe, got 'ippca'", "'ppca'"),
        ("compare", "expected runs to compare, got none", ""),
    ],
)
def test_words_that_do_not_exist(cli, words, message, hint):
    answer = cli(*words.split())
    answer.refuses(message, hint)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ("--epochs 0", "expected epochs at least 1, got 0"),
        ("--learning-rate -1", "expected learning_rate above 0"),
        ("--averaging 1", "expected averaging in [0, 1)"),
        ("--device tpu9", "expected a device that is there, got 'tpu9'"),
        ("--dequantize --kind count", "expected no kind, or real, with dequantize, got count"),
        ("--posterior round", "expected posterior to be 'diagonal' or 'full', got 'round'"),
        ("--likelihood gaussian", "unknown likelihood 'gaussian'"),
    ],
)
def test_values_out_of_range(cli, words, message, tmp_path):
    answer = cli("fit", "vae", "--out", tmp_path / "run", *words.split())
    answer.refuses(message)
    assert list(tmp_path.iterdir()) == []


def test_a_traceback_is_shown_on_demand_only(cli):
    assert "Traceback" not in cli("evaluate", "nowhere").err
    answer = cli("evaluate", "nowhere", "--debug")
    assert answer.code == 2
    assert "Traceback" in answer.err
    assert "error: there is no run folder nowhere" in answer.err


def test_a_defect_is_called_one(cli, monkeypatch):
    def broken() -> None:
        raise RuntimeError("the moon is full")

    monkeypatch.setattr("ancestral.cli.listing.recipes", broken)
    answer = cli("list")
    assert answer.code == 1
    assert "error: a defect of ancestral: RuntimeError: the moon is full" in answer.err
    assert "Traceback" not in answer.err


def test_help_and_version_need_no_run(cli):
    assert cli("--version").out.strip().count(".") == 2
    assert "evaluate" in cli("--help").out
    assert main(["fit"]) == 0


@pytest.mark.parametrize(
    ("words", "message", "hint"),
    [
        ("planar_vae --context-size 0", "context_size of at least 1, got 0", "--context-size"),
        ("planar_vae --num-flows 0", "num_flows of at least 1, got 0", "--num-flows"),
        ("iaf_vae --flow-size 0", "flow_size of at least 1, got 0", "--flow-size"),
        ("hvi --leapfrog-steps 0", "leapfrog_steps of at least 1, got 0", "--leapfrog-steps"),
        ("hvi --inverse-size 0", "inverse_size of at least 1, got 0", "--inverse-size"),
        ("hvi --tempering 2", "expected tempering above 0 and at most 1, got 2.0", "--tempering"),
        ("semi_amortized_vae --svi-steps 0", "svi_steps of at least 1, got 0", "--svi-steps"),
        ("hierarchical_vae --top-size 0", "top_size of at least 1, got 0", "--top-size"),
        ("vamp_vae --num-components 0", "num_components of at least 1", "--num-components"),
        ("sigmoid_belief_net --num-hidden-layers -1", "num_hidden_layers of at least 0", "leave"),
        ("sigmoid_belief_net --temperature -1", "expected temperature above 0, got -1", "leave"),
        ("sigmoid_belief_net --num-samples 0", "num_samples of at least 1", "--num-samples"),
        ("vae --kl-warm-up -1", "expected kl_warm_up of at least 0, got -1", "--kl-warm-up"),
        ("info_vae --alpha 1.5", "expected alpha, a share of the KL, from 0 to 1", "--alpha"),
        ("info_vae --alpha -0.5", "expected alpha, a share of the KL, from 0 to 1", "--alpha"),
        ("mmd_net --batch-size 1", "expected batch_size of at least 2", "--batch-size"),
        ("svi_vae --num-rows 10", "expected num_rows of at least", "leave out --num-rows"),
        ("wae --posterior foo", "expected posterior to be 'point'", "'foo'"),
    ],
)
def test_options_of_latent_recipes_out_of_range(cli, words, message, hint, tmp_path):
    recipe, *options = words.split()
    answer = cli("fit", recipe, "digits", "--out", tmp_path / "run", *options, "--epochs", 1)
    answer.refuses(message, hint)
    assert list(tmp_path.iterdir()) == []
