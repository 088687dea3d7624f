"""Jackknife variational inference."""

from __future__ import annotations

import itertools
import math
from dataclasses import dataclass
from functools import cache

import torch
from torch import Tensor

from ancestral.core import OptionError, ShapeError
from ancestral.inference.bounds.bound import BoundKind, check_num_samples

__all__ = ["Jackknife"]

_MOST_SUBSETS = 100_000


@dataclass(frozen=True)
class Jackknife:
    r"""Generalised jackknife of the importance-weighted bound, of order m (JVI).

    .. math:: L = \sum_{j=0}^{m} c(K, m, j) \bar L_{K-j}, \qquad
              c(K, m, j) = \frac{(-1)^j (K - j)^m}{(m - j)!\, j!}

    with :math:`\bar L_{K-j}` the mean of the importance-weighted bounds of all subsets of K - j of
    the K samples. It takes the terms in 1/K, ..., 1/K^m out of the bias: what is left is
    O(1/K^(m+1)), instead of O(1/K). It is closer to log p(x) than the bound it is made of, and is
    no bound: it may lie on either side. m = 0 is `ImportanceWeighted`. Unit: nats.

    Args:
        order: m >= 0, below K. The variance grows with it; 1 and 2 are usual.
        num_samples: K.

    Cost:
        binomial(K, m) log-sums of K - m weights for each datum, and their memory.

    Example:
        >>> import torch
        >>> log_w = torch.tensor([[0.0], [-1.0], [-2.0]])   # [samples, batch]
        >>> Jackknife(0, 3)(log_w), Jackknife(1, 3)(log_w)
        (tensor([-0.6910]), tensor([-0.5224]))

    References:
        | Debiasing Evidence Approximations: On Importance-weighted Autoencoders and Jackknife
        | Variational Inference (Nowozin, 2018), definition 3 and equation 12
    """

    order: int = 1
    num_samples: int = 5

    def __post_init__(self) -> None:
        check_num_samples(self.num_samples)
        if not 0 <= self.order < self.num_samples:
            raise OptionError(
                f"expected an order of at least 0 and below num_samples = {self.num_samples}, "
                f"got {self.order}"
            )
        subsets = math.comb(self.num_samples, self.order)
        if subsets > _MOST_SUBSETS:
            raise OptionError(
                f"a jackknife of order {self.order} from {self.num_samples} samples takes "
                f"{subsets:,} subsets",
                hint="take a lower order or fewer samples",
            )

    @property
    def kind(self) -> BoundKind:
        """A lower bound at order 0 only."""
        return "lower_bound" if self.order == 0 else "neither"

    def __call__(self, log_w: Tensor) -> Tensor:
        """[samples, batch] -> [batch]."""
        if len(log_w) <= self.order:
            raise ShapeError(
                f"expected at least {self.order + 1} log-weights for each datum in a jackknife of "
                f"order {self.order}, got {len(log_w)}"
            )
        # sums of weights near 1: the coefficients are large and of both signs, the values are not
        top = log_w.detach().amax(0)
        zero = top == -torch.inf  # all weights: differences of such logarithms are no numbers
        centred = torch.where(zero, 0.0, log_w - top)
        k, m = len(log_w), self.order
        total = torch.zeros_like(top)
        for j in range(m + 1):
            coefficient = (-1) ** j * (k - j) ** m / (math.factorial(m - j) * math.factorial(j))
            kept = centred[_subsets(k, k - j).to(log_w.device)]  # [subsets, k - j, batch]
            total = total + coefficient * (kept.logsumexp(1).mean(0) - math.log(k - j))
        return torch.where(zero, top, top + total)


@cache
def _subsets(size: int, kept: int) -> Tensor:
    """All subsets of `kept` out of `size` indices, [subsets, kept]."""
    return torch.tensor(list(itertools.combinations(range(size), kept)))
