"""A column of a table of text: its cells as symbols, and symbols as cells."""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from ancestral.applications.compression.documents.spans import plain
from ancestral.applications.compression.grids import Floats, Fractions, Grid, Whole
from ancestral.core import Kind

__all__ = ["CodedColumn", "coded_column", "written_column"]

_DECIMAL = re.compile(r"([+-]?)(\d+)(?:\.(\d*))?\Z")
_MOST_PLACES = 15
_LARGEST = 1 << 52
_OTHER_BITS = 90  # that a cell costs which is stored as it is, about
_FLOATS = (
    "r",
    ".18e",
    ".17g",
    ".16e",
    ".15e",
    ".6e",
    ".7e",
    ".8e",
)  # r: the shortest that reads back


@dataclass(frozen=True)
class CodedColumn:
    """Cells of a column.

    Attributes:
        symbols: [rows] int64.
        grid: that they are on; None for codes.
        style: how a symbol is written, as JSON.
        others: places, as steps from one to the next, and texts of cells written otherwise.
    """

    symbols: np.ndarray
    grid: Grid | None
    style: dict[str, Any]
    others: list[list[Any]]


def coded_column(
    cells: Sequence[str],
    kind: Kind | None,
    num_levels: int | None,
    categories: tuple[str, ...] | None,
) -> CodedColumn:
    """The cells of a column as symbols, and what they do not say.

    Args:
        cells: as they stand in the file.
        kind: what they are for the model.
        num_levels: of codes.
        categories: the text of each code, for columns of text.
    """
    if categories is not None:
        return _of_categories(cells, categories)
    before, after = _around(cells)
    texts = [_inside(cell, before, after) for cell in cells]
    discrete = kind is not None and kind.is_discrete
    ways = [_decimals(texts, places) for places in _places(texts)]
    if not discrete:
        ways.append(_floats(texts))
    if discrete:
        top = _LARGEST if kind is Kind.COUNT else (num_levels or 2) - 1
        ways = [_whole(way, top) for way in ways]
    best = min((way.shortest() for way in ways), key=lambda way: way.bits)
    style = {**best.style, "around": [before, after]} if before or after else best.style
    written = _written(best, style)
    others = [(row, cell) for row, cell in enumerate(cells) if written[row] != cell]
    grid = best.grid
    if discrete:
        grid = None if kind in (Kind.BINARY, Kind.CATEGORICAL) else grid
        if kind is Kind.LEVELS:
            grid = Whole(0, (num_levels or 2) - 1)
        elif kind is Kind.COUNT:
            grid = Whole(0, int(best.symbols.max(initial=0)))
    return CodedColumn(best.symbols, grid, style, _steps(others))


def written_column(column: CodedColumn, categories: tuple[str, ...] | None) -> list[str]:
    """The cells as they stood in the file."""
    if categories is not None:
        known = list(categories)
        for code, cell in column.style.get("as", {}).items():
            known[int(code)] = cell
        found = [known[code] for code in column.symbols.tolist()]
    else:
        found = _texts(column.symbols, column.style)
    places, cells = column.others
    for row, cell in zip(np.cumsum(places).tolist(), cells, strict=True):
        found[row] = cell
    return found


def _of_categories(cells: Sequence[str], categories: tuple[str, ...]) -> CodedColumn:
    """Codes; each is written as it mostly is, with quotes or without."""
    position = {category: code for code, category in enumerate(categories)}
    known = {cell: position.get(plain(cell), -1) for cell in set(cells)}
    codes = np.array([known[cell] for cell in cells], dtype=np.int64)
    counts = Counter(cell for cell in cells if known[cell] >= 0)
    mostly: dict[int, str] = {}
    for cell, _ in counts.most_common():
        mostly.setdefault(known[cell], cell)
    style = {str(code): cell for code, cell in mostly.items() if cell != categories[code]}
    common = np.bincount(codes[codes >= 0], minlength=1).argmax()
    symbols = np.where(codes < 0, common, codes)
    others = [
        (row, cell)
        for row, cell in enumerate(cells)
        if codes[row] < 0 or mostly[int(codes[row])] != cell
    ]
    return CodedColumn(symbols, None, {"as": style} if style else {}, _steps(others))


