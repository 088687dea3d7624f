"""`HeadDistribution`: a head and its features, seen as a torch distribution."""

from __future__ import annotations

from typing import ClassVar

import torch
from torch import Size, Tensor
from torch.distributions import Distribution, constraints, kl_divergence, register_kl

from ancestral.core.shapes import sum_event
from ancestral.distributions.head import Head

__all__ = ["HeadDistribution"]


class HeadDistribution(Distribution):
    """p(x | features) in terms of the head's own functions, so that nothing is written twice.

    Samples are floating point, also of discrete heads. Arguments are never validated.

    Args:
        head: the family.
        features: [*batch_shape, *head.feature_shape].
    """

    arg_constraints: ClassVar[dict[str, constraints.Constraint]] = {}

    def __init__(self, head: Head, features: Tensor) -> None:
        self.head = head
        self.features = features
        batch_shape = features.shape[: features.ndim - len(head.feature_shape)]
        super().__init__(batch_shape, Size(head.event_shape), validate_args=False)

    @property
    def has_rsample(self) -> bool:  # pyright: ignore[reportIncompatibleVariableOverride]
        """Whether `rsample` exists."""
        return self.head.reparameterized

    @property
    def support(self) -> constraints.Constraint:
        """Whole numbers or real ones; `head.check` tells users what is wrong with their data."""
        cell = constraints.nonnegative_integer if self.head.is_discrete else constraints.real
        return constraints.independent(cell, len(self.event_shape))

    @property
    def mean(self) -> Tensor:
        """The head's mean, [*batch_shape, *event_shape]."""
        return self.head.mean(self.features)

    def log_prob(self, value: Tensor) -> Tensor:
        """Log p in nats, summed over the event."""
        return self.head.log_prob(self.features, value)

    def sample(self, sample_shape: Size | tuple[int, ...] = ()) -> Tensor:
        """Draws, [*sample_shape, *batch_shape, *event_shape]."""
        with torch.no_grad():
            return self._draw(sample_shape)

    def rsample(self, sample_shape: Size | tuple[int, ...] = ()) -> Tensor:
        """Draws through which the features get a gradient.

        Raises:
            NotImplementedError: the head is not reparameterized.
        """
        if not self.head.reparameterized:
            raise NotImplementedError(f"{type(self.head).__name__} is not reparameterized")
        return self._draw(sample_shape)

    def entropy(self) -> Tensor:
        """Entropy in nats, [*batch_shape], where torch has it for the cells."""
        cells = self.head.as_torch(self.features)
        return sum_event(cells.entropy(), len(self.event_shape))

    def expand(
        self, batch_shape: Size | tuple[int, ...], _instance: Distribution | None = None
    ) -> HeadDistribution:
        """The same with a larger batch shape."""
        shape = (*batch_shape, *self.head.feature_shape)
        return HeadDistribution(self.head, self.features.expand(shape))

    def _draw(self, sample_shape: Size | tuple[int, ...]) -> Tensor:
        shape = (*sample_shape, *self.features.shape)
        return self.head.sample(self.features.expand(shape))

    def __repr__(self) -> str:
        return f"HeadDistribution({self.head}, batch_shape={tuple(self.batch_shape)})"


@register_kl(HeadDistribution, HeadDistribution)
def _kl_of_cells(q: HeadDistribution, p: HeadDistribution) -> Tensor:
    cells = kl_divergence(q.head.as_torch(q.features), p.head.as_torch(p.features))
    return sum_event(cells, len(q.event_shape))
