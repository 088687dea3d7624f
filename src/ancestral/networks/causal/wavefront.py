"""An LSTM over an image, one front of pixels after the other: rows, or diagonals."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from ancestral.networks.causal.wavefront_native import native_cells

__all__ = ["Wavefront", "wavefront_lstm"]


@dataclass(frozen=True)
class Wavefront:
    """Pixels in the order they are computed: all of a front at once, from the front before.

    A front holds one pixel of each of some neighbouring lanes. The pixel of lane l takes the
    hidden states of lanes l + tap of the front before, zero where there is none, and the cell
    state of its own lane.

    Args:
        fronts: lanes first .. last - 1 of each front.
        taps: lanes that a pixel looks at, relative to its own; one of them is 0.
        width: W of the image, of H lanes or W of them.
        skewed: whether front d holds the pixels (i, j) with i + j = d, in lanes i; else front i
            holds row i, in lanes j.

    Example:
        >>> Wavefront.diagonals(2, 3).fronts
        ((0, 1), (0, 2), (0, 2), (1, 2))
        >>> Wavefront.diagonals(2, 3).pixels.tolist()
        [0, 1, 3, 2, 4, 5]
    """

    fronts: tuple[tuple[int, int], ...]
    taps: tuple[int, ...]
    width: int
    skewed: bool

    @staticmethod
    def rows(height: int, width: int, kernel_size: int = 3) -> Wavefront:
        """Row after row; a pixel looks at the `kernel_size` pixels above it."""
        reach = kernel_size // 2
        taps = tuple(range(-reach, reach + 1))
        return Wavefront(((0, width),) * height, taps, width, skewed=False)

    @staticmethod
    def diagonals(height: int, width: int) -> Wavefront:
        """H + W - 1 diagonals; a pixel looks at the one to its left and the one above."""
        fronts = tuple(
            (max(0, d - width + 1), min(height, d + 1)) for d in range(height + width - 1)
        )
        return Wavefront(fronts, (0, -1), width, skewed=True)

    @cached_property
    def starts(self) -> tuple[int, ...]:
        """Where each front starts among the pixels; and, last, how many there are."""
        starts = [0]
        for first, last in self.fronts:
            starts.append(starts[-1] + last - first)
        return tuple(starts)

    @cached_property
    def pixels(self) -> Tensor:
        """[H W] int64: the raster index of each pixel in the order of the fronts."""
        found = []
        for number, (first, last) in enumerate(self.fronts):
            for lane in range(first, last):
                row, column = (lane, number - lane) if self.skewed else (number, lane)
                found.append(row * self.width + column)
        return torch.tensor(found)

    @cached_property
    def links(self) -> Tensor:
        """[taps, H W] int32: the pixel that looks at this one through each tap; -1 for none."""
        links = torch.full((len(self.taps), self.starts[-1]), -1, dtype=torch.int32)
        for k, tap in enumerate(self.taps):
            for number in range(1, len(self.fronts)):
                from_, to = self.overlap(number, tap)
                links[k, from_] = torch.arange(to.start, to.stop, dtype=torch.int32)
        return links

    @cached_property
    def own(self) -> int:
        """The number of the tap that is a pixel's own lane."""
        return self.taps.index(0)

    @cached_property
    def before(self) -> Tensor:
        """[H W] int32: the pixel that the cell state comes from; -1 for none."""
        before = torch.full((self.starts[-1],), -1, dtype=torch.int32)
        for number in range(1, len(self.fronts)):
            from_, to = self.overlap(number, 0)
            before[to] = torch.arange(from_.start, from_.stop, dtype=torch.int32)
        return before

    def overlap(self, number: int, tap: int) -> tuple[slice, slice]:
        """Pixels of front `number` - 1, and those of front `number` that look at them."""
        (before, before_end), (first, last) = self.fronts[number - 1 : number + 1]
        low, high = max(first, before - tap), min(last, before_end - tap)
        start, here = self.starts[number - 1] - before, self.starts[number] - first
        return slice(start + low + tap, start + high + tap), slice(here + low, here + high)


