"""Paths between codes."""

from __future__ import annotations

import math
from enum import StrEnum

import torch
from torch import Tensor

from ancestral.core import OptionError, ShapeError

__all__ = ["CodePath", "path_between"]

_PARALLEL = 1e-9  # sine below which two directions span no plane


class CodePath(StrEnum):
    """How to go from one code to another."""

    LINEAR = "linear"  # straight
    SPHERICAL = "spherical"  # along a great circle, the radius changing evenly


def path_between(
    start: Tensor, end: Tensor, num_steps: int, path: CodePath = CodePath.LINEAR
) -> Tensor:
    r"""Codes on the way from some codes to others, both ends included.

    Spherical paths (Shoemake, 1985) turn the direction by equal angles,

    .. math:: u_t = \frac{\sin((1-t)\omega)}{\sin\omega} u_0
              + \frac{\sin(t\omega)}{\sin\omega} u_1, \quad \cos\omega = u_0 \cdot u_1,

    and go evenly from one radius to the other. In many dimensions codes drawn from a Gaussian lie
    near a sphere, whose inside straight lines cut through and great circles do not (White, 2016).
    The angle is that of u_1 with u_0 and what is orthogonal to it, which is exact for nearly
    equal directions, where the formula divides by zero. Opposite directions have no shortest way:
    it goes by the coordinate axis that is most orthogonal to them. A code of zeros has no
    direction, and one dimension no circle: there the path is straight.

    Args:
        start: [rows, latent].
        end: [rows, latent].
        num_steps: points on each path.
        path: straight, or along a great circle.

    Returns:
        [rows, num_steps, latent].

    Raises:
        OptionError: fewer than 2 steps.
        ShapeError: the codes are not of one shape.

    Example:
        >>> start, end = torch.tensor([[1.0, 0.0]]), torch.tensor([[0.0, 3.0]])
        >>> path_between(start, end, 3)
        tensor([[[1.0000, 0.0000],
                 [0.5000, 1.5000],
                 [0.0000, 3.0000]]])
        >>> path_between(start, end, 3, CodePath.SPHERICAL)
        tensor([[[1.0000, 0.0000],
                 [1.4142, 1.4142],
                 [0.0000, 3.0000]]])

    References:
        | Animating Rotation with Quaternion Curves (Shoemake, 1985), section 3.3
        | Sampling Generative Networks (White, 2016), section 2
    """
    if num_steps < 2:
        raise OptionError(f"expected at least 2 steps, got {num_steps}", hint="both ends count")
    if start.shape != end.shape or start.ndim != 2:
        raise ShapeError(
            f"expected as many codes to end at as to start from, got shapes {list(start.shape)} "
            f"and {list(end.shape)}"
        )
    first, last = start.double(), end.double()
    t = torch.linspace(0, 1, num_steps, dtype=first.dtype, device=first.device).unsqueeze(-1)
    points = first.unsqueeze(1) * (1 - t) + last.unsqueeze(1) * t
    if path is CodePath.SPHERICAL:
        turned = _great_circles(first, last, t)
        on_circle = (first.norm(dim=-1) > 0) & (last.norm(dim=-1) > 0) & (first.shape[-1] > 1)
        points = torch.where(on_circle[:, None, None], turned, points)
    points[:, 0], points[:, -1] = first, last  # to the last digit
    return points.to(start.dtype)


def _great_circles(first: Tensor, last: Tensor, t: Tensor) -> Tensor:
    """[rows, steps, latent], NaN where there is no direction."""
    radius, end_radius = (part.norm(dim=-1, keepdim=True) for part in (first, last))
    u, v = first / radius, last / end_radius
    along = (u * v).sum(-1, keepdim=True)
    across = v - along * u
    sine = across.norm(dim=-1, keepdim=True)
    w = torch.where(sine > _PARALLEL, across / sine, _orthogonal_to(u))
    angle = torch.atan2(sine, along)
    angle = torch.where(sine > _PARALLEL, angle, torch.where(along < 0, math.pi, 0.0)).unsqueeze(1)
    direction = (t * angle).cos() * u.unsqueeze(1) + (t * angle).sin() * w.unsqueeze(1)
    return (radius.unsqueeze(1) * (1 - t) + end_radius.unsqueeze(1) * t) * direction


def _orthogonal_to(u: Tensor) -> Tensor:
    """A unit vector orthogonal to each u, [rows, latent], on the side of one coordinate axis."""
    axis = torch.zeros_like(u).scatter_(-1, u.abs().argmin(-1, keepdim=True), 1.0)
    across = axis - (axis * u).sum(-1, keepdim=True) * u
    return across / across.norm(dim=-1, keepdim=True)
