"""Hamiltonian Monte Carlo: what it leaves invariant, and what it survives."""

from __future__ import annotations

import math

import pytest
import torch

from ancestral.core import OptionError, ShapeError
from ancestral.inference.mcmc import (
    Phase,
    StepSizeRule,
    effective_sample_size,
    evaluated,
    force,
    hmc,
    langevin,
    leapfrog,
    position_leapfrog,
)

COVARIANCE = torch.tensor([[1.0, 0.6, 0.0], [0.6, 2.0, -0.3], [0.0, -0.3, 0.5]]).double()
PRECISION = torch.linalg.inv(COVARIANCE)
FACTOR = torch.linalg.cholesky(COVARIANCE)


def gaussian(z):
    return -0.5 * ((z @ PRECISION) * z).sum(-1)


def bent(z):
    """Not a Gaussian: leapfrog is not exact in any coordinates."""
    return gaussian(z) - 0.1 * z.pow(4).sum(-1) + z[..., 0].sin() * z[..., 1]


@pytest.mark.parametrize("kind", ["hmc", "langevin", "scales"])
def test_a_gaussian_is_left_invariant(kind):
    # 20,000 chains start from the target and take 5 transitions with a step size that is wrong
    # on purpose; 9 moments within 4 standard errors: fails for 1 seed in 1700
    n = 20_000
    z = torch.randn(n, 3) @ FACTOR.T
    point = evaluated(gaussian)(z)
    for _ in range(5):
        if kind == "langevin":
            moved = langevin(evaluated(gaussian), point, torch.tensor(0.9))
        else:
            sizes = torch.tensor([0.9] if kind == "hmc" else [0.5, 1.0, 0.3])
            moved = hmc(evaluated(gaussian), point, sizes, 3)
        point = moved.point
    assert 0.2 < float(moved.accepted.double().mean()) < 0.97  # the correction has work to do
    assert not torch.equal(point.z, z)
    mean_error = point.z.mean(0) / (COVARIANCE.diagonal() / n).sqrt()
    assert float(mean_error.abs().max()) < 4
    found = point.z.T @ point.z / n
    spread = (COVARIANCE.square() + torch.outer(COVARIANCE.diagonal(), COVARIANCE.diagonal())) / n
    assert float(((found - COVARIANCE) / spread.sqrt()).abs().max()) < 4


def test_without_the_correction_it_is_not():
    """The test above would notice: leapfrog alone, with such steps, changes the covariance."""
    n = 20_000
    phase = Phase(torch.randn(n, 3) @ FACTOR.T, torch.randn(n, 3))
    for _ in range(5):
        z = leapfrog(force(gaussian), phase, torch.tensor(0.9), 3).z.detach()
        phase = Phase(z, torch.randn(n, 3))
    found = phase.z.T @ phase.z / n
    spread = (COVARIANCE.square() + torch.outer(COVARIANCE.diagonal(), COVARIANCE.diagonal())) / n
    assert float(((found - COVARIANCE) / spread.sqrt()).abs().max()) > 8


def test_a_point_carries_its_own_value_and_gradient():
    point = evaluated(bent)(torch.randn(50, 3))
    for _ in range(3):
        point = hmc(evaluated(bent), point, torch.tensor(0.5), 4).point
        again = evaluated(bent)(point.z)
        torch.testing.assert_close(point.log_density, again.log_density)
        torch.testing.assert_close(point.gradient, again.gradient)


def test_a_transition_of_l_steps_takes_l_gradients():
    calls = []

    def counted(z):
        calls.append(len(z))
        return evaluated(bent)(z)

    start = evaluated(bent)(torch.randn(6, 3))
    hmc(counted, start, torch.tensor(0.1), 7)
    assert calls == [6] * 7


@pytest.mark.parametrize("move", ["leapfrog", "position_leapfrog"])
def test_leapfrog_keeps_volume_and_can_be_taken_back(move):
    sizes = [torch.tensor([0.3, 0.2, 0.5]), torch.tensor([0.1, 0.4, 0.2])]

    def steps(z, momentum, *, back=False):
        phase = Phase(z, momentum)
        if move == "leapfrog":
            return leapfrog(force(bent), phase, sizes[0], 4)
        return position_leapfrog(force(bent), phase, sizes[::-1] if back else sizes)

    z, momentum = torch.randn(3), torch.randn(3)
    end = steps(z, momentum)
    back = steps(end.z, -end.momentum, back=True)
    torch.testing.assert_close(back.z, z)
    torch.testing.assert_close(back.momentum, -momentum)
    with torch.enable_grad():
        jacobian = torch.autograd.functional.jacobian(
            lambda w: torch.cat(steps(w[:3], w[3:])), torch.cat((z, momentum))
        )
    assert float(torch.linalg.det(jacobian)) == pytest.approx(1, abs=1e-10)
    # and it is a motion: not the identity
    assert float((end.z - z).detach().abs().max()) > 0.1


