"""Pictures for every kind of data, and the page."""

from __future__ import annotations

import math
import re
from dataclasses import replace
from html.parser import HTMLParser

import numpy as np
import pytest
import torch
from PIL import Image

from ancestral.core import Batch, Kind, Specification
from ancestral.distributions import FullNormal
from ancestral.evaluation import (
    Evaluation,
    Gap,
    Gaps,
    GapsOptions,
    Information,
    Material,
    Number,
    PictureSet,
    ReportContent,
    Section,
    Setting,
    draw_pictures,
    evaluate,
    evaluate_simulated,
    write_report,
)
from ancestral.evaluation.bound_pictures import bound_pictures
from ancestral.evaluation.image_pictures import Pixels
from ancestral.evaluation.latents import kl_by_dimension
from ancestral.evaluation.number_pictures import histogram_pictures, learning_pictures
from ancestral.inference.evidence import (
    AnnealedImportance,
    Bidirectional,
    Importance,
    Start,
)
from ancestral.inference.posteriors import Refinement
from ancestral.models import StandardNormalPrior
from ancestral.recipes import REGISTRY

HISTORY = [
    {"epoch": e, "step": 10 * e}
    | {
        f"{s}/{t}": -10.0 / e
        for s in ("train", "valid")
        for t in ("bound", "reconstruction", "kl")
    }
    for e in range(1, 6)
]
LATENT = {"latent-map"}


def _names(tiny, **material):
    rows = tiny.source.rows(slice(None))
    drawn, omitted = draw_pictures(
        tiny.model, tiny.posterior, Material(tiny.source.spec, rows, **material)
    )
    names = [p.name for p in drawn]
    assert len(set(names)) == len(names)
    assert all(p.caption.endswith(".") for p in drawn)
    return set(names), omitted


def test_image_model_with_everything(vae, labels):
    names, omitted = _names(
        vae,
        labels=labels,
        history=HISTORY,
        kl_per_dim=(0.5, 0.1),
        log_prob={"test": np.arange(5.0)},
    )
    assert names == {
        "learning-curves",
        "samples",
        "reconstructions",
        "interpolations",
        "latent-map",
        "latent-plane",
        "kl-per-dimension",
        "log-prob-histogram",
    }
    assert omitted == []


@pytest.mark.parametrize(
    ("spec", "latent_size", "expected"),
    [
        (
            Specification(Kind.LEVELS, (4, 5, 3), num_levels=256),
            3,
            {"samples", "reconstructions", "interpolations", "latent-plane"} | LATENT,
        ),
        (
            Specification(Kind.REAL, (4, 4)),
            1,
            {"samples", "reconstructions", "interpolations"},
        ),
        (Specification(Kind.BINARY, (7,)), 2, {"column-means", "correlations"} | LATENT),
        (Specification(Kind.BINARY, (40,)), 2, {"column-means"} | LATENT),
        (
            Specification(Kind.COUNT, (14,)),
            2,
            {"marginals", "column-means", "correlations"} | LATENT,
        ),
        (Specification(Kind.REAL, (1,)), 2, {"marginals"} | LATENT),
        (Specification(Kind.CATEGORICAL, (9,), num_levels=4), 2, LATENT),
    ],
)
def test_pictures_follow_from_the_data(make_vae, spec, latent_size, expected):
    names, omitted = _names(make_vae(spec, latent_size))
    assert names == expected
    assert bool(omitted) == (spec.kind is Kind.CATEGORICAL)


def test_tables_with_gaps(make_vae, mixed_spec):
    assert _names(make_vae(mixed_spec))[0] == {"marginals", "correlations", "latent-map"}


def test_images_with_gaps(make_vae):
    tiny = make_vae(Specification(Kind.REAL, (4, 5), missing=True))
    assert "reconstructions" in _names(tiny)[0]


def test_ppca(ppca):
    assert _names(ppca)[0] == {"marginals", "correlations", "latent-map"}


def test_autoencoders_have_no_samples_and_say_why(autoencoder):
    names, omitted = _names(autoencoder)
    assert names == {"reconstructions", "interpolations", "latent-map"}
    assert "no prior over its codes" in omitted[0]


