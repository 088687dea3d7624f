"""`UntilEnd`: sequences that end, padded with their end symbol."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from ancestral.core.errors import IncompatibleChoices
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
        order = network.order
        if network.width != 1 or not torch.equal(order.cpu(), torch.arange(len(order))):
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

    def forward(self, x: Tensor, context: Tensor | None = None) -> Tensor:
        """All sites."""
        features = self.network(x, context)
        ends = x[:, :-1, 0] == self.end_code
        ended = torch.cat((torch.zeros_like(ends[:, :1]), ends.cummax(1).values), 1)
        return self._certain(features, ended)

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
        return UntilEnd(self.network.with_order(order), self.end_code)

    def _certain(self, features: Tensor, ended: Tensor) -> Tensor:
        point = features.new_full((self.num_features,), _NEVER)
        point[self.end_code] = 0.0
        return torch.where(ended.unsqueeze(-1), point, features)


@dataclass
class _Sequences:
    """The network's state, and which rows have ended, [batch] bool."""

    inner: Any
    ended: Tensor