def test_error_of_the_energy_falls_with_the_square_of_the_step():
    z, momentum = torch.randn(200, 3), torch.randn(200, 3)
    errors = []
    for num_steps in (10, 20, 40):
        for move in (0, 1):
            size = torch.tensor(1.0 / num_steps)
            phase = Phase(z, momentum)
            end = (
                leapfrog(force(bent), phase, size, num_steps)
                if move == 0
                else position_leapfrog(force(bent), phase, [size] * num_steps)
            )
            change = bent(end.z) - bent(z) - 0.5 * (end.momentum**2 - momentum**2).sum(-1)
            errors.append(float(change.detach().abs().mean()))
    for move in (0, 1):
        coarse, middle, fine = errors[move::2]
        assert 3.5 < coarse / middle < 4.5
        assert 3.5 < middle / fine < 4.5


def test_divergent_proposals_are_rejected_and_the_others_are_not_touched():
    def broken(z):  # beyond 1 the first coordinate has no density at all
        return torch.where(z[..., 0] > 1, torch.nan, gaussian(z))

    start = torch.zeros(2000, 3)
    start[::2, 0] = 0.9
    point = evaluated(broken)(start)
    for _ in range(20):
        moved = hmc(evaluated(broken), point, torch.tensor(0.4), 3)
        point = moved.point
        assert bool(moved.acceptance.isfinite().all())
    assert bool(point.z.isfinite().all())
    assert bool(point.gradient.isfinite().all())
    assert float(point.z[:, 0].max()) <= 1
    assert 0.3 < float(moved.accepted.double().mean()) < 1
    # a step size that overflows moves nothing
    far = hmc(evaluated(gaussian), evaluated(gaussian)(start), torch.tensor(1e200), 5)
    assert not bool(far.accepted.any())
    assert torch.equal(far.point.z, start)


def test_a_chain_leaves_a_place_without_density():
    def half(z):
        return torch.where(z[..., 0] < 0, -torch.inf, gaussian(z))

    point = evaluated(half)(torch.full((500, 3), -0.01))
    for _ in range(10):
        point = hmc(evaluated(half), point, torch.tensor(0.2), 2).point
    assert float((point.log_density > -torch.inf).double().mean()) > 0.9


def test_step_sizes_come_to_the_acceptance_aimed_at():
    # data with scales from 0.01 to 4, each with its own step size
    scale = torch.tensor([0.01, 0.1, 1.0, 4.0])
    rule = StepSizeRule(gain=0.2)

    def density(z):
        return -0.5 * (z / scale.unsqueeze(-1)).square().sum(-1)

    point = evaluated(density)(torch.randn(30, 4, 5) * scale.unsqueeze(-1))
    sizes, rates = torch.full((4,), 0.3), []
    for _ in range(150):
        moved = hmc(evaluated(density), point, sizes.unsqueeze(-1), 5)
        point, mean = moved.point, moved.acceptance.mean(0)
        sizes = rule.updated(sizes, mean)
        rates.append(mean)
    late = torch.stack(rates[80:]).mean(0)
    assert float((late - 0.65).abs().max()) < 0.05
    ratio = sizes / scale
    assert float(ratio.max() / ratio.min()) < 1.6
    with pytest.raises(OptionError, match="expected 0 < target < 1"):
        StepSizeRule(target=1.0)


def test_the_same_seed_gives_the_same_chain():
    def run():
        torch.manual_seed(5)
        return hmc(evaluated(bent), evaluated(bent)(torch.zeros(4, 3)), torch.tensor(0.4), 3)

    assert torch.equal(run().point.z, run().point.z)


def test_effective_size_of_an_autoregression():
    # z_t = r z_(t-1) + noise has (1 - r) / (1 + r) independent draws to a step
    num_steps, num_chains = 4000, 4
    for r in (0.0, 0.5, 0.9):
        z = torch.empty(num_steps, num_chains)
        z[0] = torch.randn(num_chains)
        for t in range(1, num_steps):
            z[t] = r * z[t - 1] + math.sqrt(1 - r * r) * torch.randn(num_chains)
        expected = num_steps * num_chains * (1 - r) / (1 + r)
        assert float(effective_sample_size(z)) == pytest.approx(expected, rel=0.15)


def test_effective_size_of_chains_that_never_met_or_moved():
    apart = torch.randn(1000, 4) + 10 * torch.arange(4.0)
    assert float(effective_sample_size(apart)) < 10
    assert float(effective_sample_size(torch.ones(100, 3))) == 0
    assert effective_sample_size(torch.randn(100, 3, 2, 5)).shape == (2, 5)
    with pytest.raises(ShapeError, match="expected at least 4 steps of some chains"):
        effective_sample_size(torch.zeros(3, 2))
