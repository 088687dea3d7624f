"""The house style: one look for every figure, safe for colour-blind eyes, legible on a phone."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = [
    "DATA",
    "GRID",
    "INK",
    "MODEL",
    "MUTED",
    "PAPER",
    "TEXT_SIZE",
    "TITLE_SIZE",
    "WIDTH",
    "class_colours",
    "legend",
    "new_figure",
    "tidy",
]

# A figure WIDTH inches wide shows text of TEXT_SIZE points as 11.2 px when it is 360 px wide.
WIDTH = 5.0
TEXT_SIZE = 11.2
TITLE_SIZE = 12.5

# Okabe & Ito (2008): told apart under every common form of colour blindness, and in grey.
DATA = "#0072B2"  # data, and training
MODEL = "#D55E00"  # the model's samples, and validation
INK = "#22272e"
MUTED = "#5b6470"
GRID = "#e3e6ea"
PAPER = "#ffffff"

# Paul Tol's muted scheme, and a grey: ten classes.
_CLASSES = (
    "#332288",
    "#CC6677",
    "#117733",
    "#88CCEE",
    "#DDCC77",
    "#882255",
    "#44AA99",
    "#999933",
    "#AA4499",
    "#777777",
)


def new_figure(height: float) -> Figure:
    """An empty figure of the house's width, which belongs to no global state.

    Args:
        height: in inches; the width is `WIDTH`.
    """
    # here, so that importing the library does not import matplotlib
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(WIDTH, height), facecolor=PAPER, layout="constrained")
    FigureCanvasAgg(figure)
    return figure


def tidy(axes: Axes, *, xlabel: str = "", ylabel: str = "", title: str = "") -> None:
    """Dress axes in the house style: two spines, a faint horizontal grid, large quiet text."""
    for side in ("top", "right"):
        axes.spines[side].set_visible(False)
    for side in ("left", "bottom"):
        axes.spines[side].set_color(MUTED)
    axes.tick_params(labelsize=TEXT_SIZE, colors=MUTED, labelcolor=INK, length=3)
    axes.grid(visible=True, axis="y", color=GRID, linewidth=0.8)
    axes.set_axisbelow(True)
    axes.set_xlabel(xlabel, fontsize=TEXT_SIZE, color=INK)
    axes.set_ylabel(ylabel, fontsize=TEXT_SIZE, color=INK)
    if title:
        axes.set_title(title, fontsize=TITLE_SIZE, color=INK, loc="left")


def legend(
    axes: Axes, loc: str, anchor: tuple[float, float] | None = None, num_columns: int = 1
) -> None:
    """A legend without a frame, on paper that lets little through.

    Args:
        axes: whose labelled artists are named.
        loc: the legend's corner, such as "lower right".
        anchor: where that corner stands, in the axes' coordinates; None: inside the axes.
        num_columns: of the legend.
    """
    axes.legend(
        loc=loc,  # pyright: ignore[reportArgumentType]
        bbox_to_anchor=anchor,
        ncols=num_columns,
        fontsize=TEXT_SIZE,
        labelcolor=INK,
        facecolor=PAPER,
        edgecolor="none",
        framealpha=0.85,
        handlelength=1.4,
        handletextpad=0.5,
        columnspacing=1.0,
        borderaxespad=0.3,
    )


def class_colours(num_classes: int) -> Sequence[str]:
    """A colour for each class; beyond ten they are steps of a scale and can be confused."""
    if num_classes <= len(_CLASSES):
        return _CLASSES[:num_classes]
    from matplotlib import colormaps
    from matplotlib.colors import to_hex

    scale = colormaps["turbo"]
    return [to_hex(scale(i / (num_classes - 1))) for i in range(num_classes)]
