"""Grey values as probabilities of a white pixel."""

from __future__ import annotations

from dataclasses import replace
from enum import StrEnum

import torch
from torch import Tensor

from ancestral.core.batch import Batch
from ancestral.core.errors import DataError
from ancestral.core.specification import Kind, Specification
from ancestral.data.noise import fixed_levels, fixed_uniforms
from ancestral.data.redrawn import RedrawnSource
from ancestral.data.source import Source
from ancestral.data.tensor_source import TensorSource

__all__ = ["Binarization", "DynamicallyBinarized", "statically_binarized"]

_NOISE = 0xB17  # the stream of seeds for fresh draws
_CHUNK = 2048


class Binarization(StrEnum):
    """How grey values become 0 and 1.

    Numbers under one are not comparable with numbers under another.
    """

    NONE = "none"
    STATIC = "static"  # one draw before training, as in Larochelle & Murray (2011)
    DYNAMIC = "dynamic"  # a fresh draw each epoch, as in Burda et al. (2016)


class DynamicallyBinarized(RedrawnSource):
    """Pixels drawn from Bernoulli(grey value / largest value), afresh each epoch.

    The draw of a training batch is a function of (seed, epoch, number of the batch). `ordered`,
    `rows` and `sample_rows` show one fixed draw, the same as `statically_binarized` gives, so
    that evaluation is repeatable.

    Args:
        source: of levels, or of values from 0 to 1.
        fixed_seed: decides the fixed draw.
        stream: number of the split, so that equal rows of two splits are drawn apart.

    Raises:
        DataError: the source holds something else.

    References:
        | Importance Weighted Autoencoders (Burda et al., 2016), section 5
        | https://arxiv.org/abs/1509.00519
    """

    def __init__(self, source: Source, fixed_seed: int = 0, stream: int = 0) -> None:
        self._num_levels = _num_levels(source.spec)
        spec = _binary(
            source.spec,
            "dynamic: each training batch is a fresh Bernoulli draw of the grey values; "
            f"evaluation uses one fixed draw (seed {fixed_seed})",
        )
        super().__init__(source, spec, _NOISE, fixed_seed, stream)

    def fresh(self, batch: Batch, generator: torch.Generator) -> Tensor:
        """A new draw of every pixel."""
        # Four 16-bit numbers from each 64-bit draw: three times as fast as a uniform for each
        # pixel, and P(white) is right to within 2**-16, and exact for black and for white.
        x = batch.x
        num_words = -(-x.numel() // 4)
        words = torch.empty(num_words, dtype=torch.int64, device=x.device)
        noise = words.random_(-(2**63), None, generator=generator).view(torch.int16)
        top = 1 if self._num_levels is None else self._num_levels - 1
        threshold = x.mul(2**16 / top).sub_(2**15)
        return (noise[: x.numel()].view(x.shape).to(x.dtype) < threshold).to(x.dtype)

    def fixed(self, batch: Batch, seed: int) -> Tensor:
        """The one draw that evaluation uses."""
        assert batch.index is not None
        shape = self.spec.shape
        if self._num_levels is None:
            drawn = fixed_uniforms(seed, batch.index, shape) < batch.x
        else:
            drawn = fixed_levels(seed, batch.index, shape, self._num_levels - 1) < batch.x
        return drawn.to(batch.x.dtype)


def statically_binarized(source: Source, seed: int = 0, stream: int = 0) -> TensorSource:
    """One Bernoulli draw of all pixels, kept in memory as 0 and 1.

    Args:
        source: of levels, or of values from 0 to 1.
        seed: decides the draw, which is the fixed draw of `DynamicallyBinarized`: numbers of a
            statically and a dynamically binarised model are of the same test images.
        stream: number of the split.
    """
    dynamic = DynamicallyBinarized(source, seed, stream)
    drawn, masks = [], []
    for batch in dynamic.ordered(_CHUNK):
        drawn.append(batch.x.to(torch.uint8))
        masks.append(batch.observed)
    observed = None if masks[0] is None else torch.cat([m for m in masks if m is not None])
    text = f"static: one Bernoulli draw of the grey values before training (seed {seed})"
    spec = _binary(source.spec, text)
    return TensorSource(torch.cat(drawn), spec, observed=observed, labels=source.labels)


def _zeroed(x: Tensor, batch: Batch) -> Tensor:
    return x if batch.observed is None else x * batch.observed


def _num_levels(spec: Specification) -> int | None:
    """Number of grey values; None where they are fractions."""
    if spec.kind == Kind.LEVELS:
        return spec.num_levels
    if spec.kind == Kind.UNIT:
        return None
    raise DataError(
        f"expected grey values to binarise, got {spec.kind or 'columns of several kinds'} data",
        hint="binarization='none' takes the data as they are",
    )


def _binary(spec: Specification, text: str) -> Specification:
    return replace(spec, kind=Kind.BINARY, num_levels=None, columns=None, binarization=text)
