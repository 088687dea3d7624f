"""Which rows train, which validate, which test."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch

from ancestral.core.errors import DataError, OptionError
from ancestral.core.seeding import derived_seed

__all__ = ["Fractions", "held_out", "split_blocks", "split_in_order", "split_rows"]

_SPLIT = 0x5917  # the stream of seeds
_MIN_BLOCKS = 100


@dataclass(frozen=True)
class Fractions:
    """Shares of the rows that validate and that test; the rest train."""

    validation: float = 0.1
    test: float = 0.1

    def __post_init__(self) -> None:
        if self.validation < 0 or self.test < 0 or self.validation + self.test >= 1:
            raise OptionError(
                "expected shares of validation and test that leave rows to train on, "
                f"got {self.validation} and {self.test}"
            )

    def __str__(self) -> str:
        parts = (1 - self.validation - self.test, self.validation, self.test)
        return "/".join(f"{100 * p:g}" for p in parts)

    def counts(self, num: int) -> tuple[int, int]:
        """Rows of validation and test among `num`; at least one each where there is room."""
        least = 1 if num >= 3 else 0
        valid, test = (
            max(least, round(f * num)) if f else 0 for f in (self.validation, self.test)
        )
        return valid, test


def split_rows(
    num_rows: int,
    fractions: Fractions,
    seed: int,
    *,
    groups: np.ndarray | None = None,
) -> dict[str, np.ndarray]:
    """Row numbers of train, valid and test, each ascending, drawn at random.

    Args:
        num_rows: of all.
        fractions: shares.
        seed: decides the draw.
        groups: [rows] integers; rows of one group stay together. Shares are then of groups.

    Example:
        >>> {k: len(v) for k, v in split_rows(1797, Fractions(), seed=0).items()}
        {'train': 1437, 'valid': 180, 'test': 180}
    """
    if groups is None:
        shuffled = held_out(num_rows, seed)
        return _cut(shuffled, fractions)
    names = np.unique(groups)
    chosen = _cut(names[held_out(len(names), seed)], fractions)
    return {name: np.flatnonzero(np.isin(groups, g)) for name, g in chosen.items()}


def split_in_order(num_rows: int, fractions: Fractions) -> dict[str, np.ndarray]:
    """First the rows that train, then those that validate, then those that test."""
    num_valid, num_test = fractions.counts(num_rows)
    first, second = num_rows - num_valid - num_test, num_rows - num_test
    return {
        "train": np.arange(first),
        "valid": np.arange(first, second),
        "test": np.arange(second, num_rows),
    }


def split_blocks(blocks: np.ndarray, fractions: Fractions, seed: int) -> dict[str, np.ndarray]:
    """Row ranges [pieces, 2] of train, valid and test, for files too large for a row's choice.

    Whole blocks go to one split; blocks are cut where there are fewer than 100.

    Args:
        blocks: [blocks, 2] row ranges.
        fractions: shares.
        seed: decides the draw.
    """
    parts = -(-_MIN_BLOCKS // len(blocks))
    cuts = [np.unique(np.linspace(a, b, parts + 1).astype(np.int64)) for a, b in blocks]
    pieces = np.concatenate([np.stack([c[:-1], c[1:]], axis=1) for c in cuts])
    chosen = _cut(held_out(len(pieces), seed), fractions)
    return {name: pieces[numbers] for name, numbers in chosen.items()}


def held_out(num: int, seed: int) -> np.ndarray:
    """[num] int64: numbers in an order of their own, for choosing which are held out."""
    generator = torch.Generator().manual_seed(derived_seed(seed, _SPLIT))
    return torch.randperm(num, generator=generator).numpy()


def _cut(shuffled: np.ndarray, fractions: Fractions) -> dict[str, np.ndarray]:
    num = len(shuffled)
    num_valid, num_test = fractions.counts(num)
    if num_valid + num_test >= num:
        raise DataError(
            f"expected enough rows to split, got {num}",
            hint="give the splits yourself: an .npz with train, valid and test",
        )
    parts = np.split(shuffled, [num - num_valid - num_test, num - num_test])
    return {
        name: np.sort(part) for name, part in zip(("train", "valid", "test"), parts, strict=True)
    }
