"""How many independent draws a chain is worth."""

from __future__ import annotations

import torch
from torch import Tensor

from ancestral.core import ShapeError

__all__ = ["effective_sample_size"]


def effective_sample_size(chains: Tensor) -> Tensor:
    r"""Number of independent draws whose mean is as precise as that of T dependent ones.

    .. math:: ESS = \frac{C T}{1 + 2 \sum_{t \ge 1} \hat\rho_t}

    with autocorrelations from all C chains together, summed in pairs as long as these are
    positive and do not rise (Geyer's initial monotone sequence). Spread between the chains
    counts as correlation, so that chains which have not met do not look good.

    Args:
        chains: [T, C, ...], T >= 4 steps of C chains.

    Returns:
        [...], between 0 and C T (an antithetic chain may be worth more than C T: it is cut
        there).

    Example:
        >>> draws = torch.randn(1000, 4, generator=torch.Generator().manual_seed(0))
        >>> bool(effective_sample_size(draws) > 3000)
        True

    References:
        | Practical Markov Chain Monte Carlo (Geyer, 1992), section 3.3
        | Rank-Normalization, Folding, and Localization (Vehtari et al., 2021), equations 7 to 10
    """
    if chains.ndim < 2 or len(chains) < 4:
        raise ShapeError(
            f"expected at least 4 steps of some chains, [steps, chains, ...], got "
            f"{list(chains.shape)}"
        )
    num_steps, num_chains = chains.shape[:2]
    x = chains.double()
    means = x.mean(0)  # [C, ...]
    centred = x - means
    spectrum = torch.fft.rfft(centred, n=2 * num_steps, dim=0)
    covariance = torch.fft.irfft(spectrum.abs().square(), n=2 * num_steps, dim=0)[:num_steps]
    covariance = covariance.mean(1) / num_steps  # [T, ...], biased, as it should be
    within = covariance[0] * num_steps / (num_steps - 1)
    total = covariance[0] + (means.var(0) if num_chains > 1 else 0.0)
    rho = 1 - (within - covariance * num_steps / (num_steps - 1)) / total
    rho[0] = 1.0
    even = rho[: 2 * (num_steps // 2)]
    pairs = even[0::2] + even[1::2]  # [T / 2, ...]
    positive = (pairs > 0).cumprod(0)
    pairs = pairs.cummin(0).values * positive
    time = (2 * pairs.sum(0) - 1).clamp_min(1.0)
    size = num_steps * num_chains / time
    # a chain that never moved, or NaN: nothing was learnt
    return torch.where(total > 0, size, 0.0).nan_to_num(0.0).to(chains.dtype)
