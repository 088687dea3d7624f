"""Where the parameters of a flow come from, and how they are kept in their range."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ancestral.core.shapes import at_least_float32

__all__ = ["FlowParameters", "above_minus_one", "bounded", "full_precision"]

_LEAST = 0.01  # by which `above_minus_one` stays above -1
_ZERO_TO_ZERO = 0.525458719292502  # inverse softplus of 1 - _LEAST


class FlowParameters(nn.Module):
    r"""A flow's parameters: learnt numbers, plus a linear function of the context if there is one.

    All parameters of all steps come out of one matrix product. With a context each datum has
    parameters of its own, as where the encoder of a variational autoencoder gives them.

    Args:
        start: [P], the values to start from.
        context_size: C.
        spread: [P] or number; start values change by about this much with a context of unit size.

    References:
        | Variational Inference with Normalizing Flows (Rezende & Mohamed, 2015), section 4.2
    """

    def __init__(self, start: Tensor, context_size: int, spread: Tensor | float = 0.0) -> None:
        super().__init__()
        self.bias = nn.Parameter(start.clone())
        if context_size:
            weight = torch.randn(len(start), context_size) / context_size**0.5
            self.weight = nn.Parameter(weight * torch.as_tensor(spread).reshape(-1, 1))

    def forward(self, context: Tensor | None) -> Tensor:
        """[..., C] -> [..., P], in float32 at least; [P] without a context."""
        if context is None:
            return self.bias
        return at_least_float32(F.linear(at_least_float32(context), self.weight, self.bias))


def above_minus_one(x: Tensor) -> Tensor:
    """A smooth increasing function onto (-0.99, inf) that maps 0 to 0.

    It is the constraint of planar and radial flows, m(x) = -1 + softplus(x) in the paper, moved
    so that 0, where the flow is the identity, stays 0, and kept off -1, where the flow would
    stop to be invertible.

    Example:
        >>> import torch
        >>> above_minus_one(torch.tensor([-100.0, 0.0, 100.0])).round(decimals=2)
        tensor([-0.9900,  0.0000, 99.5400])
    """
    return F.softplus(x + _ZERO_TO_ZERO) + (_LEAST - 1)


def bounded(x: Tensor, limit: float) -> Tensor:
    """The function x / (1 + |x| / limit): x near 0, and always within (-limit, limit).

    Its gradient falls as 1 / x^2, so that a number far outside still finds back.

    Example:
        >>> import torch
        >>> bounded(torch.tensor([-1e6, 0.0, 3.0]), 3.0)
        tensor([-3.0000,  0.0000,  1.5000])
    """
    return x / (1 + x.abs() / limit)


def full_precision(like: Tensor) -> torch.autocast:
    """A context in which products are not rounded to bfloat16, whatever surrounds it.

    The density of a flow is a small difference of its map: the networks that make its parameters
    may be rounded, the map may not.
    """
    return torch.autocast(like.device.type, enabled=False)
