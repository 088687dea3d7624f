"""L2HMC: a Hamiltonian kernel whose moves are learnt, and corrected exactly."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ancestral.inference.mcmc.hmc import Transition, accept
from ancestral.inference.mcmc.tamed import tamed
from ancestral.inference.mcmc.target import LogDensity, Point, force

__all__ = ["L2hmcKernel", "jump_loss"]

_MAX_LOG_LIMIT = 3.0  # of S and Q, which stand in exponents
_LEAST_JUMP = 1e-4  # in squared units: rejected proposals cost 10,000 and not infinity
_FARTHEST_JUMP = 1e3  # in units: a proposal beyond it has diverged
_LARGEST_KICK = 100.0  # of a momentum N(0, I) by the force, in half a step
_LARGEST_EXPONENT = 2.0  # of the change of a scale in one update


class Move(NamedTuple):
    """Where a proposal ends.

    Attributes:
        z: [..., L].
        momentum: [..., L].
        gradient: [..., L], of log f at z.
        log_det: [...], log |d(z', v') / d(z, v)|.
    """

    z: Tensor
    momentum: Tensor
    gradient: Tensor
    log_det: Tensor


class L2hmcKernel(nn.Module):
    r"""A transition that generalises Hamiltonian Monte Carlo and leaves f invariant.

    One step forward, with binary masks m and their complements (equations 4 to 6):

    .. math:: v &\leftarrow v\, e^{\frac{\epsilon}{2} S_v(\zeta)} + \tfrac{\epsilon}{2}
                 \big(\nabla \log f(z)\, e^{\epsilon Q_v(\zeta)} - T_v(\zeta)\big) \\
              z &\leftarrow \bar m z + m \big(z\, e^{\epsilon S_z(\zeta)}
                 + \epsilon (v\, e^{\epsilon Q_z(\zeta)} + T_z(\zeta))\big)

    then the other half of z, and v again. Each update changes one part by a function of the
    others, so that its Jacobian is the product of its scales, and it can be taken back exactly.
    A direction, forward or backward, is drawn for each chain and transition: the two together are
    reversible, neither is alone. With networks of zeros, as they are at first, this is
    Hamiltonian Monte Carlo.

    So that stiff densities do no harm, a force that would change the momentum by more than 100 in
    half a step is shortened, and eps S and eps Q stay below 2: the moves can be taken back as
    before. On the way back through a trajectory gradients are cut, which in chaos grow without
    bound and mean nothing.

    Args:
        num_dims: L.
        num_steps: M, steps of a transition; the cost is twice that of M + 1 gradients and 4 M
            small networks, since all chains are moved in both directions.
        step_size: epsilon at first; it is learnt.
        hidden_size: of the networks.

    References:
        | Generalizing Hamiltonian Monte Carlo with Neural Networks (Levy, Hoffman &
        | Sohl-Dickstein, 2018), sections 4 and 5, appendix A
    """

    masks: Tensor

    def __init__(
        self, num_dims: int, num_steps: int = 10, step_size: float = 0.1, hidden_size: int = 10
    ) -> None:
        super().__init__()
        self.num_dims, self.num_steps = num_dims, num_steps
        self.for_momentum = _Changes(num_dims, hidden_size)
        self.for_position = _Changes(num_dims, hidden_size)
        self.log_step_size = nn.Parameter(torch.tensor(math.log(step_size)))
        halves = torch.stack([torch.randperm(num_dims) % 2 for _ in range(num_steps)])
        self.register_buffer("masks", halves.to(self.log_step_size.dtype))  # [M, L]

    def propose(self, gradient: Callable[[Tensor], Tensor], z: Tensor, momentum: Tensor) -> Move:
        """All steps forward; `gradient` is that of log f, [..., L] -> [..., L]."""
        gradient = self._bounded(gradient)
        move = Move(z, momentum, gradient(z), torch.zeros_like(z[..., 0]))
        for step in range(self.num_steps):
            mask = self.masks[step]
            move = self._push(move, step)
            move = self._drift(move, step, mask)
            move = self._drift(move, step, 1 - mask)
            move = move._replace(z=tamed(move.z), momentum=tamed(move.momentum))
            move = self._push(move._replace(gradient=gradient(move.z)), step)
        return move

    def propose_back(
        self, gradient: Callable[[Tensor], Tensor], z: Tensor, momentum: Tensor
    ) -> Move:
        """All steps backward: the inverse of `propose`."""
        gradient = self._bounded(gradient)
        move = Move(z, momentum, gradient(z), torch.zeros_like(z[..., 0]))
        for step in reversed(range(self.num_steps)):
            mask = self.masks[step]
            move = self._pull(move, step)
            move = self._return(move, step, 1 - mask)
            move = self._return(move, step, mask)
            move = move._replace(z=tamed(move.z), momentum=tamed(move.momentum))
            move = self._pull(move._replace(gradient=gradient(move.z)), step)
        return move

    def forward(self, log_density: LogDensity, z: Tensor) -> tuple[Transition[Point], Move]:
        """One transition of chains [..., L], and the proposal that training looks at.

        The proposal and the acceptance pass gradients to the kernel's weights, where gradients
        are on; the point is a constant.
        """
        z = z.detach()
        momentum = torch.randn_like(z)
        gradient = force(log_density)
        ahead = torch.rand_like(z[..., 0]) < 0.5
        move = _either(
            ahead,
            self.propose(gradient, z, momentum),
            self.propose_back(gradient, z, momentum),
        )
        kinetic = 0.5 * (momentum.square() - move.momentum.square()).sum(-1)
        with torch.no_grad():
            start = Point(z, log_density(z), torch.zeros_like(z))
        proposal = Point(move.z, log_density(move.z), move.gradient)
        transition = accept(start, proposal, kinetic + move.log_det)
        point = Point(
            transition.point.z.detach(),
            transition.point.log_density.detach(),
            transition.point.gradient.detach(),
        )
        return transition._replace(point=point), move

    @property
    def _step_size(self) -> Tensor:
        return self.log_step_size.exp()

    def _bounded(self, gradient: Callable[[Tensor], Tensor]) -> Callable[[Tensor], Tensor]:
        """Forces shortened to kicks of at most 100; none where there is no finite one."""
        largest = 2 * _LARGEST_KICK / self._step_size

        def bounded(z: Tensor) -> Tensor:
            found = gradient(z)
            found = torch.where(found.isfinite().all(-1, keepdim=True), found, 0.0)
            return found / (found / largest).abs().amax(-1, keepdim=True).clamp_min(1.0)

        return bounded

    def _push(self, move: Move, step: int) -> Move:
        """Half a step of the momentum."""
        scale, change = self._kick(move, step)
        momentum = move.momentum * scale.exp() + change
        return move._replace(momentum=momentum, log_det=move.log_det + scale.sum(-1))

    def _pull(self, move: Move, step: int) -> Move:
        """`_push`, taken back."""
        scale, change = self._kick(move, step)
        momentum = (move.momentum - change) * (-scale).exp()
        return move._replace(momentum=momentum, log_det=move.log_det - scale.sum(-1))

    def _kick(self, move: Move, step: int) -> tuple[Tensor, Tensor]:
        """Log-scale and change of the momentum in half a step."""
        size = self._step_size
        scale, rate, shift = self.for_momentum(move.z, move.gradient, self._time(step), size)
        return 0.5 * scale, 0.5 * size * (move.gradient * rate.exp() - shift)

    def _drift(self, move: Move, step: int, mask: Tensor) -> Move:
        """A step of the coordinates where the mask is 1."""
        kept = (1 - mask) * move.z
        scale, change = self._shift(kept, move, step)
        z = kept + mask * (move.z * scale.exp() + change)
        return move._replace(z=z, log_det=move.log_det + (mask * scale).sum(-1))

    def _return(self, move: Move, step: int, mask: Tensor) -> Move:
        """`_drift`, taken back."""
        kept = (1 - mask) * move.z
        scale, change = self._shift(kept, move, step)
        z = kept + mask * (move.z - change) * (-scale).exp()
        return move._replace(z=z, log_det=move.log_det - (mask * scale).sum(-1))

    def _shift(self, kept: Tensor, move: Move, step: int) -> tuple[Tensor, Tensor]:
        """Log-scale and change of the coordinates that are not kept."""
        size = self._step_size
        scale, rate, shift = self.for_position(kept, move.momentum, self._time(step), size)
        return scale, size * (move.momentum * rate.exp() + shift)

    def _time(self, step: int) -> Tensor:
        angle = 2 * math.pi * step / self.num_steps
        return self.masks.new_tensor([math.cos(angle), math.sin(angle)])


def _either(first: Tensor, one: Move, two: Move) -> Move:
    """One where `first` [...], two elsewhere."""
    rows = first.unsqueeze(-1)
    return Move(
        torch.where(rows, one.z, two.z),
        torch.where(rows, one.momentum, two.momentum),
        torch.where(rows, one.gradient, two.gradient),
        torch.where(first, one.log_det, two.log_det),
    )


class _Changes(nn.Module):
    """Two vectors, a time and a step size eps -> eps S, eps Q and T, [..., L] each; 0 at first."""

    def __init__(self, num_dims: int, hidden_size: int) -> None:
        super().__init__()
        self.inputs = nn.Linear(2 * num_dims + 2, hidden_size)
        self.hidden = nn.Linear(hidden_size, hidden_size)
        self.outputs = nn.Linear(hidden_size, 3 * num_dims)
        nn.init.zeros_(self.outputs.weight)
        nn.init.zeros_(self.outputs.bias)
        self.limits = nn.Parameter(torch.zeros(2, num_dims))  # log of the largest |S| and |Q|

    def forward(
        self, one: Tensor, two: Tensor, time: Tensor, size: Tensor
    ) -> tuple[Tensor, Tensor, Tensor]:
        """[..., L], [..., L], [2], [] -> three of [..., L]."""
        # far from the chains' home a gradient may be huge: its logarithm tells enough
        two = two.sign() * two.abs().log1p()
        x = torch.cat((one, two, time.expand(*one.shape[:-1], 2)), -1)
        h = F.silu(self.hidden(F.silu(self.inputs(x))))
        scale, rate, shift = self.outputs(h).chunk(3, -1)
        limits = self.limits.clamp(-_MAX_LOG_LIMIT, _MAX_LOG_LIMIT).exp()
        limits = (size * limits).clamp_max(_LARGEST_EXPONENT)
        return limits[0] * scale.tanh(), limits[1] * rate.tanh(), shift


def jump_loss(start: Tensor, move: Move, acceptance: Tensor, scale: Tensor | float) -> Tensor:
    r"""The training loss of L2HMC: expected squared jumps, long ones wanted, short ones dreaded.

    .. math:: \frac{\lambda^2}{\delta} - \frac{\delta}{\lambda^2}, \quad
              \delta = |z' - z|^2\, A(z' \mid z)

    Args:
        start: [..., L], where the chains were.
        move: the proposal.
        acceptance: [...], with a gradient.
        scale: lambda, of the density in the direction in which it is narrowest, or so;
            broadcasts to the chains' shape.

    Returns:
        [...].

    References:
        | Levy et al. (2018), equation 8
    """
    unit = torch.as_tensor(scale, dtype=start.dtype, device=start.device).unsqueeze(-1)
    jump = (move.z - start) / unit
    # of a divergence the jump says nothing, and its square may be infinite
    near = jump.detach().abs().amax(-1, keepdim=True) < _FARTHEST_JUMP
    distance = torch.where(near, jump, 0.0).square().sum(-1) * acceptance
    return 1 / (distance + _LEAST_JUMP) - distance
