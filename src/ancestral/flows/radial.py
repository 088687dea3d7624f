"""Radial flows."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from ancestral.core import OptionError
from ancestral.flows.flow import Flow
from ancestral.flows.parameters import FlowParameters, above_minus_one

__all__ = ["Radial"]

_LEAST_REACH = 1e-2


class Radial(Flow):
    r"""K steps z' = z + beta (z - c) / (alpha + r), r = |z - c|: space drawn to or from a point.

    .. math:: \log |\det| = (D - 1) \log(1 + \beta h) + \log(1 + \alpha \beta h^2),
              \quad h = 1 / (\alpha + r)

    alpha > 0 and beta > -0.99 alpha, so that it can be inverted, which takes the root of a
    quadratic. It starts as the identity.

    Args:
        num_dims: D.
        num_steps: K.
        context_size: C; with a context each datum has points of its own, from one product.

    References:
        | Variational Inference with Normalizing Flows (Rezende & Mohamed, 2015), equation 14 and
        | appendix A.2
    """

    def __init__(self, num_dims: int, num_steps: int = 1, *, context_size: int = 0) -> None:
        super().__init__(num_dims, context_size)
        if num_steps < 1:
            raise OptionError(f"expected num_steps >= 1, got {num_steps}")
        self.num_steps = num_steps
        centres = torch.randn(num_steps, num_dims)
        reach = torch.full((num_steps, 1), float(num_dims) ** 0.5)
        start = torch.cat([centres, reach, torch.zeros(num_steps, 1)], -1)
        spread = torch.full_like(start, 0.3)
        spread[:, -1] = 0.0  # no strength: the identity, whatever the context
        self.parameters_of = FlowParameters(start.flatten(), context_size, spread.flatten())

    def forward(self, z: Tensor, context: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """First step to last."""
        log_det = z.new_zeros(())
        for centre, alpha, beta in self._steps(context):
            away = z - centre
            h = 1 / (alpha + _length(away))
            z = torch.addcmul(z, (beta * h).unsqueeze(-1), away)
            log_det = log_det + self._log_det(alpha, beta, h)
        return z, log_det

    def inverse(self, z: Tensor, context: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """Last step to first."""
        log_det = z.new_zeros(())
        for centre, alpha, beta in reversed(self._steps(context)):
            away = z - centre
            length = _length(away)
            # length = r (1 + beta / (alpha + r)); the root without cancellation, either way
            p = alpha + beta - length
            q = alpha * length
            root = (p.square() + 4 * q).sqrt()
            r = torch.where(p > 0, 2 * q / (p.abs() + root), 0.5 * (p.abs() + root))
            h = 1 / (alpha + r)
            z = centre + away / (1 + beta * h).unsqueeze(-1)
            log_det = log_det - self._log_det(alpha, beta, h)
        return z, log_det

    def _steps(self, context: Tensor | None) -> list[tuple[Tensor, Tensor, Tensor]]:
        """Centre [..., D], alpha and beta [...] of each step."""
        self.check_context(context)
        values = self.parameters_of(context).unflatten(-1, (self.num_steps, -1))
        centre, reach, strength = values.split([self.num_dims, 1, 1], -1)
        alpha = _LEAST_REACH + F.softplus(reach.squeeze(-1))
        beta = alpha * above_minus_one(strength.squeeze(-1))
        return list(zip(centre.unbind(-2), alpha.unbind(-1), beta.unbind(-1), strict=True))

    def _log_det(self, alpha: Tensor, beta: Tensor, h: Tensor) -> Tensor:
        around = torch.log1p(beta * h)
        return (self.num_dims - 1) * around + torch.log1p(alpha * beta * h.square())


def _length(x: Tensor) -> Tensor:
    """|x|, with a gradient at 0."""
    return (x.square().sum(-1) + torch.finfo(x.dtype).tiny).sqrt()
