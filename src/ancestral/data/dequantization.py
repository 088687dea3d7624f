"""Integers as real numbers, honestly."""

from __future__ import annotations

from dataclasses import replace

import torch
from torch import Tensor

from ancestral.core.batch import Batch
from ancestral.core.errors import DataError
from ancestral.core.estimate import Kind as EstimateKind
from ancestral.core.specification import Kind, Specification
from ancestral.data.accompanied import Accompanied
from ancestral.data.noise import fixed_uniforms
from ancestral.data.redrawn import RedrawnSource
from ancestral.data.source import Source

__all__ = [
    "Dequantized",
    "as_given",
    "floored",
    "is_dequantized",
    "within_cell",
    "without_noise",
]

_NOISE = 0xDE9  # the stream of seeds for fresh draws
_REASON = "taken as real by adding uniform noise"


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
            reason=f"{spec.reason}; {_REASON}, so that a "
            "log-density is a lower bound on the log-probability of the integers".lstrip("; "),
            integers=spec,
        )
        super().__init__(source, noisy, _NOISE, fixed_seed, stream)

    @property
    def integers(self) -> Source:
        """The rows without noise."""
        return self._source

    def fresh(self, batch: Batch, generator: torch.Generator) -> Tensor:
        """New noise for every cell."""
        x = batch.x
        noise = torch.rand(x.shape, generator=generator, dtype=x.dtype, device=x.device)
        return within_cell(x, noise)

    def fixed(self, batch: Batch, seed: int) -> Tensor:
        """The one draw that evaluation uses."""
        assert batch.index is not None
        noise = fixed_uniforms(seed, batch.index, self.spec.shape)
        return within_cell(batch.x, noise.to(batch.x.dtype))


def as_given(source: Source) -> Source:
    """The same rows without the noise of dequantisation, if there is any.

    Example:
        >>> import numpy as np
        >>> from ancestral.data import TensorSource
        >>> from ancestral.core import Specification
        >>> rows = TensorSource(np.array([[3, 0]]), Specification(Kind.COUNT, (2,)))
        >>> bool((as_given(Dequantized(rows)).rows(slice(None)).x == rows.x).all())
        True
    """
    if isinstance(source, Dequantized):
        return source.integers
    if isinstance(source, Accompanied):
        inner = as_given(source.source)
        return source if inner is source.source else source.of(inner)
    return source


def is_dequantized(spec: Specification) -> bool:
    """Whether noise made real numbers of integers; also of runs that keep only the reason."""
    return spec.integers is not None or _REASON in spec.reason


def floored(y: Tensor, spec: Specification) -> Tensor:
    """The integers that numbers with noise are of, within their range.

    Args:
        y: draws of a model of x + u.
        spec: of its data.
    """
    return _in_range(y.floor(), spec)


def without_noise(y: Tensor, spec: Specification) -> Tensor:
    r"""Means of x for means of x + u: :math:`E[x] = E[x + u] - 1/2`, within their range.

    Args:
        y: expectations under a model of x + u.
        spec: of its data.
    """
    return _in_range(y - 0.5, spec)


def within_cell(x: Tensor, noise: Tensor) -> Tensor:
    """X + u, whose integer part is x.

    Args:
        x: integers.
        noise: u on [0, 1).
    """
    # where x is large, x + u can round up to the next integer: the cell below would be hit
    return torch.minimum(x + noise, torch.nextafter(x + 1, x))


def _in_range(x: Tensor, spec: Specification) -> Tensor:
    of = spec.integers
    top = None if of is None else (1 if of.kind is Kind.BINARY else (of.num_levels or 0) - 1)
    return x.clamp(0, top if top is not None and top > 0 else None)
