"""An autoregressive model given its context, seen as a torch distribution."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

import torch
from torch import Size, Tensor
from torch.distributions import Distribution, constraints

if TYPE_CHECKING:
    from ancestral.models.autoregressive.ensemble import OrderEnsemble
    from ancestral.models.autoregressive.model import AutoregressiveModel

__all__ = ["AutoregressiveDistribution"]


class AutoregressiveDistribution(Distribution):
    """p(. | c), so that an autoregressive model can be a prior, a decoder or a posterior.

    Args:
        model: p.
        context: [*batch_shape, *context_shape], or None for an empty batch shape.
    """

    arg_constraints: ClassVar[dict[str, constraints.Constraint]] = {}

    def __init__(self, model: AutoregressiveModel | OrderEnsemble, context: Tensor | None) -> None:
        self.model = model
        self.context = context
        batch_shape = Size() if context is None else context.shape[: -len(model.context_shape)]
        super().__init__(batch_shape, Size(model.shape), validate_args=False)

    @property
    def support(self) -> constraints.Constraint:
        """Not stated: the head's `check` tells users what is wrong with their data."""
        return constraints.independent(constraints.real, len(self.event_shape))

    def log_prob(self, value: Tensor) -> Tensor:
        """Exact, in nats."""
        return self.model.log_prob(value, self.context)

    def sample(self, sample_shape: Size | tuple[int, ...] = ()) -> Tensor:
        """Draws, [*sample_shape, *batch_shape, *event_shape]."""
        shape = torch.Size((*sample_shape, *self.batch_shape))
        context = None
        if self.context is not None:
            one = self.context.shape[-len(self.model.context_shape) :]
            context = self.context.expand(*shape, *one).reshape(-1, *one)
        return self.model.sample(shape.numel(), context).reshape(*shape, *self.event_shape)
