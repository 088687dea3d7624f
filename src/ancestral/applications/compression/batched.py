"""`BatchedCodec`: cells in an order that encoder and decoder go through alike, batch by batch."""

from __future__ import annotations

from abc import ABC, abstractmethod

import numpy as np
import torch
from torch import Tensor

from ancestral.applications.compression.channels import Channel, Reader, Recorder
from ancestral.applications.compression.codec import CodingOptions, Encoded, Progress
from ancestral.applications.compression.entropy import CorruptWords, WordStack
from ancestral.applications.compression.gaps import Gaps

__all__ = ["BatchedCodec", "refuse_left_over"]


class BatchedCodec(ABC):
    """A codec whose `exchange` takes a batch of rows cell by cell, known or yet to be read.

    Args:
        options: of which `batch_size` rows are exchanged at once.
    """

    def __init__(self, options: CodingOptions) -> None:
        self._options = options

    @abstractmethod
    def exchange(
        self,
        channel: Channel,
        num_rows: int,
        symbols: Tensor | None,
        context: Tensor | None,
        progress: Progress | None,
        gaps: Gaps | None,
    ) -> Tensor:
        """The rows of one batch, exchanged with a channel.

        Args:
            channel: to exchange with.
            num_rows: of the batch.
            symbols: [num_rows, *shape] int64 if they are known.
            context: [num_rows, context_size] or None.
            progress: is told of rows, a part with each cell.
            gaps: cells that are missing, which are not exchanged.

        Returns:
            [num_rows, *shape] int64.
        """

    def encode(
        self,
        symbols: Tensor,
        context: Tensor | None = None,
        progress: Progress | None = None,
        gaps: Gaps | None = None,
    ) -> Encoded:
        """The rows as words; see `Codec`."""
        stack, content, coded = WordStack(), 0.0, 0.0
        # the last batch first, so that the decoder, which unstacks, meets the first one first
        for rows in reversed(self._batches(len(symbols))):
            recorder, some = Recorder(), symbols[rows]
            own = None if gaps is None else gaps.rows(rows)
            self.exchange(recorder, len(some), some, _of(context, rows), progress, own)
            content += recorder.content_nats
            coded += recorder.coded_nats
            recorder.push_to(stack)
        return Encoded(stack.words, content, coded)

    def decode(
        self,
        words: np.ndarray,
        num_rows: int,
        context: Tensor | None = None,
        progress: Progress | None = None,
        gaps: Gaps | None = None,
    ) -> Tensor:
        """The rows; see `Codec`."""
        stack = WordStack(words)
        parts = [
            self.exchange(
                Reader(stack),
                rows.stop - rows.start,
                None,
                _of(context, rows),
                progress,
                None if gaps is None else gaps.rows(rows),
            )
            for rows in self._batches(num_rows)
        ]
        refuse_left_over(stack)
        return torch.cat(parts)

    def _batches(self, num_rows: int) -> list[slice]:
        size = self._options.batch_size
        return [slice(at, min(at + size, num_rows)) for at in range(0, num_rows, size)]


def refuse_left_over(stack: WordStack) -> None:
    """Refuse words of which some are left when all rows are decoded.

    Raises:
        CorruptWords: that is so.
    """
    if not stack.is_empty:
        raise CorruptWords("expected words that end with the last row, got more")


def _of(context: Tensor | None, rows: slice) -> Tensor | None:
    return None if context is None else context[rows]
