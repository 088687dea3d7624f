"""Pareto-smoothed importance sampling."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace

import torch
from torch import Tensor, nn

from ancestral.core import Batch, Estimate, Precision
from ancestral.inference.evidence.evidence import Importance
from ancestral.inference.evidence.importance import summarized
from ancestral.inference.evidence.pareto import generalised_pareto, pareto_tail
from ancestral.inference.posteriors import Posterior

__all__ = ["ParetoSmoothed", "smoothed_log_weights"]


@dataclass(frozen=True)
class ParetoSmoothed:
    """Log p(x) by importance sampling with the largest weights smoothed.

    Its kind is `consistent`: it tends to log p(x) as samples grow, with less variance than plain
    importance sampling, but smoothing moves its expectation by an amount whose sign is not known,
    so that it is neither a bound nor unbiased. Report `Importance`, or annealing, where a bound is
    wanted. Above the threshold of k-hat it is no more to be trusted than the plain value.

    Args:
        num_samples: for each datum.
        seed: of the samples; those of `Importance` with the same seed.
        precision: of the networks' matrix products.

    References:
        | Pareto Smoothed Importance Sampling (Vehtari, Simpson, Gelman, Yao & Gabry, 2024)
    """

    num_samples: int = 1000
    seed: int = 0
    precision: Precision = Precision.FLOAT32

    def __call__(
        self, model: nn.Module, posterior: Posterior | None, batches: Iterable[Batch]
    ) -> Estimate:
        """Consistent estimates, with k-hat of the raw weights."""
        plain = Importance(self.num_samples, self.seed, self.precision, _smoothed_summary)
        return replace(plain(model, posterior, batches), kind="consistent")


def _smoothed_summary(log_w: Tensor) -> Estimate:
    found = summarized(log_w)
    return replace(summarized(smoothed_log_weights(log_w)), khat=found.khat)


def smoothed_log_weights(log_weights: Tensor) -> Tensor:
    r"""The M largest weights are replaced by the expected order statistics of the tail's fit.

    .. math:: w_{(S - M + i)} \leftarrow \min\Big(u + F^{-1}\big(\tfrac{i - 1/2}{M}\big),
              \max_s w_s\Big)

    with u the next largest weight, and F a generalised Pareto distribution fitted to what
    exceeds it. Weights stay as they are where there is no tail to fit, or its fit is infinite.

    Args:
        log_weights: [samples, batch].

    Returns:
        [samples, batch], sorted along the samples, ascending; float64.

    References:
        | Vehtari et al. (2024), section 3, algorithm 1
    """
    ordered = log_weights.double().sort(0).values
    tail = pareto_tail(ordered)
    if tail is None:
        return ordered
    khat, scale = generalised_pareto(tail.exceedances)  # [batch]
    num = tail.exceedances.shape[1]
    steps = torch.arange(num, dtype=ordered.dtype, device=ordered.device)
    chance = ((steps + 0.5) / num).unsqueeze(0)
    k = khat.unsqueeze(1)
    log_rest = torch.log1p(-chance)
    # (1 - p)^-k - 1 over k, which is -log(1 - p) at k = 0
    safe = torch.where(k.abs() < 1e-8, torch.ones_like(k), k)
    quantile = torch.where(k.abs() < 1e-8, -log_rest, torch.expm1(-k * log_rest) / safe)
    smooth = tail.cutoff.exp().unsqueeze(1) + scale.unsqueeze(1) * quantile
    smooth = smooth.clamp_max(1.0).log() + tail.largest.unsqueeze(1)  # in units of the largest
    usable = (tail.usable & smooth.isfinite().all(1)).unsqueeze(1)
    top = torch.where(usable, smooth, ordered[-num:].T)
    return torch.cat((ordered[:-num], top.T))
