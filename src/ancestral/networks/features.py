"""`InputFeatures`: data of any kind as the numbers that networks like."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ancestral.core import Column, DataDependent, Kind, Specification
from ancestral.core.shapes import numel

__all__ = ["InputFeatures"]


class InputFeatures(nn.Module, DataDependent):
    r"""x as given -> centred and scaled features, with zeros where cells are missing.

    Binary cells are centred; levels, real and unit cells standardised; counts and positive cells
    standardised after log(1 + x) and log x; categories one-hot, centred. Where cells can be
    missing, the mask is appended: an encoder has to tell a missing cell from an average one.
    Statistics come from the training data, cell by cell for tables and vectors and, for the
    scale, pooled over an image (dead border pixels would otherwise explode).

    Args:
        spec: what x is.

    Shape:
        [..., *spec.shape] -> [..., *output_shape]
    """

    loc: Tensor
    scale: Tensor

    def __init__(self, spec: Specification) -> None:
        super().__init__()
        self.spec = spec
        self._codes = _one_hot_sizes(spec)
        expanded = spec.num_dims if self._codes is None else sum(self._codes)
        self._keeps_shape = self._codes is None and not spec.missing
        self.output_shape: tuple[int, ...] = (
            spec.shape if self._keeps_shape else (expanded + spec.num_dims * spec.missing,)
        )
        self.num_outputs = numel(self.output_shape)
        self.register_buffer("loc", torch.zeros(expanded))
        self.register_buffer("scale", torch.ones(expanded))

    def initialize(self, x: Tensor, observed: Tensor | None = None) -> None:
        """Centre and scale from training rows; missing cells do not count."""
        values, seen = self._expanded(x, observed)
        weight = torch.ones_like(values) if seen is None else seen.to(values.dtype)
        # sums in double: those of many values far from zero lose their digits in float32
        count = weight.sum(0, dtype=torch.float64).clamp_min(1)
        loc = ((values * weight).sum(0, dtype=torch.float64) / count).to(values.dtype)
        squares = ((values - loc) * weight).square().sum(0, dtype=torch.float64)
        variance = torch.where(_constant(values, seen), 0.0, squares / count)
        if self.spec.image_shape is not None:
            variance = variance.mean().expand_as(variance)
        keep = (variance <= 0) | self._indicators()
        self.loc.copy_(loc)
        self.scale.copy_(torch.where(keep, 1.0, variance.sqrt()))

    def forward(self, x: Tensor, observed: Tensor | None = None) -> Tensor:
        """[..., *spec.shape] -> [..., *output_shape]."""
        values, seen = self._expanded(x, observed)
        features = values - self.loc
        if self.spec.kind is not Kind.BINARY:  # whose scale is 1
            features = features / self.scale
        if seen is not None:
            features = features * seen
        if self.spec.missing:
            flags = (
                torch.ones_like(features[..., : self.spec.num_dims])
                if observed is None
                else observed.reshape(*features.shape[:-1], -1).to(features.dtype)
            )
            features = torch.cat((features, flags), -1)
        if self._keeps_shape:
            return features.reshape(x.shape)
        return features

    def remoteness(self, x: Tensor) -> Tensor:
        """Standard deviations of each cell from the training mean, [..., *spec.shape].

        Of counts and positive cells after the logarithm; 0 for categories and binary cells.
        """
        values, _ = self._expanded(x, None)
        away = ((values - self.loc) / self.scale).abs().masked_fill(self._indicators(), 0.0)
        if self._codes is not None:
            parts = away.split(self._codes, -1)
            away = torch.stack([part.amax(-1) for part in parts], -1)
        return away.reshape(x.shape)

    def _indicators(self) -> Tensor:
        """Features that are 0 or 1, which need no scaling: [expanded] bool."""
        unscaled = (Kind.BINARY, Kind.CATEGORICAL)
        if self._codes is None:
            return torch.full_like(self.loc, self.spec.kind in unscaled, dtype=torch.bool)
        flags = [kind in unscaled for kind in _kinds(self.spec)]
        sizes = torch.tensor(self._codes, device=self.loc.device)
        return torch.tensor(flags, device=self.loc.device).repeat_interleave(sizes)

    def _expanded(self, x: Tensor, observed: Tensor | None) -> tuple[Tensor, Tensor | None]:
        """Flat transformed cells [..., expanded], categories one-hot; and their mask."""
        flat = x.reshape(*x.shape[: x.ndim - len(self.spec.shape)], -1)
        seen = None if observed is None else observed.reshape(flat.shape)
        if self._codes is None:
            return _transformed(flat, self.spec.kind), seen
        kinds = _kinds(self.spec)
        values, masks = [], []
        for j, (kind, size) in enumerate(zip(kinds, self._codes, strict=True)):
            cell = flat[..., j]
            if kind is Kind.CATEGORICAL:
                values.append(F.one_hot(cell.long(), size).to(flat.dtype))
            else:
                values.append(_transformed(cell, kind).unsqueeze(-1))
            if seen is not None:
                masks.append(seen[..., j, None].expand(*cell.shape, size))
        return torch.cat(values, -1), torch.cat(masks, -1) if masks else None


def _constant(values: Tensor, seen: Tensor | None) -> Tensor:
    """Features that never change; their variance is 0, and not what rounding makes of it."""
    if seen is None:
        return values.amax(0) == values.amin(0)
    highest = values.masked_fill(~seen, -torch.inf).amax(0)
    return highest <= values.masked_fill(~seen, torch.inf).amin(0)


def _transformed(x: Tensor, kind: Kind | None) -> Tensor:
    if kind is Kind.COUNT:
        return x.log1p()
    if kind is Kind.POSITIVE:
        return x.clamp_min(torch.finfo(x.dtype).tiny).log()  # missing cells hold zero
    return x


def _kinds(spec: Specification) -> list[Kind]:
    if spec.columns is not None:
        return [column.kind for column in spec.columns]
    assert spec.kind is not None
    return [spec.kind] * spec.num_dims


def _one_hot_sizes(spec: Specification) -> list[int] | None:
    """Features of each cell; None if every cell is one feature and all are of one kind."""
    if spec.columns is None and spec.kind is Kind.CATEGORICAL:
        return [spec.num_levels or 0] * spec.num_dims
    if spec.columns is None or spec.kinds <= {spec.kind} - {Kind.CATEGORICAL}:
        return None
    return [_size(column) for column in spec.columns]


def _size(column: Column) -> int:
    return (column.num_levels or 0) if column.kind is Kind.CATEGORICAL else 1