@dataclass(frozen=True)
class _Way:
    """One way to see cells as numbers.

    Attributes:
        texts: of the cells.
        symbols: [rows]; anything where `known` is False.
        known: [rows] bool, which cells it fits.
        grid: of the symbols, before it is known how far they reach.
        styles: in which they may be written.
        style: the one in which they mostly are.
        bits: that all cells cost, roughly.
    """

    texts: list[str]
    symbols: np.ndarray
    known: np.ndarray
    grid: Grid
    styles: tuple[dict[str, Any], ...]
    style: dict[str, Any]
    bits: float = math.inf

    def shortest(self) -> _Way:
        """With the style that leaves fewest cells over; cells that do not fit get the median."""
        own = self.symbols[self.known]
        instead = np.sort(own)[len(own) // 2] if len(own) else 0
        symbols = np.where(self.known, self.symbols, instead)
        low, high = int(symbols.min(initial=instead)), int(symbols.max(initial=instead))
        rows = slice(0, 2000)  # enough to tell one style from another
        wrong = [
            sum(a != b for a, b in zip(_texts(symbols[rows], s), self.texts[rows], strict=True))
            for s in self.styles
        ]
        best = int(np.argmin(wrong))
        share = wrong[best] / max(1, len(self.texts[rows]))
        each = math.log2(high - low + 1) + share * _OTHER_BITS
        grid = _reaching(self.grid, low, high)
        return _Way(
            self.texts,
            symbols,
            self.known,
            grid,
            self.styles,
            self.styles[best],
            each * len(symbols),
        )


def _reaching(grid: Grid, low: int, high: int) -> Grid:
    if isinstance(grid, Fractions):
        return Fractions(low, high, grid.denominator)
    return Floats(low, high, grid.bits) if isinstance(grid, Floats) else Whole(low, high)


def _places(texts: list[str]) -> list[int]:
    """Numbers of decimal places that are worth a try."""
    found = Counter(
        len(match[3] or "") for match in map(_DECIMAL.match, texts) if match is not None
    )
    return sorted(places for places in found if places <= _MOST_PLACES) or [0]


def _decimals(texts: list[str], places: int) -> _Way:
    symbols = np.zeros(len(texts), dtype=np.int64)
    known = np.zeros(len(texts), dtype=bool)
    for row, text in enumerate(texts):
        match = _DECIMAL.match(text)
        if match is None or len(match[3] or "") > places:
            continue
        number = int(match[2] + (match[3] or "").ljust(places, "0"))
        if number < _LARGEST:
            symbols[row] = -number if match[1] == "-" else number
            known[row] = True
    styles = tuple({"places": places, "zeros": zeros} for zeros in ("all", "none", "one"))
    grid = Fractions(0, 0, 10**places) if places else Whole(0, 0)
    return _Way(texts, symbols, known, grid, styles if places else styles[:1], styles[0])


def _floats(texts: list[str]) -> _Way:
    values, known = np.zeros(len(texts)), np.zeros(len(texts), dtype=bool)
    for row, text in enumerate(texts):
        try:
            values[row] = float(text)
        except ValueError:
            continue
        known[row] = math.isfinite(values[row])
    values[~known] = 0
    styles = tuple({"float": form} for form in _FLOATS)
    return _Way(texts, Floats.symbols_of(values), known, Floats(0, 0), styles, styles[0])


def _whole(way: _Way, top: int) -> _Way:
    """The way for codes and counts: whole numbers from 0 to `top` only."""
    steps = way.grid.denominator if isinstance(way.grid, Fractions) else 1
    whole = way.symbols // steps
    known = way.known & (whole * steps == way.symbols) & (whole >= 0) & (whole <= top)
    styles = tuple({**style, "whole": True} for style in way.styles)
    return _Way(way.texts, whole, known, Whole(0, 0), styles, styles[0])


def _written(way: _Way, style: dict[str, Any]) -> list[str]:
    return _texts(way.symbols, style)


def _texts(symbols: np.ndarray, style: dict[str, Any]) -> list[str]:
    """Symbols as a style writes them."""
    before, after = style.get("around", ("", ""))
    write = _writer(style)
    memory: dict[int, str] = {}
    found = []
    for symbol in symbols.tolist():
        text = memory.get(symbol)
        if text is None:
            text = memory[symbol] = before + write(symbol) + after
        found.append(text)
    return found


def _writer(style: dict[str, Any]) -> Callable[[int], str]:
    if "float" in style:
        form = style["float"]

        def of_float(symbol: int) -> str:
            value = float(Floats(0, 0).number(np.array([symbol]))[0])
            return repr(value) if form == "r" else format(value, form)

        return of_float
    places, zeros = style["places"], style["zeros"]
    steps = 10**places if style.get("whole") else 1

    def of_decimal(symbol: int) -> str:
        if not places:
            return str(symbol)
        digits = str(abs(symbol) * steps).rjust(places + 1, "0")
        whole, part = digits[:-places], digits[-places:]
        if zeros != "all":
            part = part.rstrip("0") or ("0" if zeros == "one" else "")
        return ("-" if symbol < 0 else "") + whole + ("." + part if part else "")

    return of_decimal


def _around(cells: Sequence[str]) -> tuple[str, str]:
    """What mostly stands around the numbers of a column: blanks, or quotes."""
    found = Counter((cell[: len(cell) - len(s)], e) for cell, s, e in map(_ends, cells[:2000]))
    return found.most_common(1)[0][0] if found else ("", "")


def _ends(cell: str) -> tuple[str, str, str]:
    rest = cell.lstrip(' "')
    return cell, rest, rest[len(rest.rstrip(' "')) :]


def _inside(cell: str, before: str, after: str) -> str:
    if before and cell.startswith(before):
        cell = cell[len(before) :]
    if after and cell.endswith(after):
        cell = cell[: -len(after)]
    return cell.strip(' "')


def _steps(others: list[tuple[int, str]]) -> list[list[Any]]:
    places = np.diff([0, *(row for row, _ in others)]).tolist()
    return [places, [cell for _, cell in others]]
