"""A column of a table of text: its cells as symbols, and symbols as cells."""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from ancestral.applications.compression.documents.spans import plain
from ancestral.applications.compression.documents.writing import texts_of
from ancestral.applications.compression.grids import Decimals, Floats, Fractions, Grid, Whole
from ancestral.core import Kind

__all__ = ["CodedColumn", "coded_column", "written_column"]

_DECIMAL = re.compile(r"([+-]?)(\d+)(?:\.(\d*))?\Z")
_SCIENTIFIC = re.compile(r"(-?)(\d)\.(\d{1,15})e([+-]\d{2,3})\Z", re.ASCII)
_MOST_PLACES = 15
_MOST_DIGITS = 16  # of a number that can be on a grid
_LARGEST = 1 << 52
_OTHER_BITS = 90  # that a cell costs which is stored as it is, about
_FLOATS = ("r", ".18e", ".17g", ".16e")  # r: the shortest that reads back


@dataclass(frozen=True)
class CodedColumn:
    """Cells of a column.

    Attributes:
        symbols: [rows] int64.
        grid: that they are on; None for codes.
        style: how a symbol is written, as JSON.
        others: texts of cells that are written otherwise.
        known: [rows] bool, False where a cell is one of these.
    """

    symbols: np.ndarray
    grid: Grid | None
    style: dict[str, Any]
    others: list[str]
    known: np.ndarray


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
        ways += [_scientific(texts, digits) for digits in _digits(texts)]
        ways.append(_floats(texts))
    if discrete:
        top = _LARGEST if kind is Kind.COUNT else (num_levels or 2) - 1
        ways = [_whole(way, top) for way in ways]
    best = min((way.shortest() for way in ways), key=lambda way: way.bits)
    style = {**best.style, "around": [before, after]} if before or after else best.style
    written = _written(best, style)
    known = np.array([text == cell for text, cell in zip(written, cells, strict=True)], bool)
    seen = best.symbols[known]
    low, high = (int(seen.min()), int(seen.max())) if len(seen) else (0, 0)
    grid = _reaching(best.grid, low, high)
    if discrete:
        grid = None if kind in (Kind.BINARY, Kind.CATEGORICAL) else grid
        if kind is Kind.LEVELS:
            grid = Whole(0, (num_levels or 2) - 1)
        elif kind is Kind.COUNT:
            grid = Whole(0, high)
    return CodedColumn(best.symbols, grid, style, _others(cells, known), known)


def written_column(column: CodedColumn, categories: tuple[str, ...] | None) -> list[str]:
    """The cells as they stood in the file."""
    if categories is not None:
        known = list(categories)
        for code, cell in column.style.get("as", {}).items():
            known[int(code)] = cell
        found = [known[code] for code in column.symbols.tolist()]
    else:
        found = texts_of(column.symbols, column.style)
    for row, cell in zip(np.flatnonzero(~column.known).tolist(), column.others, strict=True):
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
    usual = [code >= 0 and mostly[code] == cell for code, cell in zip(codes, cells, strict=True)]
    own = np.array(usual, dtype=bool)
    return CodedColumn(symbols, None, {"as": style} if style else {}, _others(cells, own), own)


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
            sum(a != b for a, b in zip(texts_of(symbols[rows], s), self.texts[rows], strict=True))
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
    if isinstance(grid, Decimals):
        return Decimals(low, high, grid.digits)
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
        digits = match[2] + (match[3] or "").ljust(places, "0")
        if len(digits.lstrip("0")) > _MOST_DIGITS:
            continue
        number = int(digits)
        if number < _LARGEST:
            symbols[row] = -number if match[1] == "-" else number
            known[row] = True
    kinds = ("all", "none", "one") if places else ("all",)
    styles: list[dict[str, Any]] = [{"places": places, "zeros": zeros} for zeros in kinds]
    width = _width(texts)
    if width > 1:
        styles += [{**style, "width": width} for style in styles]
    grid = Fractions(0, 0, 10**places) if places else Whole(0, 0)
    return _Way(texts, symbols, known, grid, tuple(styles), styles[0])


def _width(texts: list[str]) -> int:
    """Digits before the point, where zeros fill up all numbers to as many; 0 where they do not."""
    found = [match[2] for match in map(_DECIMAL.match, texts[:2000]) if match is not None]
    if not any(len(digits) > 1 and digits[0] == "0" for digits in found):
        return 0
    return Counter(map(len, found)).most_common(1)[0][0]


def _digits(texts: list[str]) -> list[int]:
    """Numbers of digits after the point, in numbers such as 1.25e-03."""
    matches = filter(None, map(_SCIENTIFIC.match, texts[:2000]))
    return [digits for digits, _ in Counter(len(match[3]) for match in matches).most_common(2)]


def _scientific(texts: list[str], digits: int) -> _Way:
    symbols, known = np.zeros(len(texts), dtype=np.int64), np.zeros(len(texts), dtype=bool)
    for row, text in enumerate(texts):
        match = _SCIENTIFIC.match(text)
        if match is None or len(match[3]) != digits:
            continue
        size = Decimals.symbol(int(match[2] + match[3]), int(match[4]), digits)
        if size is not None:
            symbols[row], known[row] = (-size if match[1] else size), True
    style: dict[str, Any] = {"scientific": digits}
    return _Way(texts, symbols, known, Decimals(0, 0, digits), (style,), style)


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
    return texts_of(way.symbols, style)


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


def _others(cells: Sequence[str], known: np.ndarray) -> list[str]:
    return [cells[row] for row in np.flatnonzero(~known).tolist()]
