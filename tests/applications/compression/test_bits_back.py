"""Bits-back: bit for bit the same rows, at the rate of the ELBO."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from bits_back_models import CELLS, MATCHED, MODELS, SPEC, made, one_of_eight, specification
from torch import nn

from ancestral.applications.compression.bits_back import BitsBackCodec
from ancestral.applications.compression.codec import CodingOptions
from ancestral.applications.compression.entropy import CorruptWords
from ancestral.applications.compression.grids import Fractions, Grids
from ancestral.core import Batch, DataError, IncompatibleChoices, Kind, NotExact, Specification
from ancestral.distributions import FullCovarianceNormal
from ancestral.inference.posteriors import ExactPosterior, PointMass
from ancestral.models import (
    LatentVariableModel,
    NetworkConditional,
    ProbabilisticPCA,
    StandardNormalPrior,
)

OVERHEAD = 200  # bits: random ones that come first, the grid, what is left of a word


def _codec(name: str = "diagonal", **options) -> BitsBackCodec:
    model, posterior = made(name)
    return BitsBackCodec(model, posterior, specification(name), Grids(), CodingOptions(**options))


def _rows(name: str, number: int) -> torch.Tensor:
    """Drawn from the model."""
    model, _ = made(name)
    with torch.no_grad():
        return model.sample(number).round().long()


def _minus_elbo(model, posterior, rows: torch.Tensor) -> tuple[float, float]:
    """Bits, from draws that the codec has nothing to do with; the deviation of a single draw."""
    batch = Batch(rows.to(torch.get_default_dtype()))
    with torch.no_grad():
        z, log_q = posterior.draw(model, batch, 50)
        terms = (log_q - model.log_joint(batch.x, z)) / math.log(2)
    return float(terms.mean(0).sum()), math.sqrt(float(terms.var(0).sum()))


@pytest.mark.parametrize("name", MODELS)
@pytest.mark.parametrize("number", [1, 37])
def test_rows_come_back_bit_for_bit(name, number):
    rows = _rows(name, number)
    codec = _codec(name, batch_size=16)
    words = codec.encode(rows).words
    assert words.dtype == np.uint32
    back = _codec(name, batch_size=16).decode(words, number)
    assert back.dtype == torch.int64
    assert torch.equal(back, rows)


@pytest.mark.parametrize("name", ["diagonal", "belief net", "autoregressive decoder"])
def test_also_in_single_precision(name, single_precision):
    rows = _rows(name, 50)
    assert torch.equal(_codec(name).decode(_codec(name).encode(rows).words, 50), rows)


@pytest.mark.parametrize("batch_size", [1, 7, 64, 1000])
def test_any_batch_size_and_seed(batch_size):
    rows = _rows("diagonal", 130)
    for seed in (0, 5):
        codec = _codec(batch_size=batch_size, seed=seed)
        words = codec.encode(rows).words
        assert torch.equal(codec.decode(words, 130), rows)


@pytest.mark.parametrize("name", sorted(set(MODELS) - set(MATCHED)))
def test_the_rate_is_minus_the_elbo(name):
    """The length is that of the z that were sent, and these are draws from q.

    There is one draw for each row, so that the length has a standard error; four of them are
    exceeded once in 16,000 times.
    """
    model, posterior = made(name)
    rows = _rows(name, 1200)
    encoded = _codec(name).encode(rows)
    bits, content = 32 * len(encoded.words), encoded.content_nats / math.log(2)
    # no mass is below 2^-24: levels far from where they should be cost less than they might
    assert content * 0.99 < bits < content * 1.002 + OVERHEAD
    expected, deviation = _minus_elbo(model, posterior, rows)
    assert content == pytest.approx(expected, abs=4 * deviation)
    assert deviation < 0.02 * expected
    assert encoded.kind == "lower_bound"


@pytest.mark.parametrize("name", MATCHED)
def test_a_gaussian_of_the_same_moments_has_an_elbo_of_its_own(name):
    """It is paid for, and it is near that of the q that it stands for."""
    model, posterior = made(name)
    rows = _rows(name, 600)
    encoded = _codec(name).encode(rows)
    bits, content = 32 * len(encoded.words), encoded.content_nats / math.log(2)
    assert content * 0.99 < bits < content * 1.002 + OVERHEAD
    expected, deviation = _minus_elbo(model, posterior, rows)
    assert expected - 4 * deviation < content < 1.08 * expected + 4 * deviation


def test_with_the_exact_posterior_every_row_costs_minus_log_p():
    """log p(x, z) - log q(z | x) is log p(x) whatever z is drawn: an oracle without noise."""
    model, posterior = one_of_eight()
    with torch.no_grad():
        rows = model.sample(3000).long()
        x = rows.to(torch.get_default_dtype())
        states = torch.eye(8).unsqueeze(1).expand(-1, len(x), -1)
        log_p = float(model.log_joint(x, states).logsumexp(0).sum())
    encoded = BitsBackCodec(model, posterior, SPEC, Grids(), CodingOptions()).encode(rows)
    assert encoded.content_nats == pytest.approx(-log_p)
    assert 0 < 32 * len(encoded.words) - -log_p / math.log(2) < OVERHEAD


def test_real_numbers_cost_the_mass_of_their_intervals():
    """A linear-Gaussian model with its exact posterior: no noise either."""
    torch.manual_seed(3)
    model = ProbabilisticPCA((5,), 2)
    with torch.no_grad():
        x = (100 * model.sample(500)).round() / 100
    symbols = (100 * x).round().long()
    grids = Grids(tuple(Fractions(int(s.min()), int(s.max()), 100) for s in symbols.unbind(1)))
    spec = Specification(Kind.REAL, (5,))
    codec = BitsBackCodec(model.eval(), ExactPosterior().eval(), spec, grids, CodingOptions())
    encoded = codec.encode(symbols)
    assert torch.equal(codec.decode(encoded.words, 500), symbols)
    with torch.no_grad():
        nats = -float(model.log_prob(x).sum()) + 5 * 500 * math.log(100)
    # the range of the data is known, which is worth a little
    assert 32 * len(encoded.words) == pytest.approx(nats / math.log(2), rel=0.005)


def test_the_enumerated_elbo_of_binary_variables():
    """E_q over all 2^7 states of two layers; the length's standard error is about 0.4 %."""
    model, posterior = made("belief net")
    rows = _rows("belief net", 1500)
    batch = Batch(rows.to(torch.get_default_dtype()))
    with torch.no_grad():
        q = posterior.distribution(model, batch)
        states = q.enumerate_support()
        log_q = q.log_prob(states)
        terms = log_q.exp() * (model.log_joint(batch.x, states) - log_q)
        elbo = float(terms.sum()) / math.log(2)
    bits = 32 * len(_codec("belief net").encode(rows).words)
    assert bits - OVERHEAD / 2 == pytest.approx(-elbo, rel=0.012)


