"""`as_source`: whatever a person hands to a model, as rows."""

from __future__ import annotations

from typing import Any

import numpy as np
from torch import Tensor

from ancestral.core.errors import DataError, ShapeError
from ancestral.core.specification import Column, Specification
from ancestral.data.dataset import Dataset
from ancestral.data.inference import check_fits, infer_specification, summarize
from ancestral.data.source import Source
from ancestral.data.tables import encode_table, infer_table
from ancestral.data.tensor_source import TensorSource

__all__ = ["as_source"]


def as_source(data: Any, spec: Specification | None = None) -> Source:
    """Rows to train on or to ask about.

    Args:
        data: a `Source`; or [rows, *shape] array, tensor, nested list or DataFrame, with NaN
            where a cell is missing.
        spec: what the rows must be; inferred from the values if None.

    Raises:
        DataError, ShapeError: the data cannot be read, or are not what `spec` says.

    Example:
        >>> as_source(np.array([[0, 1], [1, 1]])).spec.kind
        <Kind.BINARY: 'binary'>
    """
    if isinstance(data, Dataset):
        raise DataError(
            f"expected rows, got the data set {data.name!r}, which has several splits",
            hint="name one of them: dataset.train, dataset.valid or dataset.test",
        )
    if isinstance(data, Source):
        return data if spec is None else _checked(data, spec)
    if type(data).__name__ == "DataFrame" and hasattr(data, "iloc"):
        return _from_frame(data, spec)
    array = _numbers(data)
    if spec is None:
        return TensorSource(array, infer_specification(array))
    flat = array.shape[1:] == (spec.num_dims,) != spec.shape
    if flat:  # rows of pixels, for a model of pictures
        array = array.reshape(len(array), *spec.shape)
    _check_width(array, spec)
    check_fits(spec, summarize([array]), array.shape[1:])
    return TensorSource(array, spec)


def _checked(source: Source, spec: Specification) -> Source:
    if source.spec.shape != spec.shape:
        raise ShapeError(
            f"expected rows of shape {list(spec.shape)}, got {list(source.spec.shape)}",
            hint="the model was trained on rows of the first shape",
        )
    if source.spec.kinds != spec.kinds:
        raise DataError(
            f"expected cells of kind {', '.join(sorted(spec.kinds))}, "
            f"got {', '.join(sorted(source.spec.kinds))}",
            hint="load the data with like=model.spec_, or with the kind the model was trained on",
        )
    for own, other in zip(_columns(spec), _columns(source.spec), strict=True):
        if not _same_codes(own, other):
            raise DataError(
                f"expected {own.name} to be {_codes(own)}, got {_codes(other)}",
                hint="load the data with like=model.spec_, so that codes mean what they meant",
            )
    if source.spec.context and source.spec.context != spec.context:
        wanted = f"given {', '.join(spec.context)}" if spec.context else "given nothing"
        raise DataError(
            f"expected rows {wanted}, got rows given {', '.join(source.spec.context)}",
            hint="the numbers that rows are given must be those of the training rows, in order",
        )
    if source.spec.missing and not spec.missing:
        raise DataError(
            "expected complete rows, got missing cells",
            hint="the model was trained on complete rows; drop or fill the rows with gaps",
        )
    return source


def _columns(spec: Specification) -> tuple[Column, ...]:
    """One for each cell."""
    if spec.columns is not None:
        return spec.columns
    assert spec.kind is not None
    return (Column("each cell", spec.kind, spec.num_levels),) * spec.num_dims


def _same_codes(own: Column, other: Column) -> bool:
    """Whether a code means the same in both; arrays do not say what their codes mean."""
    unsaid = own.categories is None or other.categories is None
    same = (own.kind, own.num_levels) == (other.kind, other.num_levels)
    return same and (unsaid or own.categories == other.categories)


def _codes(column: Column) -> str:
    if column.categories is not None:
        return f"one of {', '.join(column.categories)}"
    levels = "" if column.num_levels is None else f" from 0 to {column.num_levels - 1}"
    return f"{column.kind}{levels}"


def _from_frame(frame: Any, spec: Specification | None) -> Source:
    spec = spec or infer_table(frame)
    if spec.columns is None:
        return as_source(frame.to_numpy(), spec)
    values = encode_table(frame, spec.columns)
    if not spec.missing and bool(np.isnan(values).any()):
        raise DataError(
            "expected complete rows, got missing cells",
            hint="the model was trained on complete rows; drop or fill the rows with gaps",
        )
    return TensorSource(values, spec)


def _numbers(data: Any) -> np.ndarray:
    """[rows, ...] of finite numbers and NaN."""
    if isinstance(data, Tensor):
        data = data.detach().cpu().numpy()
    if hasattr(data, "toarray"):
        raise DataError(
            "expected a dense array, got a sparse one",
            hint="pass data.toarray(), or an AnnData for counts",
        )
    try:
        array = np.asarray(data)
    except ValueError:
        raise DataError("expected rows of one length, got different ones") from None
    if array.dtype.kind == "c":
        raise DataError("Complex data not supported: expected real numbers")
    if array.dtype.kind not in "biuf":
        try:
            array = array.astype(np.float64)
        except (TypeError, ValueError) as error:
            raise DataError(
                f"expected an array of numbers, got {array.dtype}: {error}",
                hint="columns of text need a DataFrame or a CSV file",
            ) from None
    if array.ndim < 2:
        raise ShapeError(
            f"expected [rows, ...], got an array of shape {list(array.shape)}",
            hint="Reshape your data: x.reshape(-1, 1) for a column, x.reshape(1, -1) for a row",
        )
    if array.shape[0] == 0 or 0 in array.shape[1:]:
        what = "sample(s)" if array.shape[0] == 0 else "feature(s)"
        raise DataError(
            f"Found array with 0 {what} (shape={array.shape}) while a minimum of 1 is required."
        )
    if array.dtype.kind == "f" and bool(np.isinf(array).any()):
        raise DataError("expected finite numbers or NaN, got infinity")
    return array


def _check_width(array: np.ndarray, spec: Specification) -> None:
    if len(spec.shape) == 1 and array.ndim == 2 and array.shape[1] != spec.shape[0]:
        raise ShapeError(
            f"X has {array.shape[1]} features, but DensityEstimator is expecting "
            f"{spec.shape[0]} features as input",
            hint="each row must have the columns the model was trained on",
        )
