"""Tables of text with their gaps filled in, and not a byte of anything else changed."""

from __future__ import annotations

import csv
import gzip
import io
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

import numpy as np

from ancestral.core import Column, DataError, Kind, Specification

__all__ = ["CellFormat", "TextTable", "columns_of", "is_table_of_text", "read_table"]

_BOM = "\ufeff"
_MOST_DECIMALS = 15
_SIGNIFICANT = 6  # digits of a column that gives no example
_NUMBER = re.compile(r"[+-]?(\d*)\.?(\d*)(?:[eE][+-]?\d+)?")
_CODES = (Kind.BINARY, Kind.CATEGORICAL, Kind.LEVELS, Kind.COUNT)


def is_table_of_text(path: Path) -> bool:
    """Whether a file is one whose text can be kept as it is."""
    return path.is_file() and path.name.lower().endswith((".csv", ".csv.gz", ".tsv"))


@dataclass(frozen=True)
class TextTable:
    """A table as text: cells with their quotes and blanks, and what stands between them.

    Args:
        head: text before the rows: a byte order mark, blank lines, the header; as it is.
        names: of the columns.
        rows: cells of each row as written, quotes included.
        ends: what ends each row: the end of its line, and blank lines after it.
        delimiter: between cells.
    """

    head: str
    names: tuple[str, ...]
    rows: Sequence[Sequence[str]]
    ends: Sequence[str]
    delimiter: str = ","

    def filled(self, values: Mapping[tuple[int, int], str]) -> str:
        """The text with some cells replaced.

        Args:
            values: text of cells, quotes included, by (row, column).
        """
        lines = []
        for i, (row, end) in enumerate(zip(self.rows, self.ends, strict=True)):
            cells = [values.get((i, j), cell) for j, cell in enumerate(row)]
            lines.append(self.delimiter.join(cells) + end)
        return self.head + "".join(lines)

    def with_draws(self, draws: Iterable[Mapping[tuple[int, int], str]]) -> str:
        """All draws below each other: two columns more, the number of the draw and of the row.

        Both count from 1.
        """
        end = next((e for e in ("\r\n", "\n", "\r") if any(e in one for one in self.ends)), "\n")
        own = ("draw", "row")
        while set(own) & set(self.names):
            own = tuple(f"{name}_" for name in own)
        lines = [self.delimiter.join((*own, *(self._quoted(name) for name in self.names)))]
        for number, values in enumerate(draws, 1):
            for i, row in enumerate(self.rows):
                cells = [values.get((i, j), cell) for j, cell in enumerate(row)]
                lines.append(self.delimiter.join((str(number), str(i + 1), *cells)))
        return (_BOM if self.head.startswith(_BOM) else "") + end.join(lines) + end

    def first(self, num_rows: int) -> TextTable:
        """The first rows."""
        if num_rows == len(self.rows):
            return self
        return replace(self, rows=self.rows[:num_rows], ends=self.ends[:num_rows])

    def with_header(self) -> TextTable:
        """The same with the names of the columns in front."""
        head = self.delimiter.join(self._quoted(name) for name in self.names) + "\n"
        return replace(self, head=head)

    def formats(
        self, columns: Sequence[Column], observed: np.ndarray
    ) -> list[tuple[int, CellFormat]]:
        """Of each column of a model, where it stands here and how its cells are written.

        Args:
            columns: of the model.
            observed: [rows, columns] bool.
        """
        found = []
        for k, column in enumerate(columns):
            at = self.names.index(column.name)
            seen = [row[at] for row, known in zip(self.rows, observed[:, k], strict=True) if known]
            found.append((at, CellFormat(column, tuple(seen), self.delimiter)))
        return found

    def _quoted(self, text: str) -> str:
        return _quoted(text, self.delimiter)


