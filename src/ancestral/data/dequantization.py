"""Integers as real numbers, honestly."""

from __future__ import annotations

from dataclasses import replace

import torch
from torch import Tensor

from ancestral.core.batch import Batch
from ancestral.core.errors import DataError
from ancestral.core.estimate import Kind as EstimateKind
from ancestral.core.specification import Kind
from ancestral.data.noise import fixed_uniforms
from ancestral.data.redrawn import RedrawnSource
from ancestral.data.source import Source

__all__ = ["Dequantized"]

_NOISE = 0xDE9  # the stream of seeds for fresh draws


class Dequantized(RedrawnSource):
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
        noisy = replace(
            spec,
            kind=Kind.REAL,
            num_levels=None,
            columns=None,
            reason=f"{spec.reason}; taken as real by adding uniform noise, so that a "
            "log-density is a lower bound on the log-probability of the integers".lstrip("; "),
        )
        super().__init__(source, noisy, _NOISE, fixed_seed, stream)

    def fresh(self, batch: Batch, generator: torch.Generator) -> Tensor:
        """New noise for every cell."""
        x = batch.x
        noise = torch.rand(x.shape, generator=generator, dtype=x.dtype, device=x.device)
        return _within_cell(x, noise)

    def fixed(self, batch: Batch, seed: int) -> Tensor:
        """The one draw that evaluation uses."""
        assert batch.index is not None
        noise = fixed_uniforms(seed, batch.index, self.spec.shape)
        return _within_cell(batch.x, noise.to(batch.x.dtype))


def _within_cell(x: Tensor, noise: Tensor) -> Tensor:
    # where x is large, x + u can round up to the next integer: the cell below would be hit
    return torch.minimum(x + noise, torch.nextafter(x + 1, x))
