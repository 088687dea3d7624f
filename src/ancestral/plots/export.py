"""Figures as files, and as parts of a page."""

from __future__ import annotations

import base64
import html
import io
import os
import re
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["png_fragment", "save", "svg_fragment"]

_DPI = 200  # 1000 pixels for the house's width: sharp on a phone, 1:1 on a desk
_NO_DATE = {"Date": None, "Creator": None}


def save(figure: Figure, path: Path) -> None:
    """Write a figure under a temporary name, then rename; the suffix says which format."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.tmp")
    kind = path.suffix.lstrip(".") or "png"
    metadata = _NO_DATE if kind == "svg" else None
    figure.savefig(temporary, format=kind, dpi=_DPI, metadata=metadata)
    os.replace(temporary, path)


def svg_fragment(figure: Figure, name: str, caption: str) -> str:
    """A `<figure>` with the drawing inline, for lines and bars.

    Args:
        figure: what to draw.
        name: unique on the page, letters, digits and dashes; it prefixes the drawing's ids.
        caption: plain text.
    """
    buffer = io.BytesIO()
    figure.savefig(buffer, format="svg", dpi=_DPI, metadata=_NO_DATE)
    text = buffer.getvalue().decode()
    # only the element itself: prolog, metadata and namespaces are not HTML
    text = text[text.index("<svg") :]
    text = re.sub(r"<metadata>.*?</metadata>", "", text, flags=re.DOTALL)
    text = re.sub(r' xmlns(:\w+)?="[^"]*"', "", text)
    text = text.replace("xlink:href", "href")
    text = _with_own_ids(text, name)
    # the page decides on the size; the view box keeps the shape
    text = re.sub(r'(<svg[^>]*?) width="[^"]*"', r"\1", text, count=1)
    text = re.sub(r'(<svg[^>]*?) height="[^"]*"', r"\1", text, count=1)
    label = html.escape(caption)
    text = text.replace("<svg", f'<svg role="img" aria-label="{label}"', 1)
    return _framed(text, name, caption)


def png_fragment(figure: Figure, name: str, caption: str) -> str:
    """A `<figure>` with the picture as data, for images.

    Args:
        figure: what to draw.
        name: unique on the page.
        caption: plain text.
    """
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=_DPI)
    data = base64.b64encode(buffer.getvalue()).decode()
    width, height = (round(inches * _DPI) for inches in figure.get_size_inches())
    picture = (
        f'<img src="data:image/png;base64,{data}" width="{width}" height="{height}" '
        f'alt="{html.escape(caption)}">'
    )
    return _framed(picture, name, caption)


def _framed(picture: str, name: str, caption: str) -> str:
    return (
        f'<figure id="{html.escape(name)}">\n{picture.strip()}\n'
        f"<figcaption>{html.escape(caption)}</figcaption>\n</figure>"
    )


def _with_own_ids(svg: str, name: str) -> str:
    """Number the ids: matplotlib's are random, and equal from one figure to the next."""
    ids = {old: f"{name}-{i}" for i, old in enumerate(re.findall(r'\bid="([^"]+)"', svg))}
    svg = re.sub(r'\bid="([^"]+)"', lambda m: f'id="{ids[m[1]]}"', svg)
    svg = re.sub(r"url\(#([^)]+)\)", lambda m: f"url(#{ids[m[1]]})", svg)
    return re.sub(r'href="#([^"]+)"', lambda m: f'href="#{ids[m[1]]}"', svg)
