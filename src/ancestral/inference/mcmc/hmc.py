"""Hamiltonian Monte Carlo, on a batch of chains."""

from __future__ import annotations

from collections.abc import Callable
from typing import Generic, NamedTuple, TypeVar

import torch
from torch import Tensor

from ancestral.core.noise import normal_noise, uniform_noise
from ancestral.inference.mcmc.leapfrog import Phase, leapfrog
from ancestral.inference.mcmc.target import Evaluated

__all__ = ["Transition", "accept", "hmc", "langevin"]

P = TypeVar("P", bound=Evaluated)


class Transition(NamedTuple, Generic[P]):
    """Where the chains are after a transition.

    Attributes:
        point: the proposal where it was accepted, else the start.
        acceptance: [...], probability with which the proposal was to be accepted.
        accepted: [...] bool.
        alignment: [...], cosine between the momentum before and after, where there is one: on
            average cos(t) after a time t in a density of unit scales, which is 0 after a quarter
            of a period, where the end is independent of the start.
    """

    point: P
    acceptance: Tensor
    accepted: Tensor
    alignment: Tensor | None = None


def hmc(
    evaluate: Callable[[Tensor], P], start: P, step_size: Tensor, num_steps: int
) -> Transition[P]:
    r"""One transition of Hamiltonian Monte Carlo, which leaves f invariant.

    Momenta are drawn from N(0, I), follow `leapfrog`, and the end is accepted with probability

    .. math:: \min\Big(1, \exp\big(\log f(z') - \log f(z) + \tfrac12 |v|^2
              - \tfrac12 |v'|^2\big)\Big)

    A trajectory that diverges to NaN or infinity is rejected, and its neighbours in the batch
    are not touched. The step size may depend on anything but the chain's own past.

    Args:
        evaluate: z -> value and gradient of log f, such as `evaluated(log_density)`.
        start: the chains now, [..., L]; its gradient is used, not computed again.
        step_size: broadcasts to z.
        num_steps: leapfrog steps L; the cost is L gradients.

    References:
        | Hybrid Monte Carlo (Duane et al., 1987)
        | MCMC Using Hamiltonian Dynamics (Neal, 2011), section 3.2
    """
    momentum = normal_noise(start.z.shape, start.z)
    at = [start]

    def gradient(z: Tensor) -> Tensor:
        if z is not start.z:
            at[0] = evaluate(z)
        return at[0].gradient

    end = leapfrog(gradient, Phase(start.z, momentum), step_size, num_steps).momentum
    kinetic = 0.5 * (momentum.square() - end.square()).sum(-1)
    moved = accept(start, at[0], kinetic)
    alignment = torch.cosine_similarity(momentum, end, dim=-1).nan_to_num(0.0)
    return moved._replace(alignment=alignment)


def langevin(evaluate: Callable[[Tensor], P], start: P, step_size: Tensor) -> Transition[P]:
    """Metropolis-adjusted Langevin: Hamiltonian Monte Carlo with one leapfrog step.

    References:
        | Exponential Convergence of Langevin Distributions (Roberts & Tweedie, 1996)
    """
    return hmc(evaluate, start, step_size, 1)


def accept(start: P, proposal: P, log_correction: Tensor) -> Transition[P]:
    """Metropolis-Hastings, in log space.

    Args:
        start: the chains now.
        proposal: where they may go.
        log_correction: [...], log of the proposal densities' ratio, with the momenta.
    """
    log_ratio = proposal.log_density - start.log_density + log_correction
    valid = proposal.log_density.isfinite() & proposal.gradient.isfinite().all(-1)
    log_ratio = torch.where(valid & ~log_ratio.isnan(), log_ratio, -torch.inf)
    accepted = uniform_noise(log_ratio.shape, log_ratio).log() < log_ratio
    return Transition(proposal.where(accepted, start), log_ratio.clamp_max(0).exp(), accepted)
