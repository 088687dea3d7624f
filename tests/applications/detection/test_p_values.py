"""p-values against their definition, their uniformity, and what is flagged by them."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import kstest

from ancestral.applications.detection import Calibration, flagged
from ancestral.applications.detection.pareto_tail import ParetoTail
from ancestral.core import DataError, OptionError


def test_ranks_are_those_of_the_definition():
    rng = np.random.default_rng(0)
    known, new = rng.integers(0, 20, 50).astype(float), rng.integers(-3, 24, 40).astype(float)
    calibration = Calibration.of(known)
    left = [(1 + sum(k <= s for k in known)) / 51 for s in new]
    right = [(1 + sum(k >= s for k in known)) / 51 for s in new]
    assert calibration.left(new).tolist() == pytest.approx(left)
    assert calibration.right(new).tolist() == pytest.approx(right)
    both = np.minimum(1, 2 * np.minimum(left, right))
    assert calibration.two_sided(new).tolist() == pytest.approx(both.tolist())


@pytest.mark.parametrize("side", ["left", "right", "two_sided"])
def test_uniform_for_rows_like_those_of_the_calibration(side):
    # one-sample test at 1e-4 with fresh calibration rows for each p-value: they are independent
    rng = np.random.default_rng(1)
    n = 199
    p = [
        float(getattr(Calibration.of(rng.gamma(2.0, size=n)), side)(rng.gamma(2.0)))
        for _ in range(2000)
    ]
    # p is a multiple of 1 / 200 (two-sided: of 1 / 100), on whose grid it is uniform
    spread = p - rng.random(2000) * (2 if side == "two_sided" else 1) / (n + 1)
    assert kstest(spread, "uniform").pvalue > 1e-4


def test_smoothed_p_values_are_uniform_where_scores_repeat():
    rng = np.random.default_rng(2)
    p = [
        float(Calibration.of(rng.integers(0, 3, 99)).smoothed(rng.integers(0, 3), rng.random()))
        for _ in range(2000)
    ]
    assert kstest(p, "uniform").pvalue > 1e-4
    plain = [
        float(Calibration.of(rng.integers(0, 3, 99)).right(rng.integers(0, 3)))
        for _ in range(2000)
    ]
    assert kstest(plain, "uniform").pvalue < 1e-4  # conservative: the test can fail
    for level in (0.05, 0.34, 0.7):  # but never too small: binomial, 4 standard errors
        assert np.mean(np.array(plain) <= level) < level + 4 * np.sqrt(level / 2000)


def test_infinite_scores_have_a_rank_and_nan_is_refused():
    calibration = Calibration.of([1.0, 2.0, np.inf])
    assert calibration.right([np.inf, 0.0]).tolist() == [0.5, 1.0]
    with pytest.raises(DataError, match="1 calibration scores are not numbers"):
        Calibration.of([1.0, np.nan])
    with pytest.raises(DataError, match="expected calibration rows, got none"):
        Calibration.of([])


def test_benjamini_hochberg_is_that_of_the_paper():
    # the example of Benjamini & Hochberg 1995, section 3.2: four are rejected at 0.05
    p = [
        0.0001, 0.0004, 0.0019, 0.0095, 0.0201, 0.0278, 0.0298, 0.0344, 0.0459, 0.3240, 0.4262,
        0.5719, 0.6528, 0.7590, 1.0,
    ]  # fmt: skip
    shuffled = np.random.default_rng(0).permutation(p)
    assert sorted(shuffled[flagged(shuffled, 0.05)]) == p[:4]
    assert not flagged([0.5, 0.9], 0.05).any()
    assert flagged([], 0.05).tolist() == []
    for rate in (0.0, 1.0, -0.1, 5.0):
        with pytest.raises(OptionError, match="between 0 and 1"):
            flagged(p, rate)


def test_the_share_of_false_discoveries_is_kept():
    # shared calibration rows; mean over 400 repetitions, 4 standard errors of room
    rng = np.random.default_rng(3)
    shares = []
    for _ in range(400):
        calibration = Calibration.of(rng.normal(size=500))
        normal, odd = rng.normal(size=90), rng.normal(4.0, size=30)
        found = flagged(calibration.right(np.concatenate((normal, odd))), 0.2)
        shares.append(found[:90].sum() / max(1, found.sum()))
    assert np.mean(shares) < 0.2 + 4 * np.std(shares) / 20
    assert np.mean(shares) > 0.05  # the bound is 0.2 * 90 / 120: flagging nothing would be cheap


def test_scores_that_differ_by_rounding_are_ties():
    rng = np.random.default_rng(5)
    known = rng.integers(0, 8, 300) * 3.0 - 90.0
    single = Calibration.of(known)
    noisy = Calibration.of(known + rng.uniform(-1e-5, 1e-5, 300))
    new = np.arange(8) * 3.0 - 90.0
    for shift in (-1e-5, 0.0, 1e-5):  # a batch of another size
        for side in ("left", "right", "two_sided"):
            assert np.array_equal(getattr(noisy, side)(new + shift), getattr(single, side)(new))
        half = np.full(8, 0.5)
        assert np.array_equal(noisy.smoothed(new + shift, half), single.smoothed(new, half))
    assert noisy.right([-90.0 + 0.01])[0] < noisy.right([-90.0])[0]  # it is no coarser than that


TAILS = {
    "normal": lambda rng, n: rng.normal(size=n),
    "exponential": lambda rng, n: rng.exponential(size=n),
    "lognormal": lambda rng, n: rng.lognormal(size=n),
    "student": lambda rng, n: np.abs(rng.standard_t(3, n)),
    "uniform": lambda rng, n: rng.random(n),
}


@pytest.mark.parametrize("name", list(TAILS))
@pytest.mark.parametrize("num_known", [50, 180, 500])
def test_rows_that_are_all_normal_are_seldom_flagged_by_their_tail(name, num_known):
    # P(any of 1,000 flagged at 0.05) by 100 repetitions: point estimates gave 0.15 to 0.46 for
    # heavy tails; the chance to see more than 12 where it is 0.05 is 0.001
    rng = np.random.default_rng(6)
    any_flagged = 0
    for _ in range(100):
        known, new = TAILS[name](rng, num_known), TAILS[name](rng, 1000)
        ranks = Calibration.of(known).right(new)
        top = new > known.max()
        ranks[top] = np.minimum(ranks[top], ParetoTail.fit(known).p_values(new[top]))
        any_flagged += bool(flagged(ranks, 0.05).any())
    assert any_flagged <= 12


def test_tails_tell_what_is_far_beyond():
    rng = np.random.default_rng(4)
    for _ in range(20):
        tail = ParetoTail.fit(rng.exponential(size=500))
        found = tail.p_values([5.0, 12.0, 1000.0])
        assert found[0] > np.exp(-5.0)  # an upper bound, of 95 %: seed and tail are chosen so
        assert found[1] > np.exp(-12.0)
        assert found[2] < 1e-5  # a row of another kind is flagged all the same


def test_tails_of_equal_scores_say_nothing_on_what_lies_beyond():
    tail = ParetoTail.fit(np.ones(50))
    assert tail.p_values([1.0, 2.0, np.inf]).tolist() == pytest.approx([0.2, 0.2, 0.2])
    infinite = ParetoTail.fit(np.array([*range(40), np.inf]))
    assert infinite.p_values([100.0])[0] == pytest.approx(10 / 41)
