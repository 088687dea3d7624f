"""Direct connections from sites to sites, beside a network with hidden units, for any order."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from ancestral.core.pytrees import Shared
from ancestral.networks.causal.network import CausalNetwork, State
from ancestral.networks.causal.order_agnostic import OrderAgnosticNADE
from ancestral.networks.causal.reordering import reordered

__all__ = ["DirectOrderAgnosticNADE"]


class DirectOrderAgnosticNADE(CausalNetwork):
    r"""Order-agnostic NADE with weights for each pair of sites.

        features_t = features_t^{NADE} + \sum_{s known} (D_{ts} e(x_s) + N_{ts})

    What a logistic regression of a site on the known ones can say is then left to D, as in a
    fully visible network, and hidden units add to it; sites that exclude each other, such as the
    cells of one category's code, need no hidden unit. T^2 P (E + 1) more weights.

    Args:
        network: with hidden units, whose `output_bias`, order and context serve both.

    References:
        | Germain et al. (2015), MADE, section 4.1, has such connections for one order each
    """

    def __init__(self, network: OrderAgnosticNADE) -> None:
        super().__init__(
            network.num_sites,
            network.num_features,
            width=network.width,
            context_size=network.context_size,
            order=network.order,
        )
        self.network = network
        shape = (network.num_sites, network.num_inputs, network.num_sites, network.num_features)
        self.direct = nn.Parameter(torch.zeros(shape))  # [from, E + 1, to, P]

    @property
    def output_bias(self) -> Tensor:
        """d, [T, P]."""
        return self.network.output_bias

    def given(self, x: Tensor, known: Tensor, context: Tensor | None = None) -> Tensor:
        """Features of all sites from the known ones, whose own features mean nothing."""
        inputs = torch.where(known.unsqueeze(-1), self.network.inputs(x), 0.0)
        weight = self.direct.flatten(2).flatten(0, 1)
        linear = (inputs.flatten(1) @ weight).unflatten(1, self.output_bias.shape)
        return self.network.given(x, known, context) + linear

    def forward(self, x: Tensor, context: Tensor | None = None) -> Tensor:
        """All sites under the network's order."""
        return self.network(x, context) + self._linear(self.network.inputs(x))

    def hidden_units(self, x: Tensor, context: Tensor | None = None) -> Tensor:
        """The last hidden layer once all sites are known, [batch, H]."""
        return self.network.hidden_units(x, context)

    def among(self, x: Tensor, present: Tensor, context: Tensor | None = None) -> Tensor:
        """Features of the present sites, from those present before them."""
        inputs = torch.where(present.unsqueeze(-1), self.network.inputs(x), 0.0)
        return self.network.among(x, present, context) + self._linear(inputs)

    def _linear(self, inputs: Tensor) -> Tensor:
        """[batch, T, E + 1] -> [batch, T, P], from the sites before alone."""
        rank = self.order.argsort()
        before = (rank.unsqueeze(1) < rank)[:, None, :, None]
        weight = (self.direct * before).flatten(2).flatten(0, 1)
        return (inputs.flatten(1) @ weight).unflatten(1, self.output_bias.shape)

    def init_state(self, batch_size: int, context: Tensor | None = None) -> _Both:
        """The hidden units' sums, and those of the direct connections."""
        network = self.network
        linear = self.direct.new_zeros(batch_size, self.num_sites * self.num_features)
        weight = self.direct.detach().flatten(2)
        state = network.init_state(batch_size, context)
        return _Both(state, linear, Shared(network), Shared(weight), Shared(self.order.tolist()))

    def step(self, state: _Both, t: int, prev: Tensor | None) -> tuple[Tensor, _Both]:
        """A step of the hidden units, and one row of direct connections."""
        features, state.state = state.network.value.step(state.state, t, prev)
        if prev is not None:
            before = state.order.value[t - 1]
            inputs = state.network.value.input_at(prev, before).to(state.linear.dtype)
            state.linear.addmm_(inputs, state.weight.value[before])
        start = state.order.value[t] * self.num_features
        return features + state.linear[:, start : start + self.num_features], state

    def with_order(self, order: Sequence[int] | Tensor) -> DirectOrderAgnosticNADE:
        """The same weights under another order."""
        view = reordered(self, order)
        # a shallow copy shares its table of modules, too
        view._modules = self._modules | {"network": self.network.with_order(view.order)}
        return view


@dataclass
class _Both:
    """State of the hidden units, and sums of direct connections so far, [batch, T P]."""

    state: State
    linear: Tensor
    network: Shared[OrderAgnosticNADE]
    weight: Shared[Tensor]
    order: Shared[list[int]]
