"""What a model says of rows, and the scores that are made of it."""

from __future__ import annotations

import math

import numpy as np
import pandas as pd
import pytest
import torch
from scipy.stats import ks_2samp, kstest
from sklearn.exceptions import NotFittedError

import ancestral
from ancestral.applications.detection import (
    Detector,
    Mutated,
    Statistics,
    batch_typicality,
    examine,
    flagged,
    outliers,
    separation,
    statistics_of,
)
from ancestral.applications.detection.complexity import complexity_bits
from ancestral.core import (
    Batch,
    DataError,
    IncompatibleChoices,
    Kind,
    NotExact,
    OptionError,
    Specification,
)
from ancestral.data import Dequantized
from ancestral.models import AutoregressiveModel


@pytest.fixture(scope="module")
def data():
    return ancestral.load_dataset("digits")


def _built(name, data, **options):
    before = torch.get_default_dtype()
    torch.set_default_dtype(torch.float32)
    try:
        options = {"epochs": 3, "seed": 1} | options
        return ancestral.build(name, **options).fit(data.train, validation=data.valid)
    finally:
        torch.set_default_dtype(before)


@pytest.fixture(scope="module")
def made(data):
    return _built("made", data, epochs=8)


@pytest.fixture(scope="module")
def vae(data):
    return _built("vae", data, epochs=8, hidden_size=64, num_blocks=1, latent_size=5)


def test_surprise_of_an_autoregressive_model_adds_up_to_log_p(made, data, single_precision):
    batch = data.test.rows(slice(0, 20))
    found = examine(made.model_, made.posterior_, batch)
    assert isinstance(made.model_, AutoregressiveModel)
    assert found.kind == "exact"
    torch.testing.assert_close(
        found.log_prob.float(),
        made.score_samples(data.test.subset(slice(0, 20))).value.float(),
        rtol=1e-4,
        atol=1e-3,
    )
    torch.testing.assert_close(-found.surprise.sum(-1), found.log_prob)


def test_surprise_of_an_ensemble_of_orders(data, single_precision):
    model = _built("made", data, num_masks=2, num_orders=3).model_
    batch = data.test.rows(slice(0, 6))
    found = examine(model, None, batch)
    joint = model.log_prob_orders(batch.x).double()
    torch.testing.assert_close(found.log_prob, joint.logsumexp(0) - math.log(3))
    # the weights are p(order | x), so the sum is the mean of -log p(x | order) under them
    expected = -(joint.softmax(0) * joint).sum(0)
    torch.testing.assert_close(found.surprise.sum(-1), expected, rtol=1e-4, atol=1e-3)


def test_terms_of_a_latent_model_and_the_bound(vae, data, single_precision):
    batch = data.test.rows(slice(0, 40))
    found = examine(vae.model_, vae.posterior_, batch, num_samples=64)
    assert found.kind == "lower_bound"
    torch.testing.assert_close(-found.surprise.sum(-1), found.terms["reconstruction"])
    elbo = found.terms["reconstruction"] - found.terms["kl"]
    assert bool((found.log_prob >= elbo).all())  # Jensen, sample by sample
    better = vae.score_samples(data.test.subset(slice(0, 40)))
    assert abs(float((found.log_prob - better.value).mean())) < 1.5


def test_numbers_of_a_row_do_not_depend_on_its_company(vae, data, single_precision):
    batch = data.test.rows(slice(0, 30))
    together = examine(vae.model_, vae.posterior_, batch)
    alone = examine(vae.model_, vae.posterior_, batch.rows(slice(7, 8)))
    torch.testing.assert_close(together.log_prob[7:8], alone.log_prob, rtol=1e-4, atol=1e-3)
    torch.testing.assert_close(together.surprise[7:8], alone.surprise, rtol=1e-3, atol=1e-3)


def test_exact_log_p_of_a_linear_gaussian_model():
    rng = np.random.default_rng(0)
    x = rng.normal(size=(300, 5)) @ rng.normal(size=(5, 5)) + 3.0
    model = ancestral.build("ppca", latent_size=2).fit(x)
    batch = Batch(torch.as_tensor(x[:20]))
    found = examine(model.model_, model.posterior_, batch, num_samples=2000)
    covariance = (
        model.model_.weight @ model.model_.weight.T
        + model.model_.noise_scale.square() * torch.eye(5)
    )
    oracle = torch.distributions.MultivariateNormal(model.model_.loc, covariance)
    torch.testing.assert_close(found.log_prob, oracle.log_prob(batch.x).double())
    assert found.kind == "exact"
    # the posterior is exact: reconstruction - KL is log p, up to the samples' noise
    elbo = found.terms["reconstruction"] - found.terms["kl"]
    torch.testing.assert_close(elbo, found.log_prob, rtol=0, atol=1e-6)


