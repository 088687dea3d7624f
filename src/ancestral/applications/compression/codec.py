"""`Codec`: rows to words and back, bit for bit."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from torch import Tensor

from ancestral.applications.compression.gaps import Gaps
from ancestral.core import OptionError
from ancestral.core.estimate import Kind

__all__ = ["Codec", "CodingOptions", "Encoded", "Progress"]

Progress = Callable[[float], None]
"""Is told of a number of rows, or a part of one, that have been coded since it was last told."""


_SEEDS = 1 << 63


@dataclass(frozen=True)
class CodingOptions:
    """What decides on the words, besides the model and the rows.

    Encoder and decoder must have the same: a batch is what a network computes at once, and floats
    depend on that in their last bits.

    Args:
        batch_size: rows that are coded at once; the last batch has what is left.
        seed: of the bits that bits-back begins with.

    Raises:
        OptionError: no rows at once, or a seed below zero.
    """

    batch_size: int = 500
    seed: int = 0

    def __post_init__(self) -> None:
        if self.batch_size < 1:
            raise OptionError(
                f"expected a batch_size of at least 1, got {self.batch_size}",
                hint="rows that are coded at once",
            )
        if not 0 <= self.seed < _SEEDS:
            raise OptionError(
                f"expected a seed from 0 to 2^63 - 1, got {self.seed}",
                hint="any such number; files made with different ones differ in their random bits",
            )


@dataclass(frozen=True)
class Encoded:
    """Words, and what the model says that they should have cost.

    Attributes:
        words: [number] uint32.
        content_nats: -log p of all rows together, or what bounds it: of latent-variable models
            -ELBO.
        coded_nats: the same of the masses that are coded by: given that values lie within the
            ranges that a file says, and with none below the least mass there is.
        kind: of -content_nats as a statement about log p: exact, or lower_bound.
    """

    words: np.ndarray
    content_nats: float
    coded_nats: float
    kind: Kind = "exact"


class Codec(Protocol):
    """Symbols [num_rows, *shape] as words, and words as the same symbols, bit for bit.

    A symbol is the number of a value on its cell's grid, int64: of codes the code itself. What the
    model sees is `Grids.numbers(symbols)`, in float64, which the codec turns into the model's own
    dtype and device. So a decoder finds the very numbers that the encoder had.

    A codec is made for a model, a posterior if need be, `Grids` and `CodingOptions`, and keeps
    them. Both directions run without gradients, on the threads that the caller has set, and make
    the same operations on batches of the same rows.

    Cells that are missing are not coded: both sides are told which they are.
    """

    def encode(
        self,
        symbols: Tensor,
        context: Tensor | None = None,
        progress: Progress | None = None,
        gaps: Gaps | None = None,
    ) -> Encoded:
        """The rows as words.

        Args:
            symbols: [num_rows, *shape] int64, with the guess where a cell is missing.
            context: [num_rows, context_size], for conditional models.
            progress: is told of rows that are done.
            gaps: cells that are missing.
        """
        ...

    def decode(
        self,
        words: np.ndarray,
        num_rows: int,
        context: Tensor | None = None,
        progress: Progress | None = None,
        gaps: Gaps | None = None,
    ) -> Tensor:
        """The symbols, [num_rows, *shape] int64, equal to what was encoded.

        Args:
            words: as `encode` gave them.
            num_rows: how many rows they hold.
            context: the same as for `encode`.
            progress: is told of rows that are done.
            gaps: the same as for `encode`.

        Raises:
            CorruptWords: the words run out, or some are left.
        """
        ...
