"""What only a process of its own shows: imports, pipes, signals, terminals."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time

import pytest

from ancestral.cli.declared import recipes, training_options

ENVIRONMENT = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONWARNINGS": "default"}


def ancestral(*words, **kwargs):
    command = [sys.executable, "-m", "ancestral", *map(str, words)]
    return subprocess.run(
        command, capture_output=True, text=True, env=ENVIRONMENT, timeout=60, **kwargs
    )


@pytest.mark.parametrize("words", [["--help"], ["fit", "vae", "--help"], ["evaluate", "--help"]])
def test_help_does_not_import_torch(words):
    code = f"import sys; from ancestral.cli import main; main({words}); "
    code += "assert 'torch' not in sys.modules"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    assert "Usage: ancestral" in done.stdout


def test_help_shows_the_options_of_the_recipe_with_defaults():
    page = " ".join(ancestral("fit", "iwae", "--help").stdout.split())
    assert "--num-samples" in page
    assert "importance samples of the bound" in page
    assert "[default: 5]" in page
    assert "--max-minutes" in page


def test_what_is_declared_is_what_is_imported():
    from ancestral.recipes import REGISTRY
    from ancestral.training import TrainingConfig

    assert list(recipes()) == list(REGISTRY)
    for name, recipe in REGISTRY.items():
        declared = recipes()[name]
        assert declared.summary == recipe.summary
        assert declared.reference == recipe.reference
        assert declared.training == dict(recipe.training)
        options = {option.name: (option.type, option.default) for option in declared.options}
        assert options == {n: (p.annotation, p.default) for n, p in recipe.options.items()}
    defaults = {option.name: option.default for option in training_options()[0]}
    assert defaults == TrainingConfig().to_dict()


def test_standard_output_is_data_and_nothing_else(vae_run):
    done = ancestral("evaluate", vae_run, "--samples", 5, "--json")
    assert done.returncode == 0
    assert json.loads(done.stdout)["recipe"] == "vae"
    assert done.stderr == ""


def test_a_reader_that_has_enough(vae_run):
    command = f"{sys.executable} -m ancestral list | head -n 1"
    done = subprocess.run(
        ["bash", "-o", "pipefail", "-c", command], capture_output=True, text=True, timeout=60
    )
    assert done.returncode == 0
    assert done.stderr == ""
    assert done.stdout.startswith("recipe")


@pytest.mark.parametrize(("extra", "coloured"), [({}, True), ({"NO_COLOR": "1"}, False)])
def test_colour_on_a_terminal_unless_unwanted(extra, coloured):
    import pty

    environment = {k: v for k, v in ENVIRONMENT.items() if k not in ("NO_COLOR", "FORCE_COLOR")}
    master, slave = pty.openpty()
    command = [sys.executable, "-m", "ancestral", "--help"]
    environment |= {"TERM": "xterm-256color", **extra}
    with subprocess.Popen(command, stdout=slave, stderr=slave, env=environment) as process:
        assert process.wait(timeout=60) == 0
    page = os.read(master, 1 << 16).decode()
    os.close(slave)
    os.close(master)
    assert "Usage:" in page
    colour_codes = ("\x1b[3", "\x1b[9")
    assert any(code in page.replace("\x1b[3m", "") for code in colour_codes) == coloured


def test_control_c_keeps_a_checkpoint(tmp_path):
    run = tmp_path / "run"
    words = ("fit", "vae", "--out", str(run), "--epochs", "1000", "--checkpoint-seconds", "0")
    small = ("--hidden-size", "8", "--latent-size", "2", "--patience", "0")
    command = [sys.executable, "-m", "ancestral", *words, *small]
    pipe = subprocess.PIPE
    # a shell lets what runs in its background ignore Ctrl-C, and children inherit that
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        process = subprocess.Popen(command, stdout=pipe, stderr=pipe, env=ENVIRONMENT)
    finally:
        signal.signal(signal.SIGINT, before)
    with process:
        deadline = time.monotonic() + 50
        while not (run / "checkpoint" / "state.safetensors").exists():
            assert time.monotonic() < deadline
            assert process.poll() is None
            time.sleep(0.05)
        process.send_signal(signal.SIGINT)
        out, err = (stream.decode() for stream in process.communicate(timeout=30))
    assert process.returncode == 130
    assert out == ""
    assert "Traceback" not in err
    assert f"interrupted; the checkpoint in {run} is kept" in err.splitlines()[-1]
    assert err.splitlines()[-1].endswith("--resume")
