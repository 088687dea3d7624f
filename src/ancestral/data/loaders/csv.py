"""`.csv` and `.csv.gz`: tables with or without a header."""

from __future__ import annotations

import csv
import gzip
import io
import zlib
from dataclasses import dataclass
from pathlib import Path

from ancestral.core.errors import DataError
from ancestral.data.raw import Raw, ReadOptions, Rows
from ancestral.data.tables import take_label, without_columns

__all__ = ["raw_from_frame", "read_csv"]

_MISSING = (
    *("", "?", "NA", "N/A", "n/a", "<NA>", "#N/A", "#NA", "#N/A N/A"),
    *("NaN", "nan", "-NaN", "-nan", "null", "NULL", "None"),
)


def read_csv(path: Path, options: ReadOptions) -> Raw:
    """The rows of a text table; '', NA, n/a, NaN, null and ? are missing cells.

    Commas, semicolons and tabs separate. The first line is a header unless a cell of it is a
    number; without one the columns are named column_1, column_2, ...
    """
    import pandas as pd

    text = _text(path)
    layout = _layout(text, path)
    try:
        frame = pd.read_csv(
            io.StringIO(text),
            sep=layout.delimiter,
            header=None,
            names=list(layout.names),
            skiprows=layout.first_line if layout.has_header else 0,
            index_col=False,
            na_values=list(_MISSING),
            keep_default_na=False,
            skipinitialspace=True,
            low_memory=False,
        )
    except (ValueError, pd.errors.ParserError) as error:
        raise DataError(f"expected a table of text in {path}, got: {error}") from error
    header = "with" if layout.has_header else "without"
    return raw_from_frame(frame, options, f"table {path.name} {header} a header")


def raw_from_frame(frame: object, options: ReadOptions, provenance: str) -> Raw:
    """Rows of a pandas DataFrame; its index is ignored."""
    import pandas as pd

    assert isinstance(frame, pd.DataFrame)
    names = [str(name) for name in frame.columns]
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise DataError(f"expected columns of different names, got {twice[0]!r} twice")
    frame = frame.set_axis(names, axis=1)
    frame, labels, label_names = take_label(without_columns(frame, options.drop), options.label)
    return Raw({"all": Rows(frame, labels)}, provenance=provenance, label_names=label_names)


@dataclass(frozen=True)
class _Layout:
    delimiter: str
    names: tuple[str, ...]
    has_header: bool
    first_line: int  # lines up to and with the header


def _text(path: Path) -> str:
    try:
        content = path.read_bytes()
        if content[:2] == b"\x1f\x8b" or path.suffix == ".gz":
            content = gzip.decompress(content)
        return content.decode("utf-8-sig")
    except (gzip.BadGzipFile, EOFError, zlib.error) as error:
        raise DataError(
            f"expected a gzip file, got a damaged one: {path}",
            hint="copy or download the file again",
        ) from error
    except UnicodeDecodeError as error:
        raise DataError(
            f"expected UTF-8 text in {path}, got byte {content[error.start]:#04x} at "
            f"{error.start}",
            hint="is it a .csv file? convert it with iconv -t utf-8",
        ) from error


def _layout(text: str, path: Path) -> _Layout:
    """Delimiter and header, and a check that all lines have as many cells."""
    first = next((line for line in text.splitlines() if line.strip()), "")
    delimiter = max(",;\t", key=first.count)
    reader = csv.reader(io.StringIO(text), delimiter=delimiter, skipinitialspace=True)
    head, head_line, num_rows = None, 0, 0
    try:
        for row in reader:
            if not row or (len(row) == 1 and not row[0].strip()):
                continue
            if head is None:
                head, head_line = row, reader.line_num
            elif len(row) != len(head):
                raise DataError(
                    f"expected {len(head)} cells in line {reader.line_num} of {path}, "
                    f"got {len(row)}",
                    hint="quote cells that contain the separator",
                )
            num_rows += 1
    except csv.Error as error:
        raise DataError(f"expected a table of text in {path}, got: {error}") from error
    if head is None:
        raise DataError(f"expected rows in {path}, got none", hint="the file is empty")
    has_header = not any(_is_number(cell) for cell in head)
    if has_header and num_rows == 1:
        raise DataError(f"expected rows below the header of {path}, got none")
    names = tuple(c.strip() for c in head) if has_header else _numbered(len(head))
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise DataError(f"expected columns of different names in {path}, got {twice[0]!r} twice")
    return _Layout(delimiter, names, has_header, head_line)


def _numbered(num_columns: int) -> tuple[str, ...]:
    return tuple(f"column_{k}" for k in range(1, num_columns + 1))


def _is_number(cell: str) -> bool:
    try:
        float(cell)
    except ValueError:
        return False
    return cell.strip().lower() != "nan"