def wavefront_lstm(inputs: Tensor, weight: Tensor, bias: Tensor, wavefront: Wavefront) -> Tensor:
    r"""Hidden states of an LSTM that goes over the image front by front.

    .. math::
        [i, f, o, g] &= W^T [x_p; h_{q_1}; h_{q_2}; ...] + b \\
        c_p &= \sigma(f) c_q + \sigma(i) \tanh(g), \quad h_p = \sigma(o) \tanh(c_p)

    where q_1, q_2, ... are the pixels that p looks at in the front before, and q the one of its
    own lane. Several directions D, each with weights of its own, go at the same time, over
    inputs that the caller has put in their order. First derivatives only.

    Args:
        inputs: [D, H W, batch, F], pixels in the order of the fronts.
        weight: [D, F + taps S, G, 4, S / G]; the four gates of each of G groups of the S
            hidden units are neighbours.
        bias: [D, G, 4, S / G].
        wavefront: the order, and who looks at whom.

    Returns:
        [D, H W, batch, S].

    References:
        | Pixel Recurrent Neural Networks (van den Oord et al., 2016), section 3, equation 3
        | https://arxiv.org/abs/1601.06759
    """
    # the recurrence adds up over hundreds of pixels: half precision ends before it
    if inputs.dtype != weight.dtype:
        inputs = inputs.to(weight.dtype)
    return _WavefrontLstm.apply(inputs, weight, bias, wavefront)


class _WavefrontLstm(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any, inputs: Tensor, weight: Tensor, bias: Tensor, wavefront: Wavefront
    ) -> Tensor:
        with torch.autocast(inputs.device.type, enabled=False):
            cells = _Cells.of(inputs, weight, wavefront)
            kernel = weight.flatten(2)
            for number in range(len(wavefront.fronts)):
                front = cells.front(number)
                torch.bmm(cells.joined[:, front], kernel, out=cells.gates[:, front])
                cells.forward(number, bias)
        # without the output itself, which holds `ctx`: they would keep each other alive
        ctx.cells = replace(cells, hidden=cells.hidden.detach())
        ctx.shape = weight.shape
        ctx.save_for_backward(weight)
        return cells.hidden

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor | None, ...]:
        (weight,) = ctx.saved_tensors
        # what follows overwrites the activations, so that they cannot serve twice
        cells, ctx.cells = ctx.cells, None
        if cells is None:
            raise RuntimeError("the gradient of a wavefront LSTM can be taken once")
        kernel = weight.flatten(2)
        transposed = kernel.transpose(1, 2).contiguous()
        of_weight = torch.zeros_like(kernel)
        of_bias = kernel.new_zeros(len(kernel), 1, kernel.shape[2])
        of_hidden = grads[0].clone(memory_format=torch.contiguous_format)
        with torch.autocast(weight.device.type, enabled=False):
            for number in reversed(range(len(cells.wavefront.fronts))):
                front = cells.front(number)
                cells.backward(number, of_hidden)
                of_gates, joined = cells.gates[:, front], cells.joined[:, front]
                of_weight.baddbmm_(joined.transpose(1, 2), of_gates)
                of_bias += of_gates.sum(1, keepdim=True)
                torch.bmm(of_gates, transposed, out=joined)
        pixels = cells.hidden.shape[1:3]
        of_inputs = cells.joined.unflatten(1, pixels)[..., : cells.num_inputs]
        shape = ctx.shape
        return of_inputs, of_weight.view(shape), of_bias.view(shape[0], *shape[2:]), None


