"""Leapfrog: Hamiltonian motion in steps that keep volume and can be taken back."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

from torch import Tensor

__all__ = ["Phase", "leapfrog", "position_leapfrog"]


class Phase(NamedTuple):
    """Position and momentum.

    Attributes:
        z: [..., L].
        momentum: [..., L].
    """

    z: Tensor
    momentum: Tensor


def leapfrog(
    gradient: Callable[[Tensor], Tensor],
    phase: Phase,
    step_size: Tensor,
    num_steps: int,
) -> Phase:
    r"""Half a step of the momentum, whole steps of z and momentum in turn, half a step again.

    .. math:: v \mathrel{+}= \tfrac{\epsilon}{2} \nabla \log f(z), \quad
              z \mathrel{+}= \epsilon v, \quad
              v \mathrel{+}= \tfrac{\epsilon}{2} \nabla \log f(z)

    Each update adds to one half a function of the other half: its Jacobian is triangular with
    ones on the diagonal. Taking the steps again from (z, -v) leads back.

    Args:
        gradient: of log f, [..., L] -> [..., L].
        phase: where to start.
        step_size: broadcasts to z; one for each coordinate is the same as a diagonal mass
            matrix diag(1 / s^2) with momenta in units of s.
        num_steps: L, which takes L + 1 gradients.

    References:
        | MCMC Using Hamiltonian Dynamics (Neal, 2011), equations 2.28 to 2.30
    """
    z, momentum = phase
    momentum = momentum + 0.5 * step_size * gradient(z)
    for step in range(num_steps):
        z = z + step_size * momentum
        share = 1.0 if step + 1 < num_steps else 0.5
        momentum = momentum + share * step_size * gradient(z)
    return Phase(z, momentum)


def position_leapfrog(
    gradient: Callable[[Tensor], Tensor], phase: Phase, step_sizes: Sequence[Tensor]
) -> Phase:
    r"""The same motion with the half steps given to z, so that L steps take L gradients.

    .. math:: z \mathrel{+}= \tfrac{\epsilon}{2} v, \quad
              v \mathrel{+}= \epsilon \nabla \log f(z), \quad
              z \mathrel{+}= \tfrac{\epsilon}{2} v

    It keeps volume, and is taken back by the same steps in reverse order from (z, -v).

    Args:
        gradient: of log f, [..., L] -> [..., L].
        phase: where to start.
        step_sizes: one for each step, which broadcast to z.

    References:
        | Simulating Hamiltonian Dynamics (Leimkuhler & Reich, 2004), section 2.6
    """
    z, momentum = phase
    for step_size in step_sizes:
        z = z + 0.5 * step_size * momentum
        momentum = momentum + step_size * gradient(z)
        z = z + 0.5 * step_size * momentum
    return Phase(z, momentum)
