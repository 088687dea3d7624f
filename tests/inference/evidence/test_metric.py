"""The units of annealed chains: right for a linear model, harmless for any."""

from __future__ import annotations

import math

import pytest
import torch
from linear_gaussian import a_model

from ancestral.core import Batch
from ancestral.inference.evidence import metric as metrics
from ancestral.inference.evidence.annealed import annealed_estimate
from ancestral.inference.evidence.annealing import Start, path_of
from ancestral.inference.evidence.metric import metric_of
from ancestral.inference.mcmc import hmc


def the_precision(model, b, observed=None):
    w = model.weight if observed is None else model.weight * observed.unsqueeze(-1)
    return torch.eye(w.shape[-1]) + b * w.mT @ w / model.noise_scale.square()


@pytest.mark.parametrize("gaps", [False, True])
def test_scales_are_those_of_a_linear_model(gaps):
    model = a_model(12, 6).requires_grad_(False)
    x = model.sample(3)
    observed = torch.rand_like(x) < 0.6 if gaps else None
    metric = metric_of(model, Batch(x, observed), None, 1000)
    for b in (0.0, 0.01, 1.0):
        a = metric.axes * metric.scales(b).unsqueeze(-2)
        found = torch.linalg.eigvalsh(a.mT @ the_precision(model, b, observed) @ a)
        # 400 draws for 6 variables: eigenvalues of the sample covariance within a factor of 2
        assert 0.5 < float(found.min()) < float(found.max()) < 2


@pytest.mark.parametrize("largest", [256, 2])
@pytest.mark.parametrize("start", [None, "scales", "factor"])
def test_coordinates_lead_back_and_gradients_follow(monkeypatch, largest, start):
    monkeypatch.setattr(metrics, "_LARGEST", largest)
    model = a_model(6, 4).requires_grad_(False)
    spread = torch.rand(3, 4) + 0.1
    q = {None: None, "scales": spread, "factor": torch.diag_embed(spread) + 0.1}[start]
    q = q if start != "factor" else q.tril()
    metric = metric_of(model, Batch(model.sample(3)), q, 1000)
    u = torch.randn(5, 3, 4, requires_grad=True)
    torch.testing.assert_close(metric.coordinates(metric.place(u)), u)
    weights = torch.randn(5, 3, 4)
    (by_autograd,) = torch.autograd.grad((metric.place(u) * weights).sum(), u)
    torch.testing.assert_close(metric.pulled_back(weights), by_autograd)
    torch.testing.assert_close(metric.scales(0.0).mean(), torch.tensor(1.0))


def test_transitions_leave_the_posterior_invariant():
    # 4000 chains from the exact posterior; mean and covariance within 4.5 standard errors, 9
    # numbers: fails for 1 seed in 10^4
    model = a_model(6, 3).requires_grad_(False)
    batch = Batch(model.sample(1))
    path = path_of(Start.PRIOR, model, None, batch, 1000)
    q = model.posterior(batch.x)
    point = path.begin(q.sample((4000,)), 1.0)
    for _ in range(3):
        steps = 0.9 * path.metric.scales(1.0)  # too long, so that much is rejected
        moved = hmc(lambda u: path.evaluate(u, 1.0), point, steps, 3)
        point = moved.point
    assert float(moved.acceptance.mean()) < 0.99
    z = path.metric.place(point.z)[:, 0]
    unit = torch.linalg.solve_triangular(q.scale_tril[0], (z - q.loc).mT, upper=False)
    assert float((unit.mean(1) * math.sqrt(4000)).abs().max()) < 4.5
    assert float((unit @ unit.mT / 4000 - torch.eye(3)).abs().max()) < 4.5 * math.sqrt(2 / 4000)


def test_a_single_chain_has_no_standard_error():
    log_w = torch.zeros(8, 2)
    log_w[0, 1] = 30.0
    found = annealed_estimate(log_w).std_error
    assert float(found[0]) == pytest.approx(0, abs=1e-6)
    assert found[1] == math.inf
