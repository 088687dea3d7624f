"""Whether rows are typical as a batch, though each of them may be by itself."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import ArrayLike

__all__ = ["batch_typicality"]

_DRAWS = 2000
_AT_ONCE = 1000  # rows of a drawn batch
_SEED = 41


def batch_typicality(log_prob: ArrayLike, normal: ArrayLike) -> tuple[float, float]:
    """Difference of mean log p between some rows and normal ones, and its p-value.

    The statistic is |mean log p of the rows - mean log p of normal rows|; the p-value is the
    share of batches drawn from the normal rows, and compared with their mean as it would be for
    other normal rows, that differ as much. It finds shifts that no row alone gives away.

    Args:
        log_prob: [rows] of the batch, in nats; minus infinity is as far as can be.
        normal: [rows] of normal rows that the model was not trained on; infinite ones are left
            out.

    Returns:
        (difference in nats, p-value).

    Source: Nalisnick et al., *Detecting out-of-distribution inputs to deep generative models
    using typicality*, 2019, sec. 3.1.

    Example:
        >>> normal = np.random.default_rng(0).normal(-90.0, 10.0, 1000)
        >>> difference, p = batch_typicality(normal[:500] + 3.0, normal)
        >>> 2.0 < difference < 4.0, p < 0.01
        (True, True)
    """
    batch, known = np.asarray(log_prob, dtype=float), np.asarray(normal, dtype=float)
    known = known[np.isfinite(known)]
    difference = float(batch.mean() - known.mean())
    rng = np.random.default_rng(_SEED)
    # of a mean of many rows only its first two moments matter: batches of 1,000 stand for all
    size = min(len(batch), _AT_ONCE)
    drawn = known[rng.integers(0, len(known), (_DRAWS, size))].mean(1)
    spread = (drawn - known.mean()) * math.sqrt(size / len(batch))
    noise = rng.normal(0.0, known.std() / math.sqrt(len(known)), _DRAWS)
    as_far = np.abs(spread + noise) >= abs(difference)
    return difference, float((1 + as_far.sum()) / (_DRAWS + 1))
