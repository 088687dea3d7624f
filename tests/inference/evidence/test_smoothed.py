"""Pareto-smoothed importance sampling, against its formula and arviz."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from linear_gaussian import Widened, a_model

from ancestral.core import Batch
from ancestral.inference.evidence import Importance, ParetoSmoothed, smoothed_log_weights


@pytest.mark.parametrize("spread", [0.3, 1.0, 3.0])
def test_weights_agree_with_arviz(spread):
    array_stats = pytest.importorskip("arviz_stats.base").array_stats
    log_w = spread * torch.randn(2500, 6)  # at squares ArviZ rounds as the paper does
    ours = smoothed_log_weights(log_w)
    ours = ours - ours.logsumexp(0)
    for column in range(6):
        theirs, _ = array_stats.psislw(-log_w[:, column].numpy())
        theirs = np.sort(np.asarray(theirs))
        theirs = theirs - np.logaddexp.reduce(theirs)
        np.testing.assert_allclose(ours[:, column].numpy(), theirs, atol=1e-6)


def test_only_the_tail_changes_and_never_beyond_the_largest():
    log_w = 2 * torch.randn(400, 5) - 300  # would underflow in float32
    found = smoothed_log_weights(log_w)
    ordered = log_w.sort(0).values
    tail = 60  # min(400 / 5, 3 sqrt(400))
    assert torch.equal(found[:-tail], ordered[:-tail])
    assert not torch.equal(found[-tail:], ordered[-tail:])
    assert bool((found <= ordered[-1] + 1e-9).all())
    assert bool((found.diff(dim=0) >= -1e-9).all())


@pytest.mark.parametrize("log_w", [torch.zeros(100, 2), torch.randn(10, 2)])
def test_weights_without_a_tail_stay(log_w):
    torch.testing.assert_close(smoothed_log_weights(log_w), log_w.double().sort(0).values)


def test_impossible_and_broken_weights_stay_what_they_are():
    log_w = torch.randn(100, 3)
    log_w[:, 0] = -torch.inf
    log_w[0, 1] = torch.inf
    log_w[:50, 2] = -torch.inf
    found = smoothed_log_weights(log_w)
    assert bool((found[:, 0] == -torch.inf).all())
    assert float(found[-1, 1]) == torch.inf
    assert bool(found[50:, 2].isfinite().all())


def test_it_is_consistent_and_less_noisy_and_no_bound():
    # 400 repeats with a proposal that is too narrow: heavy tails. The relative spread of a
    # standard deviation over 400 repeats is 0.035
    model = a_model().requires_grad_(False)
    batch = Batch(model.sample(1).expand(400, -1))
    narrow = Widened(0.0, 0.72)
    plain = Importance(200, seed=3)(model, narrow, [batch])
    smooth = ParetoSmoothed(200, seed=3)(model, narrow, [batch])
    assert smooth.kind == "consistent"
    assert smooth.num_samples == 200
    torch.testing.assert_close(smooth.khat, plain.khat)
    exact = float(model.log_prob(batch.x[:1]))
    spread = [float((e.value.exp() - e.value.exp().mean()).std()) for e in (plain, smooth)]
    assert spread[1] < 0.9 * spread[0]
    assert smooth.mean == pytest.approx(exact, abs=0.06)
