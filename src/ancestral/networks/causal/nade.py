"""NADE: hidden units shared by all sites, whose sums grow by one site at each step."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from ancestral.core.errors import OptionError
from ancestral.core.native_draw import NativeDraw
from ancestral.core.pytrees import Shared
from ancestral.networks.causal.encodings import OneHot, Plain, SiteEncoding, Standardized
from ancestral.networks.causal.native_running import (
    NativeStep,
    fits_native,
    native_generate,
)
from ancestral.networks.causal.network import CausalNetwork, check_context
from ancestral.networks.causal.running import Activation, running_features

__all__ = ["NADE", "RNADE", "TiedNADE"]


class NADE(CausalNetwork):
    r"""The neural autoregressive distribution estimator.

    With o the order, e the encoding and c the context, for steps t = 0 .. T - 1,

        a_t = b + U c + \sum_{s<t} W_{o(s)} e(x_{o(s)})
        features_{o(t)} = V_{o(t)} g(scale_t a_t) + d_{o(t)}

    where scale is 1 (`RNADE` learns it). One hidden layer serves all sites; a pass costs
    O(T H (E + P)) for each row, in memory for a few sites at a time, and so does a sample, whose
    steps add one site to the sums. Any order will do, but only the one that it was trained in.

    Args:
        num_sites: T.
        num_features: P.
        encoding: of the values, E numbers to a site.
        hidden_size: H.
        width: W.
        context_size: of the context, which is added to the sums; 0 for none.
        order: site of each step; None: as stored.
        activation: g.
        dropout: chance that a hidden unit is left out, in training, for all sites of a row.

    Example:
        >>> network = NADE(784, 1, Plain(), hidden_size=500)
        >>> network(torch.zeros(2, 784, 1)).shape
        torch.Size([2, 784, 1])

    References:
        | Larochelle & Murray (2011), The neural autoregressive distribution estimator, section 3
        | Uria et al. (2016), Neural autoregressive distribution estimation, sections 2 and 3
    """

    weight: nn.Parameter
    hidden_bias: nn.Parameter
    output_bias: nn.Parameter
    scale: Tensor

    def __init__(
        self,
        num_sites: int,
        num_features: int,
        encoding: SiteEncoding,
        hidden_size: int,
        *,
        width: int = 1,
        context_size: int = 0,
        order: Sequence[int] | Tensor | None = None,
        activation: Activation = Activation.SIGMOID,
        dropout: float = 0.0,
    ) -> None:
        super().__init__(
            num_sites, num_features, width=width, context_size=context_size, order=order
        )
        if hidden_size < 1:
            raise OptionError(f"expected at least 1 hidden unit, got {hidden_size}")
        if not 0 <= dropout < 1:
            raise OptionError(f"expected dropout of at least 0 and below 1, got {dropout}")
        self.encoding = encoding
        self.hidden_size = hidden_size
        self.activation = Activation(activation)
        self.dropout = dropout
        self.weight = nn.Parameter(torch.empty(num_sites, self.num_inputs, hidden_size))
        # the sum over half of the sites is to have a variance near 1
        nn.init.normal_(self.weight, std=(2 / num_sites) ** 0.5)
        self.hidden_bias = nn.Parameter(torch.zeros(hidden_size))
        self.output_bias = nn.Parameter(torch.zeros(num_sites, num_features))
        self.context = nn.Linear(context_size, hidden_size, bias=False) if context_size else None
        self._add_readout()
        self._add_scale()

    def _add_readout(self) -> None:
        shape = (self.num_sites, self.num_features, self.hidden_size)
        self.output_weight = nn.Parameter(torch.empty(shape))
        # small, so that training starts at the frequencies in the output bias
        nn.init.normal_(self.output_weight, std=0.1 / self.hidden_size**0.5)

    def _add_scale(self) -> None:
        self.register_buffer("scale", torch.ones(self.num_sites), persistent=False)

    @property
    def num_inputs(self) -> int:
        """E."""
        return self.encoding.size

    @property
    def readout(self) -> Tensor:
        """V, [T, P, H]."""
        return self.output_weight

    def inputs(self, x: Tensor) -> Tensor:
        """What sites add to the sums, [batch, T, E]."""
        return self.encoding(x)

    def input_at(self, value: Tensor, site: int) -> Tensor:
        """What one site adds, [batch, W] -> [batch, E]."""
        return self.encoding.at(value, site)

    def forward(self, x: Tensor, context: Tensor | None = None) -> Tensor:
        """All sites in one run over them; see `running_features`."""
        return self.features_of(self.inputs(x), context)

    def features_of(self, inputs: Tensor, context: Tensor | None) -> Tensor:
        """Features [batch, T, P] from what the sites add to the sums, [batch, T, E]."""
        features = running_features(
            inputs.to(self.dtype),
            self.weight,
            self.readout,
            self.first_sums(len(inputs), context),
            self.scale,
            self.order,
            self.activation,
            self.drawn_gate(len(inputs)),
        )
        return features + self.output_bias

    def hidden_units(self, x: Tensor, context: Tensor | None = None) -> Tensor:
        """The hidden layer once all sites are known, [batch, H]."""
        added = self.inputs(x).to(self.dtype).flatten(1) @ self.weight.flatten(0, 1)
        sums = self.first_sums(len(x), context) + added
        return self.activation(sums * self.scale[self.order[-1]])

    def first_sums(self, batch_size: int, context: Tensor | None) -> Tensor:
        """Sums before any site is known, [batch, H]."""
        check_context(context, self.context_size, batch_size)
        sums = self.hidden_bias.expand(batch_size, -1)
        return sums if self.context is None else (sums + self.context(context)).to(self.dtype)

    def drawn_gate(self, batch_size: int) -> Tensor | None:
        """Dropout: 0 or 1 / (1 - dropout) for each hidden unit of each row; None outside it."""
        if not self.training or self.dropout == 0:
            return None
        kept = torch.rand(batch_size, self.hidden_size, device=self.device) >= self.dropout
        return kept.to(self.dtype) / (1 - self.dropout)

    @property
    def step_products(self) -> int:
        """A sample takes as many as a pass."""
        return super().step_products // self.num_sites

    def init_state(self, batch_size: int, context: Tensor | None = None) -> _Sums:
        """The sums before any site is known, and the weights, ready for steps."""
        sums = self.first_sums(batch_size, context)
        weight, readout, bias = (
            self.weight.detach(),
            self.readout.detach(),
            self.output_bias.detach(),
        )
        scale = self.scale.detach()
        native = fits_native(self.activation, sums, weight, readout, bias, scale)
        kind = NativeStep if native else _Step
        step = kind(self.activation, weight, readout, bias, scale, self.order)
        return _Sums(sums.detach().clone(), Shared(step), Shared(self.order.tolist()))

    def step(self, state: _Sums, t: int, prev: Tensor | None) -> tuple[Tensor, _Sums]:
        """Add the site before to the sums, and read out this one."""
        before = None if prev is None else self.input_at(prev, state.order.value[t - 1])
        return state.step.value(state.sums, t, before), state

    def generate(
        self, draw: NativeDraw, uniforms: Tensor, context: Tensor | None = None
    ) -> Tensor | None:
        """All steps and all draws in one kernel, where there is a compiler."""
        encoding = self.encoding
        if self.width > 1 or not isinstance(encoding, Plain | OneHot | Standardized):
            return None
        loc, spread = torch.zeros_like(self.scale), torch.ones_like(self.scale)
        if isinstance(encoding, Standardized):
            loc, spread = encoding.loc.flatten(), encoding.scale.flatten()
        with torch.no_grad():
            sums = self.first_sums(len(uniforms), context).clone()
            parts = (self.weight, self.readout, self.output_bias, self.scale)
            if not fits_native(self.activation, sums, *parts, loc, spread):
                return None
            return native_generate(
                self.activation,
                draw,
                uniforms,
                *parts,
                self.order,
                sums,
                loc=loc,
                spread=spread,
                num_codes=encoding.num_levels if isinstance(encoding, OneHot) else 0,
                num_known=self.num_inputs - encoding.size,
            )


class TiedNADE(NADE):
    """NADE whose output weights are its input weights, V = W.

    As in a restricted Boltzmann machine, of which the first NADE was an approximation. A site
    must have as many features as inputs: one, if it is binary; K, if it has K codes.

    Raises:
        OptionError: it has not.

    References:
        | Larochelle & Murray (2011), The neural autoregressive distribution estimator, section 2
    """

    def _add_readout(self) -> None:
        if self.num_inputs != self.num_features:
            raise OptionError(
                f"expected as many features as inputs of a site for tied weights, got "
                f"{self.num_features} and {self.num_inputs}",
                hint="binary and categorical sites can be tied; leave others untied",
            )

    @property
    def readout(self) -> Tensor:
        """W, [T, P, H]."""
        return self.weight


class RNADE(NADE):
    r"""NADE for real numbers: its sums are rescaled by position before the activation.

    Sums of t numbers grow with t; scale_t is learnt, and starts at 1 / sqrt(1 + t). The
    head is a mixture in each site: `SiteMixture` of `Normal` or `Laplace`.

    References:
        | Uria, Murray & Larochelle (2013), RNADE: the real-valued neural autoregressive
        | density-estimator, sections 2 and 3
    """

    def _add_scale(self) -> None:
        # relative to weights whose sum over all sites has variance 2
        position = torch.arange(1, self.num_sites + 1)
        self.scale = nn.Parameter((self.num_sites / position / 2).sqrt())


@dataclass
class _Sums:
    """The pre-activations so far, [batch, H], and what goes on from them."""

    sums: Tensor
    step: Shared[Callable[[Tensor, int, Tensor | None], Tensor]]
    order: Shared[list[int]]


class _Step:
    """`NativeStep` in torch."""

    def __init__(
        self,
        activation: Activation,
        weight: Tensor,
        readout: Tensor,
        bias: Tensor,
        scale: Tensor,
        order: Tensor,
    ) -> None:
        self._activation = activation
        self._weights = weight[order].contiguous()
        self._readouts = readout[order].mT.contiguous()
        self._biases = bias[order]
        self._scales = scale.tolist()

    def __call__(self, sums: Tensor, t: int, before: Tensor | None) -> Tensor:
        if before is not None:
            sums.addmm_(before.to(sums.dtype), self._weights[t - 1])
        scale = self._scales[t]
        h = self._activation(sums if scale == 1 else sums * scale)
        return torch.addmm(self._biases[t], h, self._readouts[t])