def test_likelihoods_without_separate_cells_have_no_surprise():
    rng = np.random.default_rng(0)
    x = rng.normal(size=(60, 4))
    model = ancestral.build(
        "vae", likelihood="normal-full", hidden_size=8, num_blocks=1, latent_size=2, epochs=1
    ).fit(x)
    assert model.anomaly_score(x, calibration=x).shape == (60,)
    with pytest.raises(NotExact, match="no sum over cells"):
        model.surprise(x)


def test_the_corrected_score_sees_simple_outliers_that_log_p_ranks_first(
    made, data, single_precision
):
    """Nalisnick et al. 2019: the constant image that the model likes best beats the data."""
    detector = made.detector(data.valid)
    usual = made.statistics(data.test, like=detector)
    spec = data.spec
    flat = np.zeros((1, 8, 8))
    odd = made.statistics(flat, like=detector)
    score = {name: detector.score(odd, name)[0] for name in detector.scores}
    rank = {name: (detector.score(usual, name) < score[name]).mean() for name in detector.scores}
    assert rank["log_prob"] < 0.7
    assert rank["corrected"] == 1.0
    assert detector.p_values(odd)[0] < 0.02
    for name in ("noise", "shuffled", "inverted", "constant"):
        made_up = outliers(name, data.test.rows(slice(None)).x.numpy(), spec)
        found = made.statistics(made_up, like=detector)
        assert separation(detector.score(usual), detector.score(found)).auroc > 0.97, name


@pytest.mark.parametrize("name", ["corrected", "log_prob", "complexity", "typicality"])
def test_p_values_of_held_out_rows_are_uniform(made, vae, data, name, single_precision):
    # two samples of 180 rows: a two-sample test, at 1e-3 for each of eight
    for model in (made, vae):
        detector = model.detector(data.valid)
        p = detector.p_values(model.statistics(data.test, like=detector), name)
        grid = (np.arange(180) + 0.5) / 180
        assert ks_2samp(p, grid).pvalue > 1e-3


def test_typicality_of_rows_together(made, data, single_precision):
    detector = made.detector(data.valid)
    found = made.statistics(data.test, like=detector)
    difference, p = detector.together(found)
    assert difference == pytest.approx(
        found["log_prob"].mean() - detector.reference["log_prob"].mean()
    )
    assert p > 0.01
    other = outliers("mirrored", data.test.rows(slice(None)).x.numpy(), data.spec)
    shifted = made.statistics(other, like=detector)
    assert detector.together(shifted)[1] < 0.01  # though single rows are hard to tell


def test_p_values_of_batches_are_uniform():
    # 400 sets of normal rows split in two, a one-sample test at 1e-3
    rng = np.random.default_rng(0)
    values = []
    for _ in range(400):
        log_prob = rng.normal(-90, 20, 240)
        values.append(batch_typicality(log_prob[200:], log_prob[:200])[1])
    assert kstest(values, "uniform").pvalue > 1e-3


def test_likelihood_ratio_against_a_background(vae, data, single_precision):
    background = ancestral.build(
        "vae", epochs=8, seed=2, hidden_size=64, num_blocks=1, latent_size=5
    ).fit(Mutated(data.train, 0.3), validation=Mutated(data.valid, 0.3, stream=1))
    detector = vae.detector(data.valid, background=background)
    assert detector.scores[-1] == "likelihood_ratio"
    found = vae.statistics(data.test, like=detector, background=background)
    ratio = detector.score(found, "likelihood_ratio")
    np.testing.assert_allclose(ratio, found["background"] - found["log_prob"])
    assert ratio.mean() < -10  # digits are better explained by the model of digits
    noise = outliers("noise", data.test.rows(slice(None)).x.numpy(), data.spec)
    odd = vae.anomaly_score(noise, "likelihood_ratio", calibration=detector, background=background)
    assert separation(ratio, odd).auroc > 0.95


