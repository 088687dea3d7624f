"""`running_features`, its gradient, its steps and its samples by compiled code."""

from __future__ import annotations

import ctypes
import math

import torch
from torch import Tensor

from ancestral.core.native_draw import NativeDraw
from ancestral.networks.causal.running_kernels import library

__all__ = [
    "NativeStep",
    "fits_native",
    "native_backward",
    "native_forward",
    "native_generate",
    "room_for_sums",
]

_ELEMENTS_PER_THREAD = 200_000  # below it a second thread costs more than it brings


def fits_native(activation: str, *tensors: Tensor | None) -> bool:
    """Whether the kernels can be had, and take these tensors."""
    given = [tensor for tensor in tensors if tensor is not None]
    dtype = given[0].dtype
    return (
        all(tensor.device.type == "cpu" and tensor.dtype == dtype for tensor in given)
        and library(dtype, activation) is not None
    )


def native_forward(
    activation: str,
    inputs: Tensor,
    weight: Tensor,
    readout: Tensor,
    scale: Tensor,
    gate: Tensor | None,
    order: Tensor,
    start: Tensor,
    kept: Tensor | None,
) -> Tensor:
    """The features [batch, T, P].

    Args:
        activation: its name.
        inputs: [batch, T, E].
        weight: [T, E, H].
        readout: [T, P, H].
        scale: [T], by step.
        gate: [batch, H] or None.
        order: [T].
        start: [batch, H].
        kept: [.., batch, H], gets the sums that `native_backward` starts from, see
            `room_for_sums`; or None.
    """
    sums = start.clone(memory_format=torch.contiguous_format)
    out = inputs.new_empty(*inputs.shape[:2], readout.shape[1])
    tensors = (inputs, weight, readout, scale, gate, order, sums, kept, out)
    _call("forward", activation, tensors, readout.shape[1])
    return out


