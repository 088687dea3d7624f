"""Exponential moving averages of weights."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn

__all__ = ["WeightAverage"]

_INTERVAL = 8  # steps between updates: the same average, at an eighth of the memory traffic
_EACH_STEP = 64  # first steps, after each of which it is updated: a short run has few


class WeightAverage:
    r"""An exponential moving average of a module's parameters, as a function of the step.

    .. math:: \bar\theta \leftarrow d\,\bar\theta + (1 - d)\,\theta, \quad
              d = \min(\text{decay}, (1 + t) / (10 + t))^n

    after the first 64 steps t (n = 1), and then after every eighth (n = 8). Early steps weigh
    less, so that the start is soon forgotten.
    Buffers are not averaged.

    Args:
        module: whose parameters are averaged.
        decay: for each step.

    References:
        | Acceleration of Stochastic Approximation by Averaging (Polyak & Juditsky, 1992)
    """

    def __init__(self, module: nn.Module, decay: float) -> None:
        self._parameters: list[Tensor] = [p for p in module.parameters() if p.requires_grad]
        self.decay = decay
        self.values = [p.detach().clone() for p in self._parameters]

    @torch.no_grad()
    def update(self, step: int) -> None:
        """Take in the weights after step `step`."""
        interval = 1 if step <= _EACH_STEP else _INTERVAL
        if step % interval == 0:
            decay = min(self.decay, (1 + step) / (10 + step)) ** interval
            torch._foreach_lerp_(self.values, self._parameters, 1 - decay)

    @contextmanager
    def swapped_in(self) -> Iterator[None]:
        """Inside, the module has the averaged weights."""
        self._swap()
        try:
            yield
        finally:
            self._swap()

    @torch.no_grad()
    def _swap(self) -> None:
        for parameter, value in zip(self._parameters, self.values, strict=True):
            kept = parameter.detach().clone()
            parameter.copy_(value)
            value.copy_(kept)

    def state(self) -> dict[str, Tensor]:
        """For a checkpoint."""
        return {str(i): v for i, v in enumerate(self.values)}

    def load(self, state: dict[str, Tensor]) -> None:
        """Undo `state`."""
        for i, value in enumerate(self.values):
            value.copy_(state[str(i)])
