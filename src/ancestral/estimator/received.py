"""`Received`: rows from outside, on whatever scale, of which a model is asked."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ancestral.applications.purification import Perturbed, is_scaled
from ancestral.core import DataError, Kind, ShapeError, Specification
from ancestral.data import Source, TensorSource, as_given, as_source, statically_binarized
from ancestral.data.accompanied import Accompanied

__all__ = ["Received", "in_double"]

_DRAWS = 2  # stream of fixed draws of grey values: that of test rows


@dataclass(frozen=True)
class Received:
    """Rows as they came.

    Attributes:
        values: [rows, *shape] of the model's data, in double precision.
        spec: of the model's data; of the integers, where noise made real numbers of them.
        dtype: as the numbers came.
        shape: as the array came: [rows, 1, height, width] and rows of pixels are pictures too.
        full_scale: the number that stands for the highest level, where it is known.
        context: [rows, size], where the rows came with it.
    """

    values: np.ndarray
    spec: Specification
    dtype: np.dtype
    shape: tuple[int, ...]
    full_scale: float | None = None
    context: Tensor | None = None

    @staticmethod
    def of(X: Any, spec: Specification, full_scale: float | None = None) -> Received:
        """Rows of any kind that can be purified.

        Args:
            X: a `Source`, a DataFrame for tables, or an array.
            spec: of the model's data.
            full_scale: what the highest level is in X; None: found from the values.

        Raises:
            DataError, ShapeError: they are not what the model was trained on, or incomplete.
        """
        if isinstance(X, Source) and spec.integers is not None:
            X = as_given(X)
        spec = spec.integers or spec
        if isinstance(X, Source):
            return _from_source(X, spec, full_scale)
        if not is_scaled(spec):
            found = _from_source(as_source(X, replace(spec, missing=True)), spec, None)
            dtype = getattr(X, "dtype", None)
            floating = isinstance(dtype, np.dtype) and dtype.kind == "f"
            return replace(found, dtype=dtype) if floating else found
        array = X.detach().cpu().numpy() if isinstance(X, Tensor) else np.asarray(X)
        if array.shape[:1] == (0,):
            raise DataError(f"expected rows, got 0 samples: an array of shape {[*array.shape]}")
        pictures = _as_shaped(array, spec)
        plain = replace(spec, kind=Kind.REAL, num_levels=None, missing=False, context=())
        as_source(pictures, plain)  # refuses what are no complete rows of finite numbers
        values = np.asarray(pictures, dtype=np.float64)
        return Received(values, spec, array.dtype, array.shape, full_scale)

    def perturbed(self, epsilon: Any) -> Perturbed:
        """With how far each cell may have been moved."""
        return Perturbed.of(self.values, self.spec, epsilon, self.full_scale)

    def source(self) -> Source:
        """As the model's data: rounded to its levels, or binarised by a draw, as those were."""
        found = self.perturbed(0.0)
        spec = replace(self.spec, context=(), missing=False)
        shares = (found.values / found.full_scale).clamp(0, 1)
        is_grey = bool(((shares > 0) & (shares < 1)).any())
        if self.spec.binarization and is_grey:
            grey = replace(spec, kind=Kind.UNIT, binarization="")
            drawn = statically_binarized(TensorSource(shares.numpy(), grey), stream=_DRAWS)
            return TensorSource(drawn.rows(slice(None)).x.numpy(), spec)
        return TensorSource(found.codes(torch.float64).numpy(), spec)

    def returned(self, values: Tensor, reach: Tensor) -> np.ndarray:
        """Rows in the shape and the type of those that came.

        Args:
            values: [rows, *shape] of the model's data.
            reach: [*shape], how far a cell may be from what came, in the same units; what
                rounding to the type would add is taken off.
        """
        found = values.numpy()
        whole = bool((found == np.round(found)).all())
        keeps = self.dtype.kind == "f" or whole
        found = found.astype(self.dtype if keeps else np.float64)
        if self.dtype.kind == "f":
            found = _held(found, self.values, reach.numpy())
        return found.reshape(self.shape)


def in_double(source: Source) -> np.ndarray:
    """[rows, *shape], as exact as they are held; missing cells hold zero.

    Batches are in the model's precision, in which 185062422.25 is 185062416.
    """
    if isinstance(source, TensorSource):
        return source.x.double().cpu().numpy()
    if isinstance(source, Accompanied):
        return in_double(source.source)
    return torch.cat([batch.x for batch in source.ordered(1000)]).double().cpu().numpy()


def _held(found: np.ndarray, given: np.ndarray, reach: np.ndarray) -> np.ndarray:
    """The nearest numbers of their type towards the given ones that are within reach of them."""
    centre = given.astype(found.dtype)
    while True:
        beyond = (np.abs(found.astype(np.float64) - given) > reach) & (found != centre)
        if not beyond.any():
            return found
        found = np.where(beyond, np.nextafter(found, centre), found)


def _from_source(source: Source, spec: Specification, full_scale: float | None) -> Received:
    own = source.spec
    if is_scaled(spec) and is_scaled(own) and own.shape == spec.shape:
        if full_scale is None:
            full_scale = 1.0 if own.kind is Kind.UNIT else (own.num_levels or 2) - 1.0
    else:
        source = as_source(source, replace(spec, missing=True))  # which the cells decide
    batches = list(source.ordered(1000))
    if not batches:
        raise DataError("expected rows, got 0 samples")
    if any(batch.observed is not None and not bool(batch.observed.all()) for batch in batches):
        raise DataError(
            "expected complete rows to purify, got missing cells", hint="`impute` fills them in"
        )
    contexts = [batch.context for batch in batches if batch.context is not None]
    values = in_double(source)
    dtype = np.dtype(np.float32 if is_scaled(spec) else np.float64)
    context = torch.cat(contexts) if len(contexts) == len(batches) else None
    return Received(values, spec, dtype, tuple(values.shape), full_scale, context)


def _as_shaped(array: np.ndarray, spec: Specification) -> np.ndarray:
    """[rows, *shape], from rows of pixels or pictures with an axis of one channel."""
    rows = array.shape[:1]
    flat = array.ndim == 2 and array.shape[1] == spec.num_dims
    same = [n for n in array.shape[1:] if n != 1] == [n for n in spec.shape if n != 1]
    if array.ndim >= 2 and rows != (0,) and (flat or same):
        return array.reshape(*rows, *spec.shape)
    if array.shape == spec.shape:
        raise ShapeError(
            f"expected rows of shape {list(spec.shape)}, got a single one",
            hint="x[None] makes an array of one row",
        )
    return array
