"""`Bound`: a function of log-weights."""

from __future__ import annotations

from typing import Protocol, runtime_checkable

from torch import Tensor

__all__ = ["Bound"]


@runtime_checkable
class Bound(Protocol):
    """A function of log w_k = log p(x, z_k) - log q(z_k | x), [samples, batch] -> [batch]."""

    @property
    def num_samples(self) -> int:
        """K, samples of z for each datum."""
        ...

    def __call__(self, log_w: Tensor) -> Tensor:
        """The bound on log p(x), in nats."""
        ...
