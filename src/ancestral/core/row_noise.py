"""Noise that belongs to a row: a function of what the row is, and of nothing around it.

A generator gives the n-th number of a stream, so that what one row gets depends on how many rows
were served before it. A hash of (row, sample, number) gives any of them at once.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import torch
from torch import Tensor

from ancestral.core.batch import Batch
from ancestral.core.hashing import low32, mixed32, mixed64, row_hashes, wrapped
from ancestral.core.native_noise import native_normal
from ancestral.core.seeding import derived_seed

__all__ = ["NoiseOfRows", "RowKeys"]

_REPEATS, _NUMBERS = 0x4E9, 0x5A3F  # streams of seeds


class RowKeys:
    """Keys of rows: what a row holds, with a seed; equal rows are told apart by counting.

    A row has the same key in any batch, at any place. The second of two equal rows gets another
    key than the first, so that their noise is independent.

    Args:
        seed: of the noise.

    Example:
        >>> keys = RowKeys(seed=0)
        >>> a, b = keys.of(Batch(torch.tensor([[1.0, 2.0], [3.0, 4.0]]))).tolist()
        >>> RowKeys(seed=0).of(Batch(torch.tensor([[3.0, 4.0]]))).tolist() == [b]
        True
        >>> keys.of(Batch(torch.tensor([[3.0, 4.0]]))).tolist() == [b]
        False
    """

    def __init__(self, seed: int) -> None:
        self._seed = seed
        self._seen: Counter[int] = Counter()

    def of(self, batch: Batch) -> Tensor:
        """[batch] int64 of rows that come after those that were asked about before."""
        content = row_hashes(batch)
        numbers = []
        for key in content.tolist():
            numbers.append(self._seen[key])
            self._seen[key] += 1
        repeats = torch.tensor(numbers, dtype=torch.int64, device=content.device)
        seed = wrapped(derived_seed(self._seed, _REPEATS))
        return mixed64(content + mixed64(repeats + seed))


class NoiseOfRows:
    """Numbers that are a function of (key of the row, sample, how often one has asked, place).

    Args:
        keys: [rows] int64.

    Attributes:
        keys: as they were given.
    """

    def __init__(self, keys: Tensor) -> None:
        self.keys = keys
        self._keys = low32(keys)
        self._first, self._num_samples = 0, 0
        self._stream, self._asked = 0, 0

    @contextmanager
    def samples_from(self, first: int, num_samples: int) -> Iterator[None]:
        """Inside, samples `first` to `first + num_samples` are drawn."""
        before = self._first, self._num_samples, self._stream, self._asked
        self._first, self._num_samples, self._stream, self._asked = first, num_samples, 1, 0
        try:
            yield
        finally:
            self._first, self._num_samples, self._stream, self._asked = before

    def covers(self, shape: Sequence[int]) -> bool:
        """Whether the second axis is that of the rows."""
        return len(shape) >= 2 and shape[1] == len(self._keys)

    def uniform(self, shape: Sequence[int], like: Tensor) -> Tensor:
        """[samples, rows, ...] on [0, 1)."""
        (found,) = self._uniforms(shape[0], math.prod(shape[2:]), 1, like.dtype)
        below_one = found.clamp_max_(1 - torch.finfo(like.dtype).eps / 2)
        return below_one.to(like.dtype).reshape(tuple(shape))

    def normal(self, shape: Sequence[int], like: Tensor) -> Tensor:
        """[samples, rows, ...] from N(0, 1), by pairs (Box & Muller, 1958)."""
        size = math.prod(shape[2:])
        if like.dtype == torch.float32:
            native = self._native_normal(shape[0], size)
            if native is not None:
                return native.reshape(tuple(shape))
        first, second = self._uniforms(shape[0], -(-size // 2), 2, like.dtype)
        radius = first.neg_().log1p_().mul_(-2).sqrt_()
        angle = second.mul_(2 * math.pi)
        noise = torch.cat((angle.cos().mul_(radius), angle.sin_().mul_(radius)), -1)
        return noise[..., :size].to(like.dtype).reshape(tuple(shape))

    def _native_normal(self, num: int, size: int) -> Tensor | None:
        seed = derived_seed(_NUMBERS, self._stream, self._asked)
        seeds = derived_seed(seed, 0), derived_seed(seed, 1)
        found = native_normal(self._keys, self._start(num), num, size, seeds)
        if found is not None:
            self._asked += 1
        return found

    def _uniforms(self, num: int, size: int, how_many: int, dtype: torch.dtype) -> list[Tensor]:
        """So many tensors [samples, rows, size], in single precision at least."""
        seed = derived_seed(_NUMBERS, self._stream, self._asked)
        self._asked += 1
        if dtype != torch.float64:
            return [_of_24_bits(self._bits(num, size, seed, i)) for i in range(how_many)]
        pairs = [[self._bits(num, size, seed, 2 * i + j) for j in (0, 1)] for i in range(how_many)]
        return [_of_53_bits(high, low) for high, low in pairs]

    def _bits(self, num: int, size: int, seed: int, part: int) -> Tensor:
        """[samples, rows, size] int32."""
        device = self._keys.device
        start = self._start(num)
        samples = torch.arange(start, start + num, device=device)
        places = torch.arange(size, device=device) + wrapped(derived_seed(seed, part))
        numbers = low32(mixed64(mixed64(samples)[:, None] + places))
        return mixed32(numbers[:, None] + self._keys[:, None])

    def _start(self, num: int) -> int:
        """Number of the first of so many draws."""
        # whoever draws several for each sample must not meet those of other pieces
        return self._first * num // self._num_samples if self._num_samples else 0


def _of_24_bits(bits: Tensor) -> Tensor:
    return (bits & 0xFFFFFF).float().mul_(2.0**-24)


def _of_53_bits(high: Tensor, low: Tensor) -> Tensor:
    upper = (high.long() & 0xFFFFFFFF).double().mul_(2.0**-32)
    return upper.add_((low.long() & 0x1FFFFF).double(), alpha=2.0**-53)
