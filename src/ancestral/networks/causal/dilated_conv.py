"""WaveNet's network: gated causal convolutions whose dilation doubles from layer to layer."""

from __future__ import annotations

import copy
import math
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ancestral.core import OptionError
from ancestral.core.native_draw import NativeDraw
from ancestral.core.pytrees import Shared
from ancestral.networks.causal.encodings import OneHot, Plain, SiteEncoding
from ancestral.networks.causal.gated_stack import gated_stack
from ancestral.networks.causal.native_dilated import NativeSteps, native_steps
from ancestral.networks.causal.network import CausalNetwork, check_context, raster_order

__all__ = ["Conditioning", "DilatedConvolutional", "doubling"]


_WAVES = 6.0  # of radians from one end of the levels to their middle, as a standard deviation


class Conditioning(StrEnum):
    """What a context is of (WaveNet, section 2.5)."""

    GLOBAL = "global"  # [batch, size]: a whole sequence, such as its speaker
    LOCAL = "local"  # [batch, T, size]: each site, such as the linguistic features of a frame


class DilatedConvolutional(CausalNetwork):
    r"""Gated, dilated, causal convolutions with residual and skip connections.

    The value before enters as h^1_t = b + E e(x_{t-1}), where e of "nothing yet" is zero. Layers,
    with tap j at t - j d and d the layer's dilation, are

    .. math::
        z^l = \tanh(V^l_a * h^l + U^l_a c) \odot \sigma(V^l_b * h^l + U^l_b c), \quad
        h^{l+1} = h^l + W^l z^l,

    and the features are a dense layer of relu(dense(relu(\sum_l S^l z^l))). Features of a site
    depend on `receptive_field` sites before it. They are the same wherever the sequence is, so
    that `with_length` continues past the length of the training rows.

    A step keeps the past of every layer in a ring, and costs the same whatever the receptive
    field is; on CPUs with a compiler it is one call for all layers.

    Args:
        num_sites: T.
        num_features: P.
        encoding: of the values.
        dilations: of each layer, first to last; see `doubling`.
        channels: C, of the residual stream.
        skip_channels: of the sum that features are made of.
        kernel_size: taps of each convolution.
        context_size: of a context vector; 0 for none.
        conditioning: whether a context is of the sequence or of each site.
        dropout: of the units of the sum, in training.
        order: site of each step; None: as stored.

    References:
        | WaveNet: A Generative Model for Raw Audio (van den Oord et al., 2016), section 2
        | https://arxiv.org/abs/1609.03499
        | The queues of past activations: Fast Wavenet Generation Algorithm (Le Paine et al., 2016)
        | https://arxiv.org/abs/1611.09482
    """

    def __init__(
        self,
        num_sites: int,
        num_features: int,
        encoding: SiteEncoding,
        *,
        dilations: Sequence[int],
        channels: int = 64,
        skip_channels: int = 256,
        kernel_size: int = 2,
        width: int = 1,
        context_size: int = 0,
        conditioning: Conditioning = Conditioning.GLOBAL,
        dropout: float = 0.0,
        order: Sequence[int] | Tensor | None = None,
    ) -> None:
        super().__init__(
            num_sites, num_features, width=width, context_size=context_size, order=order
        )
        _check_sizes(dilations, channels, skip_channels, kernel_size)
        self.encoding = encoding
        self.dilations = tuple(dilations)
        self.kernel_size = kernel_size
        self.conditioning = conditioning
        num_layers = len(dilations)
        self.input_weight = nn.Parameter(torch.randn(encoding.size, channels) * width**-0.5)
        self.input_bias = nn.Parameter(torch.zeros(channels))
        # variances add up over taps, and over layers in the sum
        self.gate_weight = _scaled((num_layers, kernel_size, channels, 2 * channels), 2)
        self.gate_bias = nn.Parameter(torch.zeros(num_layers, 2 * channels))
        self.residual_weight = _scaled((num_layers - 1, channels, channels), 1)
        self.skip_weight = _scaled((num_layers, channels, skip_channels), 2, gain=3.0)
        self.skip_bias = nn.Parameter(torch.zeros(skip_channels))
        self.hidden = nn.Linear(skip_channels, skip_channels)
        # zero: at the start the features are the output bias, which fits the data's frequencies
        self.output_weight = nn.Parameter(torch.zeros(skip_channels, num_features))
        self.output_bias = nn.Parameter(torch.zeros(num_features))
        self.context_weight = (
            nn.Parameter(torch.randn(context_size, num_layers, 2 * channels) / context_size**0.5)
            if context_size
            else None
        )
        self.dropout = nn.Dropout(dropout)

    @torch.no_grad()
    def start_ordered(self) -> None:
        r"""Let codes that are near each other begin alike, as levels of sound or light are.

        Rows of E become random Fourier features of the level v from -1 to 1, \sqrt 2 cos(w v + f):
        their products are a Gaussian kernel. What is told of one level then holds of its
        neighbours, until the data say otherwise.

        References:
            | Random Features for Large-Scale Kernel Machines (Rahimi & Recht, 2007), section 3
        """
        levels = torch.linspace(-1, 1, getattr(self.encoding, "num_levels", 1))
        channels = len(self.input_bias)
        phase = 2 * math.pi * torch.rand(channels)
        waves = torch.cos(levels.unsqueeze(1) * _WAVES * torch.randn(channels) + phase)
        features = (2 / self.width) ** 0.5 * waves
        self.input_weight.copy_(features.repeat(self.width, 1))

    @property
    def receptive_field(self) -> int:
        """How many sites before a site its features depend on, at most."""
        return 1 + (self.kernel_size - 1) * sum(self.dilations)

    @property
    def context_shape(self) -> tuple[int, ...]:
        """Of one context."""
        local = self.conditioning is Conditioning.LOCAL
        return (self.num_sites, self.context_size) if local else (self.context_size,)

    def forward(self, x: Tensor, context: Tensor | None = None) -> Tensor:
        """All sites at once."""
        hidden = self.dropout(self._hidden(x, context))
        return self._stored(hidden @ self.output_weight + self.output_bias)

    def hidden_units(self, x: Tensor, context: Tensor | None = None) -> Tensor:
        """What the last layer reads, of each site before it is known, [batch, T, H]."""
        return self._stored(self._hidden(x, context))

    def _hidden(self, x: Tensor, context: Tensor | None) -> Tensor:
        """In the order of the draws, [T, batch, H]."""
        self._check_context(context, len(x))
        inputs = F.pad(self._embedded(x), (0, 0, 0, 0, 1, 0)) + self.input_bias
        offsets = self.gate_bias
        if context is not None and self.context_weight is not None:
            times = self._drawn(context) if context.ndim == 3 else context.unsqueeze(0)
            offsets = torch.einsum("tbi,ilg->ltbg", times, self.context_weight)
            offsets = offsets + self.gate_bias[:, None, None]
        z = gated_stack(inputs, offsets, self.gate_weight, self.residual_weight, self.dilations)
        weight = self.skip_weight.flatten(0, 1)
        total = F.relu(z.flatten(2) @ weight + self.skip_bias)
        return F.relu(self.hidden(self.dropout(total)))

    def with_length(self, num_sites: int) -> DilatedConvolutional:
        """The same weights for sequences of another length, shorter or longer."""
        if not self.is_raster or not isinstance(self.encoding, OneHot | Plain):
            super().with_length(num_sites)  # which refuses
        if num_sites < 1:
            raise OptionError(f"expected a length of at least 1, got {num_sites}")
        view = copy.copy(self)
        # a shallow copy shares its table of buffers too, and one of them is to differ
        view._buffers = dict(self._buffers)
        view._set_order(raster_order(num_sites).to(self.device))
        view.num_sites = num_sites
        return view

    @torch.no_grad()
    def init_state(self, batch_size: int, context: Tensor | None = None) -> _Rings:
        """Empty rings, and the weights as steps read them."""
        self._check_context(context, batch_size)
        offsets, local = self.gate_bias.unsqueeze(0), None
        if context is not None and self.context_weight is not None:
            if context.ndim == 3:
                local = context.to(self.dtype).contiguous()
            else:
                product = torch.einsum("bi,ilg->blg", context, self.context_weight)
                offsets = (product + offsets).contiguous()
        channels = len(self.input_bias)
        size = (self.kernel_size - 1) * sum(self.dilations) * channels
        memory = torch.zeros(batch_size, size, dtype=self.dtype, device=self.device)
        if len(offsets) != batch_size:
            offsets = offsets.expand(batch_size, -1, -1)
        return _Rings(memory, offsets, local, Shared(self._prepared(local is not None)))

    @torch.no_grad()
    def step(self, state: _Rings, t: int, prev: Tensor | None) -> tuple[Tensor, _Rings]:
        """One kernel call, or the same in torch; neither has gradients."""
        native, order = state.weights.value
        local = None if state.context is None else state.context[:, order[t]]
        if native is None:
            return self._torch_step(state, t, prev, local), state
        values = None
        if prev is not None:
            coded = isinstance(self.encoding, OneHot)
            values = prev if coded else self.encoding.at(prev, order[t - 1])
            values = values.to(self.dtype).contiguous()
        return native.step(state.memory, state.offsets, local, values, t), state

    def generate(
        self, draw: NativeDraw, uniforms: Tensor, context: Tensor | None = None
    ) -> Tensor | None:
        """All steps and all draws in one kernel, where there is a compiler."""
        if not isinstance(self.encoding, OneHot | Plain) or self.device.type != "cpu":
            return None
        state = self.init_state(len(uniforms), context)
        native, _ = state.weights.value
        if native is None:
            return None
        noise = uniforms.to(self.dtype)
        return native.generate(draw, state.memory, state.offsets, state.context, noise, self.order)

    def _torch_step(
        self, state: _Rings, t: int, prev: Tensor | None, local: Tensor | None
    ) -> Tensor:
        order = state.weights.value[1]
        h = self.input_bias.expand(len(state.memory), -1)
        if prev is not None:
            if isinstance(self.encoding, OneHot):
                h = h + self._rows(prev)
            else:
                h = h + self.encoding.at(prev, order[t - 1]) @ self.input_weight
        skip, first, size = self.skip_bias, 0, h.shape[-1]
        offsets = state.offsets.unbind(1)
        # views of all layers at once: each costs as much as a small product
        taps_of = [layer.unbind() for layer in self.gate_weight.detach().unbind()]
        skips, residuals = (
            self.skip_weight.detach().unbind(),
            self.residual_weight.detach().unbind(),
        )
        for layer, dilation in enumerate(self.dilations):
            length, taps = (self.kernel_size - 1) * dilation, taps_of[layer]
            gates = torch.addmm(offsets[layer], h, taps[0])
            if local is not None and self.context_weight is not None:
                gates = torch.addmm(gates, local, self.context_weight[:, layer])
            for tap in range(1, self.kernel_size):
                slot = first + (t - tap * dilation) % length
                past = state.memory.narrow(1, slot * size, size)
                gates = torch.addmm(gates, past, taps[tap])
            a, b = gates.split(size, -1)
            z = a.tanh_().mul_(b.sigmoid_())
            if length:
                state.memory.narrow(1, (first + t % length) * size, size).copy_(h)
            skip = torch.addmm(skip, z, skips[layer])
            if layer + 1 < len(self.dilations):
                h = torch.addmm(h, z, residuals[layer])
            first += length
        hidden = F.relu(self.hidden(F.relu(skip)))
        return torch.addmm(self.output_bias, hidden, self.output_weight)

    def _embedded(self, x: Tensor) -> Tensor:
        """Values [batch, T, W] as stored -> [T - 1, batch, C] of the values before."""
        if isinstance(self.encoding, OneHot):
            return self._rows(self._drawn(x)[:-1])
        return self._drawn(self.encoding(x))[:-1] @ self.input_weight

    def _rows(self, values: Tensor) -> Tensor:
        """Codes [..., W] -> [..., C]: rows of the weight, as a product with one-hot codes is."""
        assert isinstance(self.encoding, OneHot)
        levels = self.encoding.num_levels
        codes = values.long().clamp(0, levels - 1)
        codes = codes + torch.arange(values.shape[-1], device=values.device) * levels
        rows = F.embedding(codes, self.input_weight)
        return rows.squeeze(-2) if values.shape[-1] == 1 else rows.sum(-2)

    def _drawn(self, x: Tensor) -> Tensor:
        """[batch, T, ...] as stored -> [T, batch, ...] in the order sites are drawn in.

        Time comes first, so that sites some steps before are a slice of memory.
        """
        ordered = x if self.is_raster else x.index_select(1, self.order)
        return ordered.transpose(0, 1)

    def _stored(self, x: Tensor) -> Tensor:
        """Undo `_drawn`."""
        ordered = x.transpose(0, 1)
        if self.is_raster:
            return ordered
        return ordered.index_select(1, self.order.argsort())

    def _prepared(self, has_local_context: bool) -> tuple[NativeSteps | None, list[int]]:  # noqa: FBT001
        with torch.no_grad():
            native = native_steps(
                dilations=self.dilations,
                codes=self.encoding.num_levels if isinstance(self.encoding, OneHot) else 0,
                width=self.width if isinstance(self.encoding, OneHot) else self.encoding.size,
                inputs=(self.input_weight, self.input_bias),
                gates=self.gate_weight,
                context_gates=(
                    self.context_weight.transpose(0, 1)
                    if has_local_context and self.context_weight is not None
                    else None
                ),
                residual=self.residual_weight,
                skip=(self.skip_weight, self.skip_bias),
                hidden=(self.hidden.weight.T, self.hidden.bias),
                output=(self.output_weight, self.output_bias),
            )
        return native, self.order.tolist()

    def _check_context(self, context: Tensor | None, batch_size: int) -> None:
        local = self.conditioning is Conditioning.LOCAL
        check_context(context, self.context_size, batch_size, self.num_sites if local else None)


