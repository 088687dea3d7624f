"""What is drawn for a row is a function of the row: neighbours and order do not matter."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
import torch

import ancestral
from ancestral.core import Batch, DataError, ShapeError
from ancestral.data import Dequantized, Masked, TensorSource, as_source

RNG = np.random.default_rng(0)
FIRST = RNG.integers(0, 2, 200)
BINARY = np.stack([FIRST ^ (RNG.random(200) < 0.3) for _ in range(12)], 1)
REAL = RNG.normal(size=(200, 2)) @ RNG.normal(size=(2, 4)) + 0.3 * RNG.normal(size=(200, 4))
COUNTS = RNG.poisson(4, (200, 4))
LEVELS = np.clip(np.round(4 + 2 * REAL), 0, 8).astype(np.uint8)
SMALL = {"epochs": 2, "hidden_size": 8}


def _gaps(x):
    """Nine rows with gaps: nothing known of one, everything of another, two that are equal."""
    found = x[:9].astype(float)
    found[np.random.default_rng(1).random(found.shape) < 0.4] = np.nan
    found[0], found[3], found[5] = [np.nan, *x[0, 1:]], np.nan, x[5]
    found[6, 0], found[6, -1] = np.nan, x[6, -1]  # the order of a model does not begin with it
    found[8] = found[7]
    return found


@pytest.mark.parametrize(
    ("name", "x", "options", "method"),
    [
        ("ppca", REAL, {"latent_size": 2}, "auto"),
        ("vae", REAL, {**SMALL, "latent_size": 2}, "auto"),
        ("vae", BINARY, {**SMALL, "latent_size": 2}, "metropolis"),
        ("vae", COUNTS, {**SMALL, "latent_size": 2}, "importance"),
        ("sigmoid_belief_net", BINARY, {"epochs": 1, "layers": "8,6"}, "auto"),
        ("made", BINARY, SMALL, "auto"),
        ("eonade", BINARY, SMALL, "auto"),
        ("rnade", REAL, SMALL, "auto"),
        ("chow_liu", BINARY, {}, "auto"),
        ("pixel_vae", BINARY, {"epochs": 1}, "auto"),
    ],
)
def test_draws_belong_to_their_rows(name, x, options, method):
    """In double precision, where no draw falls on the other side of a threshold by rounding."""
    model, rows = ancestral.build(name, **options).fit(x.astype(float)), _gaps(x)

    def drawn(chosen):
        return model.impute_samples(rows[chosen], 12, seed=2, method=method).draws(6)

    forwards, backwards = drawn(slice(None)), drawn(slice(None, None, -1)).flip(0)
    twins = [7, 8]
    torch.testing.assert_close(forwards[:7], backwards[:7], rtol=1e-6, atol=1e-6)
    for row in (0, 3, 4, 7):
        torch.testing.assert_close(drawn([row])[0], forwards[row], rtol=1e-6, atol=1e-6)
    if bool(np.isnan(rows[twins]).any()) and x is REAL:
        assert not torch.equal(forwards[7], forwards[8])  # equal rows have draws of their own


def test_nothing_known_is_a_sample_of_the_model():
    """p(nothing) = 1 exactly; means within five standard errors of the model's own."""
    model = ancestral.build("vae", **SMALL, latent_size=2).fit(REAL)
    gaps = np.full((2, 4), np.nan)
    gaps[1] = REAL[0] * [1, 1, 1, np.nan]
    for method in ("auto", "importance", "metropolis"):
        alone = model.impute_samples(gaps[:1], 2000, method=method)
        assert alone.log_evidence.kind == "exact"
        assert float(alone.log_evidence.value[0]) == 0
        assert "nothing is known" in alone.method
        assert float(alone.ess[0]) == 2000
    both = model.impute_samples(gaps, 50, method="importance")
    assert both.log_evidence.kind == "lower_bound"
    assert float(both.log_evidence.value[0]) == 0
    own = model.sample(20_000, seed=1)
    draws = alone.samples[0].numpy()
    error = np.hypot(draws.std(0) / 2000**0.5, own.std(0) / 20_000**0.5)
    assert (np.abs(draws.mean(0) - own.mean(0)) < 5 * error).all()
    assert (np.abs(alone.means[0].numpy() - own.mean(0)) < 6 * own.std(0) / 1000**0.5).all()


