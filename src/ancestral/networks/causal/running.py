"""`running_features`: hidden units whose pre-activation grows by one site at a time."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from enum import StrEnum
from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from ancestral.networks.causal.native_running import (
    fits_native,
    native_backward,
    native_forward,
    room_for_sums,
)

__all__ = ["Activation", "chunks", "running_features"]

_CHUNK = 2_000_000  # hidden activations at a time: 8 MB in float32


class Activation(StrEnum):
    """What hidden units do with their sum, elementwise."""

    SIGMOID = "sigmoid"
    RELU = "relu"
    TANH = "tanh"

    def __call__(self, a: Tensor) -> Tensor:
        """g(a)."""
        if self is Activation.SIGMOID:
            return a.sigmoid()
        return a.relu() if self is Activation.RELU else a.tanh()

    def slope(self, h: Tensor) -> Tensor:
        """g'(a), as a function of h = g(a)."""
        if self is Activation.SIGMOID:
            return h * (1 - h)
        return (h > 0).to(h.dtype) if self is Activation.RELU else 1 - h.square()


def running_features(
    inputs: Tensor,
    weight: Tensor,
    readout: Tensor,
    start: Tensor,
    scale: Tensor,
    order: Tensor,
    activation: Activation,
    gate: Tensor | None = None,
) -> Tensor:
    r"""Features of all sites, each from the sum of the inputs of the sites before it.

    With o the order, for step t = 0 .. T - 1,

        a_t = start + \sum_{s<t} \sum_e inputs_{o(s) e} weight_{o(s) e}
        features_{o(t) p} = readout_{o(t) p} \cdot (gate * g(scale_t a_t))

    O(T H (E + P)) multiplications a row, and memory for sqrt(T) times H numbers each: sums in
    between are added up again on the way back. Where no C compiler is found, chunks of sites are
    computed by matrix products and cumulative sums, and computed again on the way back.

    Args:
        inputs: [batch, T, E], as stored.
        weight: [T, E, H], as stored.
        readout: [T, P, H], as stored.
        start: [batch, H].
        scale: [T], by step.
        order: [T], the site of each step.
        activation: g.
        gate: [batch, H], what hidden units are multiplied by, as in dropout; None for ones. It
            gets no gradient.

    Returns:
        [batch, T, P], as stored.

    References:
        | Larochelle & Murray (2011), The neural autoregressive distribution estimator, equation 9
        | and algorithm 1
    """
    native = fits_native(activation, inputs, weight, readout, scale, start, gate)
    apply: Callable[..., Tensor] = _Native.apply if native else _Chunked.apply
    parts = (
        inputs.contiguous(),
        weight.contiguous(),
        readout.contiguous(),
        scale.contiguous(),
        None if gate is None else gate.contiguous(),
        order,
        start.contiguous(),
    )
    if native and not torch.is_grad_enabled():
        return native_forward(activation, *parts, None)
    # sums over hundreds of sites would lose their digits in half precision
    with torch.autocast(inputs.device.type, enabled=False):
        return apply(activation, *parts)


class _Native(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any,
        activation: Activation,
        inputs: Tensor,
        weight: Tensor,
        readout: Tensor,
        scale: Tensor,
        gate: Tensor | None,
        order: Tensor,
        start: Tensor,
    ) -> Tensor:
        kept = room_for_sums(len(order), start)
        parts = (inputs, weight, readout, scale, gate, order)
        out = native_forward(activation, *parts, start, kept)
        ctx.save_for_backward(*parts, kept)
        ctx.activation = activation
        return out

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, of_out: Tensor) -> tuple[Tensor | None, ...]:
        inputs, weight, readout, scale, gate, order, sums = ctx.saved_tensors
        *gradients, of_start = native_backward(
            ctx.activation,
            inputs,
            weight,
            readout,
            scale,
            gate,
            order,
            sums,
            of_out,
            wants=(ctx.needs_input_grad[1], ctx.needs_input_grad[4]),
        )
        return (None, *gradients, None, None, of_start)


class _Chunked(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any,
        activation: Activation,
        inputs: Tensor,
        weight: Tensor,
        readout: Tensor,
        scale: Tensor,
        gate: Tensor | None,
        order: Tensor,
        start: Tensor,
    ) -> Tensor:
        out = inputs.new_empty(*inputs.shape[:2], readout.shape[1])
        starts = []
        for steps in chunks(len(order), start.numel()):
            sites = order[steps]
            starts.append(start)
            a, start = sums_of_chunk(inputs[:, sites], weight[sites], start)
            h = activation(a * scale[steps, None, None])
            h = h if gate is None else h * gate
            out[:, sites] = torch.bmm(h, readout[sites].mT).movedim(0, 1)
        ctx.save_for_backward(inputs, weight, readout, scale, gate, order, *starts)
        ctx.activation = activation
        return out

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, of_out: Tensor) -> tuple[Tensor | None, ...]:
        inputs, weight, readout, scale, gate, order, *starts = ctx.saved_tensors
        of_inputs, of_weight, of_readout = (
            torch.zeros_like(tensor) for tensor in (inputs, weight, readout)
        )
        of_scale = torch.zeros_like(scale)
        later = torch.zeros_like(starts[0])
        every = list(zip(chunks(len(order), later.numel()), starts, strict=True))
        for steps, start in reversed(every):
            sites, factor = order[steps], scale[steps, None, None]
            values, weights = inputs[:, sites], weight[sites]
            a, _ = sums_of_chunk(values, weights, start)
            h = ctx.activation(a * factor)
            of_chunk = of_out[:, sites].movedim(1, 0)
            kept = h if gate is None else h * gate
            of_readout[sites] = torch.bmm(of_chunk.mT, kept)
            of_h = torch.bmm(of_chunk, readout[sites])
            of_h = of_h if gate is None else of_h * gate
            of_h = of_h * ctx.activation.slope(h)
            of_scale[steps] = (of_h * a).sum((1, 2))
            of_a = of_h * factor
            # what a site adds is in the sums of all later ones
            through = of_a.flip(0).cumsum(0).flip(0)
            of_added = through - of_a + later
            later = later + through[0]
            of_weight[sites] = torch.bmm(values.movedim(1, 0).mT, of_added)
            if ctx.needs_input_grad[1]:
                of_inputs[:, sites] = torch.bmm(of_added, weights.mT).movedim(0, 1)
        return None, of_inputs, of_weight, of_readout, of_scale, None, None, later


def sums_of_chunk(inputs: Tensor, weight: Tensor, start: Tensor) -> tuple[Tensor, Tensor]:
    """Sums before each of some sites [C, batch, H], and after the last of them [batch, H].

    Args:
        inputs: [batch, C, E], in order.
        weight: [C, E, H].
        start: [batch, H], before the first of them.
    """
    with torch.autocast(inputs.device.type, enabled=False):
        added = torch.bmm(inputs.movedim(1, 0), weight)
    running = added.cumsum(0).add_(start)
    before = torch.cat((start.unsqueeze(0), running[:-1]))
    return before, running[-1]


def chunks(num_steps: int, numbers_per_step: int) -> Iterator[slice]:
    """All steps in runs of such a length that memory is bounded."""
    length = max(1, _CHUNK // max(1, numbers_per_step))
    for first in range(0, num_steps, length):
        yield slice(first, min(first + length, num_steps))
