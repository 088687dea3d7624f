"""P(X < x), P(X > x) and masses of intervals, under the densities that a cell can have."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from ancestral.core import IncompatibleChoices
from ancestral.distributions import (
    Beta,
    CellHead,
    ContinuousBernoulli,
    Exponential,
    FixedScaleNormal,
    Gamma,
    LogNormal,
    Normal,
    SiteMixture,
    StudentT,
    TruncatedNormal,
)
from ancestral.distributions.incomplete_beta import beta_cdf
from ancestral.distributions.normal import normal_cdf
from ancestral.distributions.truncated_normal import log_normal_mass

__all__ = ["log_masses", "tails"]


def tails(head: CellHead, features: Tensor, x: Tensor) -> tuple[Tensor, Tensor]:
    """P(X < x) and P(X > x), each exact where it is small.

    Args:
        head: a density on the line or a part of it, of events of shape (1,).
        features: [..., P, 1], in double precision.
        x: [..., 1], in double precision; what lies outside the support counts as its end.

    Returns:
        Both [..., 1].

    Raises:
        IncompatibleChoices: the family has no cumulative function.
    """
    if isinstance(head, SiteMixture):
        logits, components = head.split(features)
        below, above = tails(head.component, components, x.unsqueeze(head.axis))
        weights = logits.softmax(head.axis)
        return (weights * below).sum(head.axis), (weights * above).sum(head.axis)
    own: Any = getattr(head, "tails", None)
    if own is not None:
        return own(features, x)
    rule = _RULES.get(type(head))
    if rule is None:
        raise IncompatibleChoices(
            f"{type(head).__name__} has no cumulative function to code numbers by",
            hint="normal, laplace, logistic, student-t, log-normal and mixtures of them have",
        )
    return rule(head, features, x)


def log_masses(head: CellHead, features: Tensor, edges: Tensor) -> Tensor:
    """Log of P(a < X < b) for neighbouring edges a, b, also where all `tails` are 0 or 1.

    Of Gaussian families and their mixtures it is exact; of others, the density in the middle of
    the interval times its length.

    Args:
        head: as for `tails`.
        features: [..., P, 1], in double precision.
        edges: [..., K + 1], in double precision, which do not fall.

    Returns:
        [..., K]; -inf for empty intervals.
    """
    if isinstance(head, SiteMixture):
        logits, components = head.split(features)  # [..., M, 1], [..., M, P, 1]
        each = log_masses(head.component, components, edges.unsqueeze(-2))
        return (logits.log_softmax(head.axis) + each).logsumexp(-2)
    standardised = _STANDARDISED.get(type(head))
    low, high = edges[..., :-1], edges[..., 1:]
    if standardised is not None:
        a, b = (standardised(head, features, end) for end in (low, high))
        found = log_normal_mass(*torch.broadcast_tensors(a, b))
    else:
        middle = ((low + high) / 2).unsqueeze(-1)
        density = head.log_prob_cells(features.unsqueeze(-3), middle).squeeze(-1)
        found = density + (high - low).log()
    return torch.where(high > low, found.nan_to_num(*3 * (-math.inf,)), -math.inf)


def _fixed_scale(head: Any, features: Tensor, x: Tensor) -> tuple[Tensor, Tensor]:
    z = _by_fixed_scale(head, features, x)
    return normal_cdf(z), normal_cdf(-z)


def _log_normal(head: Any, features: Tensor, x: Tensor) -> tuple[Tensor, Tensor]:
    z = _by_logarithm(head, features, x)
    return normal_cdf(z), normal_cdf(-z)


def _by_fixed_scale(head: Any, features: Tensor, x: Tensor) -> Tensor:
    return (x - features.select(head.axis, 0)) / head.scale


def _by_scale(head: Any, features: Tensor, x: Tensor) -> Tensor:
    loc, log_scale = head.location_and_log_scale(features)
    return (x - loc) * torch.exp(-log_scale)


def _by_logarithm(head: Any, features: Tensor, x: Tensor) -> Tensor:
    return _by_scale(head, features, x.clamp_min(0).log())


def _exponential(head: Any, features: Tensor, x: Tensor) -> tuple[Tensor, Tensor]:
    rate = x.clamp_min(0) / head.mean(features)
    return -torch.expm1(-rate), torch.exp(-rate)


def _gamma(head: Any, features: Tensor, x: Tensor) -> tuple[Tensor, Tensor]:
    a, log_scale = head.concentration_and_log_scale(features)
    a, z = torch.broadcast_tensors(a, x.clamp_min(0) * torch.exp(-log_scale))
    return torch.special.gammainc(a, z), torch.special.gammaincc(a, z)


def _beta(head: Any, features: Tensor, x: Tensor) -> tuple[Tensor, Tensor]:
    a, b = head.concentrations(features)
    inside = x.clamp(0, 1)
    return beta_cdf(a, b, inside), beta_cdf(b, a, 1 - inside)


def _student(head: Any, features: Tensor, x: Tensor) -> tuple[Tensor, Tensor]:
    loc, log_scale, df = head.parameters(features)
    z = (x - loc) * torch.exp(-log_scale)
    square = z.square()
    # P(|T| > |z|) is an incomplete beta function, with all digits far out
    beyond = 0.5 * beta_cdf(df / 2, torch.full_like(df, 0.5), df / (df + square))
    below = torch.where(z < 0, beyond, 1 - beyond)
    return below, torch.where(z < 0, 1 - beyond, beyond)


def _truncated(head: Any, features: Tensor, x: Tensor) -> tuple[Tensor, Tensor]:
    loc, log_scale = head.location_and_log_scale(features)
    z, a, b = torch.broadcast_tensors(
        (x.clamp(head.low, head.high) - loc) * torch.exp(-log_scale),
        *(
            torch.full_like(loc, end) if math.isinf(end) else (end - loc) * torch.exp(-log_scale)
            for end in (head.low, head.high)
        ),
    )
    mass = log_normal_mass(a, b)
    below = torch.where(z > a, (log_normal_mass(a, z) - mass).exp(), 0.0)
    return below, torch.where(z < b, (log_normal_mass(z, b) - mass).exp(), 0.0)


def _continuous_bernoulli(head: Any, features: Tensor, x: Tensor) -> tuple[Tensor, Tensor]:
    logits = features.select(head.axis, 0)
    inside = x.clamp(0, 1)

    def share(slope: Tensor, length: Tensor) -> Tensor:
        """(e^(l x) - 1) / (e^l - 1), without overflow for large l."""
        safe = torch.where(slope.abs() < 1e-6, 1e-6, slope)
        up = torch.exp((length - 1) * safe.clamp_min(0)) * torch.expm1(-safe.abs() * length)
        return torch.where(
            safe > 0,
            up / torch.expm1(-safe.abs()),
            torch.expm1(-safe.abs() * length) / torch.expm1(-safe.abs()),
        )

    return share(logits, inside), share(-logits, 1 - inside)


_STANDARDISED: dict[type, Callable[[Any, Tensor, Tensor], Tensor]] = {
    Normal: _by_scale,
    FixedScaleNormal: _by_fixed_scale,
    LogNormal: _by_logarithm,
}

_RULES: dict[type, Callable[[Any, Tensor, Tensor], tuple[Tensor, Tensor]]] = {
    FixedScaleNormal: _fixed_scale,
    LogNormal: _log_normal,
    Exponential: _exponential,
    Gamma: _gamma,
    Beta: _beta,
    StudentT: _student,
    TruncatedNormal: _truncated,
    ContinuousBernoulli: _continuous_bernoulli,
}
