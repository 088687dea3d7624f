"""Flows that stretch and move each dimension by itself, or change the order of dimensions."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from ancestral.core import OptionError
from ancestral.distributions.scales import bound_above, bound_below
from ancestral.flows.flow import Flow
from ancestral.flows.parameters import FlowParameters

__all__ = ["Affine", "Permutation", "Reversal"]

_MOST_LOG_SCALE = 7.0


class Affine(Flow):
    r"""z' = loc + scale z in each dimension.

    Last in a composition it turns standard noise into the vicinity of a datum's posterior: then
    the flows before it act on noise of unit scale, however narrow the posterior is.

    Args:
        num_dims: D.
        context_size: C; with a context, loc and log-scale are linear in it.

    Example:
        >>> z, log_det = Affine(2)(torch.ones(5, 2))
        >>> z.detach()[0].round(decimals=3), log_det.shape
        (tensor([1., 1.]), torch.Size([5]))
    """

    def __init__(self, num_dims: int, *, context_size: int = 0) -> None:
        super().__init__(num_dims, context_size)
        self.parameters_of = FlowParameters(torch.zeros(2 * num_dims), context_size, 0.5)

    def location_and_log_scale(self, context: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """Both [..., D]; the log-scale is within (-7, 7), smoothly."""
        self.check_context(context)
        loc, log_scale = self.parameters_of(context).chunk(2, -1)
        return loc, bound_above(bound_below(log_scale, -_MOST_LOG_SCALE), _MOST_LOG_SCALE)

    def forward(self, z: Tensor, context: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """Loc + scale z."""
        loc, log_scale = self.location_and_log_scale(context)
        moved = torch.addcmul(loc, log_scale.exp(), z)
        return moved, log_scale.sum(-1).expand(moved.shape[:-1])

    @torch.no_grad()
    def carried_slope(
        self, z: Tensor, slope: Tensor, context: Tensor | None = None
    ) -> tuple[Tensor, Tensor]:
        """The slope over the scale."""
        loc, log_scale = self.location_and_log_scale(context)
        return torch.addcmul(loc, log_scale.exp(), z), slope * (-log_scale).exp()

    def inverse(self, z: Tensor, context: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """(z - loc) / scale."""
        loc, log_scale = self.location_and_log_scale(context)
        moved = (z - loc) * (-log_scale).exp()
        return moved, -log_scale.sum(-1).expand(moved.shape[:-1])


class Permutation(Flow):
    """z'_i = z_order[i].

    Args:
        order: each of 0 .. D - 1 once.

    Example:
        >>> Permutation([2, 0, 1])(torch.tensor([1.0, 2.0, 3.0]))
        (tensor([3., 1., 2.]), tensor(0.))
    """

    order: Tensor
    rank: Tensor

    def __init__(self, order: Sequence[int] | Tensor) -> None:
        order = torch.as_tensor(order, dtype=torch.int64)
        super().__init__(len(order))
        if not torch.equal(order.sort().values, torch.arange(len(order))):
            raise OptionError(
                f"expected each of 0 .. {len(order) - 1} once, got {order.tolist()}",
                hint="an order lists where each dimension comes from",
            )
        self.register_buffer("order", order)
        self.register_buffer("rank", order.argsort(), persistent=False)

    def forward(self, z: Tensor, context: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """Reordered; volumes stay."""
        self.check_context(context)
        return z[..., self.order], z.new_zeros(z.shape[:-1])

    def inverse(self, z: Tensor, context: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """In the first order again."""
        self.check_context(context)
        return z[..., self.rank], z.new_zeros(z.shape[:-1])

    def _load_from_state_dict(self, *args: object, **kwargs: object) -> None:
        super()._load_from_state_dict(*args, **kwargs)  # type: ignore[arg-type]
        self.rank.copy_(self.order.argsort())


class Reversal(Permutation):
    """The last dimension becomes the first.

    Args:
        num_dims: D.
    """

    def __init__(self, num_dims: int) -> None:
        super().__init__(torch.arange(num_dims - 1, -1, -1))
