"""`ContinuousBernoulli`: cells in the unit interval, with a Bernoulli's shape of density."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import torch
from torch import Tensor

from ancestral.distributions.cells import CellHead, single
from ancestral.distributions.scales import moments
from ancestral.distributions.support import UNIT, Support

__all__ = ["ContinuousBernoulli"]

_LEAST_MEAN = 1e-3

# Bernoulli numbers B_2n / (2n)!: the Taylor series of 1 / (1 - e^-l) - 1 / l - 1 / 2
_SERIES = (
    1 / 12,
    -1 / 720,
    1 / 30240,
    -1 / 1209600,
    1 / 47900160,
    -691 / 1307674368000,
    1 / 74724249600,
)
_SMALL = 0.5


@dataclass(frozen=True)
class ContinuousBernoulli(CellHead):
    r"""A density on [0, 1] with one logit l to a cell, features `(1, *event_shape)`.

    .. math:: \log p(x) = x l - \log \frac{e^l - 1}{l}

    The normaliser, which a Bernoulli on grey values leaves out, is computed without loss of
    digits around l = 0 (lambda = 1/2 in the paper).

    Args:
        event_shape: shape of one x.

    Example:
        >>> import torch
        >>> head = ContinuousBernoulli((2,))
        >>> head.log_prob(torch.zeros(1, 2), torch.tensor([0.3, 1.0]))   # uniform
        tensor(0.)

    References:
        | The continuous Bernoulli (Loaiza-Ganem & Cunningham, 2019), equations 3 to 8
        | https://arxiv.org/abs/1907.06845
    """

    event_shape: tuple[int, ...]
    reparameterized: ClassVar[bool] = True

    @property
    def num_parameters(self) -> int:
        """The logit."""
        return 1

    @property
    def support(self) -> Support:
        """0 to 1, both included."""
        return UNIT

    def _log_prob(self, features: Tensor, x: Tensor) -> Tensor:
        logits = features.select(self.axis, 0)
        return x * logits - _LogNormalizer.apply(logits)

    def mean(self, features: Tensor) -> Tensor:
        """1 / (1 - e^-l) - 1 / l."""
        return _mean(single(features).select(self.axis, 0))

    def icdf(self, features: Tensor, u: Tensor) -> Tensor:
        """log(1 + u (e^l - 1)) / l, in the form that does not overflow."""
        logits = features.select(self.axis, 0)
        safe = torch.where(logits == 0, 1.0, logits)
        low = safe.clamp_max(1.0)
        high = safe.clamp_min(1.0)
        below = torch.log1p(u * torch.expm1(low)) / low
        above = 1 + torch.log(u + (1 - u) * torch.exp(-high)) / high
        return torch.where(logits == 0, u, torch.where(logits > 1, above, below)).clamp(0, 1)

    def initial_features(self, x: Tensor, observed: Tensor | None = None) -> Tensor:
        """Logits whose mean is the training mean, clipped to [0.001, 0.999], by bisection."""
        mean, _ = moments(x, observed)
        mean = mean.double().clamp(_LEAST_MEAN, 1 - _LEAST_MEAN)
        low, high = torch.full_like(mean, -2 / _LEAST_MEAN), torch.full_like(mean, 2 / _LEAST_MEAN)
        for _ in range(60):
            middle = (low + high) / 2
            below = _mean(middle) < mean
            low, high = torch.where(below, middle, low), torch.where(below, high, middle)
        return ((low + high) / 2).to(x.dtype).unsqueeze(0)


def _mean(logits: Tensor) -> Tensor:
    small = logits.abs() < _SMALL
    square = torch.where(small, logits, 0.0).square()
    series = torch.zeros_like(logits)
    for coefficient in reversed(_SERIES):
        series = series * square + coefficient
    large = torch.where(small, 1.0, logits)
    direct = (-torch.expm1(-large.abs())).reciprocal() - 1 / large.abs()
    direct = torch.where(large > 0, direct, 1 - direct)
    return torch.where(small, 0.5 + logits * series, direct)


class _LogNormalizer(torch.autograd.Function):
    """log((e^l - 1) / l), whose derivative is the mean.

    Autograd's derivative of the same expression subtracts two numbers of size 1 / l.
    """

    generate_vmap_rule = True

    @staticmethod
    def forward(logits: Tensor) -> Tensor:
        size = logits.abs()
        safe = torch.where(size == 0, 1.0, size)
        ratio = torch.where(size == 0, 1.0, -torch.expm1(-safe) / safe)
        return logits.relu() + ratio.log()

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Tensor], output: Any) -> None:
        ctx.save_for_backward(*inputs)

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> Tensor:
        (logits,) = ctx.saved_tensors
        return grads[0] * _mean(logits)
