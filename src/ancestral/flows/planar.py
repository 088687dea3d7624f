"""Planar flows."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from ancestral.core import OptionError
from ancestral.flows.flow import Flow
from ancestral.flows.parameters import FlowParameters, above_minus_one, full_precision

__all__ = ["Planar"]

_MOST_ITERATIONS = 100


class Planar(Flow):
    r"""K steps z' = z + u tanh(w \cdot z + b), each of which folds space along a plane.

    .. math:: \log |\det| = \sum_k \log(1 + (1 - \tanh^2 a_k)\, w_k \cdot u_k)

    u is moved along w so that w . u > -0.99, without which the map could not be inverted. It
    starts (nearly) as the identity: u is small.

    All steps cost little more than one: the projections a_k = w_k . z_{k-1} + b_k are computed
    from w_k . z_0 and the products w_k . u_j of the parameters alone, so that what goes from step
    to step is a number for each row and not a vector.

    The inverse solves a monotone equation in one unknown for each step, by Newton's method from
    the side on which it cannot overshoot, to the last bit but rounding.

    Args:
        num_dims: D.
        num_steps: K.
        context_size: C; with a context each datum has planes of its own, from one product.

    Example:
        >>> flow = Planar(3, num_steps=10)
        >>> z = torch.randn(5, 3)
        >>> moved, log_det = flow(z)
        >>> bool(torch.allclose(flow.inverse(moved)[0], z, atol=1e-5))
        True

    References:
        | Variational Inference with Normalizing Flows (Rezende & Mohamed, 2015), equations 10 to
        | 13 and appendix A.1
    """

    def __init__(self, num_dims: int, num_steps: int = 1, *, context_size: int = 0) -> None:
        super().__init__(num_dims, context_size)
        if num_steps < 1:
            raise OptionError(f"expected num_steps >= 1, got {num_steps}")
        self.num_steps = num_steps
        normals = torch.randn(num_steps, num_dims) / num_dims**0.5
        folds = 0.01 * torch.randn(num_steps, num_dims) / num_dims**0.5
        start = torch.cat([normals.flatten(), folds.flatten(), torch.randn(num_steps)])
        spread = torch.full_like(start, 0.3)
        spread[normals.numel() : 2 * normals.numel()] = 0.01 / num_dims**0.5
        spread[: normals.numel()] /= num_dims**0.5
        self.parameters_of = FlowParameters(start, context_size, spread)

    def forward(self, z: Tensor, context: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """First step to last."""
        with full_precision(z):
            planes = self._planes(context)
            h = self._heights(z, planes)
            return z + _combined(h, planes.u), _log_det(h, planes)

    @torch.no_grad()
    def carried_slope(
        self, z: Tensor, slope: Tensor, context: Tensor | None = None
    ) -> tuple[Tensor, Tensor]:
        """In closed form: the inverse of each step's Jacobian, I + s u w^T, is one of rank 1, too.

        A step takes away a multiple of w_k (Sherman & Morrison), and what goes from step to step
        is again a number for each row: u_k . slope.
        """
        with full_precision(z):
            planes = self._planes(context)
            h = self._heights(z, planes)
            s = 1 - h.square()
            stretch = 1 + s * planes.diagonal
            # log(1 + s w.u) changes by this times w
            bend = -2 * h * s * planes.diagonal / stretch
            rest = _along(slope, planes.u)
            factors = []
            for k, effect in enumerate(planes.products.unbind(-2)):
                along = rest[..., 0] - bend[..., k] * planes.diagonal[..., k]
                factor = bend[..., k] + s[..., k] * along / stretch[..., k]
                factors.append(factor)
                rest = torch.addcmul(
                    rest[..., 1:], factor.unsqueeze(-1), effect[..., k + 1 :], value=-1
                )
            removed = _combined(torch.stack(factors, -1), planes.w)
            return z + _combined(h, planes.u), slope - removed

    def _heights(self, z: Tensor, planes: _Planes) -> Tensor:
        """Tanh of each step's projection, [..., K]."""
        rest = _along(z, planes.w) + planes.b  # what is known so far of a_k, a_{k+1}, ...
        heights = []
        for k, effect in enumerate(planes.products.unbind(-1)):
            height = torch.tanh(rest[..., 0])
            heights.append(height)
            # the move along u_k shifts the projections of later steps by w_j . u_k
            rest = torch.addcmul(rest[..., 1:], height.unsqueeze(-1), effect[..., k + 1 :])
        return torch.stack(heights, -1)

    def inverse(self, z: Tensor, context: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """Last step to first."""
        with full_precision(z):
            planes = self._planes(context)
            rest = _along(z, planes.w) + planes.b
            heights = []
            effects = planes.products.unbind(-1)
            diagonal = planes.diagonal.unbind(-1)
            for k in reversed(range(self.num_steps)):
                height = torch.tanh(_solved(rest[..., k], diagonal[k]))
                heights.append(height)
                rest = torch.addcmul(
                    rest[..., :k], height.unsqueeze(-1), effects[k][..., :k], value=-1
                )
            h = torch.stack(heights[::-1], -1)
            return z - _combined(h, planes.u), -_log_det(h, planes)

    def _planes(self, context: Tensor | None) -> _Planes:
        size = self.num_steps * self.num_dims
        self.check_context(context)
        w, u, b = self.parameters_of(context).split([size, size, self.num_steps], -1)
        w = w.unflatten(-1, (self.num_steps, self.num_dims))
        u = u.unflatten(-1, (self.num_steps, self.num_dims))
        product = (w * u).sum(-1)
        square = w.square().sum(-1).clamp_min(1e-12)
        wanted = above_minus_one(product)
        u = torch.addcmul(u, ((wanted - product) / square).unsqueeze(-1), w)
        return _Planes(w, u, b, w @ u.mT, wanted)


class _Planes(NamedTuple):
    """Parameters of K steps; `products[..., j, k]` is w_j . u_k."""

    w: Tensor  # [..., K, D]
    u: Tensor  # [..., K, D]
    b: Tensor  # [..., K]
    products: Tensor  # [..., K, K]
    diagonal: Tensor  # w_k . u_k, [..., K], above -0.99 whatever the products are rounded to


def _along(z: Tensor, w: Tensor) -> Tensor:
    """w_k . z, [..., K], without a copy of w for each sample."""
    return torch.einsum("...d,...kd->...k", z, w)


def _combined(h: Tensor, u: Tensor) -> Tensor:
    """Sum of h_k u_k, [..., D]."""
    return torch.einsum("...k,...kd->...d", h, u)


def _log_det(h: Tensor, planes: _Planes) -> Tensor:
    return torch.log1p((1 - h.square()) * planes.diagonal).sum(-1)


def _solved(r: Tensor, c: Tensor) -> Tensor:
    """The t with t + c tanh t = r, for c > -1, differentiable in both.

    For r > 0 the left side is concave (c > 0) or convex (c < 0) in t > 0, and r - c lies on the
    side of the root from which Newton's method comes nearer without ever passing it.
    """
    with torch.no_grad():
        target = r.abs()
        t = (target - c).clamp_min(0)
        for _ in range(_MOST_ITERATIONS):
            h = torch.tanh(t)
            new = (t - (t + c * h - target) / (1 + c - c * h.square())).clamp_min(0)
            change, t = (new - t).abs(), new
            if bool((change <= 4 * torch.finfo(t.dtype).eps * (1 + t)).all()):
                break
        t = torch.copysign(t, r)
        h = torch.tanh(t)
        slope = 1 + c - c * h.square()
    # one more step, which changes no value and has the implicit function's gradient
    return t - (t + c * h - r) / slope
