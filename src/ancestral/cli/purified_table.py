"""Tables of text in which some cells have moved, and not a byte of anything else changed."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal, InvalidOperation
from pathlib import Path

import numpy as np

from ancestral.cli.contents import cells_of, write_csv
from ancestral.cli.imputed_table import CellFormat, TextTable, columns_of
from ancestral.core import Column, Specification

__all__ = ["write_moved"]


def write_moved(
    path: Path,
    table: TextTable | None,
    spec: Specification,
    values: np.ndarray,
    given: np.ndarray,
    epsilon: float | np.ndarray,
) -> None:
    """A csv file: the text that was read, with new text where a cell has another value.

    New numbers have as many digits as it takes to read them back as they are, and are no farther
    than epsilon from the old ones as these are written, in decimal arithmetic.

    Args:
        path: of the file.
        table: the rows as they are written; None where they came from no such file.
        spec: of the run's data.
        values: [rows, columns] in double precision.
        given: [rows, columns] as they were.
        epsilon: in the units of the columns, one or one for each.
    """
    columns = columns_of(spec)
    if table is None:
        cells = [_texts(column, values[:, k]) for k, column in enumerate(columns)]
        write_csv(path, [column.name for column in columns], list(zip(*cells, strict=True)))
        return
    reach = np.broadcast_to(epsilon, (len(columns),))
    formats = table.formats(columns, np.ones(values.shape, dtype=bool))
    texts: dict[tuple[int, int], str] = {}
    for k, (at, form) in enumerate(formats):
        for row in np.flatnonzero(values[:, k] != given[:, k]).tolist():
            old = table.rows[row][at]
            texts[row, at] = _moved(form, old, float(values[row, k]), float(reach[k]))
    text = (table if table.head.strip() else table.with_header()).filled(texts)
    path.write_text(text, encoding="utf-8", newline="")


def _moved(form: CellFormat, old: str, value: float, reach: float) -> str:
    if form.column.categories is not None or form.column.kind.is_discrete:
        return form.text(value, old)
    mark = '"' if old.strip().startswith('"') else ""
    try:
        centre = Decimal(old.strip().strip('"'))
    except InvalidOperation:  # written in a way of its own, which the loader understood
        return f"{mark}{value!r}{mark}"
    while abs(Decimal(repr(value)) - centre) > Decimal(repr(reach)) and value != float(centre):
        value = float(np.nextafter(value, float(centre)))
    return f"{mark}{value!r}{mark}"


def _texts(column: Column, values: np.ndarray) -> Sequence[str]:
    if column.categories is not None or column.kind.is_discrete:
        return cells_of(column, values)
    return [repr(float(value)) for value in values]
