"""How the values of sites enter a causal network."""

from __future__ import annotations

from abc import abstractmethod
from enum import StrEnum

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ancestral.core import Column, DataDependent, Kind, Specification

__all__ = [
    "OneHot",
    "Plain",
    "Pooled",
    "SiteEncoding",
    "Standardized",
    "column_encoding",
    "encoding_for",
]


class SiteEncoding(nn.Module):
    """Values [..., T, W] -> numbers [..., T, E]; each site is encoded by itself.

    Attributes:
        size: E, numbers for each site.
    """

    size: int

    @abstractmethod
    def forward(self, x: Tensor) -> Tensor:
        """All sites."""

    @abstractmethod
    def at(self, value: Tensor, site: int) -> Tensor:
        """One site: [batch, W] -> [batch, E]."""

    def size_of(self, site: int) -> int:
        """Numbers that a site needs; the rest of its E are zeros that pad it."""
        del site
        return self.size


class Plain(SiteEncoding):
    """The values themselves: binary cells, and reals that are standardised already."""

    def __init__(self, width: int = 1) -> None:
        super().__init__()
        self.size = width

    def forward(self, x: Tensor) -> Tensor:
        """As they are."""
        return x

    def at(self, value: Tensor, site: int) -> Tensor:
        """As it is."""
        del site
        return value


class OneHot(SiteEncoding):
    """Codes 0 .. K - 1 as K numbers, one of which is 1.

    Args:
        num_levels: K.
        width: W; E = K W.
    """

    def __init__(self, num_levels: int, width: int = 1) -> None:
        super().__init__()
        self.num_levels = num_levels
        self.size = num_levels * width

    def forward(self, x: Tensor) -> Tensor:
        """[..., T, W] -> [..., T, W K]."""
        codes = x.long().clamp(0, self.num_levels - 1)
        return F.one_hot(codes, self.num_levels).flatten(-2).to(x.dtype)

    def at(self, value: Tensor, site: int) -> Tensor:
        """[batch, W] -> [batch, W K]."""
        del site
        return self(value)


class Pooled(StrEnum):
    """Which cells share a mean and a deviation."""

    CELLS = "cells"
    """Each has its own."""
    ALL = "all"
    """All share one, as the pixels of an image should, some of which never change."""


class Standardized(SiteEncoding, DataDependent):
    """Numbers minus their training mean, over their training deviation.

    Args:
        num_sites: T.
        width: W.
        pooled: which cells share a mean and a deviation.
    """

    loc: Tensor
    scale: Tensor

    def __init__(self, num_sites: int, width: int = 1, pooled: Pooled = Pooled.CELLS) -> None:
        super().__init__()
        self.size = width
        self.pooled = Pooled(pooled)
        self.register_buffer("loc", torch.zeros(num_sites, width))
        self.register_buffer("scale", torch.ones(num_sites, width))

    def initialize(self, x: Tensor, observed: Tensor | None = None) -> None:
        """Mean and deviation of training rows of any shape that holds T W cells."""
        del observed
        rows = x.reshape(x.shape[0], *self.loc.shape).double()
        over = (0,) if self.pooled is Pooled.CELLS else (0, 1, 2)
        loc, scale = rows.mean(over), rows.std(over, correction=0)
        self.loc.copy_(loc.expand_as(self.loc))
        self.scale.copy_(torch.where(scale > 0, scale, 1.0).expand_as(self.scale))

    def forward(self, x: Tensor) -> Tensor:
        """All sites."""
        return (x - self.loc) / self.scale

    def at(self, value: Tensor, site: int) -> Tensor:
        """One site."""
        return (value - self.loc[site]) / self.scale[site]


class _Columns(SiteEncoding, DataDependent):
    """Columns of different kinds, each padded with zeros to the widest; W = 1."""

    loc: Tensor
    scale: Tensor

    def __init__(self, columns: tuple[Column, ...]) -> None:
        super().__init__()
        self.columns = columns
        self.sizes = [_size(column) for column in columns]
        self.size = max(self.sizes)
        self.register_buffer("loc", torch.zeros(len(columns), 1))
        self.register_buffer("scale", torch.ones(len(columns), 1))

    def initialize(self, x: Tensor, observed: Tensor | None = None) -> None:
        """Mean and deviation of the transformed numbers; real ones come standardised."""
        seen = torch.ones_like(x, dtype=torch.bool) if observed is None else observed
        for j, column in enumerate(self.columns):
            as_it_is = column.kind in (Kind.CATEGORICAL, Kind.BINARY, Kind.REAL)
            if as_it_is or not bool(seen[:, j].any()):
                continue
            values = _transformed(x[:, j][seen[:, j]], column.kind).double()
            self.loc[j] = values.mean()
            deviation = values.std(correction=0)
            self.scale[j] = deviation if deviation > 0 else 1.0

    def size_of(self, site: int) -> int:
        """Categories, or 1."""
        return self.sizes[site]

    def forward(self, x: Tensor) -> Tensor:
        """[..., T, 1] -> [..., T, E]."""
        return torch.stack([self.at(x[..., j, :], j) for j in range(len(self.columns))], -2)

    def at(self, value: Tensor, site: int) -> Tensor:
        """[..., 1] -> [..., E]."""
        column = self.columns[site]
        if column.kind is Kind.CATEGORICAL:
            codes = value.squeeze(-1).long().clamp(0, self.sizes[site] - 1)
            return F.one_hot(codes, self.size).to(value.dtype)
        number = (_transformed(value, column.kind) - self.loc[site]) / self.scale[site]
        return F.pad(number, (0, self.size - 1))


def column_encoding(columns: tuple[Column, ...]) -> _Columns:
    """Columns of a table: categories one-hot, numbers standardised, skewed ones after a log."""
    return _Columns(columns)


def encoding_for(spec: Specification, width: int = 1) -> SiteEncoding:
    """The encoding that suits the data.

    Binary cells and reals (which the model's units standardise) as they are, categories one-hot,
    everything else standardised.

    Args:
        spec: what x is.
        width: W, sub-symbols of a site.
    """
    if spec.columns is not None and (spec.kind is None or spec.kind is Kind.CATEGORICAL):
        return column_encoding(spec.columns)
    if spec.kind in (Kind.BINARY, Kind.REAL):
        return Plain(width)
    if spec.kind is Kind.CATEGORICAL:
        return OneHot(spec.num_levels or 0, width)
    pooled = Pooled.CELLS if spec.image_shape is None else Pooled.ALL
    return Standardized(spec.num_dims // width, width, pooled)


def _size(column: Column) -> int:
    return (column.num_levels or 0) if column.kind is Kind.CATEGORICAL else 1


def _transformed(x: Tensor, kind: Kind) -> Tensor:
    if kind is Kind.COUNT:
        return x.log1p()
    if kind is Kind.POSITIVE:
        return x.clamp_min(torch.finfo(x.dtype).tiny).log()
    return x