def test_captions_say_what_was_left_out(make_vae):
    tiny = make_vae(Specification(Kind.BINARY, (4, 4)), latent_size=5)
    material = Material(tiny.source.spec, tiny.source.rows(slice(None)))
    captions = {p.name: p.caption for p in draw_pictures(tiny.model, tiny.posterior, material)[0]}
    assert "first two principal components of 5 dimensions" in captions["latent-map"]
    assert "Of 5 dimensions the two whose posterior means vary most" in captions["latent-plane"]
    assert "E[x | z]" in captions["samples"]


def test_drawing_leaves_no_trace_and_repeats(vae):
    state = torch.get_rng_state()
    material = Material(vae.source.spec, vae.source.rows(slice(None)))
    pixels = []
    for _ in range(2):
        samples = draw_pictures(vae.model, vae.posterior, material, seed=5).drawn[0].figure
        samples.canvas.draw()
        pixels.append(np.asarray(samples.canvas.buffer_rgba()).copy())
    assert np.array_equal(*pixels)
    assert torch.equal(state, torch.get_rng_state())


def test_pixels_scale_by_kind(make_source):
    levels = Specification(Kind.LEVELS, (4, 4), num_levels=17)
    source = make_source(levels)
    shown = Pixels(levels, source.rows(slice(None)))(torch.full((1, 4, 4), 8.0))
    assert shown.shape == (1, 4, 4, 3)
    assert (shown == 0.5).all()
    real = Specification(Kind.REAL, (4, 4))
    rows = make_source(real).rows(slice(None))
    shown = Pixels(real, rows)(rows.x)
    assert (shown.min(), shown.max()) == (0.0, 1.0)


def test_missing_pixels_have_a_colour_of_their_own(make_source):
    spec = Specification(Kind.BINARY, (4, 4), missing=True)
    rows = make_source(spec).rows(slice(None))
    shown = Pixels(spec, rows)(rows.x, rows.observed)
    is_grey = (shown == shown[..., :1]).all(-1)
    assert np.array_equal(is_grey, rows.observed.numpy())


def test_kl_by_dimension_of_a_full_covariance():
    """Against the closed form of each marginal; their sum is not the whole."""
    loc, factor = torch.tensor([[0.5, -1.0]]), torch.tensor([[[0.8, 0.0], [0.5, 0.6]]])
    variance = torch.tensor([0.64, 0.61])
    expected = 0.5 * (variance + loc[0] ** 2 - 1 - variance.log())
    found = kl_by_dimension(FullNormal(loc, factor), StandardNormalPrior(2)())
    assert torch.allclose(found[0], expected)


def _bound_pictures(tiny, **material):
    material = Material(tiny.source.spec, tiny.source.rows(slice(None)), **material)
    return {p.name: p for p in bound_pictures(material)}


def test_pictures_of_the_bound(vae):
    known = Information(25.0, 6.9, 20.0, 0.1, 1000, "densities")
    gaps = Gaps(Gap(3.0, 0.2), Gap(1.0, 0.1), Gap(2.0, 0.1), 48, 1000, "diagonal Gaussian")
    drawn = _bound_pictures(vae, information=known, gaps=gaps)
    assert set(drawn) == {"information", "gaps"}
    assert "log 1,000 = 6.9 nats" in drawn["information"].caption
    assert "known by its draws alone" not in drawn["information"].caption
    bars = [p.get_width() for p in drawn["gaps"].figure.axes[0].patches]
    assert bars == [1.0, 2.0]
    bars = [p.get_width() for p in drawn["information"].figure.axes[0].patches]
    assert bars == pytest.approx([6.9, 13.1, 5.0])


def test_what_cannot_be_drawn_of_the_bound_is_said_or_left_out(vae):
    whole = Gaps(Gap(3.0, 0.2), None, None, 48, 1000, "Bits, which cannot be fitted")
    assert "not split" in _bound_pictures(vae, gaps=whole)["gaps"].caption
    loose = Information(3.0, 1.0, 3.0, 0.1, 200, "fitted Gaussians")
    assert (
        "known by its draws alone"
        in _bound_pictures(vae, information=loose)["information"].caption
    )
    none = Information(0.0, 0.0, 0.0, 0.0, 200, "densities")
    exact = Gaps(Gap(0.0, 0.0), Gap(0.0, 0.0), Gap(0.0, 0.0), 8, 100, "full")
    assert _bound_pictures(vae, information=none, gaps=exact) == {}


