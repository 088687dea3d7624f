"""Affine coupling: one half of the dimensions moves the other."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from ancestral.core import OptionError
from ancestral.core.shapes import at_least_float32
from ancestral.flows.flow import Flow
from ancestral.flows.parameters import bounded
from ancestral.networks import DenseNetwork

__all__ = ["AffineCoupling"]

_MOST_LOG_SCALE = 3.0


class AffineCoupling(Flow):
    r"""K steps b' = exp(s(a, c)) b + t(a, c), a and b being the halves of z, in turn.

    The first step moves the second half, the next one the first, and so on. Both directions cost
    one pass through the networks. log-scales are within (-3, 3), smoothly, so that the inverse
    loses no more than a few digits. It starts as the identity.

    Args:
        num_dims: D >= 2.
        num_steps: K; with at least two, every dimension is moved.
        hidden_size: width of the networks' two hidden layers.
        context_size: C; the context enters the networks' first layers.

    Example:
        >>> flow = AffineCoupling(4, num_steps=2, context_size=3)
        >>> z, log_det = flow(torch.zeros(7, 5, 4), torch.zeros(5, 3))   # 7 samples, 5 data
        >>> z.shape, log_det.shape
        (torch.Size([7, 5, 4]), torch.Size([7, 5]))

    References:
        | Density estimation using Real NVP (Dinh et al., 2017), equations 4 to 8
    """

    def __init__(
        self, num_dims: int, num_steps: int = 2, *, hidden_size: int = 128, context_size: int = 0
    ) -> None:
        super().__init__(num_dims, context_size)
        if num_dims < 2 or num_steps < 1:
            raise OptionError(
                f"expected num_dims >= 2 and num_steps >= 1, got {num_dims} and {num_steps}",
                hint="one dimension has no half; use a planar or radial flow",
            )
        self.num_steps = num_steps
        half = num_dims // 2
        self.sizes = (half, num_dims - half)
        self.networks = nn.ModuleList(
            _Coupler(self.sizes[k % 2], self.sizes[(k + 1) % 2], hidden_size, context_size)
            for k in range(num_steps)
        )

    def forward(self, z: Tensor, context: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """First step to last."""
        self.check_context(context)
        halves = list(z.split(self.sizes, -1))
        log_det = z.new_zeros(())
        for k, network in enumerate(self.networks):
            given, moved = k % 2, (k + 1) % 2
            shift, log_scale = network(halves[given], context)
            halves[moved] = torch.addcmul(shift, log_scale.exp(), halves[moved])
            log_det = log_det + log_scale.sum(-1)
        return torch.cat(_as_large(halves), -1), log_det

    def inverse(self, z: Tensor, context: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """Last step to first."""
        self.check_context(context)
        halves = list(z.split(self.sizes, -1))
        log_det = z.new_zeros(())
        for k, network in reversed(list(enumerate(self.networks))):
            given, moved = k % 2, (k + 1) % 2
            shift, log_scale = network(halves[given], context)
            halves[moved] = (halves[moved] - shift) * (-log_scale).exp()
            log_det = log_det - log_scale.sum(-1)
        return torch.cat(_as_large(halves), -1), log_det


class _Coupler(nn.Module):
    """One half and the context -> shift and log-scale of the other half."""

    def __init__(
        self, input_size: int, output_size: int, hidden_size: int, context_size: int
    ) -> None:
        super().__init__()
        self.input_layer = nn.Linear(input_size, hidden_size)
        # apart from the input's, so that many samples of a datum share one product
        self.context_layer = (
            nn.Linear(context_size, hidden_size, bias=False) if context_size else None
        )
        rest = DenseNetwork(hidden_size, (hidden_size,), 2 * output_size)
        self.rest = nn.Sequential(nn.SiLU(), rest)
        nn.init.zeros_(rest.output_layer.weight)  # type: ignore[arg-type]
        nn.init.zeros_(rest.output_layer.bias)  # type: ignore[arg-type]

    def forward(self, half: Tensor, context: Tensor | None) -> tuple[Tensor, Tensor]:
        h = self.input_layer(half)
        if self.context_layer is not None:
            h = h + self.context_layer(context)
        shift, log_scale = at_least_float32(self.rest(h)).chunk(2, -1)
        return shift, bounded(log_scale, _MOST_LOG_SCALE)


def _as_large(halves: list[Tensor]) -> list[Tensor]:
    """Broadcast leading axes: a half that was never moved has not met the context's."""
    leading = torch.broadcast_shapes(*(half.shape[:-1] for half in halves))
    return [half.expand(*leading, half.shape[-1]) for half in halves]
