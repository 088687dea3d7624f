"""`UntilEnd`: sequences that end, padded with their end symbol."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from ancestral.core.errors import IncompatibleChoices
from ancestral.core.native_draw import NativeDraw
from ancestral.networks.causal.hidden import hidden_units
from ancestral.networks.causal.network import CausalNetwork

__all__ = ["UntilEnd"]

_NEVER = -1e4  # a logit whose exponential is zero in every precision, and whose gradient is finite


class UntilEnd(CausalNetwork):
    """Logits of another network, up to the first end symbol; after it the end is certain.

    A sequence of any length up to T is a row of T codes: its own, the end symbol, and more end
    symbols to the last site. The sites after the first end contribute log 1 = 0 to log p, so
    that log p of the row is that of the sequence with its end; and they are drawn as ends.

    Args:
        network: of codes, W = 1, in the order of storage; its features are K logits.
        end_code: the code of the end symbol.
    """

    def __init__(self, network: CausalNetwork, end_code: int) -> None:
        if network.width != 1 or not network.is_raster:
            raise IncompatibleChoices(
                "expected sites of one code in the order of storage for data with an end symbol",
                hint="what comes after the end is known only if the end comes first",
            )
        super().__init__(
            network.num_sites, network.num_features, context_size=network.context_size
        )
        self.network = network
        self.end_code = end_code

    @property
    def output_bias(self) -> Tensor | None:
        """The network's."""
        return getattr(self.network, "output_bias", None)

    @property
    def has_cached_step(self) -> bool:
        """The network's."""
        return self.network.has_cached_step

    @property
    def context_shape(self) -> tuple[int, ...]:
        """The network's."""
        return self.network.context_shape

    @property
    def step_products(self) -> int:
        """The network's."""
        return self.network.step_products

    def forward(self, x: Tensor, context: Tensor | None = None) -> Tensor:
        """All sites."""
        return self._certain(self.network(x, context), self._ended(x))

    def hidden_units(self, x: Tensor, context: Tensor | None = None) -> Tensor | None:
        """The mean of the network's over the sites of the sequence and its end, [batch, H]."""
        hidden = hidden_units(self.network, x, context)
        if hidden is None or hidden.ndim == 2:
            return hidden
        inside = (~self._ended(x)).unsqueeze(-1)
        return (hidden * inside).sum(1) / inside.sum(1)

    def init_state(self, batch_size: int, context: Tensor | None = None) -> _Sequences:
        """None has ended."""
        ended = torch.zeros(batch_size, dtype=torch.bool, device=self.device)
        return _Sequences(self.network.init_state(batch_size, context), ended)

    def step(self, state: _Sequences, t: int, prev: Tensor | None) -> tuple[Tensor, _Sequences]:
        """The network's step."""
        features, state.inner = self.network.step(state.inner, t, prev)
        if prev is not None:
            state.ended |= prev[:, 0] == self.end_code
        return self._certain(features, state.ended), state

    def with_order(self, order: Sequence[int] | Tensor) -> CausalNetwork:
        """Refused for any but the order of storage."""
        return self._around(self.network.with_order(order))

    def with_length(self, num_sites: int) -> CausalNetwork:
        """The network's, if it takes another length."""
        return self._around(self.network.with_length(num_sites))

    def generate(
        self, draw: NativeDraw, uniforms: Tensor, context: Tensor | None = None
    ) -> Tensor | None:
        """The network's up to the first end, which does not depend on what it draws later."""
        x = self.network.generate(draw, uniforms, context)
        if x is None:
            return None
        return x.masked_fill(self._ended(x).unsqueeze(-1), self.end_code)

    def _around(self, network: CausalNetwork) -> UntilEnd:
        return UntilEnd(network, self.end_code).to(self.device).train(self.training)

    def _ended(self, x: Tensor) -> Tensor:
        """Which sites come after an end, [batch, T] bool."""
        ends = (x[:, :, 0] == self.end_code).long()
        return ends.cumsum(1) - ends > 0

    def _certain(self, features: Tensor, ended: Tensor) -> Tensor:
        point = features.new_full((self.num_features,), _NEVER)
        point[self.end_code] = 0.0
        return torch.where(ended.unsqueeze(-1), point, features)


@dataclass
class _Sequences:
    """The network's state, and which rows have ended, [batch] bool."""

    inner: Any
    ended: Tensor