def room_for_sums(num_sites: int, start: Tensor) -> Tensor:
    """For the sums of every so many sites, [.., batch, H]: about sqrt(T) times.

    Args:
        num_sites: T.
        start: [batch, H].
    """
    return start.new_empty(-(-num_sites // _sites_between(num_sites)), *start.shape)


def native_backward(
    activation: str,
    inputs: Tensor,
    weight: Tensor,
    readout: Tensor,
    scale: Tensor,
    gate: Tensor | None,
    order: Tensor,
    sums: Tensor,
    of_out: Tensor,
    *,
    wants: tuple[bool, bool],
) -> tuple[Tensor | None, Tensor, Tensor, Tensor | None, Tensor]:
    """Gradients of inputs, weight, readout, scale and start.

    Args:
        activation: its name.
        inputs: and the following ones, as in `native_forward`.
        weight: [T, E, H].
        readout: [T, P, H].
        scale: [T].
        gate: [batch, H] or None.
        order: [T].
        sums: [.., batch, H], that `native_forward` has kept.
        of_out: [batch, T, P].
        wants: whether the gradients of inputs and of scale are wanted.
    """
    of_inputs = torch.zeros_like(inputs) if wants[0] else None
    of_scale = torch.zeros_like(scale) if wants[1] else None
    of_weight, of_readout = torch.zeros_like(weight), torch.zeros_like(readout)
    of_start = sums.new_zeros(sums.shape[1:])
    tensors = (
        *(inputs, weight, readout, scale, gate, order, sums, of_out.contiguous()),
        *(of_inputs, of_weight, of_readout, of_scale, of_start),
    )
    threads = None if of_inputs is None and of_scale is None else 1
    _call("backward", activation, tensors, readout.shape[1], threads)
    return of_inputs, of_weight, of_readout, of_scale, of_start


def native_generate(
    activation: str,
    draw: NativeDraw,
    uniforms: Tensor,
    weight: Tensor,
    readout: Tensor,
    bias: Tensor,
    scale: Tensor,
    order: Tensor,
    sums: Tensor,
    *,
    loc: Tensor,
    spread: Tensor,
    num_codes: int,
    num_known: int,
) -> Tensor | None:
    """All sites of all rows, each drawn from its features: [batch, T, 1].

    None where the kernel with this draw cannot be built.

    Args:
        activation: its name.
        draw: of any site.
        uniforms: [batch, T, numbers].
        weight: [T, E, H].
        readout: [T, P, H].
        bias: [T, P].
        scale: [T], by step.
        order: [T].
        sums: [batch, H] before the first site; overwritten.
        loc: [T]; a number x enters as (x - loc) / spread.
        spread: [T].
        num_codes: K, if values enter one-hot; 0 if they enter as numbers.
        num_known: 1, if a one that says that the site is known enters last; else 0.
    """
    kernels = library(sums.dtype, activation, draw)
    if kernels is None:
        return None
    num_rows, num_sites, num_uniforms = uniforms.shape
    x = sums.new_empty(num_rows, num_sites, 1)
    parameters = (ctypes.c_double * max(1, len(draw.parameters)))(*draw.parameters)
    parts = (weight, readout, bias, scale, order, loc, spread)
    kept = [part.contiguous() for part in parts]
    noise = uniforms.to(sums.dtype).contiguous()
    sizes = (num_rows, num_sites, num_codes, num_known, readout.shape[1], sums.shape[1])
    kernels.generate(
        *map(_address, (*kept, sums, noise)),
        parameters,
        _address(x),
        *map(ctypes.c_long, (*sizes, num_uniforms)),
    )
    return x


class NativeStep:
    """A step of the recurrence in one call, with all that does not change prepared.

    Args:
        activation: its name.
        weight: [T, E, H].
        readout: [T, P, H].
        bias: [T, P].
        scale: [T].
        order: [T].
    """

    def __init__(
        self,
        activation: str,
        weight: Tensor,
        readout: Tensor,
        bias: Tensor,
        scale: Tensor,
        order: Tensor,
    ) -> None:
        self._kept = [t.detach().contiguous() for t in (weight, readout, bias, scale, order)]
        self._addresses = [_address(tensor) for tensor in self._kept]
        self._sizes = [ctypes.c_long(n) for n in (weight.shape[1], *readout.shape[1:])]
        self._num_outputs = readout.shape[1]
        self._function = library(weight.dtype, activation).step  # type: ignore[union-attr]

    def __call__(self, sums: Tensor, t: int, before: Tensor | None) -> Tensor:
        """Features of step t, [batch, P]; the sums [batch, H] are overwritten.

        Args:
            sums: of the inputs of all sites but the one before.
            t: number of the step.
            before: [batch, E], inputs of the site before; None at step 0.
        """
        num_rows = len(sums)
        out = sums.new_empty(num_rows, self._num_outputs)
        kept = None if before is None else before.to(sums.dtype).contiguous()
        self._function(
            _address(kept),
            *self._addresses,
            _address(sums),
            _address(out),
            ctypes.c_long(t),
            ctypes.c_long(num_rows),
            *self._sizes,
        )
        return out


def _address(tensor: Tensor | None) -> ctypes.c_void_p:
    return ctypes.c_void_p(None if tensor is None else tensor.data_ptr())


def _call(
    name: str,
    activation: str,
    tensors: tuple[Tensor | None, ...],
    num_outputs: int,
    threads: int | None = None,
) -> None:
    inputs, weight = tensors[0], tensors[1]
    assert inputs is not None
    assert weight is not None
    num_rows, num_sites, num_inputs = inputs.shape
    size = weight.shape[-1]
    if threads is None:
        work = num_rows * num_sites * size
        threads = max(1, min(torch.get_num_threads(), work // _ELEMENTS_PER_THREAD))
    numbers = (num_rows, num_sites, num_inputs, num_outputs, size, _sites_between(num_sites))
    sizes = [ctypes.c_long(n) for n in numbers]
    kernels = library(inputs.dtype, activation)
    getattr(kernels, name)(*map(_address, tensors), *sizes, ctypes.c_int(threads))


def _sites_between(num_sites: int) -> int:
    return max(1, math.isqrt(num_sites))
