"""`FlowDistribution`: what becomes of a distribution that goes through a flow."""

from __future__ import annotations

from typing import ClassVar, NamedTuple

import torch
from torch import Size, Tensor
from torch.distributions import Distribution, constraints

from ancestral.flows.flow import Flow

__all__ = ["FlowDistribution"]


class _Drawn(NamedTuple):
    start: Tensor
    end: Tensor
    log_prob: Tensor
    versions: tuple[int, ...]


class FlowDistribution(Distribution):
    r"""The density of z_K = f(z_0; c), z_0 ~ base.

    .. math:: \log q(z_K) = \log q_0(z_0) - \log |\det \partial f / \partial z_0|

    `rsample_with_log_prob` draws and scores in one pass; `log_prob` of any other point inverts
    the flow. Scoring the very tensor that `rsample` drew last inverts nothing either, unless it
    was drawn without gradients and is scored with them, or the flow has changed in between. It
    has no mean in closed form, and no entropy.

    Args:
        base: event shape [D].
        flow: f.
        context: c, [*batch_shape, C] or None.

    Example:
        >>> from ancestral.distributions import StandardNormal
        >>> from ancestral.flows import Planar
        >>> q = FlowDistribution(StandardNormal(2), Planar(2))
        >>> z, log_q = q.rsample_with_log_prob((5,))
        >>> bool(torch.allclose(q.log_prob(z.clone()), log_q, atol=1e-5))
        True

    References:
        | Variational Inference with Normalizing Flows (Rezende & Mohamed, 2015), equation 7
    """

    arg_constraints: ClassVar[dict[str, constraints.Constraint]] = {}
    support: ClassVar[constraints.Constraint] = constraints.real_vector  # pyright: ignore

    def __init__(self, base: Distribution, flow: Flow, context: Tensor | None = None) -> None:
        self.base = base
        self.flow = flow
        self.context = context
        batch_shape = base.batch_shape
        if context is not None:
            batch_shape = torch.broadcast_shapes(batch_shape, context.shape[:-1])
        self._last: _Drawn | None = None
        super().__init__(batch_shape, base.event_shape, validate_args=False)

    @property
    def has_rsample(self) -> bool:  # pyright: ignore[reportIncompatibleVariableOverride]
        """Whether the base has it."""
        return self.base.has_rsample

    def rsample_with_log_prob(
        self, sample_shape: Size | tuple[int, ...] = ()
    ) -> tuple[Tensor, Tensor]:
        """Draws [*sample_shape, *batch_shape, D] and their log-densities, in one pass."""
        start = self.base.rsample(self._shape_for_base(sample_shape))
        end, log_prob = self._pushed(start)
        self._last = _Drawn(start, end, log_prob, self._versions())
        return end, log_prob

    def rsample(self, sample_shape: Size | tuple[int, ...] = ()) -> Tensor:
        """Draws with gradients."""
        return self.rsample_with_log_prob(sample_shape)[0]

    def sample(self, sample_shape: Size | tuple[int, ...] = ()) -> Tensor:
        """Draws without gradients."""
        with torch.no_grad():
            return self._pushed(self.base.sample(self._shape_for_base(sample_shape)))[0]

    def log_prob(self, value: Tensor) -> Tensor:
        """Log-density in nats, through the inverse."""
        last = self._known(value)
        if last is not None and (last.log_prob.requires_grad or not torch.is_grad_enabled()):
            return last.log_prob
        start, log_det = self.flow.inverse(value, self.context)
        return self.base.log_prob(start) + log_det

    def slope_of(self, value: Tensor) -> tuple[Tensor, Tensor] | None:
        """Log q and its gradient in z at what `rsample` drew last; None for another point.

        Without an inversion: the flow carries the slope along. It is what path gradients need of
        q, whose parameters count as constant; both come without a graph.
        """
        last = self._known(value)
        if last is None:
            return None
        with torch.enable_grad():
            leaf = last.start.detach().requires_grad_()
            (slope,) = torch.autograd.grad(self.base.log_prob(leaf).sum(), leaf)
        _, carried = self.flow.carried_slope(leaf.detach(), slope, self.context)
        return last.log_prob.detach(), carried

    def expand(
        self, batch_shape: Size | tuple[int, ...], _instance: Distribution | None = None
    ) -> FlowDistribution:
        """The same with a larger batch shape."""
        shape = Size(batch_shape)
        context = self.context
        if context is not None:
            context = context.expand(*shape, context.shape[-1])
        return FlowDistribution(self.base.expand(shape), self.flow, context)

    def _known(self, value: Tensor) -> _Drawn | None:
        """What was drawn last, if that is the value, and by the flow as it is now."""
        last = self._last
        if last is None or value is not last.end or last.versions != self._versions():
            return None
        return last

    def _versions(self) -> tuple[int, ...]:
        """Of the weights: an optimiser's step counts them up."""
        return tuple(parameter._version for parameter in self.flow.parameters())

    def _pushed(self, start: Tensor) -> tuple[Tensor, Tensor]:
        end, log_det = self.flow(start, self.context)
        return end, self.base.log_prob(start) - log_det

    def _shape_for_base(self, sample_shape: Size | tuple[int, ...]) -> Size:
        """What to ask the base for, whose own batch shape may be smaller than ours."""
        missing = len(self.batch_shape) - len(self.base.batch_shape)
        ours = tuple(self.batch_shape)
        if ours[missing:] != tuple(self.base.batch_shape):
            self.base = self.base.expand(self.batch_shape)
            missing = 0
        return Size((*sample_shape, *ours[:missing]))
