"""`Flow`: an invertible map of vectors whose Jacobian's determinant is cheap."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence

import torch
from torch import Tensor, nn

from ancestral.core import IncompatibleChoices, OptionError, ShapeError

__all__ = ["Composed", "Flow", "Inverted"]


class Flow(nn.Module, ABC):
    r"""z' = f(z; c), invertible in z for every context c.

    If z has the density q, then z' has :math:`q(z) / |\det \partial f / \partial z|`. Every flow
    knows both directions; its docstring says where one of them is dear.

    Attributes:
        num_dims: D, length of z.
        context_size: C, length of c; 0 if the map takes none.

    References:
        | Variational Inference with Normalizing Flows (Rezende & Mohamed, 2015), equations 5 to 7
    """

    def __init__(self, num_dims: int, context_size: int = 0) -> None:
        super().__init__()
        if num_dims < 1 or context_size < 0:
            raise OptionError(
                f"expected num_dims >= 1 and context_size >= 0, got {num_dims} and {context_size}"
            )
        self.num_dims = num_dims
        self.context_size = context_size

    @abstractmethod
    def forward(self, z: Tensor, context: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """The map and the log of its Jacobian determinant's size.

        Args:
            z: [..., D].
            context: [..., C], of which the leading axes broadcast against those of z, so that
                many samples of one datum share its context; None if C is 0.

        Returns:
            z' [..., D], and log |det dz'/dz| [...].
        """

    @abstractmethod
    def inverse(self, z: Tensor, context: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """Undo `forward`.

        Args:
            z: [..., D], what `forward` gives.
            context: as in `forward`.

        Returns:
            What `forward` takes [..., D], and log |det| of this map, the inverse, [...].
        """

    def carried_slope(
        self, z: Tensor, slope: Tensor, context: Tensor | None = None
    ) -> tuple[Tensor, Tensor]:
        r"""Where z goes, and the slope of the log-density there.

        .. math:: \nabla_{z'} \log q'(z') = J^{-T} \nabla_z \big( \log q(z) - \log |\det J| \big)

        Path gradients (`StickTheLanding`) need it of what was drawn, and where the inverse is
        dear a flow has a cheaper way to it. Here it is the gradient of the inverse.

        Args:
            z: [..., D], what `forward` takes.
            slope: the gradient of log q at z, [..., D].
            context: as in `forward`.

        Returns:
            z' and the gradient of log q' at z', both [..., D] and without a graph.

        References:
            | Vaitl et al. (2022), Gradients should stay on Path, section 3
        """
        with torch.no_grad():
            end, _ = self(z, context)
        with torch.enable_grad():
            leaf = end.detach().requires_grad_()
            start, log_det = self.inverse(leaf, None if context is None else context.detach())
            (carried,) = torch.autograd.grad((slope.detach() * start).sum() + log_det.sum(), leaf)
        return end, carried

    def check_context(self, context: Tensor | None) -> None:
        """Refuse a context that is missing, or of another length.

        Raises:
            ShapeError: expected and got.
        """
        got = 0 if context is None else context.shape[-1]
        if got != self.context_size:
            raise ShapeError(
                f"expected a context of {self.context_size} numbers, got {got}",
                hint="context_size says what a flow is conditional on; 0 is nothing",
            )


class Composed(Flow):
    """One flow after the other; all that take a context take the same.

    Args:
        flows: at least one, in the order of `forward`.

    Raises:
        OptionError: there is none.
        IncompatibleChoices: they are of different lengths, or want different contexts.

    Example:
        >>> import torch
        >>> from ancestral.flows import Planar, Radial
        >>> flow = Composed([Planar(2), Radial(2)])
        >>> z, log_det = flow(torch.zeros(5, 2))
        >>> z.shape, log_det.shape
        (torch.Size([5, 2]), torch.Size([5]))
    """

    def __init__(self, flows: Sequence[Flow]) -> None:
        if not flows:
            raise OptionError("expected at least one flow, got none")
        lengths = {flow.num_dims for flow in flows}
        sizes = {flow.context_size for flow in flows if flow.context_size}
        if len(lengths) > 1 or len(sizes) > 1:
            raise IncompatibleChoices(
                f"expected flows of one length and one context, got lengths {sorted(lengths)} and "
                f"context sizes {sorted(sizes)}"
            )
        super().__init__(lengths.pop(), max(sizes, default=0))
        self.flows = nn.ModuleList(flows)

    def forward(self, z: Tensor, context: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """First to last."""
        self.check_context(context)
        total: Tensor | None = None
        for flow in self.flows:
            z, log_det = flow(z, _wanted(flow, context))
            total = log_det if total is None else total + log_det
        assert total is not None
        return z, total

    def carried_slope(
        self, z: Tensor, slope: Tensor, context: Tensor | None = None
    ) -> tuple[Tensor, Tensor]:
        """By each flow's own way."""
        for flow in self.flows:
            assert isinstance(flow, Flow)
            z, slope = flow.carried_slope(z, slope, _wanted(flow, context))
        return z, slope

    def inverse(self, z: Tensor, context: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """Last to first."""
        self.check_context(context)
        total: Tensor | None = None
        for flow in reversed(list(self.flows)):
            assert isinstance(flow, Flow)
            z, log_det = flow.inverse(z, _wanted(flow, context))
            total = log_det if total is None else total + log_det
        assert total is not None
        return z, total


class Inverted(Flow):
    """A flow the other way round: what was its inverse is now its `forward`.

    Args:
        flow: which.
    """

    def __init__(self, flow: Flow) -> None:
        super().__init__(flow.num_dims, flow.context_size)
        self.flow = flow

    def forward(self, z: Tensor, context: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """The flow's inverse."""
        return self.flow.inverse(z, context)

    def inverse(self, z: Tensor, context: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """The flow's forward."""
        return self.flow(z, context)


def _wanted(flow: nn.Module, context: Tensor | None) -> Tensor | None:
    assert isinstance(flow, Flow)
    return context if flow.context_size else None