@dataclass
class _Cells:
    """Activations of all pixels; rows are pixels in the order of the fronts times the batch.

    Args:
        joined: [D, rows, F + taps S], inputs and the hidden states a pixel looks at; after
            `backward`, their gradients.
        gates: [D, rows, 4 S]; after `backward`, the gradients before the nonlinearities.
        states: c, [D, rows, S]; after `backward`, the gradient of the cell state before.
        hidden: h, [D, H W, batch, S].
        groups: G.
        num_inputs: F.
        wavefront: the order.
    """

    joined: Tensor
    gates: Tensor
    states: Tensor
    hidden: Tensor
    groups: int
    num_inputs: int
    wavefront: Wavefront

    @staticmethod
    def of(inputs: Tensor, weight: Tensor, wavefront: Wavefront) -> _Cells:
        directions, num_pixels, batch, num_inputs = inputs.shape
        _, size, groups, _, each = weight.shape
        rows, num_units = num_pixels * batch, groups * each
        joined = inputs.new_empty(directions, rows, size)
        joined[..., :num_inputs] = inputs.flatten(1, 2)
        joined[..., num_inputs:] = 0  # and stays so where a pixel looks out of the image
        return _Cells(
            joined,
            inputs.new_empty(directions, rows, 4 * num_units),
            inputs.new_empty(directions, rows, num_units),
            inputs.new_empty(directions, num_pixels, batch, num_units),
            groups,
            num_inputs,
            wavefront,
        )

    @property
    def batch(self) -> int:
        return self.hidden.shape[2]

    def front(self, number: int) -> slice:
        """Rows of a front."""
        return self._rows(slice(*self.wavefront.starts[number : number + 2]))

    def forward(self, number: int, bias: Tensor) -> None:
        """Cell states and hidden states of a front, whose gates are known but for the bias."""
        if native_cells(self, bias, number):
            return
        front = self.front(number)
        gates = self._gates(front)
        gates += bias.unsqueeze(1)
        gates[:, :, :, :3].sigmoid_()
        gates[:, :, :, 3].tanh_()
        i, f, o, g = gates.unbind(3)
        state = i * g
        for from_, to in self._sources(number, 0):
            part = slice(to.start - front.start, to.stop - front.start)
            state[:, part] += f[:, part] * self._grouped(self.states[:, from_])
        self.states[:, front] = state.flatten(2)
        hidden = (o * state.tanh()).flatten(2)
        self.hidden.flatten(1, 2)[:, front] = hidden
        if number + 1 == len(self.wavefront.fronts):
            return
        for k, tap in enumerate(self.wavefront.taps):
            for from_, to in self._sources(number + 1, tap):
                part = slice(from_.start - front.start, from_.stop - front.start)
                self.joined[:, to, self._tap(k)] = hidden[:, part]

    def backward(self, number: int, of_hidden: Tensor) -> None:
        """Gradients of a front's gates, given those of the front after.

        Args:
            number: of the front.
            of_hidden: gradient of the hidden states as outputs; may be overwritten.
        """
        if native_cells(self, of_hidden, number, backward=True):
            return
        front = self.front(number)
        of_h = of_hidden.flatten(1, 2)[:, front]
        of_c = torch.zeros_like(of_h)
        if number + 1 < len(self.wavefront.fronts):
            for k, tap in enumerate(self.wavefront.taps):
                for from_, to in self._sources(number + 1, tap):
                    part = slice(from_.start - front.start, from_.stop - front.start)
                    of_h[:, part] += self.joined[:, to, self._tap(k)]
                    if tap == 0:
                        of_c[:, part] += self.states[:, to]
        of_h, of_c = self._grouped(of_h), self._grouped(of_c)
        gates = self._gates(front)
        i, f, o, g = gates.unbind(3)
        bent = self._grouped(self.states[:, front]).tanh()
        before = torch.zeros_like(bent)
        for from_, to in self._sources(number, 0):
            part = slice(to.start - front.start, to.stop - front.start)
            before[:, part] = self._grouped(self.states[:, from_])
        of_c = of_c + of_h * o * (1 - bent * bent)
        self.states[:, front] = (of_c * f).flatten(2)
        slopes = (
            of_c * g * i * (1 - i),
            of_c * before * f * (1 - f),
            of_h * bent * o * (1 - o),
            of_c * i * (1 - g * g),
        )
        gates.copy_(torch.stack(slopes, 3))

    def _sources(self, number: int, tap: int) -> Sequence[tuple[slice, slice]]:
        if number == 0:
            return ()
        from_, to = self.wavefront.overlap(number, tap)
        return ((self._rows(from_), self._rows(to)),)

    def _rows(self, pixels: slice) -> slice:
        return slice(pixels.start * self.batch, pixels.stop * self.batch)

    def _tap(self, k: int) -> slice:
        size = self.states.shape[2]
        return slice(self.num_inputs + k * size, self.num_inputs + (k + 1) * size)

    def _gates(self, front: slice) -> Tensor:
        return self.gates[:, front].unflatten(2, (self.groups, 4, -1))

    def _grouped(self, units: Tensor) -> Tensor:
        return units.unflatten(2, (self.groups, -1))
