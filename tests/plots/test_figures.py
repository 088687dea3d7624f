"""Every figure keeps the house's promises: size, legibility, no global state."""

from __future__ import annotations

import subprocess
import sys

import matplotlib as mpl
import numpy as np
import pytest
from matplotlib.colors import to_rgb
from matplotlib.text import Text

from ancestral import plots
from ancestral.plots import style

NOISE = np.random.default_rng(0)
EPOCHS = list(range(1, 41))
GREY = NOISE.random((12, 9, 6))
COLOUR = NOISE.random((12, 6, 9, 3))


def _curve(level):
    return EPOCHS, [level - 100 * np.exp(-e / 2) for e in EPOCHS]


def _panel(label, level):
    return plots.CurvePanel(label, _curve(level), _curve(level - 1))


def _marginals():
    codes = NOISE.integers(0, 20, 50)
    return plots.marginals(
        [
            plots.Marginal("weight", NOISE.normal(size=50), NOISE.normal(size=80)),
            plots.Marginal("town", codes, codes, tuple(f"town {i}" for i in range(20))),
            plots.Marginal("children", codes, codes, is_integer=True),
        ]
    )


def _split(num_parts):
    looks = ("first", "between", "second")
    parts = tuple(
        plots.Part(f"codes away from the prior: {i} nats or more", 1.0 + i, looks[i])
        for i in range(num_parts)
    )
    return plots.SplitBar("log p(x) above the ELBO by 4.1 nats", parts)


FIGURES = {
    "one curve": lambda: plots.learning_curves([_panel("log p", -9)]),
    "three curves": lambda: plots.learning_curves(
        [_panel("bound", -90), _panel("reconstruction", -70), _panel("KL", 20)], best_epoch=33
    ),
    "grey grids": lambda: plots.image_grids([("data", GREY), ("samples", GREY)], 4),
    "colour grids": lambda: plots.image_grids([("data", COLOUR)], 4),
    "differences": lambda: plots.differences(
        [
            plots.Difference("made", "-83.8 ± 0.8, exact", 0.0, 0.0),
            plots.Difference("runs/" + "x" * 80, "-90.1 ± 0.7, lower bound", -6.3, 0.4, 1),
            plots.Difference("unpaired", "-95.0, upper bound", -11.2, None, -1),
        ],
        "log p(x) less that of the best, nats",
    ),
    "one difference": lambda: plots.differences([plots.Difference("a", "-1.0", 0.0)], "nats"),
    "rows with names": lambda: plots.image_rows(
        [plots.ImageRow(GREY[:5], spaces=(1, 4))] * 2, ["data", "0", "0.5", "1", "data"]
    ),
    "classes with long names": lambda: plots.labelled_map(
        NOISE.normal(size=(60, 2)),
        np.arange(60) % 3,
        ["Iris-setosa", "b", "a very long name of a class, longer than a legend"],
        ("z1", "z2"),
    ),
    "rows": lambda: plots.image_rows([plots.ImageRow(GREY, "original", (1, 11))] * 3),
    "plane": lambda: plots.latent_plane(GREY[:9], 3, ("z1", "z2"), (-1.6, 0, 1.6)),
    "few classes": lambda: plots.labelled_map(
        NOISE.normal(size=(60, 2)), np.arange(60) % 3, ["a", "b", "c"], ("z1", "z2")
    ),
    "many classes": lambda: plots.labelled_map(
        NOISE.normal(size=(60, 2)), np.arange(60), [str(i) for i in range(60)], ("z1", "z2")
    ),
    "coloured map": lambda: plots.coloured_map(
        NOISE.normal(size=(60, 2)), NOISE.normal(size=60), "log p(x), nats", ("z1", "z2")
    ),
    "plain map": lambda: plots.coloured_map(NOISE.normal(size=(9, 2)), None, "", ("z1", "z2")),
    "kl": lambda: plots.kl_bars(np.array([3.0, 0.0, 0.4, 1e-9]), 0.01),
    "collapsed kl": lambda: plots.kl_bars(np.zeros(50), 0.01),
    "histogram": lambda: plots.log_prob_histogram(
        {"test": NOISE.normal(size=70), "train": NOISE.normal(size=90)}
    ),
    "constant histogram": lambda: plots.log_prob_histogram({"test": np.ones(4)}),
    "k-hat": lambda: plots.khat_histogram(np.append(NOISE.normal(size=90), np.inf), 0.67),
    "idle units": lambda: plots.kl_bars(
        np.array([0.5, 0.0]), 0.01, quantity="variance of the mean", unit=""
    ),
    "parts": lambda: plots.split_bars([_split(3), _split(1)]),
    "marginals": _marginals,
    "constant marginal": lambda: plots.marginals([plots.Marginal("same", np.ones(5), np.ones(7))]),
    "named correlations": lambda: plots.correlation_matrices(np.eye(3), np.eye(3), list("abc")),
    "correlations": lambda: plots.correlation_matrices(np.eye(20), np.full((20, 20), np.nan)),
    "means": lambda: plots.column_means(NOISE.random(30), NOISE.random(30), quantity="mean"),
}


@pytest.mark.parametrize("name", FIGURES)
def test_text_is_at_least_11_px_on_a_phone_360_px_wide(name):
    figure = FIGURES[name]()
    figure.canvas.draw()
    width = figure.get_size_inches()[0]
    assert width == style.WIDTH
    texts = [t for t in figure.findobj(Text) if t.get_text().strip() and t.get_visible()]
    small = {t.get_text(): t.get_fontsize() * 360 / (72 * width) for t in texts}
    assert {text: size for text, size in small.items() if size < 11} == {}


