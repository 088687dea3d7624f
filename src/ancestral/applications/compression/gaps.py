"""`Gaps`: which cells are missing, what stands for them, and how both are stored."""

from __future__ import annotations

import struct
import zlib
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from ancestral.applications.compression.entropy import CorruptWords
from ancestral.applications.compression.latent_stack import LatentStack
from ancestral.core import Batch

__all__ = ["Gaps", "batch_of", "gaps_of"]

_PLAIN, _BY_COLUMN, _ALIKE = range(3)
_COUNTED = 1 << 23  # rows, beyond which counts are not coded


@dataclass(frozen=True)
class Gaps:
    """Cells that are missing: they are not coded, and a guess is what networks see there.

    Args:
        observed: [rows, *shape] bool, False where a cell is missing.
        guess: [*shape] int64, symbols that stand for missing cells.

    Example:
        >>> gaps = Gaps(torch.tensor([[True, False], [True, True]]), torch.tensor([0, 5]))
        >>> again = Gaps.from_bytes(gaps.to_bytes(), 2, (2,))
        >>> bool((again.observed == gaps.observed).all()), again.filled[0].tolist()
        (True, [0, 5])
    """

    observed: Tensor
    guess: Tensor

    def rows(self, selection: slice | Tensor) -> Gaps:
        """Those of some rows."""
        return Gaps(self.observed[selection], self.guess)

    @property
    def filled(self) -> Tensor:
        """[rows, *shape] int64, the guess for every row: a view."""
        return self.guess.expand(self.observed.shape)

    @property
    def seen(self) -> np.ndarray:
        """[rows * cells] bool."""
        return self.observed.numpy().ravel()

    def sites(self, num_sites: int, width: int) -> tuple[np.ndarray, np.ndarray]:
        """What is observed, and the guess, [rows, T, W] both."""
        shape = (len(self.observed), num_sites, width)
        return self.observed.reshape(shape).numpy(), self.filled.reshape(shape).numpy()

    def to_bytes(self) -> bytes:
        """The shortest of: plain bits, and bits coded by their share in each column or in all.

        Plain ones are for a general compressor, which finds what they have to do with each other.
        """
        mask = self.observed.flatten(1).numpy()
        plain = np.packbits(mask).tobytes()
        ways = [(len(zlib.compress(plain, 9)), _PLAIN, plain)]
        for way in (_BY_COLUMN, _ALIKE) if len(mask) < _COUNTED else ():
            coded = _coded(mask, way)
            ways.append((len(coded), way, coded))
        _, way, content = min(ways, key=lambda found: found[:2])
        return struct.pack("<BQ", way, len(content)) + content + self.guess.numpy().tobytes()

    @staticmethod
    def from_bytes(data: bytes, num_rows: int, shape: tuple[int, ...]) -> Gaps:
        """Undo `to_bytes`.

        Raises:
            CorruptWords: it did not make these bytes.
        """
        num_cells = int(np.prod(shape, dtype=np.int64))
        try:
            way, size = struct.unpack_from("<BQ", data)
            content, guess = data[9 : 9 + size], np.frombuffer(data[9 + size :], "<i8")
            if way == _PLAIN:
                bits = np.unpackbits(np.frombuffer(content, np.uint8), count=num_rows * num_cells)
            else:
                bits = _decoded(content, way, num_rows, num_cells)
            observed = torch.from_numpy(bits.astype(bool)).reshape(num_rows, *shape)
            return Gaps(observed, torch.from_numpy(guess.astype(np.int64)).reshape(shape))
        except (struct.error, ValueError, RuntimeError):
            raise CorruptWords("expected places of missing cells, got other bytes") from None


def gaps_of(symbols: np.ndarray, observed: np.ndarray) -> Gaps | None:
    """The gaps of some rows, with the median of each column as the guess; None without any.

    Args:
        symbols: [rows, *shape] int64; missing cells are set to the guess.
        observed: [rows, *shape] bool.
    """
    if observed.all():
        return None
    flat, seen = symbols.reshape(len(symbols), -1), observed.reshape(len(symbols), -1)
    guess = np.zeros(flat.shape[1], dtype=np.int64)
    for cell in np.flatnonzero(~seen.all(0)):
        own = np.sort(flat[seen[:, cell], cell])
        if len(own):
            guess[cell] = own[len(own) // 2]
        flat[~seen[:, cell], cell] = guess[cell]
    shape = symbols.shape[1:]
    return Gaps(torch.from_numpy(observed.copy()), torch.from_numpy(guess).reshape(shape))


def batch_of(x: Tensor, gaps: Gaps | None) -> Batch:
    """Rows [rows, *shape] as a posterior sees them."""
    if gaps is None:
        return Batch(x)
    observed = gaps.observed.to(x.device)
    return Batch(torch.where(observed, x, 0.0), observed)


def _coded(mask: np.ndarray, way: int) -> bytes:
    num_rows = len(mask)
    counts = mask.sum(0) if way == _BY_COLUMN else np.array([mask.sum()])
    masses = counts / (num_rows if way == _BY_COLUMN else mask.size)
    stack = LatentStack()
    stack.push_bits(mask.ravel(), np.broadcast_to(masses, mask.shape).ravel())
    for count in counts.tolist()[::-1]:
        if way == _BY_COLUMN:
            stack.push_number(count, num_rows + 1)
        else:
            for digit in np.array([count], "<u8").view(np.uint8).tolist():
                stack.push_number(digit, 256)
    return stack.words.astype("<u4").tobytes()


def _decoded(content: bytes, way: int, num_rows: int, num_cells: int) -> np.ndarray:
    stack = LatentStack(np.frombuffer(content, "<u4"))
    if way == _BY_COLUMN:
        counts = np.array([stack.pop_number(num_rows + 1) for _ in range(num_cells)])
        masses = counts / num_rows
    else:
        digits = [stack.pop_number(256) for _ in range(8)][::-1]
        masses = np.array(digits, np.uint8).view("<u8") / (num_rows * num_cells)
    shape = (num_rows, num_cells)
    return stack.pop_bits(np.broadcast_to(masses, shape).ravel())