def test_units_without_a_kl_of_their_own_are_shown_by_their_means(vae):
    names, _ = _names(vae, variance_of_means=np.array([0.5, 0.001]))
    assert "variance-of-means" in names
    names, _ = _names(vae, variance_of_means=np.array([0.5, 0.001]), kl_per_dim=(1.0, 0.1))
    assert "variance-of-means" not in names


class _Page(HTMLParser):
    """Checks nesting, and collects what a browser would load."""

    VOID = ("meta", "link", "img", "br", "wbr", "path", "use", "image", "rect")

    def __init__(self, text):
        super().__init__()
        self.open, self.tags, self.loads, self.words = [], [], [], ""
        self.feed(text)
        assert self.open == []

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        self.loads += [v for k, v in attrs if k in ("src", "href", "xlink:href") and tag != "a"]
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.tags.append(tag)
        self.loads += [v for k, v in attrs if k in ("src", "href", "xlink:href")]

    def handle_endtag(self, tag):
        if tag not in self.VOID:
            assert self.open.pop() == tag

    def handle_data(self, data):
        self.words += data


NASTY = "<script>alert('x')</script> & \"quotes\""
BIBTEX = "@article{kingma,\n  title={A & B},\n  url={https://arxiv.org/abs/1312.6114}\n}"


def _written(tiny, tmp_path, labels=None):
    evaluation = evaluate(
        tiny.model,
        tiny.posterior,
        tiny.source,
        setting=tiny.setting,
        method=Importance(100),
        gaps=GapsOptions(6, num_samples=50, refinement=Refinement(20, 0.1, 4)),
    )
    material = Material(
        tiny.source.spec,
        tiny.source.rows(slice(None)),
        labels=labels,
        history=HISTORY,
        kl_per_dim=evaluation.kl_per_dim,
        log_prob={"test": evaluation.values},
        information=evaluation.information,
        gaps=evaluation.gaps,
        khat=evaluation.khat_values,
        khat_threshold=evaluation.khat.threshold,
    )
    content = ReportContent(
        f"A run {NASTY}",
        evaluation,
        model=[f"A model {NASTY}"],
        data=[NASTY],
        pictures=draw_pictures(tiny.model, tiny.posterior, material),
        configuration={"seed": 1, NASTY: NASTY, "training": {"epochs": 3}},
        references=[BIBTEX],
        footer=NASTY,
    )
    write_report(tmp_path / "run" / "report.html", content)
    return content, (tmp_path / "run" / "report.html").read_text()


def test_the_page_is_whole_and_loads_nothing(vae, labels, tmp_path):
    content, text = _written(vae, tmp_path, labels)
    page = _Page(text)
    assert "script" not in page.tags
    assert page.loads
    assert all(load.startswith(("data:", "#")) for load in page.loads)
    assert not re.search(r"url\((?!#)", text)
    assert "@import" not in text
    outside = text.replace("https://arxiv.org/abs/1312.6114", "")
    assert "http" not in outside
    assert page.words.count(NASTY) >= 6
    assert 'name="viewport"' in text
    assert "prefers-color-scheme: dark" in text
    assert "@media print" in text
    assert page.tags.count("figure") == len(content.pictures.drawn) == 11
    ids = re.findall(r'\bid="([^"]+)"', text)
    assert len(set(ids)) == len(ids)


def test_the_page_says_what_the_numbers_are(vae, tmp_path):
    content, text = _written(vae, tmp_path)
    words = " ".join(_Page(text).words.split())
    number = content.evaluation.log_prob
    shown = f"{number.value:.2f} ± {number.std_error:.2f}".replace("-", "\N{MINUS SIGN}")
    assert shown in words.replace("\N{NO-BREAK SPACE}", " ")
    assert "from 100 samples for each datum: the true value is this or higher" in words
    assert "training.epochs" in words
    assert f"Lower bound on log p(x)≥ {shown}" in words.replace("\N{NO-BREAK SPACE}", " ")
    known = content.evaluation.information
    assert f"≥ {known.at_least} nats" in words
    assert f"log 40 = {math.log(40):.1f} nats" in words
    assert content.evaluation.collapse.split(":")[1].strip() in words
    of_others = (Section.CONDITIONALS, Section.LABELS, Section.ODD)
    of_latent = [section for section in Section if section not in of_others]
    for section in (*of_latent, "The model", "The data", "Configuration", "References"):
        assert section in words