def test_front_door(made, data, single_precision):
    x = data.test.rows(slice(0, 25)).x.numpy()
    score = made.anomaly_score(x)
    assert score.shape == (25,)
    p = made.p_values(x)
    assert ((p >= 1 / 181) & (p <= 1)).all()
    assert np.array_equal(p, made.p_values(x, calibration=data.valid))  # held out by `fit`
    assert np.array_equal(made.anomaly_score(x, "log_prob"), -made.statistics(x)["log_prob"])
    surprise = made.surprise(x)
    assert surprise.shape == (25, 8, 8)
    np.testing.assert_allclose(surprise.sum((1, 2)), made.anomaly_score(x, "log_prob"), rtol=1e-5)
    with pytest.raises(OptionError, match="unknown score 'correct'"):
        made.anomaly_score(x, "correct")
    with pytest.raises(OptionError, match="needs a background model"):
        made.p_values(x, "likelihood_ratio")


def test_a_loaded_estimator_needs_rows_to_calibrate_on(made, data, tmp_path, single_precision):
    made.save(tmp_path / "run")
    again = ancestral.load(tmp_path / "run")
    x = data.test.rows(slice(0, 5)).x.numpy()
    with pytest.raises(OptionError, match="kept none from training"):
        again.anomaly_score(x)
    found = again.p_values(x, calibration=data.valid)
    assert np.array_equal(found, made.p_values(x))


def test_no_rows_and_no_numbers_are_refused(made, data):
    with pytest.raises(DataError, match="expected rows, got none"):
        statistics_of(made.model_, None, [], data.spec)


def _found(log_prob, uniform):
    """Statistics of rows of which only log p is known."""
    return Statistics(
        {"log_prob": log_prob, "complexity": log_prob * 0, "uniform": uniform}, "exact"
    )


def test_ties_do_not_make_smoothed_p_values_uneven():
    # few different rows, as in small binary tables; a two-sample test at 1e-3
    rng = np.random.default_rng(0)
    values = rng.normal(-8.0, 2.0, 12)
    known, new = (_found(values[rng.geometric(0.3, n) % 12], rng.random(n)) for n in (2000, 3000))
    assert len(np.unique(new["log_prob"])) == 12
    detector = Detector(known, Specification(Kind.BINARY, (4,)))
    grid = (np.arange(2000) + 0.5) / 2000
    for score in ("log_prob", "corrected"):
        assert ks_2samp(detector.smoothed_p_values(new, score), grid).pvalue > 1e-3
    p = detector.p_values(new, "log_prob")
    assert ks_2samp(p, grid).pvalue < 1e-6  # larger than uniform
    for level in (0.01, 0.05, 0.2, 0.5):  # but never too small
        assert (p <= level).mean() < level + 4 * np.sqrt(level * (1 / 2000 + 1 / 3000))


def test_places_among_equals_are_fixed_by_what_rows_hold(made, data, single_precision):
    x = data.test.rows(slice(0, 10)).x.numpy()
    p = made.p_values(x, ties="random")
    assert np.array_equal(made.p_values(x[::-1].copy(), ties="random"), p[::-1])
    assert np.array_equal(made.p_values(x[3:4], ties="random"), p[3:4])
    log_p = [made.p_values(x, "log_prob", ties=t) for t in ("counted", "random")]
    assert ((log_p[1] <= log_p[0]) & (log_p[1] > log_p[0] - 1 / 181 - 1e-12)).all()
    twice = made.p_values(np.repeat(x[:1], 2, 0), ties="random")
    assert twice[0] == p[0]
    assert twice[1] != p[0]  # or equal rows of a file would all have one p-value
    with pytest.raises(ValueError, match="often"):
        made.p_values(x, ties="often")


def test_missing_cells_are_neither_odd_nor_usual(single_precision):
    rng = np.random.default_rng(0)
    x = rng.normal(size=(400, 3)) * np.array([1e-4, 1.0, 100.0]) + np.array([0.0, 0.0, 500.0])
    x[rng.random((400, 3)) < 0.3] = np.nan
    x[0] = np.nan
    model = ancestral.build("vae", epochs=3, hidden_size=8, num_blocks=1, latent_size=1).fit(x)
    found = model.statistics(x)
    cells = found["odd_cell"][1:]
    has_cells = ~np.isnan(x[1:]).all(1)
    assert not np.isnan(x[1:][np.arange(399), cells][has_cells]).any()
    surprise, seen = model.surprise(x), ~np.isnan(x)
    expected = [surprise[seen[:, j], j].mean() for j in range(3)]
    np.testing.assert_allclose(found.usual, expected, rtol=1e-4)
    spread = [surprise[i][seen[i]].std() if seen[i].any() else 0.0 for i in range(400)]
    np.testing.assert_allclose(found["spread"], spread, rtol=1e-3, atol=1e-5)
    assert found["largest_excess"][0] == 0.0


