"""`lossy_file`: a document as a message that says what the model makes of it."""

from __future__ import annotations

import math
import time
from dataclasses import dataclass

from ancestral.applications.compression.codec import CodingOptions, Progress
from ancestral.applications.compression.compressing import Coder
from ancestral.applications.compression.documents import Document
from ancestral.core import IncompatibleChoices

__all__ = ["LossyFile", "lossy_file"]

_ROWS = 500  # at once, by default
_FORMS = ("array", "table")


@dataclass(frozen=True)
class LossyFile:
    """A file from which reconstructions come back, what it cost, and how far they are off.

    Attributes:
        data: the file.
        num_rows: of the document.
        num_cells: of all rows.
        num_words: of 32 bits, that the message has.
        num_side: bytes of side information.
        kl_nats: KL(q(z | x) || p(z)) of all rows together.
        squared_error: mean over the cells, in the data's units.
        distortion_nats: -log p(x | z) of all rows, at the z that is sent: how far x is from what
            comes back, and no likelihood of x.
        lossless_nats: what the rows take without loss, about: KL and distortion together, with
            what it takes to say numbers as finely as their grids do.
        restored: what comes back, as a document.
        seconds: that coding took.
    """

    data: bytes
    num_rows: int
    num_cells: int
    num_words: int
    num_side: int
    kl_nats: float
    squared_error: float
    distortion_nats: float
    lossless_nats: float
    restored: Document
    seconds: float

    @property
    def message_bits(self) -> int:
        """Of z alone, without header and side information."""
        return 32 * self.num_words

    @property
    def kl_bits(self) -> float:
        """`kl_nats` in bits."""
        return self.kl_nats / math.log(2)


def lossy_file(
    coder: Coder,
    document: Document,
    *,
    batch_size: int | None = None,
    seed: int = 0,
    progress: Progress | None = None,
) -> LossyFile:
    """A document as a lossy file; see `LossyCodec`. `Coder.decompress` reads it.

    Args:
        coder: of a latent-variable model.
        document: rows of an array or of a table.
        batch_size: rows that are coded at once; None: 500.
        seed: of the draws by which the divergence is estimated.
        progress: is told of rows that are done.

    Raises:
        NotExact, IncompatibleChoices: the model has no latent variables to send, or the document
            is no rows of numbers.
    """
    if document.form not in _FORMS or document.is_running:
        raise IncompatibleChoices(
            f"a lossy message is of rows of numbers, got a {document.form} file",
            hint="leave out --lossy: without loss it can be compressed",
        )
    options = CodingOptions(_ROWS if batch_size is None else batch_size, seed)
    codec = coder.lossy_codec(document.grids, options)
    started = time.perf_counter()
    message = codec.encode(document.symbols, progress, document.gaps)
    seconds = time.perf_counter() - started
    received = coder.restored(document, message.symbols)
    seen = None if document.gaps is None else document.gaps.observed
    steps = document.grids.log_steps(document.symbols, seen)
    data, num_side = coder.file(received, options, message.words, is_lossy=True)
    return LossyFile(
        data,
        len(document.symbols),
        document.symbols.numel(),
        len(message.words),
        num_side,
        message.kl_nats,
        message.squared_error,
        message.distortion_nats,
        message.kl_nats + message.distortion_nats + steps,
        received,
        seconds,
    )
