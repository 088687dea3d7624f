"""Where the cells of a table of text are, so that all between them can be kept."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cache

from ancestral.core import DataError

__all__ = ["Layout", "Span", "layout_of", "plain"]

Span = tuple[int, int]


@dataclass(frozen=True)
class Layout:
    """The cells of a table, as places in its text.

    Attributes:
        names: of the columns; column_1, column_2, ... without a header.
        rows: spans of the cells of each row below the header, with quotes and blanks.
    """

    names: tuple[str, ...]
    rows: list[list[Span]]

    def column(self, position: int) -> list[Span]:
        """The cells of one column."""
        return [row[position] for row in self.rows]


def layout_of(text: str, name: str) -> Layout:
    """Cells by the rules by which tables are read: see `ancestral.data.loaders.csv.read_csv`.

    Args:
        text: of the file, with its ends of lines as they are.
        name: of the file, for messages.

    Raises:
        DataError: lines have different numbers of cells, or there are none.

    Example:
        >>> layout = layout_of("a;b" + chr(10) + '1;"x;y"', "t.csv")
        >>> layout.names, layout.rows
        (('a', 'b'), [[(4, 5), (6, 11)]])
    """
    begin = 1 if text.startswith("\ufeff") else 0
    first = next((line for line in text[begin:].splitlines() if line.strip()), "")
    delimiter = max(",;\t", key=first.count)
    rows = [
        row
        for row in _records(text, delimiter, begin)
        if len(row) > 1 or text[slice(*row[0])].strip()
    ]
    if not rows:
        raise DataError(f"expected rows in {name}, got none", hint="the file is empty")
    for number, row in enumerate(rows, 1):
        if len(row) != len(rows[0]):
            raise DataError(
                f"expected {len(rows[0])} cells in row {number} of {name}, got {len(row)}",
                hint="quote cells that contain the separator",
            )
    head = [plain(text[a:b]) for a, b in rows[0]]
    if any(_is_number(cell) for cell in head):
        return Layout(tuple(f"column_{k}" for k in range(1, len(head) + 1)), rows)
    return Layout(tuple(cell.strip() for cell in head), rows[1:])


def plain(cell: str) -> str:
    """A cell without blanks before it and without quotes, as a reader takes it.

    Example:
        >>> plain('  "a ""b"" c"')
        'a "b" c'
    """
    cell = cell.lstrip(" ")
    if len(cell) > 1 and cell[0] == cell[-1] == '"':
        return cell[1:-1].replace('""', '"')
    return cell


def _records(text: str, delimiter: str, at: int) -> list[list[Span]]:
    """Spans of all cells, line by line; a quoted cell may hold delimiters and ends of lines."""
    if '"' not in text:
        return _plain_records(text, delimiter, at)
    records, row = [], []
    cell = _cell(delimiter)
    while at < len(text) or row:
        match = cell.match(text, at)
        assert match is not None  # an empty cell always fits
        row.append(match.span(1))
        at = match.end()
        if match[2] != delimiter:
            records.append(row)
            row = []
    return records


@cache
def _cell(delimiter: str) -> re.Pattern[str]:
    """A cell, and what ends it. A quote opens one only at its beginning."""
    plain = rf"[^{re.escape(delimiter)}\r\n]*"
    quoted = rf' *"[^"]*(?:""[^"]*)*(?:"(?!"){plain}|\Z)'
    return re.compile(rf"({quoted}|{plain})({re.escape(delimiter)}|\r\n|\r|\n|\Z)")


def _plain_records(text: str, delimiter: str, at: int) -> list[list[Span]]:
    """The same for text without quotes, which is most, and faster."""
    records = []
    for line in _LINE.finditer(text, at):
        row, begin = [], line.start()
        for cell in (line[1] or line[2] or "").split(delimiter):
            row.append((begin, begin + len(cell)))
            begin += len(cell) + 1
        records.append(row)
    return records


_LINE = re.compile(r"([^\r\n]*)(?:\r\n|\r|\n)|([^\r\n]+)\Z")


def _is_number(cell: str) -> bool:
    try:
        float(cell)
    except ValueError:
        return False
    return cell.strip().lower() != "nan"
