"""`Likelihood`: what a latent-variable model asks of p(x | z)."""

from __future__ import annotations

from typing import Protocol, runtime_checkable

from torch import Tensor

__all__ = ["Likelihood"]


@runtime_checkable
class Likelihood(Protocol):
    """p(x | z): scored, drawn from, and shown. `NetworkConditional` is one, and others may be."""

    def log_prob(
        self, y: Tensor, context: Tensor | None = None, observed: Tensor | None = None
    ) -> Tensor:
        """Exact log p(x | z) in nats.

        Args:
            y: [..., *x], broadcast against the leading axes of the context.
            context: z, [..., L].
            observed: [..., *x] bool; cells that are False are integrated out.

        Returns:
            [...].
        """
        ...

    def sample(self, context: Tensor) -> Tensor:
        """One draw of x for each z, [..., *x]."""
        ...

    def mean(self, context: Tensor) -> Tensor:
        """E[x | z], [..., *x]; where it has no formula, an estimate that says so."""
        ...

    def representative(self, context: Tensor) -> Tensor:
        """What a reconstruction shows: E[x | z], or the likeliest code, [..., *x]."""
        ...
