"""log p(x) by importance sampling, in bounded memory."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable

import torch
from torch import Tensor

from ancestral.core import (
    Accumulated,
    Batch,
    Estimate,
    OptionError,
    Precision,
    derived_seed,
    matrix_products,
    seeded,
)
from ancestral.core.noise import own_noise, samples_from
from ancestral.core.row_noise import RowKeys
from ancestral.inference.evidence.pareto import pareto_khat
from ancestral.inference.posteriors import Posterior
from ancestral.models import LatentVariableModel

__all__ = ["Summary", "importance_sampled", "log_weights", "summarized"]

Summary = Callable[[Tensor], Estimate]

_ROWS = 1000  # decoder rows at a time: the products stay in cache, and memory is bounded
_GROUP = 50  # data whose log-weights are held at once
_NOISE = 0x15  # stream of derived seeds


def importance_sampled(
    model: LatentVariableModel,
    posterior: Posterior,
    batches: Iterable[Batch],
    *,
    num_samples: int = 1000,
    seed: int = 0,
    rows_at_once: int = _ROWS,
    precision: Precision = Precision.FLOAT32,
    summary: Summary | None = None,
) -> Estimate:
    r"""Log p(x) of each datum by importance sampling from q.

    .. math:: \log \hat p(x) = \log \frac{1}{S} \sum_s \frac{p(x, z_s)}{q(z_s \mid x)}

    A lower bound in expectation, tight as S grows; k-hat says for each datum whether S is large
    enough. Each datum is encoded once.

    Args:
        model: p.
        posterior: q; per-datum ones are first fitted to the data (`Posterior.adapted`).
        batches: the data, in any pieces.
        num_samples: S.
        seed: of the samples. A row's noise is a function of the seed and of what is in the row:
            the same seed gives it the same number, in any batch and at any place.
        rows_at_once: (sample, datum) pairs decoded together, which bounds the memory.
        precision: of the networks' matrix products; bf16 rounds a log-likelihood of 100 nats by
            some hundredths, and the mean over many data by thousandths.
        summary: log-weights [samples, batch] -> estimate; None: `summarized`.

    Returns:
        One value for each datum, with standard error, effective sample size and k-hat.

    References:
        | Importance Weighted Autoencoders (Burda et al., 2016), section 5 (S = 5000)
    """
    if num_samples < 1:
        raise OptionError(f"expected at least 1 importance sample, got {num_samples}")
    kept = {name: Accumulated() for name in ("value", "std_error", "ess", "khat")}
    keys = RowKeys(derived_seed(seed, _NOISE))
    group_number = 0
    for batch in batches:
        for first in range(0, len(batch), _GROUP):
            group = batch.rows(slice(first, first + _GROUP))
            with seeded(derived_seed(seed, group_number)), own_noise(keys.of(group)):
                log_w = log_weights(model, posterior, group, num_samples, rows_at_once, precision)
            part = (summary or summarized)(log_w)
            for name, column in kept.items():
                column.extend(getattr(part, name))
            group_number += 1
    columns = {name: column.tensor() for name, column in kept.items()}
    return Estimate(kind="lower_bound", num_samples=num_samples, **columns)


def log_weights(
    model: LatentVariableModel,
    posterior: Posterior,
    batch: Batch,
    num_samples: int,
    rows_at_once: int = _ROWS,
    precision: Precision = Precision.FLOAT32,
) -> Tensor:
    """Log p(x, z_s) - log q(z_s | x), [samples, batch], for S draws from q."""
    adapted = posterior.adapted(model, batch)
    with torch.no_grad(), matrix_products(precision, next(model.parameters(), batch.x)):
        propose = adapted.proposal(model, batch)
        chunk = max(1, rows_at_once // len(batch))
        pieces = []
        for first in range(0, num_samples, chunk):
            size = min(chunk, num_samples - first)
            with samples_from(first, size):
                z, log_q = propose(size)
            pieces.append(model.log_joint(batch.x, z, batch.observed) - log_q)
        return torch.cat(pieces)


def summarized(log_w: Tensor) -> Estimate:
    r"""The importance-sampled evidence of log-weights [samples, batch], and how good it is.

    The standard error is that of the logarithm, by the delta method:
    :math:`\sqrt{1 / ESS - 1 / S}`.
    """
    num_samples = log_w.shape[0]
    log_w = log_w.double()
    log_sum = log_w.logsumexp(0)
    ess = (2 * log_sum - (2 * log_w).logsumexp(0)).exp()
    # no weight, or an infinite one: as good as no sample
    ess = torch.where(log_sum.isfinite(), ess, 0.0)
    std_error = (1 / ess - 1 / num_samples).clamp_min(0).sqrt()
    return Estimate(
        log_sum - math.log(num_samples),
        "lower_bound",
        num_samples,
        std_error if num_samples > 1 else torch.full_like(std_error, math.nan),
        ess,
        pareto_khat(log_w),
    )