def test_pictures_lie_beside_the_page(vae, tmp_path):
    content, _ = _written(vae, tmp_path)
    folder = tmp_path / "run" / "pictures"
    assert {p.stem for p in folder.iterdir()} == {p.name for p in content.pictures.drawn}
    for path in folder.iterdir():
        with Image.open(path) as image:
            assert image.size[0] == 1000
    assert {p.name for p in folder.parent.iterdir()} == {"pictures", "report.html"}


def test_an_autoencoders_page_has_no_likelihood(autoencoder, tmp_path):
    e = evaluate(autoencoder.model, None, autoencoder.source, setting=autoencoder.setting)
    omitted = PictureSet([], ["There are no samples, because."])
    write_report(tmp_path / "r.html", ReportContent("ae", e, pictures=omitted))
    words = _Page((tmp_path / "r.html").read_text()).words
    assert "Not a likelihood" in words
    assert "log p(x)\n" not in words
    assert "There are no samples, because." in words


def test_numbers_that_are_not_finite_are_unknown(tmp_path):
    lost = Number(math.nan, math.inf, "exact", None)
    e = Evaluation(Setting("vae", "toy", "test"), 1, log_prob=lost, warnings=("look out",))
    write_report(tmp_path / "r.html", ReportContent("lost", e))
    words = _Page((tmp_path / "r.html").read_text()).words
    assert "unknown" in words
    assert "nan" not in words
    assert "Look out." in words


def test_an_empty_report_is_a_page(tmp_path):
    write_report(tmp_path / "r.html", ReportContent("nothing yet"))
    assert "nothing yet" in _Page((tmp_path / "r.html").read_text()).words


@pytest.mark.parametrize(
    ("kind", "name"),
    [("exact", "log p(x)"), ("lower_bound", "lower bound on log p(x)")],
)
def test_a_histogram_of_bounds_says_so(kind, name):
    values = {"test": np.linspace(-3, -1, 9)}
    material = Material(
        Specification(Kind.REAL, (2,)), Batch(torch.zeros(1, 2)), (), log_prob=values
    )
    picture = histogram_pictures(replace(material, log_prob_kind=kind))[0]
    assert picture.figure.axes[0].get_xlabel() == f"{name} of a datum, nats"
    assert ("lower bound" in picture.caption) == (kind == "lower_bound")


def test_only_the_elbo_is_called_the_difference_of_its_terms():
    def caption(bound: float) -> str:
        terms = {"train/bound": bound, "train/reconstruction": -90.0, "train/kl": 12.0}
        history = [{"epoch": e, **terms} for e in (1, 2)]
        rows = Batch(torch.zeros(1, 2))
        (picture,) = learning_pictures(
            Material(Specification(Kind.REAL, (2,)), rows, history=history)
        )
        return picture.caption

    assert "the two terms it is the difference of" in caption(-102.0)
    assert "of which it is not the difference" in caption(-99.5)


def test_a_discrepancy_has_no_unit():
    history = [{"epoch": e, "train/objective": 1.0, "train/discrepancy": 0.1} for e in (1, 2)]
    rows = Batch(torch.zeros(1, 2))
    material = Material(Specification(Kind.REAL, (2,)), rows, history=history)
    titles = [a.get_title(loc="left") for a in learning_pictures(material)[0].figure.axes]
    assert titles[1:] == ["discrepancy of codes and prior"]


def test_samples_of_an_autoregressive_decoder_are_draws():
    spec = Specification(Kind.LEVELS, (4, 4), num_levels=5)
    model = REGISTRY["pixel_vae"].build(spec, {"latent_size": 2, "channels": 4}).model.eval()
    rows = Batch(torch.zeros(4, 4, 4))
    drawn = draw_pictures(model, None, Material(spec, rows)).drawn
    (picture,) = [p for p in drawn if p.name == "samples"]
    assert "as `ancestral sample` does" in picture.caption
    assert "E[x | z]" not in picture.caption


def test_simulated_data_are_told_of_a_start_only_where_it_is_another(vae, monkeypatch):
    monkeypatch.setattr("ancestral.evaluation.simulated._WIDE", -math.inf)

    def warnings(start: Start) -> str:
        method = Bidirectional(AnnealedImportance(1, 2, 1, start))
        found = evaluate_simulated(
            vae.model, vae.posterior, vae.source, setting=vae.setting, method=method
        )
        return " ".join(found.warnings)

    assert "start from the posterior" in warnings(Start.PRIOR)
    assert "start from the posterior" not in warnings(Start.POSTERIOR)
