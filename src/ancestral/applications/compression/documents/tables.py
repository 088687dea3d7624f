"""Tables of text: cells that a model knows, and all that stands around them."""

from __future__ import annotations

import json
from typing import Any

import numpy as np

from ancestral.applications.compression.documents.columns import (
    CodedColumn,
    coded_column,
    written_column,
)
from ancestral.applications.compression.documents.document import Document, Reading, as_symbols
from ancestral.applications.compression.documents.spans import Layout, layout_of
from ancestral.applications.compression.gaps import Gaps, gaps_of
from ancestral.applications.compression.grids import Grids
from ancestral.core import DataError
from ancestral.core.registry import nearest

__all__ = ["restore_table", "table_document"]

_MARK = "\x00"  # where a cell that the model codes was taken out; no text has it


def table_document(content: bytes, reading: Reading, name: str) -> Document:
    """A `.csv` or `.tsv` file as the columns that a model knows.

    Its other columns, its header and all that stands between cells are stored as they are. A cell
    that the column's usual way of writing does not give back is stored beside, too: a number
    with more places, a category that the model never saw, an empty cell. It counts as missing.

    Args:
        content: of the file.
        reading: of the run.
        name: of the file, for messages.

    Raises:
        DataError: it is no table, or lacks a column that the model knows.
    """
    text = _text(content, name)
    layout = layout_of(text, name)
    columns = reading.spec.columns
    names = layout.names
    if columns is None:
        known = list(range(reading.spec.num_dims))
        if len(names) != len(known):
            raise DataError(
                f"expected a table of {len(known)} columns, got {len(names)} in {name}",
                hint="each row must have the columns the model was trained on",
            )
    else:
        known = [_position(column.name, names, name) for column in columns]
    coded = [
        coded_column(
            [text[a:b] for a, b in layout.column(position)],
            reading.spec.kind if columns is None else columns[k].kind,
            reading.spec.num_levels if columns is None else columns[k].num_levels,
            None if columns is None else columns[k].categories,
        )
        for k, position in enumerate(known)
    ]
    details = {"styles": [column.style for column in coded]}
    side = (
        _skeleton(text, layout, known).encode(),
        json.dumps([column.others for column in coded], separators=(",", ":")).encode(),
        json.dumps(known).encode(),
    )
    symbols = np.stack([column.symbols for column in coded], 1)
    gaps = gaps_of(symbols, np.stack([column.known for column in coded], 1))
    grids = Grids(tuple(column.grid for column in coded))
    return Document("table", content, as_symbols(symbols), grids, details, side, gaps=gaps)


def restore_table(
    details: dict[str, Any],
    side: list[bytes],
    symbols: np.ndarray,
    grids: Grids,
    reading: Reading,
    gaps: Gaps | None = None,
) -> bytes:
    """The bytes of the file."""
    skeleton, packed, known = side[0].decode(), json.loads(side[1]), json.loads(side[2])
    columns = reading.spec.columns
    seen = np.ones(symbols.shape, dtype=bool) if gaps is None else gaps.observed.numpy()
    cells = []
    for k, style in enumerate(details["styles"]):
        categories = None if columns is None else columns[k].categories
        column = CodedColumn(symbols[:, k], grids.of(k), style, packed[k], seen[:, k])
        cells.append(written_column(column, categories))
    # cells of a row stand in the order of the file, not of the model
    order = np.argsort(known, kind="stable").tolist()
    pieces = skeleton.split(_MARK)
    filled = [pieces[0]]
    at = 1
    for row in range(len(symbols)):
        for k in order:
            filled += [cells[k][row], pieces[at]]
            at += 1
    return "".join(filled).encode()


def _text(content: bytes, name: str) -> str:
    if content[:2] == b"\x1f\x8b":
        raise DataError(
            f"expected a table that is not compressed yet, got a gzip file: {name}",
            hint="gunzip it first; what comes out here is smaller than the .gz",
        )
    try:
        text = content.decode()
    except UnicodeDecodeError as error:
        raise DataError(
            f"expected UTF-8 text in {name}, got byte {content[error.start]:#04x} at "
            f"{error.start}",
            hint="is it a .csv file? convert it with iconv -t utf-8",
        ) from None
    if _MARK in text:
        raise DataError(f"expected a table of text, got a byte 0 in {name}")
    return text


def _position(column: str, names: tuple[str, ...], name: str) -> int:
    if column not in names:
        raise DataError(
            f"expected a column {column!r} in {name}, got none",
            hint=nearest(column, list(names)),
        )
    return names.index(column)


def _skeleton(text: str, layout: Layout, known: list[int]) -> str:
    """The text with a mark instead of each cell that is coded."""
    parts, at = [], 0
    order = sorted(known)
    for spans in layout.rows:
        for position in order:
            begin, end = spans[position]
            parts += [text[at:begin], _MARK]
            at = end
    return "".join((*parts, text[at:]))
