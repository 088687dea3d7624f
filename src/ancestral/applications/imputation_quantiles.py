"""Quantiles of weighted samples, and equally weighted ones picked from them."""

from __future__ import annotations

import torch
from torch import Tensor

from ancestral.core.noise import uniform_noise

__all__ = ["quantile_interval", "systematic"]

_ROUNDING = 1e-6  # of positions among samples
_NEGLIGIBLE = 1e-6  # share of the largest weight


def systematic(weights: Tensor, num: int) -> Tensor:
    """Numbers of samples, each as often as its weight says: one offset decides on all.

    Args:
        weights: [rows, samples], each row's sum to 1.
        num: how many.

    Returns:
        [rows, num] int64, ascending in each row.

    References:
        | Carpenter, Clifford & Fearnhead (1999), Improved particle filter for nonlinear problems
    """
    dtype = torch.float64
    # of each row its own, where rows have noise of their own
    like = torch.empty((), dtype=dtype, device=weights.device)
    offset = uniform_noise((1, len(weights)), like).T
    positions = (torch.arange(num, dtype=dtype, device=weights.device) + offset) / num
    # rounding may leave the sum a little below the last position
    cumulative = weights.to(dtype).cumsum(1)
    return torch.searchsorted(cumulative, positions).clamp_max(weights.shape[1] - 1)


def quantile_interval(samples: Tensor, weights: Tensor, level: float) -> tuple[Tensor, Tensor]:
    r"""Order statistics that leave out (1 - level) / 2 on each side.

    A sample with weight w of which a weight c lies below has the position
    :math:`k = n (c + w / 2) + 1/2` of n, the effective number: its rank, where all weights are
    equal. Its quantile is k / (n + 1).

    Args:
        samples: [rows, samples, *shape].
        weights: [rows, samples], each row's sum to 1.
        level: between 0 and 1.

    Returns:
        Two tensors [rows, *shape].
    """
    # a sample that counts for nothing is no bound, however extreme
    heaviest = weights.argmax(1).reshape(-1, 1, *[1] * (samples.ndim - 2))
    stands_in = samples.gather(1, heaviest.expand(-1, 1, *samples.shape[2:]))
    counts = (weights > _NEGLIGIBLE * weights.amax(1, keepdim=True)).reshape(
        *weights.shape, *[1] * (samples.ndim - 2)
    )
    ordered, index = torch.where(counts, samples, stands_in).sort(1)
    spread = weights.double().reshape(*weights.shape, *[1] * (samples.ndim - 2))
    mass = spread.expand(samples.shape).gather(1, index)
    number = 1 / spread.square().sum(1, keepdim=True)
    position = number * (mass.cumsum(1) - mass / 2) + 0.5
    quantile = position / (number + 1)
    tail = (1 - level) / 2
    last = samples.shape[1] - 1
    # the last sample below the tail, or else the first; and likewise from above
    low = ((quantile <= tail + _ROUNDING).sum(1, keepdim=True) - 1).clamp_min(0)
    high = (quantile < 1 - tail - _ROUNDING).sum(1, keepdim=True).clamp_max(last)
    return ordered.gather(1, low).squeeze(1), ordered.gather(1, high).squeeze(1)
