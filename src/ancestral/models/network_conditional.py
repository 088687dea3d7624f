"""`NetworkConditional`: a network whose output a head reads as a distribution."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.distributions import AffineTransform, Distribution, TransformedDistribution

from ancestral.core import Conditional, DataDependent, NotExact
from ancestral.core.shapes import expect_event
from ancestral.distributions import CellHead, Head, Product
from ancestral.models.units import Units

__all__ = ["NetworkConditional"]


class NetworkConditional(Conditional, DataDependent):
    """p(x | c) = head(network(c)), in the data's own units: a decoder, for one.

    Args:
        network: [..., *context] -> [..., head.num_features], or [..., *head.feature_shape] where
            that cannot be taken for the former; a shape such as (1, D) can, and must come flat.
        head: features -> distribution.
        units: the bijection from the data's units to the head's; None if they are the same.

    Example:
        >>> from ancestral.distributions import Bernoulli
        >>> decoder = NetworkConditional(nn.Linear(2, 784), Bernoulli((28, 28)))
        >>> decoder(torch.zeros(5, 2)).event_shape
        torch.Size([28, 28])
        >>> decoder.log_prob(torch.ones(5, 28, 28), torch.zeros(3, 5, 2)).shape
        torch.Size([3, 5])
    """

    def __init__(self, network: nn.Module, head: Head, units: Units | None = None) -> None:
        super().__init__()
        self.network = network
        self.head = head
        self.units = None if units is None or units.is_identity else units

    def features(self, context: Tensor | None) -> Tensor:
        """The head's features, [..., *feature_shape]."""
        if context is None:
            raise TypeError("this conditional needs a context")
        output = self.network(context)
        if output.shape[-1] == self.head.num_features:
            return output.unflatten(-1, self.head.feature_shape)
        expect_event(output, self.head.feature_shape, "network output")
        return output

    def forward(self, context: Tensor | None = None) -> Distribution:
        """The distribution of x given the context."""
        base = self.head(self.features(context))
        if self.units is None:
            return base
        event_dim = len(self.head.event_shape)
        affine = AffineTransform(self.units.loc, self.units.scale, event_dim=event_dim)
        return TransformedDistribution(base, affine, validate_args=False)

    def log_prob(
        self, y: Tensor, context: Tensor | None = None, observed: Tensor | None = None
    ) -> Tensor:
        """Log p(x | c) in nats of the data as given, without a distribution object in between."""
        features = self.features(context)
        if self.units is None:
            return self.head.log_prob(features, y, observed)
        log_prob = self.head.log_prob(features, self.units(y), observed)
        return log_prob + self.units.log_det(observed)

    def log_prob_cells(
        self, y: Tensor, context: Tensor | None = None, observed: Tensor | None = None
    ) -> Tensor:
        """The terms of log p(x | c), [..., *x] in nats of the data as given; 0 where missing.

        Raises:
            NotExact: the cells depend on each other even given the context.
        """
        head = self.head
        parts = [part for _, part in head.parts] if isinstance(head, Product) else [head]
        strange = next((part for part in parts if not isinstance(part, CellHead)), None)
        if strange is not None:
            raise NotExact(
                f"the cells of a {type(strange).__name__} depend on each other even given the "
                "context, so that log p is no sum over cells",
                hint="fit with a likelihood of separate cells",
            )
        assert isinstance(head, CellHead | Product)
        features = self.features(context)
        if self.units is None:
            return head.log_prob_cells(features, y, observed)
        log_prob = head.log_prob_cells(features, self.units(y), observed)
        log_scale = self.units.scale.log()
        return log_prob - (log_scale if observed is None else log_scale * observed)

    def mean(self, context: Tensor) -> Tensor:
        """E[x | c]."""
        mean = self.head.mean(self.features(context))
        return mean if self.units is None else self.units.inverse(mean)

    def representative(self, context: Tensor) -> Tensor:
        """E[x | c], but the likeliest code where codes have no order."""
        value = self.head.representative(self.features(context))
        return value if self.units is None else self.units.inverse(value)

    def sample(self, context: Tensor) -> Tensor:
        """One draw of x for each context."""
        x = self.head.sample(self.features(context))
        return x if self.units is None else self.units.inverse(x)

    def initialize(self, x: Tensor, observed: Tensor | None = None) -> None:
        """Check the support, and set the output bias so that p(x | c) starts as the data's mean.

        Units must be initialised first.
        """
        y = x if self.units is None else self.units(x)
        self.head.check(y, observed)
        bias = _output_bias(self.network)
        if bias is None or bias.numel() != self.head.num_features:
            return
        with torch.no_grad():
            bias.copy_(self.head.initial_features(y, observed).reshape(bias.shape))


def _output_bias(network: nn.Module) -> nn.Parameter | None:
    """The parameter that is added to the output last, if the network names it."""
    direct = getattr(network, "output_bias", None)
    if isinstance(direct, nn.Parameter):
        return direct
    layer = getattr(network, "output_layer", None)
    return layer.bias if isinstance(layer, nn.Linear) else None
