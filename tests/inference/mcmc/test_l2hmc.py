"""L2HMC: reversible, with the right Jacobian, and worth its training."""

from __future__ import annotations

import math

import pytest
import torch

from ancestral.inference.mcmc import (
    L2hmcKernel,
    Phase,
    effective_sample_size,
    evaluated,
    force,
    hmc,
    jump_loss,
    leapfrog,
)

COVARIANCE = torch.tensor([[1.0, 0.6], [0.6, 2.0]]).double()
PRECISION = torch.linalg.inv(COVARIANCE)


def gaussian(z):
    return -0.5 * ((z @ PRECISION) * z).sum(-1)


def gaussian_in_single(z):
    return -0.5 * z.square().sum(-1)


def a_kernel(num_dims=2, num_steps=3):
    kernel = L2hmcKernel(num_dims, num_steps, 0.3, 8).double()
    with torch.no_grad():
        for parameter in kernel.parameters():
            parameter.add_(0.3 * torch.randn_like(parameter))
    return kernel


def test_backward_is_the_inverse_of_forward():
    kernel, gradient = a_kernel(), force(gaussian)
    z, momentum = torch.randn(5, 2), torch.randn(5, 2)
    there = kernel.propose(gradient, z, momentum)
    back = kernel.propose_back(gradient, there.z, there.momentum)
    torch.testing.assert_close(back.z, z)
    torch.testing.assert_close(back.momentum, momentum)
    torch.testing.assert_close(back.log_det, -there.log_det)
    assert float((there.z - z).detach().abs().min()) > 1e-3


@pytest.mark.parametrize("direction", ["propose", "propose_back"])
@pytest.mark.parametrize("num_dims", [2, 3])
def test_log_det_is_that_of_the_jacobian(direction, num_dims):
    def density(z):
        return -0.5 * z.square().sum(-1) - 0.1 * z.pow(4).sum(-1)

    kernel = a_kernel(num_dims)

    def move(w):
        found = getattr(kernel, direction)(force(density), w[:num_dims], w[num_dims:])
        return torch.cat((found.z, found.momentum))

    w = torch.randn(2 * num_dims)
    jacobian = torch.autograd.functional.jacobian(move, w)
    found = getattr(kernel, direction)(force(density), w[:num_dims], w[num_dims:])
    expected = torch.linalg.slogdet(jacobian).logabsdet
    torch.testing.assert_close(found.log_det, expected)
    assert abs(float(expected.detach())) > 1e-2


def test_an_untrained_kernel_is_hamiltonian():
    kernel = L2hmcKernel(2, 4, 0.2).double()
    z, momentum = torch.randn(6, 2), torch.randn(6, 2)
    move = kernel.propose(force(gaussian), z, momentum)
    expected = leapfrog(force(gaussian), Phase(z, momentum), torch.tensor(0.2), 4)
    torch.testing.assert_close(move.z, expected.z)
    torch.testing.assert_close(move.momentum, expected.momentum)
    assert float(move.log_det.detach().abs().max()) == 0


def test_a_gaussian_is_left_invariant():
    # 5 moments within 4 standard errors: fails for 1 seed in 3000
    kernel, n = a_kernel(), 20_000
    z = torch.randn(n, 2) @ torch.linalg.cholesky(COVARIANCE).T
    rates = []
    with torch.no_grad():
        for _ in range(6):
            transition, _ = kernel(gaussian, z)
            z = transition.point.z
            rates.append(float(transition.acceptance.mean()))
    assert 0.05 < min(rates) < 0.95
    assert float((z.mean(0) / (COVARIANCE.diagonal() / n).sqrt()).abs().max()) < 4
    spread = (COVARIANCE.square() + torch.outer(COVARIANCE.diagonal(), COVARIANCE.diagonal())) / n
    assert float(((z.T @ z / n - COVARIANCE) / spread.sqrt()).abs().max()) < 4


def test_loss_wants_long_jumps_and_reaches_every_weight():
    kernel = a_kernel()
    z = torch.randn(40, 2)
    transition, move = kernel(gaussian, z)
    loss = jump_loss(z, move, transition.acceptance, 1.0)
    distance = (move.z - z).square().sum(-1) * transition.acceptance
    torch.testing.assert_close(loss, 1 / (distance + 1e-4) - distance)
    loss.mean().backward()
    assert all(p.grad is not None and bool(p.grad.isfinite().all()) for p in kernel.parameters())
    assert not transition.point.z.requires_grad


