"""Integers as real numbers, honestly."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import numpy as np
import torch
from torch import Tensor

from ancestral.core.batch import Batch
from ancestral.core.errors import DataError
from ancestral.core.estimate import Kind as EstimateKind
from ancestral.core.seeding import derived_seed
from ancestral.core.specification import Kind
from ancestral.data.noise import fixed_uniforms
from ancestral.data.source import Source

__all__ = ["Dequantized"]

_NOISE = 0xDE9  # the stream of seeds for fresh draws


class Dequantized:
    r"""Integers x with noise u uniform on [0, 1) added to each cell.

    .. math:: \log P(x) = \log \int_{[0,1)^D} p(x + u)\, du \ge E_u \log p(x + u)

    so the mean of a density's log p over this source is a lower bound on the log-probability of
    the integers, in nats of the data as given. `log_prob_kind` says so.

    The noise of a training batch is a function of (seed, epoch, number of the batch); `ordered`,
    `rows` and `sample_rows` show one fixed draw.

    Args:
        source: of binary values, levels or counts.
        fixed_seed: decides the fixed draw.
        stream: number of the split, so that equal rows of two splits are drawn apart.

    Raises:
        DataError: the source holds real numbers, or categories, which have no order.

    References:
        | A note on the evaluation of generative models (Theis et al., 2016), section 3.1
        | https://arxiv.org/abs/1511.01844
    """

    log_prob_kind: EstimateKind = "lower_bound"

    def __init__(self, source: Source, fixed_seed: int = 0, stream: int = 0) -> None:
        spec = source.spec
        if spec.kind not in (Kind.BINARY, Kind.LEVELS, Kind.COUNT):
            raise DataError(
                f"expected integers to dequantise, got {spec.kind or 'mixed columns'}",
                hint="levels, counts and binary data can be dequantised",
            )
        self._source = source
        self._fixed = (fixed_seed, stream)
        self._noise_seed = derived_seed(fixed_seed, _NOISE, stream)
        self.spec = replace(
            spec,
            kind=Kind.REAL,
            num_levels=None,
            columns=None,
            reason=f"{spec.reason}; taken as real by adding uniform noise, so that a "
            "log-density is a lower bound on the log-probability of the integers".lstrip("; "),
        )

    @property
    def labels(self) -> np.ndarray | None:
        """[rows] class codes."""
        return self._source.labels

    def __len__(self) -> int:
        return len(self._source)

    def batches(
        self, batch_size: int, *, seed: int, epoch: int, start: int = 0
    ) -> Iterator[Batch]:
        """One pass in shuffled order, with fresh noise."""
        integers = self._source.batches(batch_size, seed=seed, epoch=epoch, start=start)
        for number, batch in enumerate(integers, start):
            x = batch.x
            generator = torch.Generator(x.device)
            generator.manual_seed(derived_seed(seed, _NOISE, epoch, number))
            noise = torch.rand(x.shape, generator=generator, dtype=x.dtype, device=x.device)
            yield _noisy(batch, noise)

    def ordered(self, batch_size: int) -> Iterator[Batch]:
        """All rows in their own order, under the fixed draw."""
        for batch in self._source.ordered(batch_size):
            yield self._drawn(batch)

    def rows(self, selection: slice | np.ndarray | Tensor) -> Batch:
        """Some rows by number, under the fixed draw."""
        return self._drawn(self._source.rows(selection))

    def sample_rows(self, num_rows: int, seed: int) -> Batch:
        """Rows at random, under the fixed draw."""
        return self._drawn(self._source.sample_rows(num_rows, seed))

    def subset(self, selection: slice | np.ndarray | Tensor) -> Dequantized:
        """Some of the rows; the fixed draw follows the new numbers."""
        return Dequantized(self._source.subset(selection), *self._fixed)

    def to(self, device: torch.device | str) -> Dequantized:
        """The same rows on another device."""
        return Dequantized(self._source.to(device), *self._fixed)

    def _drawn(self, batch: Batch) -> Batch:
        assert batch.index is not None
        noise = fixed_uniforms(self._noise_seed, batch.index, self.spec.shape)
        return _noisy(batch, noise.to(batch.x.dtype))


def _noisy(batch: Batch, noise: Tensor) -> Batch:
    # Where x is large, x + u can round up to the next integer: the cell below would be hit.
    x = torch.minimum(batch.x + noise, torch.nextafter(batch.x + 1, batch.x))
    masked = x if batch.observed is None else x * batch.observed
    return Batch(masked, batch.observed, batch.index)