def test_random_bits_are_few_and_the_seed_decides_them():
    rows = _rows("diagonal", 400)
    one, other = _codec(seed=1).encode(rows).words, _codec(seed=2).encode(rows).words
    assert not np.array_equal(one[: len(other)], other[: len(one)])
    assert abs(len(one) - len(other)) < 0.05 * len(one)
    assert np.array_equal(one, _codec(seed=1).encode(rows).words)
    with pytest.raises(CorruptWords):
        _codec(seed=2).decode(one, 400)


@pytest.mark.parametrize("place", [0, 3, -5, -2])
def test_a_changed_word_is_noticed(place):
    rows = _rows("diagonal", 200)
    words = _codec().encode(rows).words
    changed = words.copy()
    changed[place] ^= 1 << 7
    with pytest.raises(CorruptWords):
        _codec().decode(changed, 200)


def test_words_of_another_model_are_noticed():
    words = _codec("diagonal").encode(_rows("diagonal", 100)).words
    model, posterior = made("diagonal")
    with torch.no_grad():
        next(model.parameters()).mul_(1.01)
    with pytest.raises(CorruptWords):
        BitsBackCodec(model, posterior, SPEC, Grids(), CodingOptions()).decode(words, 100)


def test_progress_adds_up_to_all_rows():
    told: list[float] = []
    codec = _codec(batch_size=16)
    words = codec.encode(_rows("diagonal", 50), progress=told.append).words
    assert sum(told) == 50
    codec.decode(words, 50, progress=told.append)
    assert sum(told) == 100


def test_no_rows_are_no_words():
    encoded = _codec().encode(_rows("diagonal", 2)[:0])
    assert len(encoded.words) == 0
    assert encoded.content_nats == 0
    assert _codec().decode(encoded.words, 0).shape == (0, CELLS)


def test_refusals():
    model, posterior = made("diagonal")
    point = PointMass(nn.Identity(), nn.Linear(CELLS, 3))
    with pytest.raises(NotExact, match="deterministic encoder") as caught:
        BitsBackCodec(model, point, SPEC, Grids(), CodingOptions())
    assert caught.value.hint
    whole = NetworkConditional(
        nn.Linear(3, FullCovarianceNormal((CELLS,)).num_features), FullCovarianceNormal((CELLS,))
    )
    with pytest.raises(IncompatibleChoices, match="describes a row as a whole"):
        BitsBackCodec(
            LatentVariableModel(StandardNormalPrior(3), whole),
            posterior,
            SPEC,
            Grids(),
            CodingOptions(),
        )
    given = Specification(Kind.BINARY, (CELLS,), context=("class",))
    with pytest.raises(IncompatibleChoices, match="given classes"):
        BitsBackCodec(model, posterior, given, Grids(), CodingOptions())
    with pytest.raises(DataError, match="from 0 to 1"):
        _codec().encode(torch.full((3, CELLS), 2))


def test_weights_that_are_not_finite_are_refused_in_words():
    model, posterior = made("diagonal")
    with torch.no_grad():
        next(model.parameters()).fill_(math.nan)
    codec = BitsBackCodec(model, posterior, SPEC, Grids(), CodingOptions())
    with pytest.raises(CorruptWords, match="finite"):
        codec.encode(_rows("diagonal", 5))
