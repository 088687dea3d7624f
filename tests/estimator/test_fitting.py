"""Fitting: which rows are trained on, what a folder is safe from, options out of range."""

from __future__ import annotations

import json
import math

import numpy as np
import pytest

import ancestral
from ancestral.core import Kind, OptionError, RunError, Specification
from ancestral.data import TensorSource, given_labels

pytestmark = pytest.mark.usefixtures("single_precision")


def source(num_rows=40, kind=Kind.BINARY, shape=(3,), num_levels=None):
    top = num_levels or 2
    values = np.random.default_rng(0).integers(0, top, (num_rows, *shape)).astype(np.uint8)
    labels = np.arange(num_rows) % 2
    return TensorSource(values, Specification(kind, shape, num_levels), labels=labels)


def test_a_closed_form_is_fitted_to_all_rows():
    rows = np.random.default_rng(0).normal(size=(400, 3)) * [1, 2, 3]
    model = ancestral.build("ppca", latent_size=1).fit(rows)
    assert "valid/log_prob" not in model.history_.records[-1]
    # the mean log p of the rows that it was fitted to
    assert model.history_.records[-1]["train/log_prob"] == pytest.approx(model.score(rows))
    other = ancestral.build("ppca", latent_size=1).fit(rows, validation=rows[:9])
    assert "valid/log_prob" in other.history_.records[-1]


def fit(data, folder, *, resume=False, provenance=None, epochs=2):
    model = ancestral.build("fvsbn", epochs=epochs, batch_size=20)
    return model.fit(data, validation=data, folder=folder, resume=resume, provenance=provenance)


@pytest.mark.parametrize(
    ("other", "named"),
    [
        (given_labels(source(), ("a", "b")), "given was none, got a, b"),
        (source(kind=Kind.CATEGORICAL, num_levels=2), "kind was binary, got categorical"),
        (source(shape=(4,)), "shape"),
    ],
)
def test_a_run_goes_on_with_its_own_data_only(other, named, tmp_path):
    fit(source(), tmp_path)
    before = {p: p.read_bytes() for p in tmp_path.rglob("*") if p.is_file()}
    with pytest.raises(RunError, match=named):
        fit(other, tmp_path, resume=True)
    assert {p: p.read_bytes() for p in tmp_path.rglob("*") if p.is_file()} == before


def test_a_run_goes_on_with_its_own_vocabulary_only(tmp_path):
    kept = {"name": "t", "symbols": ["a", "b"], "separator": ""}
    fit(source(), tmp_path, provenance=kept)
    with pytest.raises(RunError, match="symbols was a, b"):
        fit(source(), tmp_path, resume=True, provenance=kept | {"symbols": ["a", "c"]})
    fit(source(), tmp_path, resume=True, provenance=kept, epochs=3)
    assert json.loads((tmp_path / "config.json").read_text())["training"]["epochs"] == 3


def test_infinite_options_are_kept_in_json_that_any_reader_takes(tmp_path):
    model = ancestral.build(
        "renyi_vae", alpha=-math.inf, epochs=1, hidden_size=4, latent_size=2, num_blocks=1
    )
    model.fit(source(), folder=tmp_path)
    text = (tmp_path / "config.json").read_text()
    json.loads(text, parse_constant=pytest.fail)
    assert ancestral.load(tmp_path).options_["alpha"] == -math.inf
    model.fit(source(), folder=tmp_path, resume=True)


def test_a_checkpoint_that_does_not_fit_leaves_the_configuration(tmp_path):
    fit(source(), tmp_path)
    before = (tmp_path / "config.json").read_bytes()
    (tmp_path / "checkpoint" / "state.safetensors").write_bytes(b"damaged")
    with pytest.raises(RunError, match="cannot be read"):
        fit(source(), tmp_path, resume=True, epochs=9)
    assert (tmp_path / "config.json").read_bytes() == before


def test_runs_of_earlier_versions_can_be_read(tmp_path):
    before = fit(source(), tmp_path)
    path = tmp_path / "config.json"
    content = json.loads(path.read_text())
    for name in ("context", "end_code"):
        del content["specification"][name]
    path.write_text(json.dumps(content))
    assert np.array_equal(ancestral.load(tmp_path).sample(3), before.sample(3))
    fit(source(), tmp_path, resume=True, epochs=3)
    content["options"]["lost"] = 1
    path.write_text(json.dumps(content))
    with pytest.raises(RunError, match="has an option 'lost'"):
        ancestral.load(tmp_path)


@pytest.mark.parametrize(
    ("recipe", "options"),
    [
        ("made", {"dropout": 1.5}),
        ("made", {"num_orders": 0}),
        ("wavenet", {"dropout": 1.0}),
        ("wavenet", {"channels": 0}),
        ("wavenet", {"num_layers": 0}),
        ("char_rnn", {"hidden_size": 0}),
        ("transformer_ar", {"hidden_size": 0}),
        ("pixel_cnn", {"channels": 0}),
        ("gated_pixel_cnn", {"channels": 0}),
        ("pixel_cnn_pp", {"dropout": -0.1}),
        ("nade", {"dropout": float("nan")}),
        ("vae", {"dropout": 2}),
        ("vae", {"latent_size": 0}),
    ],
)
def test_options_out_of_range_are_refused_with_a_hint(recipe, options):
    name = next(iter(options))
    data = source(shape=(4, 4), kind=Kind.LEVELS, num_levels=3)
    with pytest.raises(OptionError, match=f"expected {name} .*got .*\n\nhint: "):
        ancestral.build(recipe, epochs=1, **options).fit(data)


def test_methods_of_sampling_by_name_and_their_passes():
    model = ancestral.build("made", epochs=1, hidden_size=8, num_orders=2).fit(source())
    with pytest.raises(
        OptionError, match=r"expected method to be one of .*got 'chached'"
    ) as caught:
        model.sample(2, method="chached")
    assert "cached" in caught.value.hint
    drawn = model.draw(4, method="naive")
    assert drawn.num_passes == 3
    assert 1 <= model.draw(4, method="jacobi").num_passes <= 3
    assert model.draw(4).num_passes == 0
    assert np.array_equal(drawn.x.numpy(), model.sample(4))
