"""Pictures made of images: grids, pairs of grids, strips, and the decoded latent plane."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from ancestral.plots.style import INK, MUTED, TEXT_SIZE, TITLE_SIZE, WIDTH, new_figure

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = ["ImageRow", "heat", "image_grids", "image_rows", "latent_plane", "mosaic"]

_PIXELS = 1200  # width of a finished mosaic, at least
_GAP = (1.0, 1.0, 1.0)


@dataclass(frozen=True)
class ImageRow:
    """A row of images, and what stands at its left.

    Args:
        images: [count, height, width] or [count, height, width, 1 or 3], from 0 to 1.
        label: a word or two; "" for none.
        spaces: columns before which a wider gap is left.
    """

    images: np.ndarray
    label: str = ""
    spaces: tuple[int, ...] = ()


def mosaic(images: np.ndarray, num_columns: int, *, gap: int = 1) -> np.ndarray:
    """Put images side by side, row by row, on white.

    Args:
        images: [count, height, width] or [count, height, width, 1 or 3], from 0 (black) to 1.
        num_columns: images in a row.
        gap: pixels between images.

    Returns:
        [rows * (height + gap) - gap, columns * (width + gap) - gap, 3].

    Example:
        >>> mosaic(np.zeros((5, 4, 3)), num_columns=2).shape
        (14, 7, 3)
    """
    pixels = _as_rgb(images)
    count, height, width, _ = pixels.shape
    num_rows = math.ceil(count / num_columns)
    canvas = np.ones((num_rows * (height + gap), num_columns * (width + gap), 3))
    canvas[:] = _GAP
    for i, image in enumerate(pixels):
        top, left = (i // num_columns) * (height + gap), (i % num_columns) * (width + gap)
        canvas[top : top + height, left : left + width] = image
    return canvas[: canvas.shape[0] - gap, : canvas.shape[1] - gap]


def image_grids(grids: Sequence[tuple[str, np.ndarray]], num_columns: int) -> Figure:
    """Grids of images beside each other, each under its title.

    Args:
        grids: (title, images); images of one size in all of them.
        num_columns: of each grid.
    """
    tiles = [mosaic(images, num_columns) for _, images in grids]
    aspect = max(t.shape[0] / t.shape[1] for t in tiles)
    width = WIDTH / len(tiles)
    figure = new_figure(width * aspect + 0.32)
    figure.get_layout_engine().set(w_pad=0.04, h_pad=0.05)  # pyright: ignore
    row = figure.subplots(1, len(tiles), squeeze=False)[0]
    for axes, (title, _), tile in zip(row, grids, tiles, strict=True):
        _show(axes, tile)
        axes.set_title(title, fontsize=TITLE_SIZE, color=INK)
    return figure


def image_rows(rows: Sequence[ImageRow], column_names: Sequence[str] = ()) -> Figure:
    """Rows of images with labels: originals above reconstructions, or strips of interpolation.

    Args:
        rows: all with images of one size and number.
        column_names: above the images of the first row, a short one for each; "" for none.
    """
    strips = [_strip(row) for row in rows]
    gap = max(1, strips[0].shape[1] // 200)
    between = np.ones((gap, strips[0].shape[1], 3))
    pieces = [p for strip in strips for p in (between, strip)][1:]
    picture = np.concatenate(pieces)
    longest = max(len(row.label) for row in rows)
    labelled = longest > 0
    room = 0.1 + 0.12 * longest if labelled else 0.0
    named = any(column_names)
    height_of_names = 0.27 if named else 0.0
    figure = new_figure(
        (WIDTH - room) * picture.shape[0] / picture.shape[1] + 0.1 + height_of_names
    )
    axes = figure.subplots()
    _show(axes, picture)
    if named:
        axes.xaxis.tick_top()
        axes.set_xticks(_middles(rows[0]), column_names)
        axes.tick_params(axis="x", labelsize=TEXT_SIZE, labelcolor=INK, length=0, pad=2)
    if labelled:
        height = strips[0].shape[0]
        middles = [i * (height + gap) + height / 2 for i in range(len(rows))]
        axes.set_yticks(middles, [row.label for row in rows])
        axes.tick_params(axis="y", labelsize=TEXT_SIZE, labelcolor=INK, length=0)
    return figure


def heat(values: np.ndarray, highest: float) -> np.ndarray:
    """Numbers from 0 to `highest` as colours from black over red to yellow.

    Args:
        values: [...].
        highest: what is brightest; larger numbers look the same.

    Returns:
        [..., 3] from 0 to 1.
    """
    from matplotlib import colormaps

    scaled = np.clip(np.asarray(values, dtype=float) / (highest or 1.0), 0.0, 1.0)
    return colormaps["inferno"](scaled)[..., :3]


def latent_plane(
    images: np.ndarray, num_columns: int, axis_names: tuple[str, str], ticks: Sequence[float]
) -> Figure:
    """Images decoded from a grid of latent codes, without gaps (Kingma & Welling, 2014, fig. 4).

    Args:
        images: [rows * columns, height, width, ...], from 0 to 1, the top row first.
        num_columns: images in a row.
        axis_names: names of the horizontal and the vertical latent variable.
        ticks: values of the latent variables at the first, the middle and the last image.
    """
    picture = mosaic(images, num_columns, gap=0)
    figure = new_figure((WIDTH - 0.6) * picture.shape[0] / picture.shape[1] + 0.55)
    axes = figure.subplots()
    _show(axes, picture)
    height, width = picture.shape[:2]
    tile_height, tile_width = height * num_columns / len(images), width / num_columns
    names = [f"{tick:.1f}".replace("-", "\N{MINUS SIGN}") for tick in ticks]
    axes.set_xticks([tile_width / 2, width / 2, width - tile_width / 2], names)
    axes.set_yticks([height - tile_height / 2, height / 2, tile_height / 2], names)
    axes.tick_params(labelsize=TEXT_SIZE, colors=MUTED, labelcolor=INK, length=3)
    axes.set_xlabel(axis_names[0], fontsize=TEXT_SIZE, color=INK)
    axes.set_ylabel(axis_names[1], fontsize=TEXT_SIZE, color=INK)
    return figure


def _as_rgb(images: np.ndarray) -> np.ndarray:
    pixels = np.clip(np.asarray(images, dtype=float), 0.0, 1.0)
    if pixels.ndim == 3:
        pixels = pixels[..., None]
    return np.broadcast_to(pixels, (*pixels.shape[:3], 3))


def _strip(row: ImageRow) -> np.ndarray:
    pixels = _as_rgb(row.images)
    count, height, width, _ = pixels.shape
    pieces = [pixels[0]]
    for i in range(1, count):
        pieces += [np.ones((height, _space(row, i, width), 3)), pixels[i]]
    return np.concatenate(pieces, 1)


def _space(row: ImageRow, column: int, width: int) -> int:
    """Pixels before an image."""
    return max(2, width // 4) if column in row.spaces else max(1, width // 28)


def _middles(row: ImageRow) -> list[float]:
    """Where the images of a strip have their middles, in pixels from the left."""
    count, width = row.images.shape[0], row.images.shape[2]
    starts = [0]
    for i in range(1, count):
        starts.append(starts[-1] + width + _space(row, i, width))
    return [start + width / 2 for start in starts]


def _show(axes: Axes, picture: np.ndarray) -> None:
    """Draw pixels as squares: first enlarged a whole number of times, then smoothly to size."""
    height, width = picture.shape[:2]
    factor = max(1, math.ceil(_PIXELS / width))
    large = picture.repeat(factor, 0).repeat(factor, 1)
    axes.imshow(large, extent=(0, width, height, 0), interpolation="antialiased", aspect="equal")
    axes.set_xticks([])
    axes.set_yticks([])
    for spine in axes.spines.values():
        spine.set_visible(False)
