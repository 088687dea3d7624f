"""`Mutated`: rows whose cells are replaced here and there, for background models."""

from __future__ import annotations

from dataclasses import replace

import torch
from torch import Tensor

from ancestral.core import Batch, DataError, Kind, OptionError, derived_seed
from ancestral.data import Source
from ancestral.data.noise import fixed_uniforms
from ancestral.data.redrawn import RedrawnSource

__all__ = ["Mutated"]

_NOISE = 0x3A7  # the stream of seeds for fresh draws
_STATISTICS = 0x3A8


class Mutated(RedrawnSource):
    r"""Rows in which each cell is replaced with a chance of `rate`.

    The new value is uniform on all codes (binary values, categories, levels), as mutations of
    DNA are; elsewhere it is that of the cell in another row. A model of such rows keeps what is
    general, the background, and loses what is special to the rows; the ratio
    p(x) / p_background(x) is then about the latter alone.

    Replacements are fresh in each epoch, and fixed for evaluation.

    Args:
        source: complete rows.
        rate: chance of each cell, above 0 and at most 1; 0.1 to 0.3 are usual.
        fixed_seed: decides the fixed draw.
        stream: number of the split.

    Raises:
        OptionError: the rate is no such number.
        DataError: cells are missing.

    Source: Ren et al., *Likelihood ratios for out-of-distribution detection*, 2019, sec. 3.
    """

    def __init__(self, source: Source, rate: float, fixed_seed: int = 0, stream: int = 0) -> None:
        if not 0 < rate <= 1:
            raise OptionError(
                f"expected a mutation rate above 0 and at most 1, got {rate}",
                hint="0.1 replaces each cell with a chance of 0.1",
            )
        spec = source.spec
        if spec.missing:
            raise DataError(
                "expected complete rows to mutate, got a source that may have gaps",
                hint="drop or fill in the rows with gaps",
            )
        text = f"each cell replaced with a chance of {rate:g}"
        mutated = replace(spec, reason=f"{spec.reason}; {text}".lstrip("; "))
        super().__init__(source, mutated, _NOISE, fixed_seed, stream)
        self._rate = rate
        # rows to take values from, where cells have no codes to draw from
        coded = spec.num_levels is not None or spec.kind is Kind.BINARY
        self._pool = None if coded else source.sample_rows(10_000, _STATISTICS).x

    def fresh(self, batch: Batch, generator: torch.Generator) -> Tensor:
        """New replacements."""
        x = batch.x
        shape = (2, *x.shape)
        uniforms = torch.rand(shape, generator=generator, dtype=x.dtype, device=x.device)
        return self._replaced(x, *uniforms)

    def fixed(self, batch: Batch, seed: int) -> Tensor:
        """The one draw that evaluation uses."""
        assert batch.index is not None
        which = fixed_uniforms(seed, batch.index, self.spec.shape)
        value = fixed_uniforms(derived_seed(seed, 1), batch.index, self.spec.shape)
        return self._replaced(batch.x, which.to(batch.x.dtype), value.to(batch.x.dtype))

    def _replaced(self, x: Tensor, which: Tensor, value: Tensor) -> Tensor:
        if self._pool is None:
            num_codes = self.spec.num_levels or 2
            new = (value * num_codes).floor().clamp_max(num_codes - 1)
        else:
            pool = self._pool.to(x.device)
            rows = (value * len(pool)).long().clamp_max(len(pool) - 1)
            new = pool.flatten(1).gather(0, rows.flatten(1)).reshape(x.shape)
        return torch.where(which < self._rate, new, x)

    def _of(self, source: Source) -> Mutated:
        return Mutated(source, self._rate, *self._fixed)
