"""Scales that cannot collapse, and the moments from which heads start."""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor

__all__ = [
    "MIN_LOG_SCALE",
    "bound_above",
    "bound_below",
    "inverse_softplus",
    "log_scale_feature",
    "moments",
]

MIN_LOG_SCALE = -7.0
"""Least log-scale of a head, unless told otherwise: a scale of 0.0009, in the data's units."""


def bound_below(feature: Tensor, minimum: float) -> Tensor:
    """Smooth lower bound, minimum + softplus(feature - minimum).

    It is the identity far above the bound, and unlike a clamp it always passes a gradient.

    Example:
        >>> import torch
        >>> bound_below(torch.tensor([-50.0, 3.0]), minimum=-7.0)
        tensor([-7.0000,  3.0000])
    """
    if minimum == -math.inf:
        return feature
    return minimum + F.softplus(feature - minimum)


def bound_above(feature: Tensor, maximum: float) -> Tensor:
    """Smooth upper bound, the mirror image of `bound_below`."""
    return -bound_below(-feature, -maximum)


def inverse_softplus(y: Tensor) -> Tensor:
    """The x with softplus(x) = y > 0."""
    return y + torch.log(-torch.expm1(-y))


def log_scale_feature(scale: Tensor, minimum: float) -> Tensor:
    """The feature that `bound_below` turns into log(scale), or into little more than the minimum.

    Scales below a tenth of the root mean square over the cells are raised to it. A border pixel
    that never changes would otherwise start with a density so narrow that the first noise in
    its location costs thousands of nats.

    Args:
        scale: [*event_shape], may hold zeros.
        minimum: least log-scale.
    """
    spread = scale.square().mean().sqrt()
    floor = torch.where(spread > 0, 0.1 * spread, 1.0)
    log_scale = torch.maximum(scale, floor).log()
    if minimum == -math.inf:
        return log_scale
    return minimum + inverse_softplus((log_scale - minimum).clamp_min(0.05))


def moments(x: Tensor, observed: Tensor | None = None) -> tuple[Tensor, Tensor]:
    """Mean and standard deviation of each cell over the rows.

    A cell that is never observed gets mean 0 and deviation 0.

    Args:
        x: [rows, *event_shape].
        observed: [rows, *event_shape] bool, or None.

    Returns:
        Two tensors [*event_shape].

    Example:
        >>> moments(torch.tensor([[1.0], [3.0]]))
        (tensor([2.]), tensor([1.]))
    """
    if observed is None:
        return x.mean(0), x.std(0, correction=0)
    count = observed.sum(0).clamp_min(1)
    mean = torch.where(observed, x, 0.0).sum(0) / count
    variance = torch.where(observed, x - mean, 0.0).square().sum(0) / count
    return mean, variance.sqrt()
