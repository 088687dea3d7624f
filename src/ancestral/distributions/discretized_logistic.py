"""`DiscretizedLogistic`: ordered levels, such as grey values."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from ancestral.core.errors import OptionError
from ancestral.distributions.cells import CellHead, single
from ancestral.distributions.scales import (
    MIN_LOG_SCALE,
    bound_below,
    log_scale_feature,
    moments,
)
from ancestral.distributions.support import Support, codes

__all__ = ["DiscretizedLogistic"]


@dataclass(frozen=True)
class DiscretizedLogistic(CellHead):
    r"""The mass of a logistic distribution around each of K levels; the edges take the tails.

    Level x in 0 .. K - 1 stands at y = 2 x / (K - 1) - 1, and h = 1 / (K - 1) is half the
    distance of two levels. With a = (y + h - loc) / s and b = (y - h - loc) / s,

    .. math:: \log[\sigma(a) - \sigma(b)] =
        \log\sigma(a) + \log\sigma(-b) + \log(1 - e^{-2h/s}),

    which is log sigma(a) at level 0 and log sigma(-b) at level K - 1. No threshold is needed:
    it sums to one, and its gradient is finite, however far in the tails.

    Features `(2, *event_shape)`: loc and log s, both on the scale of y, from -1 to 1; log s is
    bounded below smoothly.

    Args:
        event_shape: shape of one x, which holds levels 0 .. num_levels - 1 as numbers.
        num_levels: K >= 2.
        min_log_scale: lower bound of log s, approached smoothly.

    Example:
        >>> import torch
        >>> head = DiscretizedLogistic((), num_levels=256)
        >>> x = torch.arange(256.0)
        >>> head.log_prob(torch.tensor([[0.3, -5.0]]), x).logsumexp(0).abs() < 1e-5
        tensor(True)

    References:
        | PixelCNN++ (Salimans et al., 2017), section 2.1
        | https://arxiv.org/abs/1701.05517
    """

    event_shape: tuple[int, ...]
    num_levels: int
    min_log_scale: float = MIN_LOG_SCALE

    def __post_init__(self) -> None:
        if self.num_levels < 2:
            raise OptionError(f"expected at least 2 levels, got {self.num_levels}")

    @property
    def num_parameters(self) -> int:
        """Location and log-scale."""
        return 2

    @property
    def support(self) -> Support:
        """The levels."""
        return codes(self.num_levels)

    def location_and_log_scale(self, features: Tensor) -> tuple[Tensor, Tensor]:
        """The two parameters, [..., *event_shape]."""
        loc, log_scale = single(features).unbind(self.axis)
        return loc, bound_below(log_scale, self.min_log_scale)

    def _log_prob(self, features: Tensor, x: Tensor) -> Tensor:
        loc, log_scale = self.location_and_log_scale(features)
        top = self.num_levels - 1
        # in half widths of a level, where 2 x - top is exact: the differences of two large
        # numbers decide when s is small
        precision = torch.exp(-log_scale) / top
        centred = (2 * x - top) - top * loc
        above = F.logsigmoid((centred + 1) * precision)
        below = F.logsigmoid((1 - centred) * precision)
        width = (2 * precision).clamp_min(torch.finfo(precision.dtype).tiny)
        inner = above + below + torch.log(-torch.expm1(-width))
        return torch.where(x <= 0, above, torch.where(x >= top, below, inner))

    def mean(self, features: Tensor) -> Tensor:
        """The sum of P(X > k) over k < K - 1, exact; takes K - 1 passes over the cells."""
        loc, log_scale = self.location_and_log_scale(features)
        precision = torch.exp(-log_scale)
        total = torch.zeros_like(loc)
        for k in range(self.num_levels - 1):
            edge = (2 * k + 1) / (self.num_levels - 1) - 1
            total = total + torch.sigmoid((loc - edge) * precision)
        return total

    def icdf(self, features: Tensor, u: Tensor) -> Tensor:
        """The level around the logistic's quantile."""
        loc, log_scale = self.location_and_log_scale(features)
        y = loc + log_scale.exp() * u.logit()
        top = self.num_levels - 1
        # + 0 makes 0 of -0
        return ((y + 1) * (top / 2)).round().clamp(0, top) + 0.0

    def initial_features(self, x: Tensor, observed: Tensor | None = None) -> Tensor:
        """Mean and deviation of the rows' levels."""
        mean, std = moments(x, observed)
        half = 1 / (self.num_levels - 1)
        # not narrower than one level, where a cell never changes
        variance = ((2 * half * std).square() + half**2 / 3) * 3 / math.pi**2
        return torch.stack(
            [2 * half * mean - 1, log_scale_feature(variance.sqrt(), self.min_log_scale)]
        )