def test_divergence_is_rejected():
    def broken(z):
        return torch.where(z[..., 0] > 1, torch.nan, gaussian(z))

    kernel, z = a_kernel(), torch.zeros(200, 2)
    for _ in range(5):
        transition, move = kernel(broken, z)
        loss = jump_loss(z, move, transition.acceptance, 1.0)
        z = transition.point.z
    assert bool(z.isfinite().all())
    assert float(z[:, 0].detach().max()) <= 1
    loss.mean().backward()


def test_shortened_forces_and_large_exponents_are_taken_back_too():
    """A density 1,000 times as narrow as the kernel's units, and networks far from zero."""
    kernel = a_kernel()
    with torch.no_grad():
        kernel.for_momentum.limits.fill_(3.0)
        kernel.for_position.limits.fill_(3.0)
    gradient = force(lambda z: 1e6 * gaussian(z))
    z, momentum = torch.randn(5, 2), torch.randn(5, 2)
    there = kernel.propose(gradient, z, momentum)
    back = kernel.propose_back(gradient, there.z, there.momentum)
    torch.testing.assert_close(back.z, z, rtol=1e-4, atol=1e-4)
    torch.testing.assert_close(back.momentum, momentum, rtol=1e-4, atol=1e-4)
    torch.testing.assert_close(back.log_det, -there.log_det, rtol=1e-4, atol=1e-4)
    assert float(there.momentum.detach().abs().max()) < 1e5


def test_a_jump_that_overflows_teaches_nothing(single_precision):
    kernel, z = L2hmcKernel(2, 3), torch.randn(4, 2)
    transition, move = kernel(gaussian_in_single, z)
    far = move.z + torch.tensor([[0.0], [1e4], [1e30], [torch.inf]])
    loss = jump_loss(z, move._replace(z=far), transition.acceptance, 1.0)
    assert float(loss[0].detach()) < 1e4
    torch.testing.assert_close(loss[1:], torch.full((3,), 1e4))
    loss.sum().backward()
    assert all(bool(p.grad.isfinite().all()) for p in kernel.parameters() if p.grad is not None)


@pytest.mark.slow
def test_a_trained_kernel_mixes_better_than_tuned_hmc_on_a_strongly_correlated_gaussian():
    """Levy et al. (2018), table 1: 2.32e-1 against 4.69e-3 effective draws a transition."""
    turn = torch.tensor([[1.0, -1.0], [1.0, 1.0]]) / math.sqrt(2)
    covariance = turn @ torch.diag(torch.tensor([100.0, 0.01])) @ turn.T
    precision = torch.linalg.inv(covariance)

    def density(z):
        return -0.5 * ((z @ precision) * z).sum(-1)

    start = torch.randn(200, 2) @ torch.linalg.cholesky(covariance).T
    kernel = L2hmcKernel(2, 10, 0.1).double()
    optimizer = torch.optim.Adam(kernel.parameters())
    z, num_steps = start, 900
    for step in range(num_steps):
        rate = 1e-3 * (1 + math.cos(math.pi * step / num_steps))
        optimizer.param_groups[0]["lr"] = rate
        transition, move = kernel(density, z)
        loss = jump_loss(z, move, transition.acceptance, 0.1).mean()
        optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(kernel.parameters(), 1.0)
        optimizer.step()
        z = transition.point.z

    def per_transition(step) -> float:
        z, kept = start, []
        with torch.no_grad():
            for _ in range(400):
                z = step(z)
                kept.append(z)
        return float(effective_sample_size(torch.stack(kept)).min()) / (400 * 200)

    learnt = per_transition(lambda z: kernel(density, z)[0].point.z)
    evaluate = evaluated(density)
    tuned = max(
        per_transition(lambda z, s=size: hmc(evaluate, evaluate(z), torch.tensor(s), 10).point.z)
        for size in (0.1, 0.14, 0.18)
    )
    assert tuned > 0
    # 900 steps of training, of the 5,000 of the paper, bring a factor of 2 with this seed; along
    # the density's own axes it is 17 and 19 with the seeds 1 and 2
    assert learnt > 2 * tuned