@dataclass
class _Rings:
    """What layers remember, [batch, numbers]; what is added to gates; a context of sites."""

    memory: Tensor
    offsets: Tensor
    context: Tensor | None
    weights: Shared[tuple[NativeSteps | None, list[int]]]


def doubling(num_layers: int, num_stacks: int = 1) -> tuple[int, ...]:
    """Dilations 1, 2, 4, ..., once for each stack.

    Example:
        >>> doubling(4, 2)
        (1, 2, 4, 8, 1, 2, 4, 8)
    """
    return tuple(2**layer for layer in range(num_layers)) * num_stacks


def _check_sizes(
    dilations: Sequence[int], channels: int, skip_channels: int, kernel_size: int
) -> None:
    numbers = {
        "layers": len(dilations),
        "channels": channels,
        "skip channels": skip_channels,
        "taps": kernel_size,
        "for a dilation": min(dilations, default=1),
    }
    for what, number in numbers.items():
        if number < 1:
            raise OptionError(f"expected at least 1 {what}, got {number}")


def _scaled(shape: tuple[int, ...], num_summed_axes: int, gain: float = 1.0) -> nn.Parameter:
    """Normal weights of variance gain^2 over the number of inputs that are summed.

    A gain of 3 is what brings gated units, whose root mean square is a third, back to 1.
    """
    fan_in = math.prod(shape[-1 - num_summed_axes : -1])
    return nn.Parameter(gain * torch.randn(shape) / max(1, fan_in) ** 0.5)
