"""The variational Rényi bound, and its limits."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from ancestral.core import OptionError
from ancestral.inference.bounds.bound import BoundKind, check_num_samples

__all__ = ["Renyi", "log_power_mean"]

_SMALL = 0.01  # powers below which a difference of logarithms may lose its digits
_HUGE = 1e20  # powers whose products overflow; the largest weight is then all there is


@dataclass(frozen=True)
class Renyi:
    r"""Variational Rényi bound of order alpha, estimated from K samples.

    .. math:: L_\alpha = \frac{1}{1 - \alpha} \log \frac{1}{K} \sum_{k=1}^{K}
              \left( \frac{p(x, z_k)}{q(z_k \mid x)} \right)^{1 - \alpha}

    It falls as alpha grows. alpha = 1 is the `Elbo`, 0 is `ImportanceWeighted`, minus infinity is
    max_k log w_k ("VR-max"), plus infinity min_k log w_k. For alpha >= 0 its expectation is a
    lower bound on log p(x) for every K. Below 0 it is neither: it grows beyond log p(x) with K,
    so that training logs the importance-weighted bound of the same samples in its place. Nats.

    The log-weights are those of one datum: a factor for subsampled data belongs outside of the
    bound, on its mean over the batch, and never inside the power mean.

    Args:
        alpha: order of the divergence, from -infinity to infinity.
        num_samples: K >= 1. Memory grows linearly in K; `SampledIndex` trains it with the
            backward pass of a single sample.

    Example:
        >>> import torch
        >>> log_w = torch.tensor([[0.0, -1.0], [-2.0, -1.0], [-4.0, -1.0]])   # [samples, batch]
        >>> for alpha in (-math.inf, 0.0, 0.5, 1.0):
        ...     print(Renyi(alpha, 3)(log_w))
        tensor([ 0., -1.])
        tensor([-0.9557, -1.0000])
        tensor([-1.3820, -1.0000])
        tensor([-2., -1.])

    References:
        | Rényi Divergence Variational Inference (Li & Turner, 2016), equation 6 and theorem 2;
        | section 4.2 for alpha = -infinity
    """

    alpha: float = 0.5
    num_samples: int = 5

    def __post_init__(self) -> None:
        check_num_samples(self.num_samples)
        if math.isnan(self.alpha):
            raise OptionError(
                f"expected alpha to be a number, got {self.alpha}",
                hint="1 is the ELBO, 0 the importance-weighted bound, -inf the largest weight",
            )

    @property
    def kind(self) -> BoundKind:
        """A lower bound for alpha >= 0."""
        return "lower_bound" if self.alpha >= 0 else "neither"

    def __call__(self, log_w: Tensor) -> Tensor:
        """[samples, batch] -> [batch]."""
        return log_power_mean(log_w, self.power)

    @property
    def power(self) -> float:
        """1 - alpha; beyond 1e20, where it makes no difference, infinite."""
        power = 1 - self.alpha
        return math.copysign(math.inf, power) if abs(power) >= _HUGE else power


def log_power_mean(log_w: Tensor, power: float) -> Tensor:
    r"""Log of the power mean of the weights, :math:`\frac{1}{t} \log \frac{1}{K} \sum_k w_k^t`.

    With its limits at t = 0 (the mean of log w_k), and at plus and minus infinity (the largest
    and the smallest log w_k).

    Args:
        log_w: [samples, batch].
        power: t.

    Returns:
        [batch].
    """
    if power >= _HUGE:
        return log_w.amax(0)
    if power <= -_HUGE:
        return log_w.amin(0)
    if power == 0:
        return log_w.mean(0)
    if abs(power) >= _SMALL:
        return _by_logarithms(log_w, power)
    # with weights that are far apart, or zero, the exponentials overflow; elsewhere the logarithms
    # lose digits. Each form is handed rows that it can differentiate.
    with torch.no_grad():
        near = (power * (log_w - log_w.mean(0))).abs().amax(0) <= 1
    by_moments = _by_moments(torch.where(near, log_w, 0.0), power)
    return torch.where(near, by_moments, _by_logarithms(torch.where(near, 0.0, log_w), power))


def _by_logarithms(log_w: Tensor, power: float) -> Tensor:
    return ((power * log_w).logsumexp(0) - math.log(len(log_w))) / power


def _by_moments(log_w: Tensor, power: float) -> Tensor:
    mean = log_w.mean(0)
    return mean + (power * (log_w - mean)).expm1().mean(0).log1p() / power
