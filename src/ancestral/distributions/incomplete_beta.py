"""The regularised incomplete beta function, and its inverse."""

from __future__ import annotations

import torch
from torch import Tensor

__all__ = ["beta_cdf", "beta_icdf"]

_MOST_TERMS = 2000
_BISECTIONS = 60  # halve [0, 1] down to the last bit of a double near 1


def beta_cdf(a: Tensor, b: Tensor, x: Tensor) -> Tensor:
    r"""P(X <= x) for X ~ Beta(a, b), in double precision.

    The continued fraction of DLMF 8.17.22 by Lentz's method, on the side of the mean where it
    converges fast: in about :math:`\sqrt{\max(a, b)}` terms.

    Example:
        >>> beta_cdf(torch.tensor(2.0), torch.tensor(3.0), torch.tensor(0.5))
        tensor(0.6875, dtype=torch.float64)
    """
    a, b, x = torch.broadcast_tensors(a.double(), b.double(), x.double())
    mirrored = x > (a + 1) / (a + b + 2)
    first, second = torch.where(mirrored, b, a), torch.where(mirrored, a, b)
    y = torch.where(mirrored, 1 - x, x)
    log_beta = torch.lgamma(a) + torch.lgamma(b) - torch.lgamma(a + b)
    factor = first * y.log() + second * torch.log1p(-y) - log_beta - first.log()
    value = factor.exp() / _fraction(first, second, y)
    # at 0 and 1 the logarithms are infinite and their products NaN
    value = torch.where(y <= 0, 0.0, value)
    return torch.where(mirrored, 1 - value, value)


def beta_icdf(a: Tensor, b: Tensor, u: Tensor) -> Tensor:
    """The x with P(X <= x) = u for X ~ Beta(a, b), in double precision, by bisection.

    Example:
        >>> beta_icdf(torch.tensor(2.0), torch.tensor(3.0), torch.tensor(0.6875))
        tensor(0.5000, dtype=torch.float64)
    """
    a, b, u = torch.broadcast_tensors(a.double(), b.double(), u.double())
    low, high = torch.zeros_like(u), torch.ones_like(u)
    for _ in range(_BISECTIONS):
        middle = (low + high) / 2
        below = beta_cdf(a, b, middle) < u
        low, high = torch.where(below, middle, low), torch.where(below, high, middle)
    return (low + high) / 2


def _fraction(a: Tensor, b: Tensor, x: Tensor) -> Tensor:
    """1 + d_1 / (1 + d_2 / (1 + ...)), DLMF 8.17.23."""
    tiny = torch.finfo(x.dtype).tiny
    value = torch.ones_like(x)
    c, d = torch.ones_like(x), torch.zeros_like(x)
    for term in range(1, _MOST_TERMS):
        m = term // 2
        if term % 2 == 0:
            coefficient = m * (b - m) * x / ((a + 2 * m - 1) * (a + 2 * m))
        else:
            coefficient = -(a + m) * (a + b + m) * x / ((a + 2 * m) * (a + 2 * m + 1))
        d = 1 + coefficient * d
        d = 1 / torch.where(d.abs() < tiny, tiny, d)
        c = 1 + coefficient / torch.where(c.abs() < tiny, tiny, c)
        factor = c * d
        value = value * factor
        if bool(((factor - 1).abs() < 1e-15).all()):
            break
    return value
