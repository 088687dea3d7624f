"""Noise that belongs to a row: distribution, independence, and what it does not depend on."""

from __future__ import annotations

import math

import pytest
import torch
from scipy import stats

from ancestral.core import Batch
from ancestral.core.hashing import row_hashes
from ancestral.core.noise import (
    exponential_noise,
    normal_noise,
    own_noise,
    samples_from,
    uniform_noise,
)
from ancestral.core.row_noise import NoiseOfRows, RowKeys

SINGLE, DOUBLE = torch.empty((), dtype=torch.float32), torch.empty((), dtype=torch.float64)
DRAWS = {
    "normal": (normal_noise, stats.norm.cdf),
    "uniform": (uniform_noise, stats.uniform.cdf),
    "exponential": (exponential_noise, stats.expon.cdf),
}


def keys(num):
    return RowKeys(3).of(Batch(torch.arange(num).reshape(-1, 1).double()))


@pytest.fixture(params=["native", "torch"])
def either(request, monkeypatch):
    monkeypatch.setenv("ANCESTRAL_NATIVE", "1" if request.param == "native" else "0")


@pytest.mark.parametrize("name", DRAWS)
@pytest.mark.parametrize("like", [SINGLE, DOUBLE], ids=["single", "double"])
def test_distribution(name, like, either):
    # six tests at 0.1 %: about one seed in 80 would fail one of them
    draw, cdf = DRAWS[name]
    with own_noise(keys(50)):
        found = draw((200, 50, 7), like)
    assert found.dtype == like.dtype
    assert found.shape == (200, 50, 7)
    assert stats.kstest(found.double().flatten().numpy(), cdf).pvalue > 1e-3


@pytest.mark.parametrize("like", [SINGLE, DOUBLE], ids=["single", "double"])
def test_rows_samples_and_places_are_independent(like, either):
    # products of noise over all pairs of an axis are near N(0, 1): 1 seed in 100 fails
    with own_noise(keys(40)):
        noise = normal_noise((60, 40, 10), like).double()
    for power in (noise, (noise.square() - 1) / math.sqrt(2)):
        for axis in range(3):
            flat = power.movedim(axis, 0).flatten(1)
            products = flat @ flat.T / math.sqrt(flat.shape[1])
            z = products[torch.triu(torch.ones_like(products), 1) > 0]
            assert float(z.abs().max()) < 4.9  # of at most 1,770 normals: 1 seed in 600
            assert float(z.std()) == pytest.approx(1, abs=4 / math.sqrt(2 * len(z)))


def test_the_two_ways_agree(monkeypatch):
    found = []
    for native in ("1", "0"):
        monkeypatch.setenv("ANCESTRAL_NATIVE", native)
        for size in (1, 2, 5, 20):
            found.append(NoiseOfRows(keys(6)).normal((9, 6, size), SINGLE))
    for a, b in zip(found[:4], found[4:], strict=True):
        torch.testing.assert_close(a, b, rtol=1e-5, atol=3e-6)


@pytest.mark.parametrize("name", DRAWS)
def test_a_row_has_its_own_noise_in_any_company_and_order(name):
    draw, _ = DRAWS[name]
    x = torch.randn(9, 4)
    order = torch.randperm(9)

    def noise(rows):
        with own_noise(RowKeys(0).of(Batch(rows))):
            return draw((5, len(rows), 3), SINGLE)

    whole = noise(x)
    assert torch.equal(noise(x[order]), whole[:, order])
    assert torch.equal(noise(x[4:5]), whole[:, 4:5])
    assert not torch.equal(noise(x[4:5]), whole[:, 3:4])


@pytest.mark.parametrize("name", DRAWS)
@pytest.mark.parametrize("like", [SINGLE, DOUBLE], ids=["single", "double"])
def test_pieces_do_not_change_samples(name, like):
    draw, _ = DRAWS[name]

    def drawn(sizes):
        parts, first = [], 0
        with own_noise(keys(4)):
            for size in sizes:
                with samples_from(first, size):
                    pair = [draw((size, 4, 3), like) for _ in range(2)]
                parts.append(torch.stack(pair))
                first += size
        return torch.cat(parts, 1)

    whole = drawn([20])
    assert torch.equal(drawn([7, 7, 6]), whole)
    assert torch.equal(drawn([1] * 20), whole)
    assert not torch.equal(whole[0], whole[1])  # who asks twice gets other noise


def test_several_draws_for_each_sample_do_not_meet_those_of_other_pieces():
    with own_noise(keys(2)):
        parts = []
        for first in (0, 10, 20):
            with samples_from(first, 10):
                parts.append(uniform_noise((50, 2, 1), DOUBLE))
    assert len(torch.cat(parts)[:, 0].unique()) == 150


def test_equal_rows_are_told_apart_and_seeds_too():
    x = torch.ones(3, 2)
    found = RowKeys(0).of(Batch(x))
    assert len(found.unique()) == 3
    seen = RowKeys(0)
    pieces = [seen.of(Batch(x[:2])), seen.of(Batch(x[2:]))]
    assert torch.equal(torch.cat(pieces), found)
    assert not bool((RowKeys(1).of(Batch(x)) == found).any())


def test_hashes_see_cells_gaps_and_context():
    x = torch.tensor([[1.0, 0.0], [0.0, 1.0], [1.0, 0.0], [-0.0, 1.0]])
    plain = row_hashes(Batch(x))
    assert plain[0] == plain[2] != plain[1]
    assert plain[1] == plain[3]  # -0 is 0
    gap = row_hashes(
        Batch(x, torch.tensor([[True, True], [True, True], [True, False], [True, True]]))
    )
    assert gap[0] == plain[0]
    assert gap[2] != plain[2]
    assert not bool((row_hashes(Batch(x, context=torch.ones(4, 1))) == plain).any())
    assert torch.equal(row_hashes(Batch(x.float())), plain)


def test_noise_without_rows_is_drawn_as_usual():
    torch.manual_seed(0)
    usual = torch.randn(3)
    torch.manual_seed(0)
    with own_noise(keys(5)):
        assert torch.equal(normal_noise((3,), DOUBLE), usual)