def test_a_row_far_beyond_all_numbers_is_the_oddest(single_precision):
    rng = np.random.default_rng(0)
    x = rng.normal(size=(300, 3))
    for name, options in (("made", {}), ("vae", {"num_blocks": 1, "latent_size": 1})):
        model = ancestral.build(name, epochs=2, hidden_size=8, **options).fit(x[:200])
        detector = model.detector(x[200:])
        odd = x[:20].copy()
        odd[4, 1] = 1e30
        found = model.statistics(odd, like=detector)
        assert np.isneginf(found["log_prob"][4]) or found["log_prob"][4] < -1e20
        assert found["odd_cell"][4] == 1
        assert np.isfinite(np.delete(found["log_prob"], 4)).all()
        for score in detector.scores:
            values = detector.score(found, score)
            assert values[4] == values.max()
            assert detector.p_values(found, score)[4] == pytest.approx(1 / 101)
        difference, p = detector.together(found)
        assert difference < -1e18
        assert p < 0.001


def test_a_row_of_integers_with_noise_has_the_same_score_in_any_place(data, single_precision):
    noisy = {part: Dequantized(source) for part, source in data.splits.items()}
    model = ancestral.build("ppca", latent_size=2).fit(noisy["train"])
    detector = model.detector(noisy["valid"])
    found = model.statistics(noisy["test"], like=detector)
    assert found.kind == "lower_bound"
    some = np.array([90, 3, 41])
    again = model.statistics(noisy["test"].subset(some), like=detector)
    np.testing.assert_allclose(again["log_prob"], found["log_prob"][some], rtol=1e-6)
    # the file is that of the integers, which arrays hold without noise
    plain = model.statistics(data.test.rows(some).x.numpy(), like=detector)
    assert np.array_equal(plain["log_prob"], again["log_prob"])
    expected = complexity_bits(data.test.rows(some).x.numpy(), data.spec)
    assert np.array_equal(again["complexity"], expected)
    assert "complexity" in detector.basis


def test_backgrounds_that_do_not_fit_are_refused_in_words(made, data, single_precision):
    x = data.test.rows(slice(0, 5)).x.numpy()
    detector = made.detector(data.valid, background=made)
    with pytest.raises(OptionError, match="expected the background model"):
        made.anomaly_score(x, "likelihood_ratio", calibration=detector)
    assert made.anomaly_score(x, calibration=detector).shape == (5,)
    with pytest.raises(NotFittedError, match="call `fit` first"):
        made.detector(data.valid, background=ancestral.build("made"))
    rng = np.random.default_rng(0)
    other = ancestral.build("fvsbn", epochs=1).fit(rng.integers(0, 2, (60, 4)))
    with pytest.raises(IncompatibleChoices, match="kind of cells: levels, got binary"):
        made.anomaly_score(x, "likelihood_ratio", calibration=data.valid, background=other)
    frame = pd.DataFrame({"a": rng.choice(["x", "y"], 60), "b": rng.normal(size=60)})
    renamed = frame.replace({"a": {"x": "z"}})
    one, two = (ancestral.build("made", epochs=1, hidden_size=8).fit(f) for f in (frame, renamed))
    with pytest.raises(IncompatibleChoices, match="column 1: a, categorical of 2 levels: x, y"):
        one.detector(frame, background=two)
    with pytest.raises(DataError, match="expected rows, got 0 samples"):
        made.anomaly_score(np.zeros((0, 8, 8)), calibration=data.valid)


def test_ranks_flag_where_they_are_fine_enough():
    rng = np.random.default_rng(0)
    known = _found(rng.normal(-90, 5, 1000), rng.random(1000))
    detector = Detector(known, Specification(Kind.REAL, (3,)))
    new = rng.normal(-90, 5, 40)
    new[:2] = -5000.0
    few = _found(new, rng.random(40))
    assert detector.ranks_suffice(40, 0.05)
    assert np.array_equal(
        detector.flagged(few, 0.05, "log_prob"),
        flagged(detector.p_values(few, "log_prob"), 0.05),
    )
    assert detector.flagged(few, 0.05, "log_prob")[:2].all()
    many = _found(np.tile(new, 10), rng.random(400))
    assert not detector.ranks_suffice(400, 0.05)
    chosen = detector.flagged(many, 0.05, "log_prob")
    assert np.flatnonzero(chosen).tolist() == sorted([*range(0, 400, 40), *range(1, 400, 40)])
