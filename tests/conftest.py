"""What every test stands on: float64, one thread, a fixed seed, and no trace left behind."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from torch.distributions import Distribution

torch.set_num_threads(1)


@pytest.fixture(autouse=True)
def _float64_and_seed() -> Iterator[None]:
    """Oracles are compared in double precision; the same test sees the same noise in any order."""
    before = torch.get_default_dtype()
    torch.set_default_dtype(torch.float64)
    torch.manual_seed(0)
    yield
    torch.set_default_dtype(before)


@pytest.fixture(autouse=True)
def _no_global_trace(_float64_and_seed: None) -> Iterator[None]:
    """Fail a test after which torch is configured otherwise than before it."""
    state = _global_state()
    yield
    left = _global_state()
    Distribution._validate_args = state["Distribution._validate_args"]
    torch.set_grad_enabled(state["gradients enabled"])
    torch.set_num_threads(state["threads"])
    changed = [
        f"{name}: {state[name]} -> {left[name]}" for name in state if state[name] != left[name]
    ]
    if changed:
        pytest.fail("the test changed global state: " + "; ".join(changed))


@pytest.fixture
def single_precision(_float64_and_seed: None) -> Iterator[None]:
    """Float32 as everywhere outside of tests, for what is about precision or speed."""
    torch.set_default_dtype(torch.float32)
    yield
    torch.set_default_dtype(torch.float64)


@pytest.fixture(scope="session")
def data_dir() -> Path:
    """The folder of real data sets; skips the test where there is none."""
    folder = os.environ.get("ANCESTRAL_DATA", "")
    if not folder or not Path(folder).is_dir():
        pytest.skip("$ANCESTRAL_DATA names no folder")
    return Path(folder)


def _global_state() -> dict:
    return {
        "Distribution._validate_args": Distribution._validate_args,
        "default dtype": torch.get_default_dtype(),
        "gradients enabled": torch.is_grad_enabled(),
        "threads": torch.get_num_threads(),
    }
