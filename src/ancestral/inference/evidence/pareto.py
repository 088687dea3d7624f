"""Pareto k-hat: how heavy the tail of importance weights is, for many data at once."""

from __future__ import annotations

import math
from typing import NamedTuple

import torch
from torch import Tensor

__all__ = ["ParetoTail", "generalised_pareto", "pareto_khat", "pareto_tail"]

_MIN_TAIL = 5  # fewer exceedances say nothing about a tail


def pareto_khat(log_weights: Tensor) -> Tensor:
    r"""Shape k of a generalised Pareto distribution fitted to the largest weights.

    The M = ceil(min(S / 5, 3 sqrt(S))) largest weights, less the next largest one, are fitted by
    the empirical Bayes estimate of Zhang & Stephens (2009), pulled towards 1/2 as in Vehtari et
    al. Moments of the weights exist below order 1 / k: above about 0.7 an importance-sampled
    value is not to be trusted, however many samples it has.

    Args:
        log_weights: [samples, batch], unnormalised.

    Returns:
        [batch]; infinity where the tail has fewer than 5 distinct weights to fit, unless all
        weights are equal, where it is minus infinity (no tail at all).

    Cost:
        A partial sort, and M * (30 + sqrt(M)) numbers for each datum.

    References:
        | A New and Efficient Estimation Method for the Generalized Pareto Distribution
        | (Zhang & Stephens, 2009)
        | Pareto Smoothed Importance Sampling (Vehtari et al., 2024), sections 2.4 and 3.2,
        | appendix C
    """
    tail = pareto_tail(log_weights)
    if tail is None:
        return log_weights.new_full(log_weights.shape[1:], math.inf)
    khat, _ = generalised_pareto(tail.exceedances)
    khat = torch.where(tail.usable, khat, math.inf)
    return torch.where(tail.flat, -math.inf, khat).to(log_weights.dtype)


class ParetoTail(NamedTuple):
    """The largest weights of each datum, in units of its largest one.

    Attributes:
        exceedances: [batch, M], above the cutoff, ascending.
        cutoff: [batch], log of the next largest weight.
        largest: [batch], log of the largest weight, which is the unit.
    """

    exceedances: Tensor
    cutoff: Tensor
    largest: Tensor

    @property
    def flat(self) -> Tensor:
        """[batch] bool: all weights of the tail are equal."""
        return self.exceedances[:, -1] <= 1e-12

    @property
    def usable(self) -> Tensor:
        """[batch] bool: there is a tail to fit; False for NaN, too."""
        return ((self.exceedances > 0).sum(1) >= _MIN_TAIL) & ~self.flat


def pareto_tail(log_weights: Tensor) -> ParetoTail | None:
    """The M = ceil(min(S / 5, 3 sqrt(S))) largest of [samples, batch]; None if M < 5."""
    num_samples = log_weights.shape[0]
    tail_size = math.ceil(min(num_samples / 5, 3 * math.sqrt(num_samples)))
    if tail_size < _MIN_TAIL:
        return None
    top = log_weights.double().topk(tail_size + 1, dim=0).values.flip(0)  # ascending
    largest = top[-1]
    top = top - largest
    exceedances = (top[1:].exp() - top[0].exp()).T.contiguous()  # [batch, M], ascending
    return ParetoTail(exceedances, top[0], largest)


def generalised_pareto(x: Tensor) -> tuple[Tensor, Tensor]:
    """Zhang & Stephens' estimate of shape k, with Vehtari's prior, and of the scale.

    Args:
        x: [batch, n], ascending, from 0.

    Returns:
        Two of [batch].
    """
    n = x.shape[1]
    grid_size = 30 + int(math.sqrt(n))
    steps = torch.arange(1, grid_size + 1, dtype=x.dtype, device=x.device)
    # where a quarter of the tail ties with the cutoff, the least that exceeds it sets the unit
    least = torch.where(x > 0, x, torch.inf).amin(1)
    quartile = torch.maximum(x[:, int(n / 4 + 0.5) - 1], least).unsqueeze(-1)
    b = (1 - (grid_size / (steps - 0.5)).sqrt()) / (3 * quartile) + 1 / x[:, -1:]  # [batch, m]
    k = torch.log1p(-b.unsqueeze(-1) * x.unsqueeze(1)).mean(-1)
    profile = n * ((-b / k).log() - k - 1)
    weight = profile.softmax(-1)
    weight = torch.where(weight >= 10 * torch.finfo(x.dtype).eps, weight, 0.0)
    b_mean = (b * weight / weight.sum(-1, keepdim=True)).sum(-1, keepdim=True)
    k_mean = torch.log1p(-b_mean * x).mean(-1)
    # the scale belongs to the estimate of k before the prior pulls at it
    return (n * k_mean + 5.0) / (n + 10), -k_mean / b_mean.squeeze(-1)
