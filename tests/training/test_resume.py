"""A run that is killed and resumed takes the same steps as one that is not."""

from __future__ import annotations

import dataclasses
import importlib.util
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch

from ancestral.core import RunError
from ancestral.training import TrainingConfig, mean_terms, train
from ancestral.training.checkpoint import Checkpoint
from ancestral.training.state import CHECKPOINT_FILE, METRICS_FILE

HERE = Path(__file__).parent


def _load(name):
    spec = importlib.util.spec_from_file_location(name, HERE / f"{name}.py")
    loaded = importlib.util.module_from_spec(spec)
    sys.modules[name] = loaded
    spec.loader.exec_module(loaded)
    return loaded


problems = _load("problems")
script = _load("run_until_killed")


pytestmark = pytest.mark.usefixtures("single_precision")  # as the subprocess has it


def _equal(a, b):
    return a.keys() == b.keys() and all(torch.equal(a[k], b[k]) for k in a)


class _StopAfter:
    """A reporter that interrupts the run, as Ctrl-C would, once so many steps are done."""

    def __init__(self, module, steps):
        self.calls, self.steps = 0, steps

        def hook(*_):
            self.calls += 1
            if self.calls > steps:
                raise KeyboardInterrupt

        self.handle = module.register_forward_pre_hook(hook)


@pytest.mark.parametrize("steps", [0, 1, 7, 11, 12, 13, 30, 71])
def test_interrupted_and_resumed_equals_uninterrupted(tmp_path, steps):
    expected = script.run(None)
    module = problems.module(warm_up=40)
    source = problems.source()

    def validate():
        return mean_terms(
            module.objective, module.model, module.posterior, source.ordered(50), seed=1
        )

    _StopAfter(module, steps)
    with pytest.raises(KeyboardInterrupt):
        train(module, source, script.CONFIG, validate=validate, folder=tmp_path)
    assert Checkpoint.load(tmp_path / CHECKPOINT_FILE).numbers["step"] == steps
    assert _equal(script.run(tmp_path), expected)


def test_metrics_of_a_resumed_run_equal_those_of_an_uninterrupted_one(tmp_path):
    whole, parts = tmp_path / "whole", tmp_path / "parts"
    script.run(whole)
    for steps in (3, 17, 20):
        module = problems.module(warm_up=40)
        source = problems.source()
        _StopAfter(module, steps)

        def validate(module=module, source=source):
            return mean_terms(
                module.objective, module.model, module.posterior, source.ordered(50), seed=1
            )

        with pytest.raises(KeyboardInterrupt):
            train(module, source, script.CONFIG, validate=validate, folder=parts)
    script.run(parts)

    def records(folder):
        history = Checkpoint.load(folder / CHECKPOINT_FILE).numbers["history"]
        return [{k: v for k, v in r.items() if k != "seconds"} for r in history]

    assert records(parts) == records(whole)
    assert len(records(whole)) == 6
    assert len((parts / METRICS_FILE).read_text().splitlines()) == 6


@pytest.mark.parametrize("attempt", range(3))
def test_killed_at_a_random_moment_and_resumed(tmp_path, attempt):
    """SIGKILL, twice, wherever it falls: between steps, in a step, or while a file is written."""
    expected = script.run(None)
    moments = random.Random(attempt)
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)}
    for _ in range(2):
        process = subprocess.Popen(
            [sys.executable, str(HERE / "run_until_killed.py"), str(tmp_path)], env=environment
        )
        deadline = time.monotonic() + 60
        start = (tmp_path / CHECKPOINT_FILE).stat().st_mtime if _has_checkpoint(tmp_path) else 0
        while process.poll() is None and time.monotonic() < deadline:
            changed = _has_checkpoint(tmp_path) and (
                (tmp_path / CHECKPOINT_FILE).stat().st_mtime > start
            )
            if changed:
                break
            time.sleep(0.005)
        time.sleep(moments.uniform(0, 0.25))
        process.send_signal(signal.SIGKILL)
        process.wait()
    assert _has_checkpoint(tmp_path)
    assert _equal(script.run(tmp_path), expected)


def _has_checkpoint(folder):
    return (folder / CHECKPOINT_FILE).exists()


def test_a_finished_run_resumes_to_itself(tmp_path):
    assert _equal(script.run(tmp_path), script.run(tmp_path))


def test_a_finished_run_goes_on_when_given_more_epochs(tmp_path):
    config = TrainingConfig(epochs=3, batch_size=20, seed=3)
    for epochs in (3, 5):
        module = problems.module()
        longer = dataclasses.replace(config, epochs=epochs)
        outcome = train(module, problems.source(), longer, folder=tmp_path)
    straight = problems.module()
    train(straight, problems.source(), dataclasses.replace(config, epochs=5))
    assert outcome.steps == 60
    assert _equal(module.state_dict(), straight.state_dict())


def test_other_choices_are_refused(tmp_path):
    config = TrainingConfig(epochs=1, batch_size=20)
    train(problems.module(), problems.source(), config, folder=tmp_path)
    other = TrainingConfig(epochs=1, batch_size=20, learning_rate=0.5)
    with pytest.raises(RunError, match=r"started with learning_rate = 0\.001, got 0\.5"):
        train(problems.module(), problems.source(), other, folder=tmp_path)


def test_a_damaged_checkpoint_is_refused_in_one_line(tmp_path):
    config = TrainingConfig(epochs=1, batch_size=20)
    train(problems.module(), problems.source(), config, folder=tmp_path)
    path = tmp_path / CHECKPOINT_FILE
    path.write_bytes(path.read_bytes()[:-50])
    with pytest.raises(RunError, match="cannot be read"):
        train(problems.module(), problems.source(), config, folder=tmp_path)
