"""`Imputation`: draws, intervals, sets and spreads of weighted samples."""

from __future__ import annotations

import pytest
import torch

from ancestral.applications import Imputation
from ancestral.core import Column, Estimate, Kind, OptionError, Specification


def an_imputation(samples, weights=None, observed=None, **others) -> Imputation:
    rows, count = samples.shape[:2]
    if weights is None:
        weights = samples.new_full((rows, count), 1 / count)
    if observed is None:
        observed = torch.zeros(rows, *samples.shape[2:], dtype=torch.bool)
    evidence = Estimate(torch.zeros(rows), "exact", std_error=torch.zeros(rows))
    ess = torch.full((rows,), float(count))
    return Imputation(samples, weights, observed, ess, evidence, ("by hand",) * rows, **others)


@pytest.mark.parametrize(("count", "level"), [(20, 0.9), (39, 0.9), (500, 0.9), (100, 0.5)])
def test_intervals_hold_what_they_promise(count, level):
    """A further draw of the same distribution lies inside; 4 standard errors, once in 16,000."""
    rows = 20_000
    draws = torch.randn(rows, count + 1)
    low, high = an_imputation(draws[:, 1:, None]).interval(level)
    inside = ((low[:, 0] <= draws[:, 0]) & (draws[:, 0] <= high[:, 0])).double().mean()
    error = (level * (1 - level) / rows) ** 0.5
    slack = 2 / (count + 1)  # bounds are samples, never between them
    assert level - 4 * error <= float(inside) <= level + slack + 4 * error


def test_intervals_of_counts_are_counts_and_hold_at_least():
    rows, count = 5000, 100
    draws = torch.poisson(torch.full((rows, count + 1), 3.0))
    low, high = an_imputation(draws[:, 1:, None]).interval(0.9)
    assert bool((low == low.round()).all())
    inside = ((low[:, 0] <= draws[:, 0]) & (draws[:, 0] <= high[:, 0])).double().mean()
    assert float(inside) >= 0.9


def test_weights_count_in_intervals_and_spreads():
    """Samples of a wide normal weighted towards a narrow one, by their density ratio."""
    x = 3 * torch.randn(4, 20_000)
    weights = (-0.5 * (x - 1).square() + 0.5 * (x / 3).square()).softmax(1)
    found = an_imputation(x.unsqueeze(-1), weights)
    low, high = found.interval(0.9)
    torch.testing.assert_close(low, torch.full((4, 1), 1 - 1.645), atol=0.15, rtol=0)
    torch.testing.assert_close(high, torch.full((4, 1), 1 + 1.645), atol=0.15, rtol=0)
    torch.testing.assert_close(found.std(), torch.ones(4, 1), atol=0.1, rtol=0)
    drawn = found.draws(5000)
    torch.testing.assert_close(drawn.mean(1), torch.ones(4, 1), atol=0.15, rtol=0)
    torch.testing.assert_close(drawn.std(1), torch.ones(4, 1), atol=0.15, rtol=0)


def test_samples_without_weight_are_no_bounds():
    samples = torch.tensor([[[-1e6], [1.0], [2.0], [3.0], [1e6]]])
    weights = torch.tensor([[0.0, 1 / 3, 1 / 3, 1 / 3, 0.0]])
    low, high = an_imputation(samples, weights).interval(0.9)
    assert (float(low), float(high)) == (1.0, 3.0)


def test_draws():
    samples = torch.arange(12.0).reshape(2, 6, 1)
    found = an_imputation(samples)
    drawn = found.draws(6)
    assert torch.equal(drawn.sort(1).values, samples)
    assert len(found.draws(3)[0].unique()) == 3
    assert torch.equal(found.draws(4, seed=1), found.draws(4, seed=1))
    assert found.draws(20).shape == (2, 20, 1)
    thin = found.thinned(3)
    assert thin.samples.shape == (2, 3, 1)
    torch.testing.assert_close(thin.weights, torch.full((2, 3), 1 / 3))
    for wrong in (lambda: found.draws(0), lambda: found.interval(1.0)):
        with pytest.raises(OptionError):
            wrong()


def test_observed_cells_have_no_spread():
    samples = torch.randn(3, 50, 2)
    observed = torch.tensor([[True, False]] * 3)
    samples[:, :, 0] = 4.0
    found = an_imputation(samples, observed=observed)
    low, high = found.interval(0.8)
    assert bool((low[:, 0] == 4).all())
    assert bool((high[:, 0] == 4).all())
    assert bool((found.std()[:, 0] == 0).all())
    assert bool((found.std()[:, 1] > 0.5).all())


def test_credible_sets():
    samples = torch.tensor([0.0] * 60 + [2.0] * 32 + [1.0] * 8).reshape(1, 100, 1)
    found = an_imputation(samples)
    assert found.credible_set(4, 0.9)[0, 0].tolist() == [True, False, True, False]
    assert found.credible_set(4, 0.5)[0, 0].tolist() == [True, False, False, False]
    assert found.credible_set(4, 0.95)[0, 0].tolist() == [True, True, True, False]


def test_means_are_better_guesses_than_means_of_samples():
    spec = Specification(None, (2,), columns=(Column("r", Kind.REAL), Column("b", Kind.BINARY)))
    samples = torch.tensor([[[1.0, 0.0], [2.0, 0.0]]])
    found = an_imputation(samples, means=torch.tensor([[7.5, 0.8]]))
    assert found.completed(spec).tolist() == [[7.5, 1.0]]
    assert an_imputation(samples).completed(spec).tolist() == [[1.5, 0.0]]
    both = Imputation.concatenate([found, found])
    assert both.means.tolist() == [[7.5, 0.8]] * 2
    assert Imputation.concatenate([found, an_imputation(samples)]).means is None


def test_words():
    found = an_imputation(torch.zeros(3, 2, 1))
    assert found.method == "by hand"
    mixed = Imputation(**(vars(found) | {"methods": ("by hand", "by foot", "by hand")}))
    assert mixed.method == "2 rows by hand; 1 row by foot"
