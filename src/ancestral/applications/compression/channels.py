"""`Channel`: where masses meet symbols, the same for encoder and decoder.

What finds masses is written once, and asks a channel for the symbol. When encoding, the channel is
told the symbol and takes down which interval of the masses it has; when decoding, it takes the
symbol from the words. So there is one piece of code that computes masses, and it cannot compute
others for the decoder than it did for the encoder.
"""

from __future__ import annotations

from abc import ABC, abstractmethod

import numpy as np

from ancestral.applications.compression.entropy import TOTAL, WordStack, integer_masses, intervals

__all__ = ["Channel", "Reader", "Recorder"]

_TINY = 1e-300


class Channel(ABC):
    """Asked for symbols, given their masses."""

    @abstractmethod
    def exchange(
        self, masses: np.ndarray, symbols: np.ndarray | None, nats: np.ndarray | None = None
    ) -> np.ndarray:
        """The symbols of some cells.

        Args:
            masses: [n, K], at least 0; they are shares of the sum of each row.
            symbols: [n], from 0 to K - 1, if they are known, as they are when encoding.
            nats: [n], minus the log of the symbols' masses, where the masses themselves do not
                say it; NaN where they do.

        Returns:
            [n] int64.
        """


class Recorder(Channel):
    """Takes symbols down, in the order in which a decoder will ask for them.

    A stack gives back last what was put on it first, so nothing can be put on it before the last
    symbol is known: `push_to` puts all on it, from the last to the first.

    Attributes:
        content_nats: minus the log of the mass of every symbol, before masses were made integers
            and without dividing by their sum: what the model says.
        coded_nats: the same of the integer masses: what coding takes. It is less where only some
            values can be, as a file's ranges say, or where the model gives a value less than the
            least mass there is; and more by a trifle elsewhere.
    """

    def __init__(self) -> None:
        self.content_nats = self.coded_nats = 0.0
        self._parts: list[tuple[np.ndarray, np.ndarray]] = []

    def exchange(
        self, masses: np.ndarray, symbols: np.ndarray | None, nats: np.ndarray | None = None
    ) -> np.ndarray:
        """The symbols as they are."""
        assert symbols is not None
        own = np.take_along_axis(masses, symbols[:, None], -1)[:, 0]
        said = -np.log(np.maximum(own, _TINY), dtype=np.float64)
        if nats is not None:
            said = np.where(np.isnan(nats), said, nats)
        self.content_nats += float(said.sum())
        if masses.shape[-1] == 1:
            return symbols  # the only one there is
        start, mass = intervals(symbols, integer_masses(masses))
        self.coded_nats -= float(np.log(mass / TOTAL).sum())
        self._parts.append((start.astype(np.int32), mass.astype(np.int32)))
        return symbols

    def push_to(self, stack: WordStack) -> None:
        """Put all that was taken down on a stack, and forget it."""
        while self._parts:
            start, mass = self._parts.pop()
            stack.push_intervals(start, mass)


class Reader(Channel):
    """Takes symbols from a stack."""

    def __init__(self, stack: WordStack) -> None:
        self._stack = stack

    def exchange(
        self, masses: np.ndarray, symbols: np.ndarray | None, nats: np.ndarray | None = None
    ) -> np.ndarray:
        """The next symbols of the stack."""
        del symbols, nats
        if masses.shape[-1] == 1:
            return np.zeros(len(masses), dtype=np.int64)
        return self._stack.pop(integer_masses(masses)).astype(np.int64)
