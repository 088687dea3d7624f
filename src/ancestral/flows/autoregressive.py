"""Autoregressive flows: each dimension is moved by a function of those before it."""

from __future__ import annotations

import copy
import math
from abc import abstractmethod
from collections.abc import Sequence

import torch
from torch import Tensor, nn

from ancestral.core import OptionError
from ancestral.core.shapes import at_least_float32
from ancestral.flows.flow import Flow
from ancestral.flows.parameters import bounded
from ancestral.networks.causal import MaskedDense, Plain

__all__ = ["InverseAutoregressive", "MaskedAutoregressive"]

_LEAST_GATE = 0.1
_MOST_LOG_SCALE = 3.0


class _AutoregressiveSteps(Flow):
    """K elementwise affine maps whose shifts and scales a masked network gives.

    In one direction (`_pass`) the network sees what the map is given, and all dimensions are
    moved in one pass. In the other (`_solve`) it needs to see what the map is to give: D passes
    at most.
    """

    def __init__(
        self,
        num_dims: int,
        num_steps: int,
        hidden_sizes: Sequence[int],
        context_size: int,
    ) -> None:
        super().__init__(num_dims, context_size)
        if num_steps < 1:
            raise OptionError(f"expected num_steps >= 1, got {num_steps}")
        self.num_steps = num_steps
        stored = list(range(num_dims))
        self.networks = nn.ModuleList(
            MaskedDense(
                num_dims,
                2,
                Plain(),
                hidden_sizes=hidden_sizes,
                activation=nn.SiLU,
                context_size=context_size,
                # what came last in one step comes first in the next (Kingma et al., section 4)
                orders=[stored if k % 2 == 0 else stored[::-1]],
            )
            for k in range(num_steps)
        )
        for network in self.networks:
            if context_size:
                # the other outputs start at 0 anyway: the flow is then the identity
                nn.init.zeros_(network.contexts[-1].weight)  # type: ignore[union-attr]

    @abstractmethod
    def _coefficients(self, features: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Scale, its log, and shift, from the network's features [..., D, 2]."""

    def _pass(self, z: Tensor, context: Tensor | None) -> tuple[Tensor, Tensor]:
        """The map z' = scale z + shift, step after step."""
        self.check_context(context)
        rows, given, leading = _flattened(z, context)
        log_det = rows.new_zeros(())
        for network in self.networks:
            scale, log_scale, shift = self._moves(network, rows, given)
            rows = torch.addcmul(shift, scale, rows)
            log_det = log_det + log_scale.sum(-1)
        return rows.reshape(*leading, self.num_dims), log_det.reshape(leading)

    def _carry(self, z: Tensor, slope: Tensor, context: Tensor | None) -> tuple[Tensor, Tensor]:
        """`carried_slope` of `_pass`, by one product with the Jacobian after the other.

        J^T v = r is triangular: v <- v + (r - J^T v) / scale is exact after D products, and as
        soon as nothing changes any more.
        """
        given = None if context is None else context.detach()
        rows, given, leading = _flattened(z.detach(), given)
        v = slope.expand(*leading, self.num_dims).reshape(rows.shape)
        tolerance = torch.finfo(v.dtype).eps ** 0.75
        for network in self.networks:
            with torch.enable_grad():
                rows = rows.detach().requires_grad_()
                scale, log_scale, shift = self._moves(network, rows, given)
                end = torch.addcmul(shift, scale, rows)
            (bend,) = torch.autograd.grad(log_scale.sum(), rows, retain_graph=True)
            r, scale = v - bend, scale.detach()
            v = r / scale
            for _ in range(self.num_dims - 1):
                (product,) = torch.autograd.grad(end, rows, v, retain_graph=True)
                change = (r - product) / scale
                v = v + change
                if bool((change.abs() <= tolerance * (1 + v.abs())).all()):
                    break
            rows = end.detach()
        shape = (*leading, self.num_dims)
        return rows.reshape(shape), v.reshape(shape)

    def _solve(self, z: Tensor, context: Tensor | None) -> tuple[Tensor, Tensor]:
        """Undo `_pass`, last step first."""
        self.check_context(context)
        rows, given, leading = _flattened(z, context)
        log_det = rows.new_zeros(())
        for network in reversed(list(self.networks)):
            rows, log_scale = self._solve_step(network, rows, given)
            log_det = log_det - log_scale.sum(-1)
        return rows.reshape(*leading, self.num_dims), log_det.reshape(leading)

    def _solve_step(
        self, network: nn.Module, target: Tensor, context: Tensor | None
    ) -> tuple[Tensor, Tensor]:
        """The z with scale(z) z + shift(z) = target, and the log-scale there.

        Jacobi's iteration: after t passes the first t dimensions are exact, after D all are.
        Without gradients it ends as soon as nothing changes any more, which takes a few passes
        where dimensions depend little on each other; the gradient needs all D.
        """
        z = target
        tolerance = 4 * torch.finfo(target.dtype).eps
        watch = not torch.is_grad_enabled()
        for _ in range(self.num_dims):
            scale, _, shift = self._moves(network, z, context)
            before, z = z, (target - shift) / scale
            if watch and bool(((z - before).abs() <= tolerance * (1 + z.abs())).all()):
                break
        _, log_scale, _ = self._moves(network, z, context)
        return z, log_scale

    def _moves(
        self, network: nn.Module, z: Tensor, context: Tensor | None
    ) -> tuple[Tensor, Tensor, Tensor]:
        features = at_least_float32(network(z.unsqueeze(-1), context))
        return self._coefficients(features)


class InverseAutoregressive(_AutoregressiveSteps):
    r"""K steps z' = g z + (1 - g) m, g = sigmoid(s), with m_i and s_i functions of z_{<i} and c.

    The numerically stable form of inverse autoregressive flow, with two changes that alter what
    it starts from and not what it can be: g z is divided by the g that training starts from, so
    that it starts as the identity, and g stays above 0.1, so that it can be inverted. The order
    of the dimensions is reversed from step to step.

    `forward`, which a posterior needs, is one pass through K masked networks; `inverse` takes up
    to D passes through each.

    Args:
        num_dims: D.
        num_steps: K.
        hidden_sizes: of each masked network.
        context_size: C; the context enters every layer.
        initial_gate: s at the start; the larger, the longer a step stays close to the identity.

    Example:
        >>> flow = InverseAutoregressive(3, num_steps=2, hidden_sizes=(16,))
        >>> z, log_det = flow(torch.ones(5, 3))
        >>> z.detach()[0].round(decimals=3), log_det.shape
        (tensor([1., 1., 1.]), torch.Size([5]))

    References:
        | Improving Variational Inference with Inverse Autoregressive Flow (Kingma et al., 2016),
        | equations 13 to 15 and algorithm 1
    """

    def __init__(
        self,
        num_dims: int,
        num_steps: int = 2,
        *,
        hidden_sizes: Sequence[int] = (128,),
        context_size: int = 0,
        initial_gate: float = 1.5,
    ) -> None:
        super().__init__(num_dims, num_steps, hidden_sizes, context_size)
        self.initial_gate = initial_gate

    def forward(self, z: Tensor, context: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """One pass for each step."""
        return self._pass(z, context)

    def carried_slope(
        self, z: Tensor, slope: Tensor, context: Tensor | None = None
    ) -> tuple[Tensor, Tensor]:
        """A few products with the Jacobian of each step, without an inverse."""
        return self._carry(z, slope, context)

    def inverse(self, z: Tensor, context: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """Up to D passes for each step."""
        return self._solve(z, context)

    def _coefficients(self, features: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        m, s = features.unbind(-1)
        gate = _LEAST_GATE + (1 - _LEAST_GATE) * torch.sigmoid(s + self.initial_gate)
        start = _LEAST_GATE + (1 - _LEAST_GATE) / (1 + math.exp(-self.initial_gate))
        scale = gate / start
        return scale, scale.log(), (1 - gate) * m


class MaskedAutoregressive(_AutoregressiveSteps):
    r"""K steps z'_i = exp(a_i) z_i + m_i with m_i and a_i functions of z'_{<i} and c.

    `inverse`, which scores a point, is one pass through K masked networks; `forward`, which
    draws, takes up to D passes through each. So it suits a prior, which training asks for
    densities, as `InverseAutoregressive` suits a posterior. a is within (-3, 3), smoothly; the
    flow starts as the identity, and reverses the order from step to step.

    Args:
        num_dims: D.
        num_steps: K.
        hidden_sizes: of each masked network.
        context_size: C; the context enters every layer.

    References:
        | Masked Autoregressive Flow for Density Estimation (Papamakarios et al., 2017),
        | equations 3 and 4
    """

    def __init__(
        self,
        num_dims: int,
        num_steps: int = 2,
        *,
        hidden_sizes: Sequence[int] = (128,),
        context_size: int = 0,
    ) -> None:
        super().__init__(num_dims, num_steps, hidden_sizes, context_size)

    def forward(self, z: Tensor, context: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """Up to D passes for each step."""
        return self._solve(z, context)

    def inverse(self, z: Tensor, context: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """One pass for each step."""
        return self._pass(z, context)

    def single_steps(self) -> list[MaskedAutoregressive]:
        """The steps as flows of one step each, with the same weights; that next to z' first."""
        steps = []
        for network in self.networks:
            step = copy.copy(self)
            step._modules = {"networks": nn.ModuleList([network])}
            step.num_steps = 1
            steps.append(step)
        return steps

    @property
    def order(self) -> list[int]:
        """Of a single step: dimensions, each of which is moved by those before it."""
        return self.networks[0].order.tolist()  # type: ignore[union-attr]

    def _coefficients(self, features: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        m, a = features.unbind(-1)
        log_scale = -bounded(a, _MOST_LOG_SCALE)
        scale = log_scale.exp()
        return scale, log_scale, -m * scale


def _flattened(z: Tensor, context: Tensor | None) -> tuple[Tensor, Tensor | None, tuple[int, ...]]:
    """Rows [N, D] and their contexts [N, C], and the leading axes that N stands for."""
    if context is None:
        return z.reshape(-1, z.shape[-1]), None, tuple(z.shape[:-1])
    leading = torch.broadcast_shapes(z.shape[:-1], context.shape[:-1])
    rows = z.expand(*leading, z.shape[-1]).reshape(-1, z.shape[-1])
    given = context.expand(*leading, context.shape[-1]).reshape(-1, context.shape[-1])
    return rows, given, tuple(leading)
