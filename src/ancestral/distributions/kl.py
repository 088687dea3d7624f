"""Kullback-Leibler divergences in closed form, and whether there is one."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.distributions import Distribution, kl_divergence, register_kl
from torch.distributions import kl as torch_kl

from ancestral.core.errors import IncompatibleChoices
from ancestral.distributions.gaussian import (
    DiagonalNormal,
    FullNormal,
    StandardNormal,
    solve_tril,
)

__all__ = ["has_closed_form_kl", "kl_terms"]


def kl_terms(q: Distribution, p: Distribution) -> Tensor:
    """KL(q || p) in nats, taken apart where it is a sum over the latent dimensions.

    Args:
        q: batch shape [batch].
        p: batch shape [batch] or [].

    Returns:
        [batch, latent] for two diagonal Gaussians; [batch, 1] for any other pair that torch's
        registry knows.

    Raises:
        IncompatibleChoices: no closed form is registered.

    Example:
        >>> import torch
        >>> q = DiagonalNormal(torch.ones(4, 3), torch.zeros(4, 3))
        >>> kl_terms(q, StandardNormal(3))[0]
        tensor([0.5000, 0.5000, 0.5000])
    """
    if isinstance(q, DiagonalNormal) and isinstance(p, DiagonalNormal):
        return _diagonal_terms(q, p)
    try:
        return kl_divergence(q, p).unsqueeze(-1)
    except NotImplementedError:
        raise IncompatibleChoices(
            f"no closed-form KL divergence from {type(q).__name__} to {type(p).__name__} is known",
            hint="use the Monte Carlo form of the bound, which needs only log-densities",
        ) from None


def has_closed_form_kl(q_type: type[Distribution], p_type: type[Distribution]) -> bool:
    """Whether a divergence is registered for two types of distribution.

    For types that wrap others (`HeadDistribution`, torch's `Independent`) True says only that
    the question is passed on to what they wrap.

    Example:
        >>> has_closed_form_kl(DiagonalNormal, StandardNormal)
        True
    """
    return torch_kl._dispatch_kl(q_type, p_type) is not NotImplemented


def _diagonal_terms(q: DiagonalNormal, p: DiagonalNormal) -> Tensor:
    variance = (2 * q.log_scale).exp()
    if isinstance(p, StandardNormal):
        return torch.addcmul(variance - 1, q.loc, q.loc).mul(0.5) - q.log_scale
    difference = q.loc - p.loc
    ratio = torch.addcmul(variance, difference, difference) * (-2 * p.log_scale).exp()
    return 0.5 * (ratio - 1) + (p.log_scale - q.log_scale)


@register_kl(DiagonalNormal, DiagonalNormal)
def _diagonal_diagonal(q: DiagonalNormal, p: DiagonalNormal) -> Tensor:
    return _diagonal_terms(q, p).sum(-1)


@register_kl(FullNormal, FullNormal)
def _full_full(q: FullNormal, p: FullNormal) -> Tensor:
    num_dims = q.event_shape[0]
    # solve_triangular broadcasts its batch axes
    spread = torch.linalg.solve_triangular(p.scale_tril, q.scale_tril, upper=False)
    shift = solve_tril(p.scale_tril, q.loc - p.loc)
    squares = spread.square().sum((-2, -1)) + shift.square().sum(-1)
    return 0.5 * (squares - num_dims) + p.log_det - q.log_det


@register_kl(FullNormal, DiagonalNormal)
def _full_diagonal(q: FullNormal, p: DiagonalNormal) -> Tensor:
    squares = (q.variance + (q.loc - p.loc).square()) * (-2 * p.log_scale).exp()
    return 0.5 * (squares - 1).sum(-1) + p.log_scale.sum(-1) - q.log_det


@register_kl(DiagonalNormal, FullNormal)
def _diagonal_full(q: DiagonalNormal, p: FullNormal) -> Tensor:
    return _full_full(FullNormal(q.loc, torch.diag_embed(q.stddev)), p)
