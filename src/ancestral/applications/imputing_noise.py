"""Noise of completions that is each row's own, so that none depends on the rows beside it."""

from __future__ import annotations

from enum import IntEnum
from functools import lru_cache

import torch
from torch import Tensor

from ancestral.core import seeded
from ancestral.core.noise import own_noise, uniform_noise
from ancestral.distributions import Head

__all__ = [
    "Purpose",
    "asks_for_noise",
    "sampled",
    "seeds_of_rows",
    "shuffled",
    "uniforms_of_rows",
]


class Purpose(IntEnum):
    """What noise is for; noise of two purposes is independent."""

    LATENTS = 1
    RESAMPLING = 2
    CELLS = 3
    CHAINS = 4
    PARTICLES = 5
    MOVES = 6
    PRIOR = 7
    MEANS = 8
    METHOD = 9
    PATTERN = 10
    COPIES = 11
    ORDERS = 100  # and from there on, one for each


def uniforms_of_rows(shape: tuple[int, ...], like: Tensor) -> Tensor:
    """Uniform noise strictly between 0 and 1, [rows, samples, ...].

    Args:
        shape: of it.
        like: of the precision that it is to have.
    """
    rows, samples, *rest = shape
    epsilon = torch.finfo(like.dtype).eps / 2
    noise = uniform_noise((samples, rows, *rest), like).clamp(epsilon, 1 - epsilon)
    return noise.transpose(0, 1)


def shuffled(num: int, rows: Tensor) -> Tensor:
    """The numbers 0 .. num - 1 of each row in an order of its own, [rows, num].

    Args:
        num: how many.
        rows: [rows, ...], of which there are so many.
    """
    like = torch.empty((), dtype=torch.float64, device=rows.device)
    return uniform_noise((num, len(rows)), like).T.argsort(1)


def sampled(head: Head, features: Tensor) -> Tensor:
    """A draw of each row for each sample, from the row's own noise.

    Families that torch draws by rejection take all that they need from a generator, and here
    each row gets one: slower where there are many rows.

    Args:
        head: of the features.
        features: [samples, rows, *feature_shape].
    """
    if asks_for_noise(head):
        return head.sample(features)
    drawn = []
    for number, seed in enumerate(seeds_of_rows(features.shape[1])):
        with seeded(seed):
            drawn.append(head.sample(features[:, number]))
    return torch.stack(drawn, 1)


def seeds_of_rows(num_rows: int) -> list[int]:
    """A seed for a generator of each row."""
    like = torch.empty((), dtype=torch.float64)
    return (uniform_noise((1, num_rows), like) * 2**53).long().flatten().tolist()


@lru_cache
def asks_for_noise(head: Head) -> bool:
    """Whether draws take all their noise from where it can be a row's own."""
    features = torch.zeros(2, 3, *head.feature_shape)
    with seeded(0), own_noise(torch.arange(3)):
        before = torch.get_rng_state()
        head.sample(features)
        return torch.equal(before, torch.get_rng_state())
