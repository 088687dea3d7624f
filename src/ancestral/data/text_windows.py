"""`TextWindows`: running text in windows, which begin elsewhere in each epoch."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor

from ancestral.core.batch import Batch
from ancestral.core.seeding import derived_seed
from ancestral.core.specification import Specification
from ancestral.data.source import check_batching, permutation
from ancestral.data.tensor_source import TensorSource

__all__ = ["TextWindows"]

_PHASE = 0x7E87  # the stream of seeds that shifts windows


class TextWindows(TensorSource):
    """A running text of which a row is a window of L symbols.

    Windows side by side would show a model the same beginnings, without what came before them,
    in every epoch. In epoch e they all begin later by a number of symbols from 0 to L - 1 that is
    a function of (seed, e); only the last is moved back, so that it ends with the text. `rows`,
    `ordered`, `sample_rows` and `subset` show the windows side by side, for evaluation.

    Args:
        windows: [rows, L] codes, side by side.
        tail: [less than L], what follows the last window.
        spec: what a window is.

    Example:
        >>> from ancestral.core import Kind
        >>> spec = Specification(Kind.CATEGORICAL, (3,), num_levels=8)
        >>> source = TextWindows(torch.arange(6).reshape(2, 3), torch.arange(6, 8), spec)
        >>> next(source.batches(2, seed=0, epoch=0)).x
        tensor([[1., 2., 3.],
                [4., 5., 6.]])
    """

    def __init__(self, windows: Tensor, tail: Tensor, spec: Specification) -> None:
        super().__init__(windows, spec)
        self._tail = tail.to(self._x.device, self._x.dtype)

    @property
    def text(self) -> Tensor:
        """[symbols], all of them, as stored."""
        return torch.cat((self._x.flatten(), self._tail))

    def batches(
        self, batch_size: int, *, seed: int, epoch: int, start: int = 0
    ) -> Iterator[Batch]:
        """One pass over windows of this epoch, in shuffled order."""
        check_batching(batch_size, start)
        text, length = self.text, self._x.shape[1]
        generator = torch.Generator().manual_seed(derived_seed(seed, _PHASE, epoch))
        phase = int(torch.randint(length, (), generator=generator))
        anywhere = text.unfold(0, length, 1)  # a view: the window at each symbol
        order = permutation(len(self), seed, epoch).to(text.device)
        first = (phase + length * order).clamp_max(len(anywhere) - 1)
        numbers = zip(order.split(batch_size), first.split(batch_size), strict=True)
        for count, (index, at) in enumerate(numbers):
            if count >= start:
                yield Batch(anywhere[at].to(torch.get_default_dtype()), None, index)

    def to(self, device: torch.device | str) -> TextWindows:
        """The same text on another device."""
        return TextWindows(self._x.to(device), self._tail.to(device), self.spec)