@pytest.mark.parametrize("name", FIGURES)
def test_nothing_is_cut_off(name):
    figure = FIGURES[name]()
    figure.canvas.draw()
    page = figure.bbox
    box = figure.get_tightbbox().transformed(figure.dpi_scale_trans)
    assert box.x0 >= page.x0 - 2
    assert box.y0 >= page.y0 - 2
    assert box.x1 <= page.x1 + 2
    assert box.y1 <= page.y1 + 2


def test_settings_of_matplotlib_stay_as_they_were(tmp_path):
    before = dict(mpl.rcParams)
    for name, draw in FIGURES.items():
        plots.save(draw(), tmp_path / f"{name}.png")
    plots.svg_fragment(FIGURES["kl"](), "kl", "")
    assert dict(mpl.rcParams) == before


def test_importing_and_drawing_leave_pyplot_alone_and_matplotlib_is_lazy():
    code = (
        "import sys, ancestral.plots as p, numpy as np; assert 'matplotlib' not in sys.modules; "
        "p.kl_bars(np.ones(3), .01); assert 'matplotlib.pyplot' not in sys.modules"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def test_mosaic_places_each_image_and_leaves_white_between():
    images = np.stack([np.full((2, 3), v) for v in (0.1, 0.2, 0.3)])
    canvas = plots.mosaic(images, num_columns=2)
    assert canvas.shape == (5, 7, 3)
    assert (canvas[:2, :3] == 0.1).all()
    assert (canvas[:2, 4:] == 0.2).all()
    assert (canvas[3:, :3] == 0.3).all()
    assert (canvas[2] == 1).all()
    assert (canvas[:, 3] == 1).all()
    assert (canvas[3:, 4:] == 1).all()  # the place of a fourth image


def test_mosaic_keeps_colours():
    canvas = plots.mosaic(COLOUR, num_columns=12, gap=0)
    assert np.array_equal(canvas[:, 9:18], COLOUR[1])


def test_first_epochs_do_not_flatten_the_curve():
    figure = FIGURES["one curve"]()
    low, high = figure.axes[0].get_ylim()
    values = _curve(-9)[1]
    assert min(values) < low  # the first epoch is outside
    assert high > max(values)
    assert high - low < 0.8 * (max(values) - min(values))


def test_best_epoch_is_named_in_the_legend():
    figure = FIGURES["three curves"]()
    texts = [t.get_text() for t in figure.axes[0].get_legend().get_texts()]
    assert texts == ["train", "validation", "best: epoch 33, \N{MINUS SIGN}91.00"]


def test_histogram_counts_outliers_in_its_first_bar():
    values = np.append(np.linspace(-10, 0, 999), -1e6)
    figure = plots.log_prob_histogram({"test": values})
    assert figure.axes[0].get_xlim()[0] > -100
    heights = figure.axes[0].patches[0].get_path().vertices[:, 1]
    assert heights.max() < 0.05  # 40 even bars: one of them does not hold everything


def test_khat_on_the_threshold_is_good_and_the_rest_is_counted():
    khat = np.array([0.7, 0.70001, np.nan, np.inf, -np.inf, 0.1, 0.2, 0.3, 0.4, 0.5])
    figure = plots.khat_histogram(khat, 0.7)
    texts = [t.get_text() for t in figure.axes[0].get_legend().get_texts()]
    assert texts == ["to be trusted: 70% of the data", "log p probably too low: 30%"]
    good, bad = (
        sum(bar.get_height() for bar in container) for container in figure.axes[0].containers
    )
    assert good == pytest.approx(0.7)
    assert bad == pytest.approx(0.3)


def test_training_data_have_the_same_colour_in_every_order():
    values = {"train": np.arange(9.0), "test": np.arange(9.0) + 1}
    for given in (values, dict(reversed(values.items()))):
        figure = plots.log_prob_histogram(given)
        legend = figure.axes[0].get_legend()
        colours = {
            text.get_text().split(":")[0]: patch.get_edgecolor()[:3]
            for text, patch in zip(legend.get_texts(), legend.get_patches(), strict=True)
        }
        assert colours == {"test": to_rgb(style.MODEL), "train": to_rgb(style.DATA)}


def test_kl_bars_are_sorted_and_coloured_by_the_threshold():
    figure = plots.kl_bars(np.array([0.001, 5.0, 0.2]), 0.01)
    bars = figure.axes[0].patches
    heights = [b.get_height() for b in bars]
    assert heights == sorted(heights, reverse=True)
    assert [b.get_facecolor()[:3] for b in bars] == [
        to_rgb(style.DATA),
        to_rgb(style.DATA),
        to_rgb(style.MUTED),
    ]
    assert [t.get_text() for t in figure.axes[0].get_xticklabels()] == ["2", "3", "1"]


# Viénot et al. (1999): what people without L or M cones see, in linear RGB
PROTANOPIA = np.array([[0.11238, 0.88762, 0], [0.11238, 0.88762, 0], [0.00401, -0.00401, 1]])
DEUTERANOPIA = np.array([[0.29275, 0.70725, 0], [0.29275, 0.70725, 0], [-0.02234, 0.02234, 1]])


@pytest.mark.parametrize("vision", [np.eye(3), PROTANOPIA, DEUTERANOPIA])
def test_data_and_model_differ_in_every_eye(vision):
    data, model = (vision @ np.array(to_rgb(c)) ** 2.2 for c in (style.DATA, style.MODEL))
    assert np.abs(data - model).max() > 0.2
