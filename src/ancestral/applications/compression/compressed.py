"""What compressing and decompressing give: `Compressed` and `Decompressed`."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

from ancestral.core.estimate import Kind

__all__ = ["Compressed", "Decompressed"]


@dataclass(frozen=True)
class Compressed:
    """A compressed file, and what it cost.

    Attributes:
        data: the file.
        num_rows: of the document; symbols, for running text.
        num_cells: symbols in all.
        content_nats: the model's own information content of all symbols together.
        coded_nats: the same by the masses that were coded by, which know the ranges of the data,
            and are never below the least there is.
        kind: of -content_nats as a statement about log p.
        num_words: of 32 bits, that the symbols became.
        num_side: bytes of side information.
        seconds: that coding took.
    """

    data: bytes
    num_rows: int
    num_cells: int
    content_nats: float
    coded_nats: float
    kind: Kind
    num_words: int
    num_side: int
    seconds: float

    @property
    def coded_bits(self) -> int:
        """Of the symbols alone, without header and side information."""
        return 32 * self.num_words

    @property
    def content_bits(self) -> float:
        """-log2 p of all symbols together, or -ELBO in bits."""
        return self.content_nats / math.log(2)

    @property
    def mass_bits(self) -> float:
        """`coded_nats` in bits."""
        return self.coded_nats / math.log(2)


@dataclass(frozen=True)
class Decompressed:
    """What came out of a compressed file.

    Attributes:
        form: of the document.
        content: byte for byte.
        details: of the form.
        num_rows: that were decoded; symbols, for running text.
        seconds: that it took.
        is_lossy: whether these are reconstructions.
    """

    form: str
    content: bytes
    details: dict[str, Any]
    num_rows: int
    seconds: float
    is_lossy: bool = False
