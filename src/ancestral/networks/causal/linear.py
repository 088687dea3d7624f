"""Features that are linear in the sites before: logistic regression, site by site."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from ancestral.core.pytrees import Shared
from ancestral.networks.causal.encodings import SiteEncoding
from ancestral.networks.causal.network import CausalNetwork, check_context

__all__ = ["LinearCausal"]


class LinearCausal(CausalNetwork):
    r"""features_t = b_t + \sum_{s<t} W_{ts} e(x_s) + U_t c.

    With a Bernoulli head this is the fully visible sigmoid belief network: logistic regression of
    each site on those before it. All sites are one product with a strictly lower triangular
    matrix; a step adds one column of it, so that a sample costs what a pass costs.

    Args:
        num_sites: T.
        num_features: P.
        encoding: of the values.
        context_size: of the context; 0 for none.
        lags: a site sees so many sites before it at most; None: all of them.
        order: site of each step; None: as stored.

    References:
        | Neal (1992), Connectionist learning of belief networks
        | Frey, Hinton & Dayan (1996), Does the wake-sleep algorithm produce good density
        | estimators?: section 4, the fully visible network
    """

    weight: nn.Parameter
    mask: Tensor

    def __init__(
        self,
        num_sites: int,
        num_features: int,
        encoding: SiteEncoding,
        *,
        context_size: int = 0,
        lags: int | None = None,
        order: Sequence[int] | Tensor | None = None,
    ) -> None:
        super().__init__(num_sites, num_features, context_size=context_size, order=order)
        self.encoding = encoding
        rank = self.order.argsort()
        distance = rank.unsqueeze(1) - rank.unsqueeze(0)  # [to, from]
        allowed = (distance > 0) & (distance <= (num_sites if lags is None else lags))
        self.register_buffer("mask", allowed[:, None, :, None], persistent=False)
        # zero is where the objective is convex in all weights; a masked weight stays there
        self.weight = nn.Parameter(torch.zeros(num_sites, num_features, num_sites, encoding.size))
        self.output_bias = nn.Parameter(torch.zeros(num_sites, num_features))
        self.context = (
            nn.Linear(context_size, num_sites * num_features, bias=False) if context_size else None
        )

    def forward(self, x: Tensor, context: Tensor | None = None) -> Tensor:
        """One matrix product for all sites."""
        check_context(context, self.context_size, len(x))
        inputs = self.encoding(x).flatten(1)
        weight = self.masked_weight().flatten(2).flatten(0, 1)
        bias = self.output_bias.flatten()
        flat = torch.addmm(bias, inputs, weight.T)
        if self.context is not None:
            flat = flat + self.context(context)
        return flat.unflatten(1, self.output_bias.shape)

    def masked_weight(self) -> Tensor:
        """W, zero where a site must not look, [to, P, from, E]."""
        return self.weight * self.mask

    @property
    def step_products(self) -> int:
        """A sample takes as many as a pass."""
        return super().step_products // self.num_sites

    def init_state(self, batch_size: int, context: Tensor | None = None) -> _Activations:
        """The features of all sites as far as they are known: biases and context."""
        check_context(context, self.context_size, batch_size)
        features = self.output_bias.flatten().expand(batch_size, -1)
        if self.context is not None:
            features = features + self.context(context)
        # columns by the site they come from, so that a step reads one contiguous block
        weight = self.masked_weight().permute(2, 3, 0, 1).flatten(2).contiguous()
        return _Activations(features.clone(), Shared(weight), Shared(self.order.tolist()))

    def step(
        self, state: _Activations, t: int, prev: Tensor | None
    ) -> tuple[Tensor, _Activations]:
        """Add the column of the site before to the features of all that follow."""
        size = self.num_features
        if prev is not None:
            site = state.order.value[t - 1]
            encoded = self.encoding.at(prev, site).to(state.features.dtype)
            state.features.addmm_(encoded, state.weights.value[site])
        start = state.order.value[t] * size
        return state.features[:, start : start + size], state


@dataclass
class _Activations:
    """Features of all sites so far, [batch, T P]; and the weights by the site they come from."""

    features: Tensor
    weights: Shared[Tensor]
    order: Shared[list[int]]
