"""Rows of images with a word under each, such as what a classifier says of it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from ancestral.plots.style import INK, MODEL, TEXT_SIZE, WIDTH, new_figure

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["CaptionedRow", "captioned_rows"]

_LINE = 0.2  # inches of a caption
_EDGE = 0.05


@dataclass(frozen=True)
class CaptionedRow:
    """A row of images.

    Args:
        images: [count, height, width] or [count, height, width, 3], from 0 to 1.
        captions: a word for each.
        marked: [count] bool, captions that stand out, such as wrong answers.
        label: of the row, at its left.
    """

    images: np.ndarray
    captions: Sequence[str]
    marked: np.ndarray
    label: str = ""


def captioned_rows(rows: Sequence[CaptionedRow]) -> Figure:
    """Rows of images of one size and number, above each other.

    Example:
        >>> images = np.zeros((3, 8, 8))
        >>> row = CaptionedRow(images, ["7", "2", "1"], np.array([False, True, False]), "clean")
        >>> figure = captioned_rows([row, row])
        >>> len(figure.axes)
        6
    """
    count = len(rows[0].images)
    height, width = rows[0].images.shape[1:3]
    room = 0.1 + 0.085 * max(len(row.label) for row in rows)
    side = (WIDTH - room) / count
    tall = side * height / width + _LINE
    figure = new_figure(len(rows) * tall + 2 * _EDGE)
    figure.set_layout_engine("none")
    total = len(rows) * tall + 2 * _EDGE
    for i, row in enumerate(rows):
        top = total - _EDGE - i * tall
        for j, image in enumerate(row.images):
            box = (
                (room + (j + 0.03) * side) / WIDTH,
                (top - tall + _LINE) / total,
                0.94 * side / WIDTH,
                (tall - _LINE - 0.03 * side) / total,
            )
            axes = figure.add_axes(box)
            axes.imshow(image, cmap="gray", vmin=0, vmax=1, interpolation="nearest")
            axes.set_xticks([])
            axes.set_yticks([])
            for spine in axes.spines.values():
                spine.set_visible(False)
            colour, weight = (MODEL, "bold") if row.marked[j] else (INK, "normal")
            middle = (room + (j + 0.5) * side) / WIDTH
            figure.text(
                middle,
                (top - tall + 0.5 * _LINE) / total,
                row.captions[j],
                ha="center",
                va="center",
                fontsize=TEXT_SIZE,
                color=colour,
                fontweight=weight,
            )
        centre = (top - (tall - _LINE) / 2) / total
        figure.text(0.02 / WIDTH, centre, row.label, va="center", fontsize=TEXT_SIZE, color=INK)
    return figure
