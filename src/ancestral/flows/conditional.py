"""`FlowConditional`: a conditional that goes through a flow."""

from __future__ import annotations

from torch import Tensor, nn

from ancestral.core import Conditional, IncompatibleChoices, ShapeError
from ancestral.flows.distribution import FlowDistribution
from ancestral.flows.flow import Flow

__all__ = ["FlowConditional"]


class FlowConditional(Conditional):
    r"""p(z | c): z_0 ~ base(c), z = flow(z_0; c).

    It stands wherever a conditional over vectors can: as a prior (`MaskedAutoregressive`, whose
    densities are cheap), as an encoder (`Planar`, `InverseAutoregressive`, whose draws are), or
    as a likelihood of real vectors.

    Args:
        base: of z_0, such as a standard normal or a diagonal Gaussian, over vectors.
        flow: of as many dimensions.
        network: context -> [..., I + C]: the first I numbers are the base's context, the last C,
            as many as the flow's `context_size`, the flow's. None: both get the context itself,
            or none, where they take none.

    Example:
        >>> import torch
        >>> from ancestral.flows import Planar
        >>> from ancestral.models import DiagonalGaussian, StandardNormalPrior
        >>> prior = FlowConditional(StandardNormalPrior(2), Planar(2))
        >>> prior.log_prob(torch.zeros(5, 2)).shape
        torch.Size([5])
        >>> encoder = FlowConditional(                # 784 pixels -> loc, log-scale | context
        ...     DiagonalGaussian(nn.Identity()), Planar(2, context_size=8), nn.Linear(784, 4 + 8)
        ... )
        >>> encoder(torch.zeros(5, 784)).rsample().shape
        torch.Size([5, 2])

    References:
        | Variational Inference with Normalizing Flows (Rezende & Mohamed, 2015), section 4.2
        | Improving Variational Inference with Inverse Autoregressive Flow (Kingma et al., 2016),
        | algorithm 1, in which the encoder gives the flow's context h
    """

    def __init__(self, base: Conditional, flow: Flow, network: nn.Module | None = None) -> None:
        super().__init__()
        self.base = base
        self.flow = flow
        self.network = network

    def forward(self, context: Tensor | None = None) -> FlowDistribution:
        """The distribution of z given the context."""
        own: Tensor | None = context
        if self.network is not None:
            features = self.network(context)
            taken = self.flow.context_size
            context, own = features.split([features.shape[-1] - taken, taken], -1)
        base = self.base(context)
        if tuple(base.event_shape) != (self.flow.num_dims,):
            raise ShapeError(
                f"expected a base over vectors of {self.flow.num_dims} numbers, as the flow's, "
                f"got events of shape {list(base.event_shape)}"
            )
        return FlowDistribution(base, self.flow, own if self.flow.context_size else None)

    def log_prob(
        self, y: Tensor, context: Tensor | None = None, observed: Tensor | None = None
    ) -> Tensor:
        """Log p(z | c) in nats, through the inverse.

        Raises:
            IncompatibleChoices: cells are missing: a flow's marginals have no closed form.
        """
        if observed is not None and not bool(observed.all()):
            raise IncompatibleChoices(
                "a flow cannot integrate out missing cells",
                hint="use a likelihood of separate cells, or complete rows",
            )
        return self(context).log_prob(y)

    def sample(self, context: Tensor | None = None) -> Tensor:
        """One draw for each context."""
        return self(context).sample()

    def representative(self, context: Tensor | None = None) -> Tensor:
        """Where the flow takes the base's mean: a central value, but not the mean."""
        distribution = self(context)
        centre = distribution.base.mean.expand(
            *distribution.batch_shape, *distribution.event_shape
        )
        return self.flow(centre, distribution.context)[0]
