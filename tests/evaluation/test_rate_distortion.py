"""Rate and distortion, and the slopes that optima must have."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from torch import nn

from ancestral.core import Batch, IncompatibleChoices, OptionError
from ancestral.evaluation.rate_distortion import (
    RateDistortion,
    Segment,
    rate_distortion,
    segments,
)
from ancestral.inference.posteriors import ExactPosterior, PointMass
from ancestral.models import ProbabilisticPCA


def a_point(rate, distortion):
    return RateDistortion(rate, distortion, 0.0, 0.0)


def test_their_sum_is_minus_the_bound():
    model = ProbabilisticPCA((4,), 2)
    with torch.no_grad():
        x = model.sample(50)
        found = rate_distortion(model, ExactPosterior(), [Batch(x)], num_samples=2000)
        exact = float(model.log_prob(x).mean())
    # the bound of the exact posterior is log p; Monte Carlo noise of D below 0.01
    assert found.elbo == pytest.approx(exact, abs=0.05)
    assert found.rate > 0
    assert found.rate_error > 0


def test_slopes_of_an_exact_curve_are_those_that_beta_predicts():
    # D = exp(-R) has slope -exp(-R): the optimum for beta is R = -log beta
    betas = (0.1, 0.2, 0.5, 0.9)
    points = [(beta, a_point(-math.log(beta), beta)) for beta in betas]
    found = segments(points)
    assert [s.steepest for s in found] == [-0.9, -0.5, -0.2]
    assert [s.flattest for s in found] == [-0.5, -0.2, -0.1]
    assert all(s.as_predicted for s in found)
    slopes = [s.slope for s in found]
    assert slopes == sorted(slopes)
    worse = [*points[:1], (0.2, a_point(-math.log(0.2), 0.5)), *points[2:]]
    assert not all(s.as_predicted for s in segments(worse))
    # at beta = 0.2 that one has 0.5 + 0.2 R; the neighbour of 0.1 does better in its place
    assert all(s.shortfall == 0 for s in found)
    assert max(s.shortfall for s in segments(worse)) == pytest.approx(
        0.5 + 0.2 * math.log(5) - min(0.1 + 0.2 * math.log(10), 0.5 + 0.2 * math.log(2))
    )


def test_refusals():
    assert not Segment(-3.0, -2.0, -1.0).as_predicted
    assert not Segment(math.nan, -2.0, -1.0).as_predicted
    for points in ([], [(1.0, a_point(1, 1))], [(1.0, a_point(1, 1)), (1.0, a_point(2, 0))]):
        with pytest.raises(OptionError, match="at least two models"):
            segments(points)
    model = ProbabilisticPCA((4,), 2)
    point = PointMass(nn.Identity(), nn.Linear(4, 2))
    for q in (None, point):
        with pytest.raises(IncompatibleChoices, match="posterior with a density") as error:
            rate_distortion(model, q, [Batch(torch.zeros(2, 4))])
        assert error.value.hint


def test_rate_distortion_plane():
    from ancestral.plots import RatePoint, rate_distortion_plane

    betas = np.array([0.25, 0.5, 1.0, 2.0, 4.0])
    points = [RatePoint(b, -20 * math.log(b / 8), 20 * b) for b in betas]
    axes = rate_distortion_plane(points).axes[0]
    lines = axes.get_lines()
    iso = [
        line
        for line in lines
        if np.allclose(np.sum(line.get_xydata(), 1), line.get_xydata()[0].sum())
    ]
    assert len(iso) >= 3
    slopes = []
    for line in lines:
        (x0, y0), (x1, y1) = line.get_xydata()[[0, -1]]
        if len(line.get_xydata()) == 2 and line not in iso:
            slopes.append((y1 - y0) / (x1 - x0))
    # the one of beta = 1 runs along the lines of equal ELBO
    assert sorted(slopes) == pytest.approx([-4.0, -2.0, -0.5, -0.25])
    labels = {text.get_text() for text in axes.texts}
    assert {"0.25", "0.5", "1", "2", "4"} <= labels
