"""`Bound`: a function of log-weights."""

from __future__ import annotations

import math
from typing import Literal, Protocol, runtime_checkable

from torch import Tensor

from ancestral.core import OptionError

__all__ = ["Bound", "BoundKind", "check_num_samples", "reported"]

BoundKind = Literal["lower_bound", "upper_bound", "neither"]


@runtime_checkable
class Bound(Protocol):
    """A function of log w_k = log p(x, z_k) - log q(z_k | x), [samples, batch] -> [batch]."""

    @property
    def num_samples(self) -> int:
        """K, samples of z for each datum."""
        ...

    @property
    def kind(self) -> BoundKind:
        """What its expectation is of log p(x), whatever p and q are.

        A lower bound is maximised over both. An upper one trains q alone, as the posterior's part
        of `TwoBounds`. What is neither may be trained, and is never reported as a bound.
        """
        ...

    def __call__(self, log_w: Tensor) -> Tensor:
        """The bound on log p(x), in nats."""
        ...


def reported(bound: Bound, log_w: Tensor) -> Tensor:
    r"""A true lower bound on log p(x) to log while `bound` is trained, [batch].

    The bound itself where it is a lower one; else the importance-weighted bound
    :math:`\log \frac{1}{K} \sum_k w_k` of the same log-weights.

    Args:
        bound: which is trained.
        log_w: [samples, batch].
    """
    if bound.kind == "lower_bound":
        return bound(log_w)
    return log_w.logsumexp(0) - math.log(len(log_w))


def check_num_samples(num_samples: int) -> None:
    """Refuse a number of samples below 1."""
    if num_samples < 1:
        raise OptionError(f"expected num_samples >= 1, got {num_samples}")
