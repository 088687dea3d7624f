"""Steps of a dilated convolutional network as a compiled kernel: one call for all its layers."""

from __future__ import annotations

import ctypes
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F

from ancestral.core.native_draw import NativeDraw
from ancestral.networks.causal.dilated_kernel import kernel

__all__ = ["NativeSteps", "native_steps"]

_LANES = {torch.float32: 16, torch.float64: 8}
_SITES_PER_CALL = 2000  # between them the interpreter can be interrupted


class _Network(ctypes.Structure):
    _fields_ = (
        *(
            (name, ctypes.c_long)
            for name in (
                *("layers", "taps", "channels", "skips", "outputs", "context"),
                *("codes", "width", "memory"),
            )
        ),
        ("dilations", ctypes.POINTER(ctypes.c_long)),
        *(
            (name, ctypes.c_void_p)
            for name in (
                *("input", "input_bias", "gates", "context_gates", "residual", "skip"),
                *("skip_bias", "hidden", "hidden_bias", "output", "output_bias"),
            )
        ),
    )


@dataclass(frozen=True)
class NativeSteps:
    """A network's weights as the kernel reads them.

    Attributes:
        network: sizes and addresses.
        tensors: what is at the addresses.
        dtype: of all numbers.
        kernel: of a step.
    """

    network: _Network
    tensors: tuple[Tensor, ...]
    dtype: torch.dtype
    kernel: ctypes.CDLL

    def step(
        self,
        memory: Tensor,
        offsets: Tensor,
        context: Tensor | None,
        values: Tensor | None,
        t: int,
    ) -> Tensor:
        """Features of the next site, [batch, P].

        Args:
            memory: [batch, numbers] what layers remember; overwritten.
            offsets: [batch or 1, layers, 2 channels] what is added in each layer.
            context: [batch, size] of this site, or None.
            values: [batch, W] contiguous, or None at the first step.
            t: number of the step.
        """
        out = memory.new_empty(len(memory), self.network.outputs)
        self.kernel.step(
            ctypes.byref(self.network),
            *_addresses(memory, offsets),
            ctypes.c_long(_stride(offsets)),
            *_addresses(context),
            ctypes.c_long(0 if context is None else context.stride(0)),
            *_addresses(values, out),
            ctypes.c_long(t),
            ctypes.c_long(len(memory)),
        )
        return out

    def generate(
        self,
        draw: NativeDraw,
        memory: Tensor,
        offsets: Tensor,
        context: Tensor | None,
        uniforms: Tensor,
        order: Tensor,
    ) -> Tensor | None:
        """All values, [batch, T, W]; None where the kernel with this draw cannot be built.

        Args:
            draw: of one site.
            memory: [batch, numbers], zero.
            offsets: [batch or 1, layers, 2 channels].
            context: [batch, T, size], or None.
            uniforms: [batch, T, numbers].
            order: [T] int64.
        """
        library = kernel(self.dtype, draw.source)
        if library is None:
            return None
        batch, num_sites = uniforms.shape[:2]
        x = memory.new_zeros(batch, num_sites, self.network.width)
        uniforms = uniforms.contiguous()
        parameters = (ctypes.c_double * max(1, len(draw.parameters)))(*draw.parameters)
        threads = max(1, min(torch.get_num_threads(), batch))
        for begin in range(0, num_sites, _SITES_PER_CALL):
            library.generate(
                ctypes.byref(self.network),
                *_addresses(memory, offsets),
                ctypes.c_long(_stride(offsets)),
                *_addresses(context),
                ctypes.c_long(0 if context is None else context.stride(0)),
                *_addresses(uniforms),
                ctypes.c_long(uniforms.shape[2]),
                parameters,
                *_addresses(x, order),
                ctypes.c_long(num_sites),
                ctypes.c_long(begin),
                ctypes.c_long(min(begin + _SITES_PER_CALL, num_sites)),
                ctypes.c_long(batch),
                threads,
            )
        return x


def native_steps(
    *,
    dilations: Sequence[int],
    codes: int,
    width: int,
    inputs: tuple[Tensor, Tensor],
    gates: Tensor,
    context_gates: Tensor | None,
    residual: Tensor,
    skip: tuple[Tensor, Tensor],
    hidden: tuple[Tensor, Tensor],
    output: tuple[Tensor, Tensor],
) -> NativeSteps | None:
    """Lay out weights for the kernel; None where there is none for this device or number.

    Args:
        dilations: of each layer.
        codes: K, if inputs are codes 0 .. K - 1; 0 if they are numbers.
        width: values of a site.
        inputs: [E, C] and bias [C].
        gates: [layers, taps, C, 2 C].
        context_gates: [layers, context, 2 C], for a context that differs between sites.
        residual: [layers - 1, C, C].
        skip: [layers, C, S] and bias [S].
        hidden: [S, S] and bias.
        output: [S, P] and bias.
    """
    dtype = gates.dtype
    library = kernel(dtype) if gates.device.type == "cpu" else None
    if library is None:
        return None
    num_layers, taps, channels = gates.shape[:3]
    tensors = (
        inputs[0].contiguous(),
        inputs[1].contiguous(),
        _panels(gates),
        _panels(gates.new_zeros(0, 1, 1) if context_gates is None else context_gates),
        _panels(residual),
        _panels(skip[0]),
        skip[1].contiguous(),
        _panels(hidden[0]),
        hidden[1].contiguous(),
        _panels(output[0]),
        output[1].contiguous(),
    )
    network = _Network(
        num_layers,
        taps,
        channels,
        skip[0].shape[-1],
        output[0].shape[-1],
        0 if context_gates is None else context_gates.shape[1],
        codes,
        width,
        (taps - 1) * sum(dilations) * channels,
        (ctypes.c_long * num_layers)(*dilations),
        *_addresses(*tensors),
    )
    return NativeSteps(network, tensors, dtype, library)


def _panels(weight: Tensor) -> Tensor:
    """[..., rows, columns] -> the same numbers in panels, with zeros to a whole vector."""
    lanes = _LANES[weight.dtype]
    padded = F.pad(weight, (0, -weight.shape[-1] % lanes))
    left, first, panels = padded.shape[-1] // lanes, 0, []
    for size in (4, 2, 1):
        while left >= size:
            panels.append(padded[..., first : first + size * lanes].flatten(-2))
            first, left = first + size * lanes, left - size
    return torch.cat(panels, -1).contiguous() if panels else padded.contiguous()


def _stride(offsets: Tensor) -> int:
    """Numbers from one sequence's offsets to the next one's: none, if all share them."""
    return 0 if len(offsets) == 1 else offsets.stride(0)


def _addresses(*tensors: Tensor | None) -> list[ctypes.c_void_p]:
    return [ctypes.c_void_p(None if x is None else x.data_ptr()) for x in tensors]
