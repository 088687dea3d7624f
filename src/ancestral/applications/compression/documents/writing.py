"""Numbers as a column of text writes them."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np

from ancestral.applications.compression.decimals import Decimals
from ancestral.applications.compression.grids import Floats

__all__ = ["texts_of"]


def texts_of(symbols: np.ndarray, style: dict[str, Any]) -> list[str]:
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
    if "scientific" in style:
        return partial(_in_scientific, digits=style["scientific"])
    places, zeros, width = style["places"], style["zeros"], style.get("width", 1)
    steps = 10**places if style.get("whole") else 1

    def of_decimal(symbol: int) -> str:
        if not places:
            return ("-" if symbol < 0 else "") + str(abs(symbol)).rjust(width, "0")
        digits = str(abs(symbol) * steps).rjust(places + width, "0")
        whole, part = digits[:-places], digits[-places:]
        if zeros != "all":
            part = part.rstrip("0") or ("0" if zeros == "one" else "")
        return ("-" if symbol < 0 else "") + whole + ("." + part if part else "")

    return of_decimal


def _in_scientific(symbol: int, digits: int) -> str:
    """As Python's format writes it."""
    if symbol == 0:
        return f"{0:.{digits}e}"
    mantissa, exponent = Decimals.parts(abs(symbol), digits)
    text = str(mantissa)
    return f"{'-' if symbol < 0 else ''}{text[0]}.{text[1:]}e{exponent:+03d}"
