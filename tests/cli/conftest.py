"""Runs that many tests of the command line share, and a way to call it in this process."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest

from ancestral.cli import main

TINY = ("--epochs", "1", "--hidden-size", "8", "--num-blocks", "1", "--latent-size", "2")
ONE_EPOCH = (*TINY, "--quiet", "--no-report")


@dataclass(frozen=True)
class Answer:
    """What a command printed, and its exit code."""

    code: int
    out: str
    err: str

    def refuses(self, *parts: str) -> None:
        """Exit code 2, one line of error with all parts, at most one hint, and nothing else."""
        lines = self.err.splitlines()
        assert self.code == 2, self
        assert self.out == ""
        assert len(lines) in (1, 2), self.err
        assert lines[0].startswith("error: ")
        assert lines[1:] == [] or lines[1].startswith("hint: ")
        assert "Traceback" not in self.err
        for part in parts:
            assert part in self.err


Cli = Callable[..., Answer]


@pytest.fixture
def cli(capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Cli:
    """`cli("fit", "vae", ...)` in this process."""
    monkeypatch.delenv("ANCESTRAL_DEBUG", raising=False)

    def run(*words: object) -> Answer:
        capfd.readouterr()
        code = main([str(word) for word in words])
        out, err = capfd.readouterr()
        return Answer(code, out, err)

    return run


@pytest.fixture(scope="session")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder for the whole session."""
    return tmp_path_factory.mktemp("runs")


@pytest.fixture(scope="session")
def vae_run(shared: Path) -> Path:
    """A tiny vae on the digits."""
    return _fitted(shared / "vae", "vae", "digits", *ONE_EPOCH)


@pytest.fixture(scope="session")
def ppca_run(shared: Path) -> Path:
    """Probabilistic PCA on the dequantised digits."""
    words = ("--dequantize", "--latent-size", "2", "--quiet", "--no-report")
    return _fitted(shared / "ppca", "ppca", "digits", *words)


@pytest.fixture(scope="session")
def autoencoder_run(shared: Path) -> Path:
    """A tiny autoencoder on the digits."""
    return _fitted(shared / "autoencoder", "autoencoder", "digits", *ONE_EPOCH)


@pytest.fixture(scope="session")
def table(shared: Path) -> Path:
    """A table with numbers, integers, categories, gaps and a label of strings."""
    path = shared / "people.csv"
    rng = np.random.default_rng(0)
    lines = ["height,visits,colour,class"]
    for i in range(120):
        height = "" if i % 10 == 0 else f"{170 + 10 * rng.standard_normal():.3f}"
        colour = rng.choice(["red", "green", "blue"])
        lines.append(f"{height},{rng.poisson(60)},{colour},{'tall' if i % 2 else 'short'}")
    path.write_text("\n".join(lines) + "\n")
    return path


@pytest.fixture(scope="session")
def table_run(shared: Path, table: Path) -> Path:
    """A tiny vae on the table."""
    return _fitted(shared / "people", "vae", str(table), "--label", "class", *ONE_EPOCH)


def _fitted(folder: Path, *words: str) -> Path:
    assert main(["fit", *words, "--out", str(folder)]) == 0
    return folder


@pytest.fixture
def fingerprint() -> Callable[[Path], dict[str, str]]:
    """Every file below a folder with a hash of its content, to see that nothing changed."""

    def of(folder: Path) -> dict[str, str]:
        return {
            str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest()
            if path.is_file()
            else "folder"
            for path in sorted(folder.rglob("*"))
        }

    return of


@pytest.fixture
def tiny() -> tuple[str, ...]:
    """Options of the smallest training."""
    return ONE_EPOCH
