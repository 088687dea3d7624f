"""Recurrent networks over the sites: what is known so far is a vector of fixed size."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

import torch
from torch import Tensor, nn

from ancestral.core.errors import OptionError
from ancestral.core.products import Product
from ancestral.core.pytrees import Shared
from ancestral.core.registry import nearest
from ancestral.networks.causal.embedding import SiteEmbedding
from ancestral.networks.causal.encodings import SiteEncoding
from ancestral.networks.causal.network import CausalNetwork, check_context
from ancestral.networks.causal.ordering import SiteRoles, as_stored, in_order
from ancestral.networks.causal.recurrent_step import (
    LayerState,
    PreparedLayer,
    advance,
    prepared_layers,
)

__all__ = ["Cell", "RecurrentCausal"]


class Cell(StrEnum):
    """How a layer takes in its input."""

    TANH = "tanh"  # Elman (1990), Finding structure in time
    GRU = "gru"  # Cho et al. (2014), Learning phrase representations, equations 5 to 8
    LSTM = "lstm"  # Hochreiter & Schmidhuber (1997), with the forget gate of Gers et al. (2000)

    @staticmethod
    def of(name: str) -> Cell:
        """The cell of a name.

        Raises:
            OptionError: there is none.
        """
        names = [str(cell) for cell in Cell]
        if name not in names:
            raise OptionError(
                f"expected cell to be one of {', '.join(names)}, got {name!r}",
                hint=nearest(name, names),
            )
        return Cell(name)


_TORCH = {Cell.TANH: nn.RNN, Cell.GRU: nn.GRU, Cell.LSTM: nn.LSTM}


class RecurrentCausal(CausalNetwork):
    r"""h_t = cell(h_{t-1}, e(x_{t-1})), features_t = V h_t + b.

    All sites are one fused call of torch; a step carries the state of each layer, so that a
    sample of T sites costs what one pass costs. A context c adds U c to every input, the first
    included.

    Args:
        num_sites: T.
        num_features: P.
        encoding: of the values.
        cell: tanh, gru or lstm.
        hidden_size: H, of each layer.
        num_layers: one above the other.
        embedding_size: of the vector of a value.
        dropout: of what goes from layer to layer and to the output, while training.
        roles: whether sites differ in more than what came before them.
        context_size: of the context; 0 for none.
        order: site of each step; None: as stored.

    References:
        | Elman (1990); Cho et al. (2014); Hochreiter & Schmidhuber (1997)
        | Generating Sequences With Recurrent Neural Networks (Graves, 2013), section 2

    Example:
        >>> from ancestral.networks.causal import OneHot
        >>> network = RecurrentCausal(12, 65, OneHot(65), hidden_size=8)
        >>> network(torch.zeros(3, 12, 1)).shape
        torch.Size([3, 12, 65])
    """

    def __init__(
        self,
        num_sites: int,
        num_features: int,
        encoding: SiteEncoding,
        *,
        cell: Cell = Cell.LSTM,
        hidden_size: int = 512,
        num_layers: int = 1,
        embedding_size: int = 64,
        dropout: float = 0.0,
        roles: SiteRoles = SiteRoles.SAME,
        context_size: int = 0,
        order: Sequence[int] | Tensor | None = None,
        width: int = 1,
    ) -> None:
        super().__init__(
            num_sites, num_features, width=width, context_size=context_size, order=order
        )
        sizes = {
            "hidden_size": hidden_size,
            "num_layers": num_layers,
            "embedding_size": embedding_size,
        }
        for name, size in sizes.items():
            if size < 1:
                raise OptionError(f"expected {name} of at least 1, got {size}")
        if not 0 <= dropout < 1:
            raise OptionError(f"expected dropout in [0, 1), got {dropout}")
        self.cell = Cell(cell)
        self.roles = SiteRoles(roles)
        self.embedding = SiteEmbedding(encoding, embedding_size)
        self.start = nn.Parameter(torch.zeros(embedding_size))
        self.recurrence: nn.RNNBase = _TORCH[self.cell](
            embedding_size,
            hidden_size,
            num_layers,
            batch_first=True,
            dropout=dropout if num_layers > 1 else 0.0,
        )
        self._initialize()
        self.dropout = nn.Dropout(dropout)
        self.output = nn.Linear(hidden_size, num_features, bias=False)
        has_roles = self.roles is SiteRoles.OWN
        self.output_bias = nn.Parameter(
            torch.zeros((num_sites, num_features) if has_roles else (num_features,))
        )
        self.position = nn.Parameter(torch.zeros(num_sites, embedding_size)) if has_roles else None
        self.context = (
            nn.Linear(context_size, embedding_size, bias=False) if context_size else None
        )

    def forward(self, x: Tensor, context: Tensor | None = None) -> Tensor:
        """One fused call for all sites."""
        hidden = self.hidden_units(x, context)
        return self.output(self.dropout(hidden)) + self.output_bias

    def hidden_units(self, x: Tensor, context: Tensor | None = None) -> Tensor:
        """States of the last layer, each before its site is known, [batch, T, H]."""
        check_context(context, self.context_size, len(x))
        known = in_order(self, self.embedding(x))[:, :-1]
        first = self.start.expand(len(x), 1, -1)
        inputs = torch.cat((first.to(known.dtype), known), 1)
        if self.position is not None:
            inputs = inputs + in_order(self, self.position.unsqueeze(0))
        if self.context is not None:
            inputs = inputs + self.context(context).unsqueeze(1)
        hidden, _ = self.recurrence(inputs)
        return as_stored(self, hidden)

    def init_state(self, batch_size: int, context: Tensor | None = None) -> _Recurrence:
        """Zeros; with the weights as the steps want them.

        Inside an autocast to bfloat16 the products of the steps are in bfloat16 too; gates and
        states stay as precise as the weights.
        """
        check_context(context, self.context_size, batch_size)
        layers = prepared_layers(self.recurrence, batch_size)
        with torch.autocast(self.device.type, enabled=False):
            return self._prepared_state(layers, batch_size, context)

    def _prepared_state(
        self, layers: list[PreparedLayer], batch_size: int, context: Tensor | None
    ) -> _Recurrence:
        first = layers[0].input_weight
        table, start = self.embedding.weight @ first, self.start @ first
        bias = layers[0].bias
        added = None
        if self.position is not None:
            added = self.position @ first + bias
        elif self.embedding.picks_one_row:
            table, start = table + bias, start + bias
        else:
            added = bias.expand(self.num_sites, -1)
        given = None if self.context is None else self.context(context) @ first
        prepared = _Prepared(
            layers,
            table,
            start,
            added,
            Product(self.output.weight.detach().t().to(layers[0].from_before.dtype), batch_size),
            self.output_bias.expand(self.num_sites, -1),
            self.order.tolist(),
        )
        zeros = [LayerState.zeros(self.recurrence, batch_size) for _ in layers]
        return _Recurrence(zeros, given, Shared(prepared))

    def step(self, state: _Recurrence, t: int, prev: Tensor | None) -> tuple[Tensor, _Recurrence]:
        """One product for each layer; the lowest layer's input is a row of a table."""
        prepared = state.prepared.value
        batch_size = len(state.layers[0].hidden)
        if prev is None:
            gates = prepared.start.expand(batch_size, -1).clone()
        else:
            gates = self.embedding.at(prev, prepared.order[t - 1], prepared.table)
        if prepared.added is not None:
            gates += prepared.added[prepared.order[t]]
        if state.given is not None:
            gates += state.given
        hidden = advance(self.cell, prepared.layers[0], state.layers[0], gates)
        for layer, below in zip(prepared.layers[1:], state.layers[1:], strict=True):
            gates = layer.gates_of(hidden)
            hidden = advance(self.cell, layer, below, gates)
        bias = prepared.output_bias[prepared.order[t]]
        return prepared.output(hidden) + bias, state

    def _initialize(self) -> None:
        """Orthogonal recurrent weights; forget gates open (Jozefowicz et al., 2015, section 2)."""
        with torch.no_grad():
            for name, parameter in self.recurrence.named_parameters():
                if name.startswith("weight_hh"):
                    nn.init.orthogonal_(parameter)
                elif name.startswith("bias"):
                    parameter.zero_()
                    if self.cell is Cell.LSTM and name.startswith("bias_ih"):
                        parameter.split(self.recurrence.hidden_size)[1].fill_(1.0)


@dataclass
class _Prepared:
    """What the rows of a batch share.

    Attributes:
        layers: weights.
        table: [E, gates], what each value adds to the lowest layer's gates.
        start: [gates], the same before the first site.
        added: [T, gates], what each site adds, the bias above all; None if it is in the table.
        output: product with [H, P].
        output_bias: [T, P].
        order: site of each step.
    """

    layers: list[PreparedLayer]
    table: Tensor
    start: Tensor
    added: Tensor | None
    output: Product
    output_bias: Tensor
    order: list[int]


@dataclass
class _Recurrence:
    """The state of each layer; and what a context adds to the lowest layer's gates."""

    layers: list[LayerState]
    given: Tensor | None
    prepared: Shared[_Prepared]
