"""Randomness that is a function of a seed, and leaves no trace."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch

__all__ = ["derived_seed", "seeded"]

_MASK = (1 << 64) - 1


def derived_seed(seed: int, *path: int) -> int:
    """A 63-bit seed that depends on a seed and a path of integers, such as (stream, step).

    SplitMix64 (Steele et al., 2014) applied along the path: nearby inputs give unrelated
    outputs, and the result is the same on every machine.

    Example:
        >>> derived_seed(0, 1) == derived_seed(0, 1), derived_seed(0, 1) == derived_seed(0, 2)
        (True, False)
    """
    state = seed & _MASK
    for part in (0, *path):
        state = (state + 0x9E3779B97F4A7C15 * ((part & _MASK) + 1)) & _MASK
        state = ((state ^ (state >> 30)) * 0xBF58476D1CE4E5B9) & _MASK
        state = ((state ^ (state >> 27)) * 0x94D049BB133111EB) & _MASK
        state ^= state >> 31
    return state >> 1


@contextmanager
def seeded(seed: int) -> Iterator[None]:
    """Inside, torch's generators start from `seed`; afterwards they are as they were before.

    Example:
        >>> with seeded(3): a = torch.rand(())
        >>> with seeded(3): b = torch.rand(())
        >>> bool(a == b)
        True
    """
    devices = list(range(torch.cuda.device_count())) if torch.cuda.is_initialized() else []
    with torch.random.fork_rng(devices=devices):
        torch.manual_seed(seed)
        yield
