"""Sounds in and out."""

from __future__ import annotations

import json
import wave
from pathlib import Path

import numpy as np
import pytest

SMALL = ("--channels", "4", "--num-layers", "2", "--num-stacks", "1", "--epochs", "1")
LENGTH, NUM, RATE = 64, 3, 8000


def write(path: Path, rate: int, num_samples: int = 4000) -> Path:
    """A hum with noise."""
    rng = np.random.default_rng(0)
    hum = 0.3 * np.sin(np.arange(num_samples) / 9) + 0.02 * rng.normal(size=num_samples)
    with wave.open(str(path), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(rate)
        file.writeframes((hum * 32767).astype("<i2").tobytes())
    return path


@pytest.fixture(scope="module")
def sounds(tmp_path_factory) -> Path:
    return tmp_path_factory.mktemp("sounds")


@pytest.fixture
def run(cli, sounds) -> Path:
    """A WaveNet of one sound."""
    folder = sounds / "run"
    if not folder.exists():
        data = write(sounds / "hum.wav", RATE)
        options = ("--length", LENGTH, "--quiet", "--no-report", "--out", folder)
        assert cli("fit", "wavenet", data, *SMALL, *options).code == 0
    return folder


def test_samples_can_be_listened_to(run, cli, tmp_path, single_precision):
    out = tmp_path / "x.wav"
    assert cli("sample", run, "--num", NUM, "--out", out).code == 0
    with wave.open(str(out)) as sound:
        assert (sound.getframerate(), sound.getnchannels(), sound.getsampwidth()) == (RATE, 1, 2)
        samples = np.frombuffer(sound.readframes(-1), "<i2")
    pause = RATE // 4
    assert len(samples) == NUM * LENGTH + (NUM - 1) * pause
    starts = [k * (LENGTH + pause) for k in range(NUM)]
    assert all(len(np.unique(samples[start : start + LENGTH])) > 1 for start in starts)
    assert not samples[LENGTH : LENGTH + pause].any()


def test_sounds_of_another_rate_are_refused(run, cli, tmp_path, single_precision):
    other = write(tmp_path / "other.wav", 16000)
    cli("evaluate", run, other).refuses("8000 Hz", "16000 Hz", "resample")
    same = write(tmp_path / "same.wav", RATE)
    answer = cli("evaluate", run, same, "--json")
    assert answer.code == 0
    assert json.loads(answer.out)["log_prob"]["kind"] == "exact"
