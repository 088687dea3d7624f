"""`ExactLogProb`: models whose log p(x) is known."""

from __future__ import annotations

from typing import Protocol, runtime_checkable

from torch import Tensor

from ancestral.core import Batch, IncompatibleChoices

__all__ = ["ExactLogProb", "exact_log_prob"]


@runtime_checkable
class ExactLogProb(Protocol):
    """A model whose log p(x) can be computed exactly.

    A conditional one takes the keyword `context`, too.
    """

    def log_prob(self, x: Tensor, *, observed: Tensor | None = None) -> Tensor:
        """Log p(x) in nats, [batch]; missing cells are integrated out."""
        ...


def exact_log_prob(model: ExactLogProb, batch: Batch) -> Tensor:
    """Log p of the rows of a batch, given its context if it has one: [batch] in nats.

    Raises:
        IncompatibleChoices: the rows have a context, and the model takes none.
    """
    if batch.context is None:
        return model.log_prob(batch.x, observed=batch.observed)
    if not getattr(model, "is_conditional", False):
        raise IncompatibleChoices(
            f"{type(model).__name__} cannot be conditional on {batch.context.shape[-1]} numbers",
            hint="autoregressive models can; or leave out the context",
        )
    return model.log_prob(batch.x, context=batch.context, observed=batch.observed)  # type: ignore[call-arg]
