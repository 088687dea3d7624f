"""Layers of gated dilated convolutions, without padding, masks or shifted copies."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor
from torch.autograd import Function
from torch.autograd.function import once_differentiable

from ancestral.networks.causal.native_gates import (
    fits_native,
    native_gate,
    native_gate_gradient,
)

__all__ = ["gated_stack"]


def gated_stack(
    inputs: Tensor,
    offsets: Tensor,
    gate_weight: Tensor,
    residual_weight: Tensor,
    dilations: Sequence[int],
) -> Tensor:
    r"""The gated units of all layers of a WaveNet.

    With h^1 the inputs, and for each layer l of dilation d,

    .. math::
        (a, b) = o^l + \sum_j h^l_{t - j d} V^l_j, \quad
        z^l_t = \tanh(a) \odot \sigma(b), \quad
        h^{l+1}_t = h^l_t + z^l_t W^l,

    where h before the first step is zero. Time comes first, so that what is j d steps earlier is
    a slice of memory: nothing is padded, copied or masked. Under autocast products run in its
    type, and h stays as it is. Second derivatives are not available.

    Args:
        inputs: [T, batch, C].
        offsets: [layers, 2 C], or [layers, 1 or T, batch, 2 C].
        gate_weight: V, [layers, taps, C, 2 C]; tap j looks j d steps back.
        residual_weight: W, [layers - 1, C, C]; the last layer's sum would lead nowhere.
        dilations: d of each layer.

    Returns:
        z, [T, batch, layers, C], in the type of the products.

    References:
        | WaveNet (van den Oord et al., 2016), sections 2.1, 2.3 and 2.4
        | https://arxiv.org/abs/1609.03499
    """
    kind = inputs.device.type
    dtype = torch.get_autocast_dtype(kind) if torch.is_autocast_enabled(kind) else inputs.dtype
    z = _GatedStack.apply(inputs, offsets, gate_weight, residual_weight, tuple(dilations), dtype)
    assert isinstance(z, Tensor)
    return z


class _GatedStack(Function):
    @staticmethod
    def forward(
        ctx: Any,
        inputs: Tensor,
        offsets: Tensor,
        gate_weight: Tensor,
        residual_weight: Tensor,
        dilations: tuple[int, ...],
        dtype: torch.dtype,
    ) -> Tensor:
        num_steps, batch, size = inputs.shape
        rows = num_steps * batch
        gate_weight, residual_weight = gate_weight.to(dtype), residual_weight.to(dtype)
        z = inputs.new_empty(rows, len(dilations), size, dtype=dtype)
        kept, kept_gates = [], []
        h = inputs.reshape(rows, size)
        with torch.autocast(inputs.device.type, enabled=False):
            for layer, dilation in enumerate(dilations):
                seen = h.to(dtype)
                gates = offsets[layer].to(dtype)
                if gates.ndim == 1:
                    gates = torch.addmm(gates, seen, gate_weight[layer, 0])
                else:
                    gates = gates.expand(num_steps, batch, 2 * size).reshape(rows, 2 * size)
                    gates = torch.addmm(gates, seen, gate_weight[layer, 0])
                for tap in range(1, gate_weight.shape[1]):
                    lag = tap * dilation * batch
                    if lag < rows:
                        gates[lag:].addmm_(seen[:-lag], gate_weight[layer, tap])
                _gate(gates, z[:, layer])
                kept.append(seen)
                kept_gates.append(gates)
                if layer + 1 < len(dilations):
                    change = z[:, layer]
                    if h.dtype == dtype:
                        h = torch.addmm(h, change, residual_weight[layer])
                    else:
                        h = h + change @ residual_weight[layer]
        ctx.save_for_backward(gate_weight, residual_weight, z, *kept, *kept_gates)
        ctx.dilations = dilations
        ctx.like = (inputs.shape, inputs.dtype, offsets.shape)
        return z.view(num_steps, batch, len(dilations), size)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, dz: Tensor) -> tuple[Tensor | None, ...]:
        gate_weight, residual_weight, z, *kept = ctx.saved_tensors
        shape, dtype, offsets_shape = ctx.like
        num_layers, (num_steps, batch, size) = len(ctx.dilations), shape
        dz = dz.reshape(-1, num_layers, size)
        d_gate = torch.zeros_like(gate_weight, dtype=dtype)
        d_residual = torch.zeros_like(residual_weight, dtype=dtype)
        d_offsets = dz.new_empty(offsets_shape, dtype=dtype)
        dh = torch.zeros(len(dz), size, dtype=dtype, device=dz.device)
        for layer in reversed(range(num_layers)):
            seen, gates = kept[layer], kept[num_layers + layer]
            into = dz[:, layer]
            if layer + 1 < num_layers:
                low = dh.to(dz.dtype)
                d_residual[layer] = z[:, layer].T @ low
                into = torch.addmm(into, low, residual_weight[layer].T)
            d_pre = _gate_gradient(into, gates)
            back = d_pre @ gate_weight[layer, 0].T
            d_gate[layer, 0] = seen.T @ d_pre
            for tap in range(1, gate_weight.shape[1]):
                lag = tap * ctx.dilations[layer] * batch
                if lag < len(dz):
                    d_gate[layer, tap] = seen[:-lag].T @ d_pre[lag:]
                    back[:-lag].addmm_(d_pre[lag:], gate_weight[layer, tap].T)
            dh += back
            if len(offsets_shape) == 2:
                d_offsets[layer] = d_pre.sum(0, dtype=dtype)
            else:
                full = d_pre.view(num_steps, batch, 2 * size)
                once = offsets_shape[1] == 1
                d_offsets[layer] = full.sum(0, keepdim=True, dtype=dtype) if once else full
        return dh.view(shape), d_offsets, d_gate, d_residual, None, None


def _gate(gates: Tensor, z: Tensor) -> None:
    """(a, b) becomes (tanh a, sigma(b)), and z their product."""
    if fits_native(gates):
        native_gate(gates, z)
        return
    a, b = gates.chunk(2, 1)
    z.copy_(a.tanh_()).mul_(b.sigmoid_())  # torch.compile has no `out` for slices


def _gate_gradient(dz: Tensor, gates: Tensor) -> Tensor:
    """Gradients of (a, b) from that of z: d tanh a = 1 - tanh^2 a, d sigma = sigma (1 - sigma)."""
    if fits_native(gates):
        return native_gate_gradient(dz, gates)
    a, b = gates.chunk(2, 1)
    return torch.cat((dz * b * (1 - a * a), dz * a * (b - b * b)), 1)
