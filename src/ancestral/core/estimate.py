"""`Estimate`: a number for each datum that says what it is worth."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import torch
from torch import Tensor

from ancestral.core.errors import ShapeError

__all__ = ["Estimate", "Kind", "weakest"]

Kind = Literal["exact", "lower_bound", "upper_bound", "unbiased", "consistent"]


@dataclass(frozen=True)
class Estimate:
    r"""Log-probabilities of some data, one for each datum, in nats, and how far to trust them.

    Args:
        value: [batch], log p(x) or an estimate of it.
        kind: `exact`; `lower_bound` or `upper_bound` (in expectation, where it is random);
            `unbiased`; `consistent`: right in the limit of many samples, and no bound before.
        num_samples: samples behind each value; None where the value is exact.
        std_error: [batch], standard error of each value from the samples; None where exact.
        ess: [batch], effective sample size (sum w)^2 / sum w^2 of the importance weights.
        khat: [batch], shape of the generalised Pareto tail of the weights (Vehtari et al.,
            2024); above `khat_threshold` the value is not to be trusted.

    Example:
        >>> e = Estimate(torch.tensor([-1.0, -3.0]), "lower_bound", num_samples=10)
        >>> e.mean, e.std_error_of_mean
        (-2.0, 1.0)
    """

    value: Tensor
    kind: Kind
    num_samples: int | None = None
    std_error: Tensor | None = None
    ess: Tensor | None = None
    khat: Tensor | None = None

    def __post_init__(self) -> None:
        for name in ("std_error", "ess", "khat"):
            part = getattr(self, name)
            if part is not None and part.shape != self.value.shape:
                raise ShapeError(
                    f"expected {name} of shape {tuple(self.value.shape)}, got {tuple(part.shape)}"
                )

    @property
    def mean(self) -> float:
        """Mean over the data, nats per datum."""
        return float(self.value.double().mean())

    @property
    def std_error_of_mean(self) -> float:
        """Standard error of `mean`: spread over the data, which contains the samples' noise."""
        n = self.value.numel()
        return float(self.value.double().std()) / math.sqrt(n) if n > 1 else math.nan

    @property
    def khat_threshold(self) -> float | None:
        """min(1 - 1 / log10(S), 0.7) for S samples (Vehtari et al., 2024, section 3.2.4)."""
        if self.num_samples is None or self.num_samples < 2:
            return None
        return min(1 - 1 / math.log10(self.num_samples), 0.7)

    def bits_per_dim(self, num_dims: int) -> float:
        """Minus the mean in bits, divided by the number of cells of one datum."""
        return -self.mean / (num_dims * math.log(2))

    @property
    def shape(self) -> tuple[int, ...]:
        """[batch]."""
        return tuple(self.value.shape)

    def __len__(self) -> int:
        return self.value.numel()

    def __getitem__(self, rows: Any) -> Estimate:
        """The estimate of some of the data."""
        parts = (self.std_error, self.ess, self.khat)
        chosen = (None if part is None else part[rows] for part in parts)
        return Estimate(self.value[rows], self.kind, self.num_samples, *chosen)

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> np.ndarray:  # noqa: FBT001
        """The values alone, so that NumPy takes an estimate for an array of nats."""
        del copy
        return np.asarray(self.value.cpu().numpy(), dtype=dtype)

    @staticmethod
    def concatenate(parts: list[Estimate]) -> Estimate:
        """Join estimates of consecutive rows, all made in one way."""
        first = parts[0]

        def join(name: str) -> Tensor | None:
            tensors = [getattr(p, name) for p in parts]
            return None if any(t is None for t in tensors) else torch.cat(tensors)

        value = torch.cat([p.value for p in parts])
        return Estimate(
            value, first.kind, first.num_samples, join("std_error"), join("ess"), join("khat")
        )


def weakest(kind: Kind, other: Kind) -> Kind:
    """The kind of a number that rests on two others.

    Example:
        >>> weakest("exact", "lower_bound")
        'lower_bound'
    """
    return other if kind == "exact" else kind
