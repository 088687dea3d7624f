"""The best value of an interval, and draws from p restricted to it."""

from __future__ import annotations

import math

import pytest
import torch
from scipy import stats

from ancestral.applications.purification.search import (
    code_within,
    drawn_within,
    likeliest_within,
)
from ancestral.core import OptionError

NO, YES = torch.tensor([False]), torch.tensor([True])


def test_the_best_code_is_that_of_the_restricted_table():
    table = torch.rand(40, 7).softmax(-1)
    low = torch.randint(0, 7, (40,))
    high = torch.maximum(low, torch.randint(0, 7, (40,)))
    found = code_within(table, low.double(), high.double(), None)
    for row, (a, b) in enumerate(zip(low.tolist(), high.tolist(), strict=True)):
        assert found[row] == a + table[row, a : b + 1].argmax()


def test_codes_without_mass_can_be_chosen_and_drawn():
    table = torch.tensor([[1.0, 0.0, 0.0]]).expand(400, 3)
    low, high = torch.full((400,), 1.0), torch.full((400,), 2.0)
    assert bool((code_within(table, low, high, None) >= 1).all())
    drawn = code_within(table, low, high, torch.rand(400))
    assert set(drawn.tolist()) == {1.0, 2.0}


def test_draws_of_codes_follow_the_restricted_table():
    table = torch.tensor([0.4, 0.1, 0.3, 0.2])
    uniforms = (torch.arange(10_000) + 0.5) / 10_000
    ones = torch.ones(10_000)
    drawn = code_within(table.expand(10_000, 4), ones, 3 * ones, uniforms)
    shares = torch.bincount(drawn.long(), minlength=4) / 10_000
    assert shares.tolist() == pytest.approx([0, 1 / 6, 1 / 2, 1 / 3], abs=2e-4)


@pytest.mark.parametrize("mean", [-3.0, 0.123456, 0.99, 4.0])
def test_the_mode_of_a_normal_is_found(mean):
    density = torch.distributions.Normal(torch.tensor([mean]), 0.5).log_prob
    found = likeliest_within(density, torch.tensor([-1.0]), torch.tensor([1.0]), NO)
    assert float(found) == pytest.approx(min(max(mean, -1.0), 1.0), abs=2e-4)


def test_the_higher_of_two_modes_is_found():
    def density(x):
        first = torch.distributions.Normal(-0.7, 0.1).log_prob(x) + math.log(0.4)
        second = torch.distributions.Normal(0.8, 0.1).log_prob(x) + math.log(0.6)
        return torch.logaddexp(first, second)

    found = likeliest_within(density, torch.tensor([-1.0, -1.0]), torch.tensor([1.0, 0.2]), NO)
    assert found.tolist() == pytest.approx([0.8, -0.7], abs=2e-4)


def test_whole_numbers_are_all_tried_and_mixed_with_real_ones():
    density = torch.distributions.Normal(torch.tensor([3.4, 3.4]), 1.0).log_prob
    low, high = torch.tensor([0.0, 0.0]), torch.tensor([9.0, 9.0])
    found = likeliest_within(density, low, high, torch.tensor([True, False]))
    assert found.tolist() == pytest.approx([3.0, 3.4], abs=1e-3)
    with pytest.raises(OptionError, match="whole numbers"):
        likeliest_within(density, low, 1e7 * high, YES)


def test_infinite_densities_at_an_end_are_passed_over():
    density = torch.distributions.Beta(0.5, 0.5, validate_args=False).log_prob
    found = likeliest_within(density, torch.tensor([0.0]), torch.tensor([1.0]), NO)
    assert bool(density(found).isfinite())


def test_draws_of_real_numbers_follow_the_truncated_density():
    """Kolmogorov-Smirnov at 0.001: fails once in a thousand seeds."""
    count = 4000
    density = torch.distributions.Normal(0.3, 1.0).log_prob
    low, high = torch.full((count,), -1.0), torch.full((count,), 0.5)
    drawn = drawn_within(density, low, high, NO, torch.rand(count))
    truncated = stats.truncnorm(-1.3, 0.2, loc=0.3, scale=1.0)
    assert stats.kstest(drawn.numpy(), truncated.cdf).pvalue > 0.001


def test_draws_of_counts_follow_the_restricted_masses():
    count = 10_000
    density = torch.distributions.Poisson(2.0).log_prob
    low, high = torch.full((count,), 1.0), torch.full((count,), 3.0)
    high[0] = 30.0  # makes the others' candidates run past their own ends
    drawn = drawn_within(density, low, high, YES, (torch.arange(count) + 0.5) / count)
    shares = torch.bincount(drawn[1:].long(), minlength=4)[:4] / count
    masses = density(torch.arange(1.0, 4.0)).softmax(0)
    assert shares.tolist() == pytest.approx([0, *masses.tolist()], abs=5e-4)