@dataclass(frozen=True)
class CellFormat:
    """How the cells of a column are written, learnt from those that are there.

    Args:
        column: what its cells are.
        examples: observed cells, as written.
        delimiter: that must not stand in a cell without quotes.

    Example:
        >>> column = Column("height", Kind.REAL)
        >>> CellFormat(column, ("1.50", "1.7")).text(1.23456)
        '1.23'
        >>> CellFormat(column, ("007", "012")).text(3.2)
        '003'
    """

    column: Column
    examples: tuple[str, ...]
    delimiter: str = ","

    def text(self, value: float, instead_of: str = "") -> str:
        """A value as a cell of this column.

        Args:
            value: a code, or a number.
            instead_of: the cell that it replaces, whose blanks in front are kept.
        """
        blank = instead_of[: len(instead_of) - len(instead_of.lstrip(" "))]
        text = self._bare(value)
        if self._quotes:
            return f'{blank}"{text.replace(chr(34), 2 * chr(34))}"'
        return blank + _quoted(text, self.delimiter)

    def _bare(self, value: float) -> str:
        column = self.column
        if column.categories is not None:
            last = len(column.categories) - 1
            return column.categories[min(max(round(value), 0), last)]
        if column.kind in _CODES:
            return self._padded(f"{round(value):.{self._decimals or 0}f}")
        decimals = self._decimals
        if decimals is None:
            return f"{value:.{_SIGNIFICANT}g}"
        if self._has_exponents:
            return f"{value:.{decimals}e}"
        if column.kind is Kind.POSITIVE:  # rounding must not make it zero
            value = max(value, 10.0**-decimals)
        text = f"{value:.{decimals}f}"
        # no minus in front of zeros
        return self._padded(text.lstrip("-") if float(text) == 0 else text)

    def _padded(self, text: str) -> str:
        """With zeros in front, as in 007, if all have as many digits and one of them begins so."""
        numbers = self._numbers
        padded = any(len(n) > 1 and n[0] == "0" and n.isdigit() for n in numbers)
        if padded and len({len(n) for n in numbers}) == 1 and text.isdigit():
            return text.zfill(len(numbers[0]))
        return text

    @cached_property
    def _numbers(self) -> list[str]:
        return [_unquoted(example).strip() for example in self.examples]

    @cached_property
    def _quotes(self) -> bool:
        """Whether all cells have quotes."""
        return bool(self.examples) and all(e.lstrip(" ").startswith('"') for e in self.examples)

    @cached_property
    def _has_exponents(self) -> bool:
        """Whether most cells have."""
        return 2 * sum("e" in n.lower() for n in self._numbers) > len(self._numbers)

    @cached_property
    def _decimals(self) -> int | None:
        """Digits after the point, as many as any cell has; None without an example."""
        matches = [_NUMBER.fullmatch(n) for n in self._numbers]
        counts = [len(match[2]) for match in matches if match is not None]
        return min(max(counts), _MOST_DECIMALS) if counts else None


def read_table(path: Path, num_rows: int) -> TextTable:
    """A table as it is written.

    Args:
        path: .csv, .csv.gz or .tsv, which the loader of tables has read already.
        num_rows: that it found.

    Raises:
        DataError: the rows cannot be told apart as the loader told them.
    """
    content = path.read_bytes()
    if content[:2] == b"\x1f\x8b":
        content = gzip.decompress(content)
    text = content.decode("utf-8")
    mark, text = (_BOM, text[1:]) if text.startswith(_BOM) else ("", text)
    first = next((line for line in text.splitlines() if line.strip()), "")
    delimiter = max(",;\t", key=first.count)
    head, records = mark, []
    for cells, end in _records(text, delimiter):
        if len(cells) == 1 and not _unquoted(cells[0]).strip():  # a blank line
            blank = cells[0] + end
            if records:
                records[-1] = (records[-1][0], records[-1][1] + blank)
            else:
                head += blank
        else:
            records.append((cells, end))
    has_header = len(records) == num_rows + 1
    if len(records) - has_header != num_rows:
        raise DataError(
            f"expected {num_rows} rows in {path}, got {len(records)} when their text was read",
            hint="write to .npz instead, or save the table again without line breaks in cells",
        )
    if has_header:
        cells, end = records.pop(0)
        head += delimiter.join(cells) + end
        names = tuple(_unquoted(cell).strip() for cell in cells)
    else:
        names = tuple(f"column_{k}" for k in range(1, len(records[0][0]) + 1))
    rows, ends = zip(*records, strict=True)
    return TextTable(head, names, rows, ends, delimiter)


def columns_of(spec: Specification) -> tuple[Column, ...]:
    """One for each cell, also of rows that came without names."""
    if spec.columns is not None:
        return spec.columns
    assert spec.kind is not None
    names = (f"column_{i + 1}" for i in range(spec.num_dims))
    return tuple(Column(name, spec.kind, spec.num_levels) for name in names)


def _records(text: str, delimiter: str) -> Iterable[tuple[list[str], str]]:
    """Cells as written and the end of the line, of each line; quoted cells may hold line ends."""
    d = re.escape(delimiter)
    cell = re.compile(rf'( *"(?:[^"]|"")*"[^{d}\r\n]*|[^{d}\r\n]*)({d}|\r\n|\n|\r|\Z)')
    cells: list[str] = []
    at = 0
    while at < len(text) or cells:
        match = cell.match(text, at)
        assert match is not None  # the second branch takes anything up to the end
        cells.append(match[1])
        at = match.end()
        if match[2] != delimiter:
            yield cells, match[2]
            cells = []


def _unquoted(cell: str) -> str:
    bare = cell.lstrip(" ")
    if not bare.startswith('"'):
        return bare
    return next(csv.reader(io.StringIO(bare)), [""])[0]


def _quoted(text: str, delimiter: str) -> str:
    """With quotes, where a reader of the table would need them."""
    if any(mark in text for mark in (delimiter, '"', "\n", "\r")) or text != text.strip():
        return f'"{text.replace(chr(34), 2 * chr(34))}"'
    return text
