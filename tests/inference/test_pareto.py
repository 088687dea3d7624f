"""k-hat against ArviZ."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from ancestral.inference.evidence import pareto_khat

ARRAY_STATS = pytest.importorskip("arviz_stats.base").array_stats

# ArviZ rounds the tail's length down, the paper and R's loo round it up; at squares they agree
NUM_SAMPLES = [25, 100, 400, 2500, 10_000]


def arviz(log_weights: torch.Tensor) -> float:
    with np.errstate(all="ignore"):
        return float(ARRAY_STATS.psislw(-log_weights.numpy())[1])


def pareto(k: float, n: int) -> torch.Tensor:
    """Log of Pareto variables, whose tail has shape k."""
    return -k * torch.rand(n).log()


@pytest.mark.parametrize("n", NUM_SAMPLES)
@pytest.mark.parametrize("k", [0.3, 0.7, 1.0, 2.0])
def test_pareto_tails_agree_with_arviz(k, n):
    log_w = pareto(k, n)
    assert float(pareto_khat(log_w[:, None])) == pytest.approx(arviz(log_w), abs=1e-6)


@pytest.mark.parametrize("n", NUM_SAMPLES)
@pytest.mark.parametrize("scale", [0.5, 2.0])
def test_gaussians_agree_with_arviz(scale, n):
    z = scale * torch.randn(n)
    log_w = -0.5 * z.square() + 0.5 * (z / scale).square() + math.log(scale)
    assert float(pareto_khat(log_w[:, None])) == pytest.approx(arviz(log_w), abs=1e-6)


def test_very_uneven_weights_agree_with_arviz():
    log_w = 30 * torch.randn(400)
    assert float(pareto_khat(log_w[:, None])) == pytest.approx(arviz(log_w), rel=1e-6)


def test_some_ties_agree_with_arviz():
    log_w = pareto(0.5, 2500)
    cutoff = log_w.sort().values[-151]
    log_w[log_w.argsort()[-160:-140]] = cutoff  # ten of them in the tail
    assert float(pareto_khat(log_w[:, None])) == pytest.approx(arviz(log_w), abs=1e-6)


def test_many_ties_give_a_number():
    log_w = pareto(0.5, 2500)
    log_w[log_w.argsort()[:-60]] = float(log_w.sort().values[-60])
    assert math.isfinite(float(pareto_khat(log_w[:, None])))


@pytest.mark.parametrize("k", [0.3, 0.7, 1.0])
def test_known_tails_are_found(k):
    # the estimate's deviation at a tail of 300 is about (1 + k) / sqrt(300); mean over 40 repeats
    log_w = torch.stack([pareto(k, 10_000) for _ in range(40)], 1)
    found = pareto_khat(log_w)
    std_error = float(found.std()) / math.sqrt(40)
    # the pull towards 1/2 has weight 10 / 310; 4 standard errors: fails for 1 seed in 10^4
    shrunk = (300 * k + 5) / 310
    assert float(found.mean()) == pytest.approx(shrunk, abs=4 * std_error + 0.01)


def test_many_data_at_once_and_no_dependence_on_scale_or_order():
    log_w = torch.stack([pareto(k, 400) for k in (0.1, 0.5, 0.9)], 1)
    together = pareto_khat(log_w)
    for i in range(3):
        torch.testing.assert_close(together[i], pareto_khat(log_w[:, i : i + 1])[0])
    torch.testing.assert_close(pareto_khat(log_w - 1234.5), together, rtol=0, atol=1e-8)
    assert torch.equal(pareto_khat(log_w.flip(0)), together)


def test_without_a_tail():
    assert pareto_khat(torch.zeros(1000, 2)).tolist() == [-math.inf, -math.inf]
    assert pareto_khat(torch.randn(20, 1)).tolist() == [math.inf]  # 4 in the tail
    assert pareto_khat(torch.randn(21, 1)).isfinite().all()  # 5
    assert pareto_khat(torch.zeros(1, 3)).tolist() == [math.inf] * 3


def test_weights_of_zero():
    log_w = pareto(0.5, 2500)
    log_w[log_w.argsort()[:2000]] = -math.inf
    assert float(pareto_khat(log_w[:, None])) == pytest.approx(arviz(log_w), abs=1e-6)
    few = torch.full((1000, 1), -math.inf)
    few[:3] = 0.0
    assert pareto_khat(few).tolist() == [math.inf]


@pytest.mark.parametrize("bad", [math.nan, math.inf])
def test_broken_weights_are_not_to_be_trusted(bad):
    log_w = pareto(0.2, 1000)
    log_w[3] = bad
    assert pareto_khat(log_w[:, None]).tolist() == [math.inf]
    assert pareto_khat(torch.full((1000, 1), -math.inf)).tolist() == [math.inf]


def test_float32_weights():
    log_w = pareto(0.7, 400)[:, None]
    khat = pareto_khat(log_w.float())
    assert khat.dtype == torch.float32
    torch.testing.assert_close(khat.double(), pareto_khat(log_w), rtol=1e-4, atol=1e-4)
