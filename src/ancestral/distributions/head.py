"""`Head`: features become a distribution."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import ClassVar

from torch import Tensor
from torch.distributions import Distribution

from ancestral.core.shapes import numel

__all__ = ["Head"]


class Head(ABC):
    r"""Features -> p(x | features). Holds no weights.

    The same head serves a decoder's output, an encoder's output and an autoregressive site.
    Subclasses are frozen dataclasses with an `event_shape`; the work is in pure functions of
    tensors, since it is the hot path of training. Nothing here validates values: that is done
    once, at the border, by `check`.

    Features have shape `[..., *feature_shape]`. For a head whose cells are independent it is
    `(P, *event_shape)`, with the P parameters of a cell on the first of these axes, so that
    a convolution's channels and a dense layer's outputs can both be viewed as it.

    A scale that is shared by all rows needs no head of its own: the network appends a parameter,
    broadcast over the batch, to its features.

    Attributes:
        event_shape: shape of one x.
        reparameterized: whether `sample` passes a gradient from x to the features.
    """

    event_shape: tuple[int, ...]
    reparameterized: ClassVar[bool] = False

    @property
    @abstractmethod
    def feature_shape(self) -> tuple[int, ...]:
        """Shape of the features of one event."""

    @property
    def num_features(self) -> int:
        """Size of the features of one event."""
        return numel(self.feature_shape)

    @property
    def is_discrete(self) -> bool:
        """Whether some cell has masses rather than a density."""
        return False

    @abstractmethod
    def log_prob(self, features: Tensor, x: Tensor, observed: Tensor | None = None) -> Tensor:
        """Log p(x | features) in nats, summed over the event.

        Args:
            features: [..., *feature_shape].
            x: [..., *event_shape], broadcast against the features' leading axes.
            observed: [..., *event_shape] bool; cells that are False are integrated out (their
                x must be finite, and is not looked at).

        Returns:
            [...], the broadcast leading axes.
        """

    @abstractmethod
    def __call__(self, features: Tensor) -> Distribution:
        """The distribution, with event shape `event_shape` and the features' batch shape."""

    @abstractmethod
    def mean(self, features: Tensor) -> Tensor:
        """E[x | features], [..., *event_shape]; where it does not exist, the centre (say so)."""

    @abstractmethod
    def sample(self, features: Tensor) -> Tensor:
        """One draw for each leading index, [..., *event_shape], floating point."""

    def representative(self, features: Tensor) -> Tensor:
        """A value to show: the mean, or the likeliest code where codes have no order.

        Returns:
            [..., *event_shape].
        """
        return self.mean(features)

    def as_torch(self, features: Tensor) -> Distribution:
        """The cells as torch's own distribution, batch shape [..., *event_shape].

        It serves entropies and torch's registry of KL divergences, not training.

        Raises:
            NotImplementedError: torch has none, or the cells are not independent.
        """
        raise NotImplementedError(f"torch has no counterpart of {type(self).__name__}")

    @abstractmethod
    def initial_features(self, x: Tensor, observed: Tensor | None = None) -> Tensor:
        """Features, [*feature_shape], that fit the data when they are the same for all rows.

        Used to set the output bias, which saves training the first hundreds of steps.

        Args:
            x: [rows, *event_shape], missing cells zero.
            observed: [rows, *event_shape] bool or None.
        """

    @abstractmethod
    def check(self, x: Tensor, observed: Tensor | None = None) -> None:
        """Refuse data outside the support, such as grey values under a Bernoulli.

        Raises:
            DataError: in the user's words, with a hint.
        """
