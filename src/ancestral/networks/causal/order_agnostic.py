"""Order-agnostic NADE: one network for all orders, which is told which sites are known."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import Protocol, runtime_checkable

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.utils.checkpoint import checkpoint

from ancestral.core.errors import OptionError
from ancestral.core.native_draw import NativeDraw
from ancestral.core.pytrees import Shared
from ancestral.networks.causal.encodings import SiteEncoding
from ancestral.networks.causal.nade import NADE, _Sums
from ancestral.networks.causal.network import check_context
from ancestral.networks.causal.reordering import reordered
from ancestral.networks.causal.running import Activation, chunks, sums_of_chunk

__all__ = ["GivenAny", "OrderAgnosticNADE"]


@runtime_checkable
class GivenAny(Protocol):
    """A network that predicts every site from any set of known ones."""

    def given(self, x: Tensor, known: Tensor, context: Tensor | None = None) -> Tensor:
        """Features [batch, T, P] of all sites from the known ones.

        Args:
            x: [batch, T, W]; values of unknown sites do not matter.
            known: [batch, T] bool.
            context: [batch, context_size] or None.
        """
        ...

    def among(self, x: Tensor, present: Tensor, context: Tensor | None = None) -> Tensor:
        """Features [batch, T, P] of the present sites, from those present before them.

        Args:
            x: [batch, T, W]; values of absent sites do not matter.
            present: [batch, T] bool.
            context: [batch, context_size] or None.
        """
        ...


class OrderAgnosticNADE(NADE):
    r"""NADE for every order at once, with any number of hidden layers.

    The network takes each site's value where it is known, and whether it is known (m = 0 or 1):

        h_1 = g(b + U c + \sum_s m_s (W_s e(x_s) + M_s))
        h_l = g(B_l h_{l-1} + b_l)
        features_t = V_t h_L + d_t

    Given the sites before it in an order, each site has a conditional of that order, so that the
    same weights make a model of each order (`with_order`). `given` is one pass for any set of
    known sites: an unbiased estimate of the objective costs no more than that (`OrderAgnostic`).
    Under one order, one hidden layer costs what NADE's does; more cost T passes of the layers
    after the first, for each row.

    Args:
        num_sites: T.
        num_features: P.
        encoding: of the values, E numbers to a site.
        hidden_sizes: of the hidden layers, first to last.
        width: W.
        context_size: of the context, which is added to the first layer's sums; 0 for none.
        order: site of each step; None: as stored.
        activation: g.
        dropout: chance that a unit of a hidden layer is left out, in training.

    Example:
        >>> from ancestral.networks.causal.encodings import Plain
        >>> network = OrderAgnosticNADE(5, 1, Plain(), hidden_sizes=[16, 16])
        >>> network.with_order([4, 3, 2, 1, 0]).weight is network.weight
        True

    References:
        | Uria, Murray & Larochelle (2014), A deep and tractable density estimator, sections 3
        | and 4
    """

    def __init__(
        self,
        num_sites: int,
        num_features: int,
        encoding: SiteEncoding,
        hidden_sizes: Sequence[int],
        *,
        width: int = 1,
        context_size: int = 0,
        order: Sequence[int] | Tensor | None = None,
        activation: Activation = Activation.RELU,
        dropout: float = 0.0,
    ) -> None:
        if not hidden_sizes or min(hidden_sizes) < 1:
            raise OptionError(f"expected sizes of hidden layers, got {list(hidden_sizes)}")
        self._last_size = hidden_sizes[-1]
        super().__init__(
            num_sites,
            num_features,
            encoding,
            hidden_sizes[0],
            width=width,
            context_size=context_size,
            order=order,
            activation=activation,
            dropout=dropout,
        )
        self.layers = nn.ModuleList(
            nn.Linear(size, following) for size, following in itertools.pairwise(hidden_sizes)
        )
        for layer in self.layers:
            assert isinstance(layer, nn.Linear)
            nn.init.normal_(layer.weight, std=(2 / layer.in_features) ** 0.5)
            nn.init.zeros_(layer.bias)

    def _add_readout(self) -> None:
        shape = (self.num_sites, self.num_features, self._last_size)
        self.output_weight = nn.Parameter(torch.empty(shape))
        nn.init.normal_(self.output_weight, std=0.1 / self._last_size**0.5)

    @property
    def num_inputs(self) -> int:
        """E, and a one that says that the site is known."""
        return self.encoding.size + 1

    def inputs(self, x: Tensor) -> Tensor:
        """The encoding and a one, [batch, T, E + 1]."""
        return F.pad(self.encoding(x), (0, 1), value=1.0)

    def input_at(self, value: Tensor, site: int) -> Tensor:
        """The encoding and a one, [batch, E + 1]."""
        return F.pad(self.encoding.at(value, site), (0, 1), value=1.0)

    def given(self, x: Tensor, known: Tensor, context: Tensor | None = None) -> Tensor:
        """Features of all sites from the known ones: three matrix products and the layers."""
        inputs = torch.where(known.unsqueeze(-1), self.inputs(x), 0.0).flatten(1)
        sums = self.first_sums(len(x), context) + inputs @ self.weight.flatten(0, 1)
        h = self._after_first(self._dropped(self.activation(sums)))
        flat = torch.addmm(self.output_bias.flatten(), h, self.readout.flatten(0, 1).T)
        return flat.unflatten(1, self.output_bias.shape)

    def hidden_units(self, x: Tensor, context: Tensor | None = None) -> Tensor:
        """The last hidden layer once all sites are known, [batch, H]."""
        return self._after_first(super().hidden_units(x, context))

    def among(self, x: Tensor, present: Tensor, context: Tensor | None = None) -> Tensor:
        """Features of the present sites, from those present before them; a row may lack any.

        To leave sites out is to put them last: these are the features under an order of each
        row's own, the network's with the absent sites moved to its end. Those of absent sites
        mean nothing.

        Args:
            x: [batch, T, W]; values of absent sites do not matter.
            present: [batch, T] bool.
            context: [batch, context_size] or None.
        """
        inputs = torch.where(present.unsqueeze(-1), self.inputs(x), 0.0)
        return self.features_of(inputs, context)

    def features_of(self, inputs: Tensor, context: Tensor | None) -> Tensor:
        """Features [batch, T, P] from what the sites add to the first layer's sums."""
        if not self.layers:
            return super().features_of(inputs, context)
        start = self.first_sums(len(inputs), context)
        widest = max(layer.out_features for layer in self.layers)  # type: ignore[attr-defined]
        features, run = [], self._chunk
        for steps in chunks(self.num_sites, len(inputs) * max(widest, self.hidden_size)):
            sites = self.order[steps]
            arguments = (inputs[:, sites], self.weight[sites], self.readout[sites], start)
            if torch.is_grad_enabled():
                # activations are computed again on the way back: there would be T times as many
                part, start = checkpoint(run, *arguments, use_reentrant=False)  # type: ignore[misc]
            else:
                part, start = run(*arguments)
            features.append(part)
        return torch.cat(features)[self.order.argsort()].movedim(0, 1) + self.output_bias

    def _chunk(
        self, inputs: Tensor, weight: Tensor, readout: Tensor, start: Tensor
    ) -> tuple[Tensor, Tensor]:
        sums, start = sums_of_chunk(inputs, weight, start)
        h = self._after_first(self._dropped(self.activation(sums)))
        return torch.bmm(h, readout.mT), start

    def _after_first(self, h: Tensor) -> Tensor:
        for layer in self.layers:
            h = self._dropped(self.activation(layer(h)))
        return h

    def _dropped(self, h: Tensor) -> Tensor:
        return F.dropout(h, self.dropout, self.training)

    def init_state(self, batch_size: int, context: Tensor | None = None) -> _Sums:
        """The first layer's sums before any site is known."""
        if not self.layers:
            return super().init_state(batch_size, context)
        check_context(context, self.context_size, batch_size)
        sums = self.first_sums(batch_size, context).detach().clone()
        return _Sums(sums, Shared(_DeepStep(self)), Shared(self.order.tolist()))

    def generate(
        self, draw: NativeDraw, uniforms: Tensor, context: Tensor | None = None
    ) -> Tensor | None:
        """One hidden layer: all steps in one kernel, where there is a compiler."""
        return None if self.layers else super().generate(draw, uniforms, context)

    def with_order(self, order: Sequence[int] | Tensor) -> OrderAgnosticNADE:
        """The same weights under another order."""
        return reordered(self, order)


class _DeepStep:
    """One site more in the first layer's sums, then the other layers, then one site's features."""

    def __init__(self, network: OrderAgnosticNADE) -> None:
        self._network = network
        order = network.order
        self._weights = network.weight.detach()[order]
        self._readouts = network.readout.detach()[order].mT.contiguous()
        self._biases = network.output_bias.detach()[order]

    def __call__(self, sums: Tensor, t: int, before: Tensor | None) -> Tensor:
        if before is not None:
            sums.addmm_(before.to(sums.dtype), self._weights[t - 1])
        network = self._network
        h = network._after_first(network.activation(sums))
        return torch.addmm(self._biases[t], h, self._readouts[t])
