"""Lossy messages: what the receiver has, what it cost, and how far it is from what was sent."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from bits_back_models import CELLS, MODELS, SPEC, made, specification
from torch import nn

from ancestral.applications.compression.codec import CodingOptions
from ancestral.applications.compression.entropy import CorruptWords
from ancestral.applications.compression.grids import Floats, Fractions, Grids, Whole
from ancestral.applications.compression.lossy import LossyCodec
from ancestral.core import Batch, Kind, NotExact, Specification
from ancestral.distributions import Bernoulli
from ancestral.inference.posteriors import DiscretePosterior, ExactPosterior, PointMass
from ancestral.models import (
    FreePrior,
    LatentConditional,
    LatentVariableModel,
    NetworkConditional,
    ProbabilisticPCA,
)
from ancestral.networks import InputFeatures


def _codec(name: str = "diagonal", **options) -> LossyCodec:
    model, posterior = made(name)
    return LossyCodec(model, posterior, specification(name), Grids(), CodingOptions(**options))


def _rows(name: str, number: int) -> torch.Tensor:
    model, _ = made(name)
    with torch.no_grad():
        return model.sample(number).round().long()


@pytest.mark.parametrize("name", MODELS)
@pytest.mark.parametrize("number", [1, 40])
def test_the_receiver_has_what_the_sender_says(name, number):
    rows = _rows(name, number)
    message = _codec(name, batch_size=16).encode(rows)
    received = _codec(name, batch_size=16).decode(message.words, number)
    assert torch.equal(received, message.symbols)
    assert received.shape == rows.shape
    assert received.dtype == torch.int64
    levels = specification(name).num_levels or 2
    assert 0 <= int(received.min()) <= int(received.max()) < levels


def test_distortion_is_that_of_what_was_sent():
    rows = _rows("diagonal", 300)
    model, posterior = made("diagonal")
    codec = LossyCodec(model, posterior, SPEC, Grids(), CodingOptions(batch_size=1000))
    message = codec.encode(rows)
    x = rows.to(torch.get_default_dtype())
    expected = (message.symbols - rows).to(x.dtype).square().mean()
    assert message.squared_error == pytest.approx(float(expected))
    with torch.no_grad():
        z, _ = posterior.draw(model, Batch(x), 20)
        by_draws = -float(model.log_likelihood(x, z).mean(0).sum())
    # rounding the mean to steps as wide as q does no more harm than drawing from q
    assert message.distortion_nats == pytest.approx(by_draws, rel=0.05)


@pytest.mark.parametrize("name", ["diagonal", "full", "bottom up"])
def test_the_rate_is_about_the_divergence(name):
    """A quarter of a bit more for each variable, and up to a half where steps are not quite wide
    enough, since they are powers of two."""
    number = 2000
    message = _codec(name).encode(_rows(name, number))
    model, _ = made(name)
    size = model.prior().event_shape[0]
    bits = 32 * len(message.words)
    assert message.kl_bits - 0.1 * size * number < bits
    assert bits < message.kl_bits + 0.8 * size * number + 200


def _nearly_nothing(size: int = 200):
    """A belief net whose posterior is about its prior of 1/2, but for two variables."""
    torch.manual_seed(4)
    encoder = nn.Linear(CELLS, size)
    with torch.no_grad():
        encoder.weight.mul_(0.05)
        encoder.weight[:2] = 0
        encoder.weight[0, 0] = encoder.weight[1, 1] = 12.0
        encoder.bias[:2] = -6.0
    decoder = nn.Linear(size, CELLS)
    with torch.no_grad():
        decoder.weight.mul_(0.01)
        decoder.weight[0, 0] = decoder.weight[1, 1] = 9.0
        decoder.bias.fill_(0.0)
        decoder.bias[:2] = -4.5
    prior = FreePrior(Bernoulli((size,)))
    likelihood = NetworkConditional(decoder, Bernoulli((CELLS,)))
    q = DiscretePosterior(InputFeatures(SPEC), [LatentConditional(encoder, Bernoulli((size,)))])
    return LatentVariableModel(prior, likelihood).eval(), q.eval()


def test_binary_variables_of_which_nothing_is_known_are_not_told():
    """A bit each would be 200 bits a row, where all that is known of a row is two of them."""
    model, posterior = _nearly_nothing()
    rows = torch.randint(2, (600, CELLS))
    codec = LossyCodec(model, posterior, SPEC, Grids(), CodingOptions(batch_size=100))
    message = codec.encode(rows)
    assert torch.equal(codec.decode(message.words, 600), message.symbols)
    bits = 32 * len(message.words) / 600
    assert 1.5 < bits < message.kl_bits / 600 + 1
    # the two that are known come back
    assert (message.symbols[:, :2] == rows[:, :2]).double().mean() > 0.95
    x = rows.to(torch.get_default_dtype())
    with torch.no_grad():
        z, _ = posterior.draw(model, Batch(x), 20)
        drawn = -float(model.log_likelihood(x, z).mean(0).sum())
    assert message.distortion_nats < drawn * 1.01


def test_real_numbers_come_back_on_their_grid():
    torch.manual_seed(3)
    model = ProbabilisticPCA((5,), 2)
    with torch.no_grad():
        model.likelihood.network.log_noise_scale.fill_(-2.0)
        symbols = (100 * model.sample(300)).round().long()
    grids = Grids(tuple(Fractions(int(s.min()), int(s.max()), 100) for s in symbols.unbind(1)))
    spec = Specification(Kind.REAL, (5,))
    codec = LossyCodec(model.eval(), ExactPosterior().eval(), spec, grids, CodingOptions())
    message = codec.encode(symbols)
    assert torch.equal(codec.decode(message.words, 300), message.symbols)
    error = (grids.numbers(symbols) - grids.numbers(message.symbols)).square().mean()
    assert message.squared_error == pytest.approx(float(error))
    noise = math.exp(-4.0)
    assert 0.5 * noise < message.squared_error < 3 * noise


def test_the_nearest_points_of_every_grid():
    from ancestral.applications.compression.lossy_values import symbols_near

    values = np.array([-3.0, 0.26, 1.7, 99.0])
    assert symbols_near(Whole(0, 5), values).tolist() == [0, 0, 2, 5]
    assert symbols_near(Whole(0, 5, dequantized=True), values).tolist() == [0, 0, 1, 5]
    assert symbols_near(Fractions(-4, 40, 4), values).tolist() == [-4, 1, 7, 40]
    low, high = Floats.symbols_of(np.array([0.0, 2.0]))
    grid = Floats(int(low), int(high))
    assert grid.number(symbols_near(grid, values)).tolist() == [0.0, 0.26, 1.7, 2.0]


def test_categories_that_come_back_as_others_count_one():
    rows = _rows("categories", 100)
    message = _codec("categories").encode(rows)
    assert message.squared_error == pytest.approx(float((message.symbols != rows).double().mean()))


def test_words_that_are_left_are_noticed():
    rows = _rows("diagonal", 30)
    words = _codec().encode(rows).words
    with pytest.raises(CorruptWords):
        _codec().decode(words, 20)


def test_a_posterior_without_density_is_refused():
    model, _ = made("diagonal")
    point = PointMass(nn.Identity(), nn.Linear(CELLS, 3))
    with pytest.raises(NotExact, match="deterministic"):
        LossyCodec(model, point, SPEC, Grids(), CodingOptions())


def test_no_rows():
    message = _codec().encode(_rows("diagonal", 1)[:0])
    assert len(message.words) == 0
    assert _codec().decode(message.words, 0).shape == (0, CELLS)
