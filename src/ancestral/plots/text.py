"""Text on coloured ground."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from ancestral.plots.style import INK, MUTED, TEXT_SIZE, WIDTH, new_figure

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["coloured_text"]

_COLUMNS = 52  # characters of a line: as many as stand side by side in letters of TEXT_SIZE
_SPACE = 2  # characters between columns of short lines
_LINE = 0.235  # inches
_MARGIN = 0.75  # inches, for the scale below
_DARKEST = 0.7  # of the colour map, so that ink is read on all of it
_PLAIN = 0x2E80  # letters from here on are in no font that comes with matplotlib


def coloured_text(
    symbols: Sequence[str], values: np.ndarray, *, quantity: str, highest: float = 8.0
) -> Figure:
    """Symbols in reading order, each on a ground whose colour is its value.

    Line breaks are shown, and made; longer lines go on in the next. Where all lines are short,
    they stand in columns.

    Args:
        symbols: characters, or words with the space after them.
        values: [symbols], from 0 on.
        quantity: what the values are, with its unit.
        highest: value from which on the colour is the same.
    """
    from matplotlib import colormaps
    from matplotlib.collections import PatchCollection
    from matplotlib.colors import ListedColormap
    from matplotlib.patches import Rectangle

    places, num_lines = _in_columns(*_places(symbols))
    figure = new_figure(_MARGIN + _LINE * num_lines)
    axes = figure.subplots()
    shades = colormaps["OrRd"](np.linspace(0, _DARKEST, 256))
    ground = PatchCollection(
        [Rectangle((column, -line - 1), len(shown), 1) for line, column, shown in places],
        cmap=ListedColormap(shades),
        linewidths=0,
    )
    ground.set_array(np.asarray(values, dtype=float))
    ground.set_clim(0, highest)
    axes.add_collection(ground)
    for line, column, shown in places:
        for offset, letter in enumerate(shown):
            if letter != " ":
                axes.text(
                    column + offset + 0.5,
                    -line - 0.52,
                    letter,
                    family="DejaVu Sans Mono",
                    fontsize=TEXT_SIZE - 1.2,
                    color=MUTED if letter == "↵" else INK,
                    ha="center",
                    va="center_baseline",
                    parse_math=False,
                )
    axes.set_xlim(0, _COLUMNS)
    axes.set_ylim(-num_lines, 0)
    axes.axis("off")
    bar = figure.colorbar(ground, ax=axes, orientation="horizontal", aspect=40, shrink=0.7)
    bar.set_label(quantity, fontsize=TEXT_SIZE, color=INK)
    bar.ax.tick_params(labelsize=TEXT_SIZE, labelcolor=INK, colors=MUTED)
    bar.outline.set_visible(False)  # pyright: ignore[reportCallIssue]
    figure.set_figwidth(WIDTH)
    return figure


def _places(symbols: Sequence[str]) -> tuple[list[tuple[int, int, str]], int]:
    """(line, column, what is shown) of each symbol, and the number of lines."""
    places = []
    line = column = 0
    for symbol in symbols:
        shown = "".join(map(_shown, symbol))[:_COLUMNS]
        if column + len(shown.rstrip()) > _COLUMNS:
            line, column = line + 1, 0
        shown = shown[: _COLUMNS - column]
        places.append((line, column, shown))
        column += len(shown)
        if "\n" in symbol:
            line, column = line + 1, 0
    return places, line + 1


def _in_columns(
    places: list[tuple[int, int, str]], num_lines: int
) -> tuple[list[tuple[int, int, str]], int]:
    """The same lines, from top to bottom in as many columns as there is room for."""
    longest = max((column + len(shown) for _, column, shown in places), default=0) + _SPACE
    height = -(-num_lines // max(1, (_COLUMNS + _SPACE) // longest))
    moved = [
        (line % height, column + line // height * longest, shown) for line, column, shown in places
    ]
    return moved, height


def _shown(letter: str) -> str:
    if letter == "\n":
        return "↵"
    return letter if letter.isprintable() and ord(letter) < _PLAIN else "□"
