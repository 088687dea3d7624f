"""The corrected score: fair p-values, and what it sees that its parts do not."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import kstest

from ancestral.applications.detection.density_of_states import DensityOfStates
from ancestral.core import DataError


def _states(rng, rows):
    complexity = rng.gamma(20.0, 20.0, rows)
    log_prob = -0.3 * complexity + rng.normal(0, 8.0, rows)
    return np.stack((log_prob, complexity, rng.lognormal(size=rows)), 1)


@pytest.mark.parametrize("rows", [25, 120])
def test_p_values_are_uniform_with_few_calibration_rows(rows):
    # fresh calibration rows for each group of eight new rows; a one-sample test at 1e-3
    rng = np.random.default_rng(rows)
    p = np.concatenate(
        [DensityOfStates.fit(_states(rng, rows)).p_values(_states(rng, 8)) for _ in range(40)]
    )
    spread = p - rng.random(len(p)) / (rows + 1)
    assert kstest(spread, "uniform").pvalue > 1e-3


def test_too_probable_for_its_complexity_is_odd():
    rng = np.random.default_rng(1)
    density = DensityOfStates.fit(_states(rng, 2000))
    usual = _states(rng, 500)
    odd = usual.copy()
    odd[:, 0] += 60.0  # well inside the range of log p by itself
    assert abs(odd[:, 0].mean() - usual[:, 0].mean()) < usual[:, 0].std() * 2.2
    assert density.score(odd).min() > np.quantile(density.score(usual), 0.5)
    assert (density.p_values(odd) < 0.01).mean() > 0.95
    simple = np.array([[-5.0, 30.0, 1.0]])  # a constant image: probable, and short
    assert density.p_values(simple)[0] == pytest.approx(1 / 2001)


def test_the_score_rises_without_end_outside_of_the_data():
    rng = np.random.default_rng(2)
    density = DensityOfStates.fit(_states(rng, 1000))
    far = np.array([[-(10.0**k), 400.0, 1.0] for k in range(4, 12)])
    assert (np.diff(density.score(far)) > 0).all()
    infinite = density.score(np.array([[-np.inf, 400.0, 1.0]]))
    assert infinite.tolist() == [np.inf]
    assert density.p_values(np.array([[-np.inf, 400.0, 1.0]]))[0] == pytest.approx(1 / 1001)


def test_a_statistic_that_never_changes_does_no_harm():
    rng = np.random.default_rng(3)
    states = _states(rng, 200)
    states[:, 1] = 64.0
    density = DensityOfStates.fit(states)
    assert np.isfinite(density.score(states)).all()
    assert 0.3 < density.p_values(states).mean() < 0.7
    other = states[:1].copy()
    other[:, 1] = 640.0
    assert density.p_values(other)[0] == pytest.approx(1 / 201)


def test_too_few_or_impossible_rows_are_refused():
    rng = np.random.default_rng(4)
    with pytest.raises(DataError, match="expected at least 10 calibration rows, got 9"):
        DensityOfStates.fit(_states(rng, 9))
    states = _states(rng, 30)
    states[:16, 0] = -np.inf
    with pytest.raises(DataError, match=r"expected finite statistics.* for 16 of 30"):
        DensityOfStates.fit(states)


def test_a_few_impossible_calibration_rows_rank_first():
    rng = np.random.default_rng(5)
    states = _states(rng, 100)
    plain = DensityOfStates.fit(states)
    states[3, 0] = -np.inf
    density = DensityOfStates.fit(states)
    usual = _states(rng, 50)
    assert np.isfinite(density.score(usual)).all()
    assert np.abs(density.p_values(usual) - plain.p_values(usual)).max() < 0.2
    assert density.p_values(states[3:4])[0] == pytest.approx(2 / 101)


def test_smoothed_p_values_are_uniform_where_rows_repeat():
    # few different rows, 60 sets of calibration rows; one-sample tests at 1e-3
    rng = np.random.default_rng(6)
    kinds = _states(rng, 6)
    plain, smoothed = [], []
    for _ in range(60):
        density = DensityOfStates.fit(kinds[rng.integers(0, 6, 60)])
        new = kinds[rng.integers(0, 6, 4)]
        plain.append(density.p_values(new))
        smoothed.append(density.smoothed_p_values(new, rng.random(4)))
    assert kstest(np.concatenate(smoothed), "uniform").pvalue > 1e-3
    assert kstest(np.concatenate(plain), "uniform").pvalue < 1e-3  # larger: the test can fail
