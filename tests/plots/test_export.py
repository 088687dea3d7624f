"""Figures as files and as parts of a page."""

from __future__ import annotations

import base64
import io
import re
from html.parser import HTMLParser

import numpy as np
import pytest
from PIL import Image

from ancestral import plots


def _bars():
    return plots.kl_bars(np.array([1.0, 0.5, 0.001]), 0.01)


def _map():
    points = np.random.default_rng(0).normal(size=(50, 2))
    return plots.labelled_map(points, np.arange(50) % 2, ["a", "b"], ("z1", "z2"))


class _Elements(HTMLParser):
    def __init__(self, text):
        super().__init__()
        self.found, self.words = [], ""
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.found.append((tag, dict(attrs)))

    handle_startendtag = handle_starttag

    def handle_data(self, data):
        self.words += data


def test_png_is_1000_pixels_wide(tmp_path):
    path = tmp_path / "new folder" / "kl.png"
    plots.save(_bars(), path)
    with Image.open(path) as image:
        assert image.size == (1000, 600)
    assert [p.name for p in path.parent.iterdir()] == ["kl.png"]  # nothing temporary stays


@pytest.mark.parametrize("suffix", ["svg", "pdf"])
def test_other_formats_by_suffix(tmp_path, suffix):
    path = tmp_path / f"kl.{suffix}"
    plots.save(_bars(), path)
    assert path.read_bytes()[:5] in (b"<?xml", b"%PDF-")


@pytest.mark.parametrize("draw", [_bars, _map])
def test_svg_loads_nothing_and_scales(draw):
    fragment = plots.svg_fragment(draw(), "picture", "A caption")
    assert "http" not in fragment
    assert "xmlns" not in fragment
    svg = next(attrs for tag, attrs in _Elements(fragment).found if tag == "svg")
    assert "width" not in svg
    assert svg["viewbox"].startswith("0 0 360 ")


@pytest.mark.parametrize("draw", [_bars, _map])
def test_svg_ids_are_its_own_unique_and_all_found(draw):
    fragment = plots.svg_fragment(draw(), "picture", "")
    ids = re.findall(r'\bid="([^"]+)"', fragment)
    assert len(set(ids)) == len(ids)
    assert all(i == "picture" or i.startswith("picture-") for i in ids)
    used = re.findall(r"url\(#([^)]+)\)", fragment) + re.findall(r'href="#([^"]+)"', fragment)
    assert used
    assert set(used) <= set(ids)


def test_svg_is_the_same_each_time():
    first, second = (plots.svg_fragment(_map(), "map", "") for _ in range(2))
    assert first == second


@pytest.mark.parametrize("fragment", [plots.svg_fragment, plots.png_fragment])
def test_captions_are_escaped(fragment):
    caption = '<script>alert("1 < 2 & 3")</script>'
    elements = _Elements(fragment(_bars(), "kl", caption))
    assert "script" not in {tag for tag, _ in elements.found}
    assert caption in elements.words


def test_png_fragment_holds_the_picture():
    fragment = plots.png_fragment(_bars(), "kl", "KL")
    image = next(attrs for tag, attrs in _Elements(fragment).found if tag == "img")
    kind, data = image["src"].split(",")
    assert kind == "data:image/png;base64"
    with Image.open(io.BytesIO(base64.b64decode(data))) as picture:
        assert picture.size == (int(image["width"]), int(image["height"]))
