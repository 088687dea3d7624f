"""`Conditional`: the one noun of the library."""

from __future__ import annotations

from abc import ABC, abstractmethod

from torch import Tensor, nn
from torch.distributions import Distribution

__all__ = ["Conditional", "DataDependent"]


class Conditional(nn.Module, ABC):
    """p(y | c): a module whose forward pass returns a torch `Distribution` over y.

    A prior, a decoder, an encoder, a flow and an autoregressive model are all this, so that each
    can stand in each place. Subclasses write `forward`; they override `log_prob` where the
    density can be had more cheaply than through a distribution object.
    """

    @abstractmethod
    def forward(self, context: Tensor | None = None) -> Distribution:
        """The distribution of y given c, with batch shape that of the context's leading axes."""

    def log_prob(
        self, y: Tensor, context: Tensor | None = None, observed: Tensor | None = None
    ) -> Tensor:
        """Log p(y | c) in nats, summed over the event.

        Args:
            y: [..., *event], broadcast against the context's leading axes.
            context: [..., *context_event] or None.
            observed: [..., *event] bool; cells that are False are integrated out.
        """
        if observed is not None:
            raise TypeError(f"{type(self).__name__} cannot integrate out missing cells")
        return self(context).log_prob(y)


class DataDependent(ABC):
    """A module that sets some of its numbers from the training data before training begins.

    Output biases from the training mean, standardisation from mean and spread, closed-form
    solutions: each module does its own, in `initialize`, and nobody needs to know which do.
    """

    @abstractmethod
    def initialize(self, x: Tensor, observed: Tensor | None = None) -> None:
        """Set numbers from training rows.

        Args:
            x: [rows, *event], missing cells zero.
            observed: [rows, *event] bool, or None if nothing is missing.
        """
