"""A causal network whose features meet a context of each site last."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ancestral.core.errors import ShapeError
from ancestral.networks.causal.network import CausalNetwork, State, check_context

__all__ = ["MergedContext", "MergedState"]


class MergedContext(CausalNetwork):
    r"""Features of site t from what the sites before it say, and from the context of site t.

    With v_t the features of a causal network, which knows no context, and c_t the site's context,

    .. math:: h_t = s(v_t + c_t), \quad h'_t = h_t + A\, s(B h_t + b), \quad f_t = C h'_t + d_t.

    The part that looks at the values does not depend on the context: many contexts of the same
    values, such as samples of z for one datum, cost one pass of it (`of_values`), and a few
    products for each site besides (`merge`).

    Args:
        values: causal network of H features a site, without a context.
        num_features: P.
        shares_bias: whether all sites have one bias d; otherwise each has its own.
    """

    output_bias: nn.Parameter

    def __init__(
        self, values: CausalNetwork, num_features: int, *, shares_bias: bool = False
    ) -> None:
        size = values.num_features
        super().__init__(
            values.num_sites,
            num_features,
            width=values.width,
            context_size=size,
            order=values.order,
        )
        self.values = values
        self.inner = nn.Linear(size, size)
        self.outer = nn.Linear(size, size, bias=False)
        self.last = nn.Linear(size, num_features, bias=False)
        shape = (num_features,) if shares_bias else (self.num_sites, num_features)
        self.output_bias = nn.Parameter(torch.zeros(shape))

    @property
    def context_shape(self) -> tuple[int, ...]:
        """(T, H)."""
        return (self.num_sites, self.context_size)

    def of_values(self, x: Tensor) -> Tensor:
        """v: values [batch, T, W] -> [batch, T, H], whatever the context."""
        return self.values(x)

    def merge(self, values: Tensor, context: Tensor) -> Tensor:
        """Features of all sites, from v [..., T, H] and c [..., T, H]: [..., T, P].

        The leading axes of the two broadcast.
        """
        return self._merged(values, context) + self.output_bias

    def forward(self, x: Tensor, context: Tensor | None = None) -> Tensor:
        """All sites; a context for each, [batch, T, H]."""
        check_context(context, self.context_size, len(x), self.num_sites)
        assert context is not None
        return self.merge(self.of_values(x), context)

    def init_state(self, batch_size: int, context: Tensor | None = None) -> MergedState:
        """The state of the part that looks at the values, and the context."""
        check_context(context, self.context_size, batch_size, self.num_sites)
        if context is None:
            raise ShapeError("expected a context of each site, got none")
        return MergedState(self.values.init_state(batch_size), context)

    def step(self, state: MergedState, t: int, prev: Tensor | None) -> tuple[Tensor, MergedState]:
        """A step of the part that looks at the values, merged with the site's context."""
        index = int(self.order[t])
        values, state.values = self.values.step(state.values, t, prev)
        bias = self.output_bias
        merged = self._merged(values, state.context[:, index])
        return merged + (bias if bias.ndim == 1 else bias[index]), state

    def with_order(self, order: Sequence[int] | Tensor) -> CausalNetwork:
        """Refused: the context belongs to sites, and the weights of the values to an order."""
        return super().with_order(order)

    @property
    def step_products(self) -> int:
        """Of the two parts."""
        own = sum(layer.weight.numel() for layer in (self.inner, self.outer, self.last))
        return self.values.step_products + own

    def _merged(self, values: Tensor, context: Tensor) -> Tensor:
        h = F.silu(values + context)
        return self.last(h + self.outer(F.silu(self.inner(h))))


@dataclass
class MergedState:
    """What is known between steps.

    Args:
        values: state of the part that looks at the values.
        context: [batch, T, H].
    """

    values: State
    context: Tensor
