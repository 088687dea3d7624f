"""Data beside samples, for rows that are not images."""

from __future__ import annotations

import warnings
from collections.abc import Sequence

import numpy as np
from torch import nn

from ancestral.core import Batch, Column, Kind, Specification
from ancestral.evaluation.picture import Material, Picture, PictureSet, Section
from ancestral.evaluation.sequential_pictures import ByOrder, draw_like
from ancestral.models import LatentVariableModel
from ancestral.plots import (
    Marginal,
    column_means,
    correlation_matrices,
    marginals,
    series_rows,
)

__all__ = ["table_pictures"]

_MAX_MARGINALS, _MAX_CORRELATED = 12, 30
_OF_ONE_UNIT = (Kind.BINARY, Kind.COUNT, Kind.LEVELS, Kind.UNIT)  # so that means compare
_LONG, _LINES = 400, 4  # cells of a row that is drawn as a line; lines of a kind
_OF_LINES = (Kind.LEVELS, Kind.REAL, Kind.UNIT)
_FEWEST_SAMPLES, _MOST_SAMPLES = 500, 2000


def table_pictures(model: nn.Module, material: Material) -> PictureSet:
    """Columns of data and samples, their correlations, and the means of many columns."""
    spec = material.spec
    if not isinstance(model, LatentVariableModel | ByOrder):
        return PictureSet([], [])
    if len(spec.shape) != 1 or spec.kind is Kind.CATEGORICAL:
        return PictureSet([], ["There is no picture of samples for data of this kind."])
    if spec.num_dims >= _LONG and spec.kind in _OF_LINES:
        return PictureSet([_series(model, material)], [])
    count = int(np.clip(len(material.rows), _FEWEST_SAMPLES, _MOST_SAMPLES))
    samples = _drawn(model, material.rows, count)
    data = _with_gaps(material.rows)
    columns = spec.columns or _unnamed_columns(spec)
    pictures = []
    if spec.kind is not Kind.BINARY:
        pictures.append(_marginals(columns, data, samples))
    if spec.kind in _OF_ONE_UNIT:
        pictures.append(_means(spec, data, samples))
    pictures += _correlations(columns, data, samples)
    return PictureSet(pictures, [])


def _drawn(model: LatentVariableModel | ByOrder, rows: Batch, count: int) -> np.ndarray:
    by_order = isinstance(model, ByOrder)
    samples = draw_like(model, rows, count) if by_order else model.sample(count)
    return samples.double().cpu().numpy()


def _series(model: LatentVariableModel | ByOrder, material: Material) -> Picture:
    count = min(_LINES, len(material.rows))
    rows = material.rows.rows(slice(0, count))
    figure = series_rows(
        [("data", rows.x.double().cpu().numpy()), ("samples", _drawn(model, rows, count))]
    )
    caption = f"Held-out rows and as many samples, {material.spec.num_dims:,} numbers each."
    return Picture("series", Section.SAMPLES, caption, figure)


def _with_gaps(rows: Batch) -> np.ndarray:
    x = rows.x.double()
    if rows.observed is not None:
        x = x.masked_fill(~rows.observed, float("nan"))
    return x.cpu().numpy()


def _unnamed_columns(spec: Specification) -> tuple[Column, ...]:
    assert spec.kind is not None
    return tuple(
        Column(f"column {i + 1}", spec.kind, spec.num_levels) for i in range(spec.shape[0])
    )


def _marginals(columns: Sequence[Column], data: np.ndarray, samples: np.ndarray) -> Picture:
    shown = [
        Marginal(
            column.name,
            data[:, i][np.isfinite(data[:, i])],
            samples[:, i],
            _category_names(column),
            column.kind.is_discrete,
        )
        for i, column in enumerate(columns[:_MAX_MARGINALS])
        if np.isfinite(data[:, i]).any()
    ]
    caption = f"Each column of {len(data):,} held-out rows (filled) and {len(samples):,} samples"
    caption += " (line), as shares."
    if len(columns) > _MAX_MARGINALS:
        caption += f" The first {_MAX_MARGINALS} of {len(columns)} columns are shown."
    return Picture("marginals", Section.SAMPLES, caption, marginals(shown))


def _category_names(column: Column) -> tuple[str, ...] | None:
    if column.kind is Kind.BINARY:
        return column.categories or ("0", "1")
    if column.kind is not Kind.CATEGORICAL:
        return None
    assert column.num_levels is not None
    return column.categories or tuple(str(code) for code in range(column.num_levels))


def _means(spec: Specification, data: np.ndarray, samples: np.ndarray) -> Picture:
    observed = np.isfinite(data).any(0)
    of_data, of_samples = np.nanmean(data[:, observed], 0), samples[:, observed].mean(0)
    what = "share of ones" if spec.kind is Kind.BINARY else "mean"
    if spec.kind is Kind.COUNT:  # from one in a thousand to thousands
        of_data, of_samples, what = np.log1p(of_data), np.log1p(of_samples), "log(1 + mean)"
    caption = (
        f"One dot for each of {len(of_data):,} columns: the {what} of {len(data):,} held-out "
        f"rows and of {len(samples):,} samples. On the line they agree."
    )
    figure = column_means(of_data, of_samples, quantity=what)
    return Picture("column-means", Section.SAMPLES, caption, figure)


def _correlations(
    columns: Sequence[Column], data: np.ndarray, samples: np.ndarray
) -> list[Picture]:
    ordered = [i for i, c in enumerate(columns) if c.kind is not Kind.CATEGORICAL]
    if not 2 <= len(ordered) <= _MAX_CORRELATED:
        return []
    of_data, of_samples = _correlation(data[:, ordered]), _correlation(samples[:, ordered])
    difference = (of_data - of_samples)[~np.eye(len(ordered), dtype=bool)]
    caption = "Correlations between the columns that have an order, of data and of samples"
    if np.isfinite(difference).any():
        caption += f"; they differ by {np.sqrt(np.nanmean(difference**2)):.2f} (root mean square)"
    names = [columns[i].name for i in ordered]
    figure = correlation_matrices(of_data, of_samples, names)
    return [Picture("correlations", Section.SAMPLES, caption + ".", figure)]


def _correlation(x: np.ndarray) -> np.ndarray:
    """Between columns, over the rows in which both are there; NaN for constant columns."""
    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore")  # constant columns and empty pairs are NaN, as promised
        matrix = np.ma.corrcoef(np.ma.masked_invalid(x), rowvar=False)
    return np.ma.filled(matrix.astype(float), np.nan)
