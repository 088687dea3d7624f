"""What `impute` found, as files: tables, arrays, pictures."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ancestral.applications import Imputation
from ancestral.cli.contents import Content, array_of, cells_of, save_arrays
from ancestral.cli.imputed_rows import ChosenRows
from ancestral.cli.imputed_table import CellFormat, TextTable, columns_of, read_table
from ancestral.core import Column
from ancestral.data import Source, as_given

__all__ = ["Filled", "draws_formats", "filled_formats"]

_COLUMNS = 10  # images beside each other in a picture, at most
_DRAWS_PICTURED = 4


@dataclass(frozen=True, eq=False)
class Filled:
    """Rows with their gaps filled in.

    Attributes:
        chosen: the rows as they were found.
        source: the same, after cells were hidden or masked.
        completed: [rows, *shape], the best guess of each missing cell.
        found: how it was done, with the draws where a file needs them.
        draws: [rows, draws, *shape], equally weighted, or [rows, 0, *shape].
    """

    chosen: ChosenRows
    source: Source
    completed: np.ndarray
    found: Imputation
    draws: np.ndarray

    @property
    def data(self) -> np.ndarray:
        """[rows, *shape], NaN where a cell is missing."""
        return array_of(as_given(self.source))

    @property
    def truth(self) -> np.ndarray | None:
        """[rows, *shape] before cells were hidden; None if none were."""
        if self.source.spec.missing and self.chosen.source is not self.source:
            return array_of(as_given(self.chosen.source))[: len(self.source)]
        return None


Writer = Callable[[Path, Filled], None]


def filled_formats(content: Content, chosen: ChosenRows) -> dict[str, Writer]:
    """Writers of completed rows by suffix; only those that make sense."""
    found: dict[str, Writer] = {".npz": _write_arrays, ".npy": _write_completed}
    if ".csv" in content.formats:
        found[".csv"] = _write_table
        if chosen.table is not None and chosen.table.suffix.lower() == ".tsv":
            found[".tsv"] = _write_table
    if ".png" in content.formats:
        found[".png"] = _picture_writer(content)
    return found


def draws_formats(content: Content) -> dict[str, Writer]:
    """Writers of draws by suffix."""
    found: dict[str, Writer] = {".npz": _write_draw_arrays, ".npy": _write_draws}
    if ".csv" in content.formats:
        found[".csv"] = _write_long_table
    return found


def _write_completed(path: Path, filled: Filled) -> None:
    save_arrays(path, {"completed": filled.completed})


def _write_arrays(path: Path, filled: Filled) -> None:
    arrays = {"data": filled.data, "completed": filled.completed}
    save_arrays(path, arrays | filled.found.arrays())


def _write_draws(path: Path, filled: Filled) -> None:
    save_arrays(path, {"draws": filled.draws})


def _write_draw_arrays(path: Path, filled: Filled) -> None:
    data = filled.data
    save_arrays(path, {"draws": filled.draws, "data": data, "completed": filled.completed})


def _write_table(path: Path, filled: Filled) -> None:
    table, formats = _table(filled)
    text = table.filled(_cells(table, formats, filled.data, filled.completed))
    path.write_bytes(text.encode("utf-8"))


def _write_long_table(path: Path, filled: Filled) -> None:
    table, formats = _table(filled)
    data = filled.data
    draws = (
        _cells(table, formats, data, filled.draws[:, i]) for i in range(filled.draws.shape[1])
    )
    path.write_bytes(table.with_draws(draws).encode("utf-8"))


def _table(filled: Filled) -> tuple[TextTable, list[tuple[int, CellFormat]]]:
    """The table that the rows came from, or one made of them, and how its cells are written."""
    data, spec = filled.data, filled.source.spec
    columns = columns_of(spec)
    original = array_of(as_given(filled.chosen.source))
    if filled.chosen.table is None:
        table = _made(columns, data)
    else:
        table = read_table(filled.chosen.table, len(original))
    # cells that were hidden are examples, too: they are in the file
    shown = table.formats(columns, ~np.isnan(original[: len(table.rows)]))
    return table.first(len(data)), shown


def _made(columns: tuple[Column, ...], data: np.ndarray) -> TextTable:
    """A table of rows that came without one."""
    names = tuple(column.name for column in columns)
    cells = [cells_of(column, data[:, i]) for i, column in enumerate(columns)]
    rows = [list(row) for row in zip(*cells, strict=True)]
    empty = TextTable("", names, rows, ["\n"] * len(rows))
    return empty.with_header()


def _cells(
    table: TextTable,
    formats: list[tuple[int, CellFormat]],
    data: np.ndarray,
    values: np.ndarray,
) -> dict[tuple[int, int], str]:
    """Text of the missing cells, by their place in the table."""
    found = {}
    for k, (at, how) in enumerate(formats):
        for i in np.isnan(data[:, k]).nonzero()[0].tolist():
            found[i, at] = how.text(float(values[i, k]), table.rows[i][at])
    return found


def _picture_writer(content: Content) -> Writer:
    def write(path: Path, filled: Filled) -> None:
        """Given images, the best guess, draws, and the truth where it is known, row by row."""
        from ancestral.plots import ImageRow, image_rows, save

        data, truth = filled.data, filled.truth
        width = (content.spec.image_shape or (0, 1, 0))[1]
        columns = max(2, min(_COLUMNS, len(data), _COLUMNS * 40 // max(40, width)))
        shown: list[tuple[str, np.ndarray]] = [("given", data), ("best guess", filled.completed)]
        shown += [
            (f"draw {i + 1}", filled.draws[:, i])
            for i in range(min(_DRAWS_PICTURED, filled.draws.shape[1]))
        ]
        shown += [] if truth is None else [("truth", truth)]
        rows = []
        for first in range(0, len(data), columns):
            for label, images in shown:
                pixels = content.pixels(images)[first : first + columns]
                short = columns - len(pixels)
                pad = np.ones((short, *pixels.shape[1:]))
                rows.append(ImageRow(np.concatenate((pixels, pad)), label))
        save(image_rows(rows), path)

    return write