@pytest.mark.parametrize("name", ["ppca", "rnade"])
def test_integers_stay_integers(name):
    """Of a dequantised model: known cells as given, draws and guesses within the levels."""
    plain = as_source(LEVELS.reshape(200, 4))
    source = Dequantized(plain)
    options = {"latent_size": 2} if name == "ppca" else SMALL
    model = ancestral.build(name, **options).fit(source)
    assert model.spec_.integers == plain.spec
    seen = torch.tensor(np.random.default_rng(2).random((200, 4)) < 0.6)
    masked = Masked(source, seen)
    array = np.where(seen.numpy(), LEVELS, np.nan)
    given = torch.tensor(LEVELS).double()
    for rows in (masked, array):
        found = model.impute_samples(rows, 20)
        completed = found.completed(model.spec_)
        for values in (found.samples, completed, *found.interval(0.8)):
            assert bool((values == values.round()).all())
            assert float(values.min()) >= 0
            assert float(values.max()) <= plain.spec.num_levels - 1
        assert bool((completed[seen] == given[seen]).all())
        assert bool((found.samples[:, 3][seen] == given[seen]).all())
        assert found.log_evidence.kind == "lower_bound"
    assert np.array_equal(model.impute(array, 20), completed.numpy())


def test_a_mass_of_an_integer_is_the_density_above_it():
    """Draws of a ppca of x + u against the normal density over [k, k + 1); 5 standard errors."""
    model = ancestral.build("ppca", latent_size=2).fit(Dequantized(as_source(LEVELS)))
    p, count = model.model_, 20_000
    found = model.impute_samples(np.full((1, 4), np.nan), count).samples[0, :, 0]
    scale = (p.weight @ p.weight.T + p.noise_scale**2 * torch.eye(4))[0, 0].sqrt()
    edges = torch.distributions.Normal(p.loc[0], scale).cdf(torch.arange(10.0)).detach()
    for k in range(1, 8):  # the ends hold what lies beyond them too
        mass = float(edges[k + 1] - edges[k])
        share = float((found == k).double().mean())
        assert abs(share - mass) < 5 * (mass * (1 - mass) / count) ** 0.5 + 1e-4


def test_decoded_integers_are_means_of_the_numbers_as_given():
    model = ancestral.build("ppca", latent_size=2).fit(Dequantized(as_source(LEVELS)))
    rebuilt = model.reconstruct(LEVELS)
    # the mean of x + u lies half a unit above that of x; residuals of ppca sum to about nothing
    assert abs(float((rebuilt - LEVELS).mean())) < 0.05
    assert rebuilt.min() >= 0
    assert rebuilt.max() <= LEVELS.max()


def test_absurd_numbers_are_named(single_precision):
    """Of which a bent network makes what no Poisson rate can be."""
    x = np.concatenate((COUNTS, 100 * RNG.gamma(2.0, size=(200, 1))), 1)
    frame = pd.DataFrame(x, columns=[*"abcd", "real"]).astype(dict.fromkeys("abcd", int))
    model = ancestral.build("vae", **SMALL).fit(frame)
    gaps = frame.iloc[:3].astype(float)
    gaps["a"] = np.nan
    gaps.loc[1, "real"] = 1e30
    with pytest.raises(DataError, match="got 1e\\+30 in column 'real' of row 1") as caught:
        model.impute_samples(gaps, 10)
    assert caught.value.hint


def test_numbers_in_another_unit_are_warned_of():
    x = REAL * [8, 5, 1, 1] + [170, 60, 0, 0]
    model = ancestral.build("ppca", latent_size=2).fit(x)
    gaps = x[:4].copy()
    gaps[:, 3] = np.nan
    assert model.impute_samples(gaps, 10).warnings == ()
    gaps[2, 0] *= 10
    (sentence,) = model.impute_samples(gaps, 10).warnings
    assert "1 row has known cells far outside" in sentence
    assert "cell 0 of row 2, counted from 0" in sentence


def test_codes_that_cannot_be_decoded():
    for name in ("ppca", "autoencoder"):
        options = {} if name == "ppca" else SMALL
        model = ancestral.build(name, latent_size=2, **options).fit(REAL)
        with pytest.raises(ShapeError, match=r"expected codes of shape \[..., 2\], got \[2, 3\]"):
            model.decode(np.zeros((2, 3)))
        with pytest.raises(DataError, match="expected codes of finite numbers"):
            model.decode(np.array([[np.nan, 0.0]]))
        assert model.decode(np.zeros((3, 5, 2))).shape == (3, 5, 4)


def test_sources_without_their_noise():
    from ancestral.data import as_given

    plain = TensorSource(LEVELS, as_source(LEVELS).spec)
    noisy = Masked(Dequantized(plain), torch.ones(200, 4, dtype=torch.bool))
    batch: Batch = as_given(noisy).rows(slice(0, 5))
    assert bool((batch.x == plain.rows(slice(0, 5)).x).all())
    assert as_given(plain) is plain
