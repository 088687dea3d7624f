"""Tables whose columns are of different kinds: what each is, and its cells as numbers."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING

import numpy as np

from ancestral.core.errors import DataError
from ancestral.core.registry import nearest
from ancestral.core.specification import Column, Kind, Specification
from ancestral.data.numbers import NumberSummary

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["encode_table", "infer_table", "take_label", "without_columns"]

_MOST_CATEGORIES = 200
_DISTINCT_SHARE = 0.9  # of the rows: above it a text column is a name, not a category
_FEW_ROWS = 20
_ROW_NAMES = ("rownames", "Unnamed: 0", "")


def infer_table(
    frame: pd.DataFrame, kinds: Mapping[str, Kind] | None = None, kind: Kind | None = None
) -> Specification:
    """What each column of a table is; constant columns of real numbers or text are left out.

    Args:
        frame: one row per datum; labels and unwanted columns already taken out.
        kinds: what some columns are, by name; the others are found from their values.
        kind: what every column is.

    Raises:
        DataError: a column cannot be modelled, an infinity, or an unknown name in `kinds`.
    """
    kinds = dict(kinds or {})
    names = [str(name) for name in frame.columns]
    for name in kinds:
        _check_column(name, names)
    if len(frame) == 0 or not names:
        raise DataError(f"expected a table with rows and columns, got {frame.shape}")
    columns, reasons, dropped = [], [], []
    for position, name in enumerate(names):
        series = frame.iloc[:, position]
        asked = kinds.get(name, kind)
        if asked is None and _is_row_names(series, name, position):
            dropped.append(f"{name or 'the first column'} (row numbers)")
            continue
        column, reason = _infer_column(series, name, asked)
        if column is None:
            if name in kinds:
                raise DataError(f"expected values that differ in column {name!r}, got {reason}")
            dropped.append(f"{name} ({reason})")
            continue
        columns.append(column)
        reasons.append(f"{name}: {reason}")
    if not columns:
        raise DataError("expected a column that varies, got: " + ", ".join(dropped))
    text = "; ".join(reasons) + (f"; left out: {', '.join(dropped)}" if dropped else "")
    only = {(c.kind, c.num_levels) for c in columns}
    common = next(iter(only)) if len(only) == 1 else (None, None)
    kept = [c.name for c in columns]
    missing = bool(frame.iloc[:, [names.index(k) for k in kept]].isna().to_numpy().any())
    return Specification(
        common[0],
        (len(columns),),
        num_levels=common[1],
        columns=tuple(columns),
        missing=missing,
        reason=text,
    )


def encode_table(frame: pd.DataFrame, columns: Iterable[Column]) -> np.ndarray:
    """[rows, columns] float64: text as codes, missing cells as NaN.

    Raises:
        DataError: a column is absent, or holds a category or a value it did not have before.
    """
    names = [str(name) for name in frame.columns]
    encoded = []
    for column in columns:
        _check_column(column.name, names)
        series = frame.iloc[:, names.index(column.name)]
        if column.categories is not None:
            encoded.append(_codes(series, column))
        else:
            values = _numbers(series, column.name)
            summary = NumberSummary.empty(values.dtype).updated(values, f"column {column.name!r}")
            summary.asked(column.kind, column.num_levels, f"column {column.name!r}")
            encoded.append(values)
    return np.stack(encoded, axis=1)


def take_label(
    frame: pd.DataFrame, label: str | None
) -> tuple[pd.DataFrame, np.ndarray | None, tuple[str, ...] | None]:
    """The table without its label column, the labels as codes, and what each code means."""
    if label is None:
        return frame, None, None
    _check_column(label, [str(name) for name in frame.columns])
    series = frame[label]
    codes, names = series.factorize(sort=True)
    return frame.drop(columns=[label]), codes.astype(np.int64), tuple(str(n) for n in names)


def without_columns(frame: pd.DataFrame, drop: Iterable[str]) -> pd.DataFrame:
    """The table without some columns."""
    names = [str(name) for name in frame.columns]
    drop = list(drop)
    for name in drop:
        _check_column(name, names)
    return frame.drop(columns=drop)


def _infer_column(series: pd.Series, name: str, asked: Kind | None) -> tuple[Column | None, str]:
    """The column and the reason; (None, reason) if it has nothing to model."""
    present = series.dropna()
    if len(present) == 0:
        return None, "no values"
    if _is_text(series):
        return _infer_text(series, name, asked)
    values = _numbers(series, name)
    summary = NumberSummary.empty(values.dtype).updated(values, f"column {name!r}")
    if asked is None:
        verdict = summary.verdict(is_image=False, is_column=True)
    else:
        verdict = summary.asked(asked, None, f"column {name!r}")
    if summary.low == summary.high and not verdict.kind.is_discrete:
        return None, f"always {summary.low:g}"  # a density has no bound there
    return Column(name, verdict.kind, verdict.num_levels), verdict.reason


def _infer_text(series: pd.Series, name: str, asked: Kind | None) -> tuple[Column | None, str]:
    if asked not in (None, Kind.CATEGORICAL):
        raise DataError(
            f"expected numbers in column {name!r}, which is to be {asked}, "
            f"got text such as {_first_word(series)[1]!r}",
            hint=f"--drop {name} or --label {name}, or take it as categorical; cells that are "
            "missing are empty, NA or ?",
        )
    import pandas as pd

    if isinstance(series.dtype, pd.CategoricalDtype):
        categories = tuple(dict.fromkeys(str(c).strip() for c in series.cat.categories))
    else:
        categories = tuple(sorted({str(v).strip() for v in series.dropna().unique()}))
    if len(categories) == 1:
        return None, f"always {categories[0]!r}"
    num_rows = series.notna().sum()
    nearly_all = num_rows > _FEW_ROWS and len(categories) > _DISTINCT_SHARE * num_rows
    if len(categories) > _MOST_CATEGORIES or nearly_all:
        raise DataError(
            f"expected categories that repeat, at most {_MOST_CATEGORIES} of them, in text column "
            f"{name!r}, got {len(categories)} different texts in {num_rows} rows",
            hint=f"--drop {name} or --label {name}",
        )
    column = Column(name, Kind.CATEGORICAL, len(categories), categories)
    return column, f"text with {len(categories)} values: categorical"


def _codes(series: pd.Series, column: Column) -> np.ndarray:
    assert column.categories is not None
    # blanks around a word are no part of it; names that were told apart by them still are
    position = {category.strip(): code for code, category in enumerate(column.categories)}
    position |= {category: code for code, category in enumerate(column.categories)}
    missing = series.isna()
    text = series.astype(object).where(~missing, None).map(str, na_action="ignore")
    codes = text.map(lambda t: position.get(t, position.get(t.strip())), na_action="ignore")
    codes = codes.astype(np.float64)
    unknown = codes.isna() & ~missing
    if unknown.any():
        place = int(np.flatnonzero(unknown.to_numpy())[0])
        raise DataError(
            f"expected a known category in column {column.name!r}, got {text.iloc[place]!r} in "
            f"row {place}, counted from 0",
            hint="known are: "
            + ", ".join(column.categories[:10])
            + "; cells that are missing are empty, NA or ?",
        )
    return codes.to_numpy(dtype=np.float64)


def _numbers(series: pd.Series, name: str) -> np.ndarray:
    if _is_text(series):
        place, text = _first_word(series)
        raise DataError(
            f"expected numbers in column {name!r}, got {text!r} in row {place}, counted from 0",
            hint="write numbers with a point; leave missing cells empty, or write NA or ? there",
        )
    if series.dtype.kind in "mMc":
        raise DataError(
            f"expected numbers or text in column {name!r}, got {series.dtype}",
            hint=f"--drop {name}, or convert it to a number",
        )
    return series.to_numpy(dtype=np.float64, na_value=np.nan)


def _first_word(series: pd.Series) -> tuple[int, object]:
    """The first cell that is no number, and its row; the first one of all where each is one."""
    import pandas as pd

    numbers = np.asarray(pd.to_numeric(series.astype(object), errors="coerce"), dtype=np.float64)
    is_there = ~np.asarray(series.isna(), dtype=bool)
    is_word = np.isnan(numbers) & is_there
    place = int((is_word if is_word.any() else is_there).argmax())
    return place, series.iloc[place]


def _is_text(series: pd.Series) -> bool:
    import pandas as pd

    if isinstance(series.dtype, pd.CategoricalDtype):
        return True
    return pd.api.types.is_object_dtype(series) or pd.api.types.is_string_dtype(series)


def _is_row_names(series: pd.Series, name: str, position: int) -> bool:
    """Whether a first column merely counts the rows."""
    if position > 0 or name not in _ROW_NAMES or _is_text(series):
        return False
    values = series.to_numpy()
    return bool((np.diff(values) == 1).all()) and values[0] in (0, 1)


def _check_column(name: str, names: list[str]) -> None:
    if name not in names:
        raise DataError(f"expected a column {name!r}, got none", hint=nearest(name, names))
