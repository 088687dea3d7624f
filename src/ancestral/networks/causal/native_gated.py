"""The horizontal stack of one cell as a compiled kernel: one call for all its layers."""

from __future__ import annotations

import ctypes
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F

from ancestral.core.native import compiled
from ancestral.core.native_vectors import VECTORS, number_flags

__all__ = ["NativeCells", "SliceOfLayer"]

# What a tile adds up stays in registers: 4 vectors of outputs for 4 images at a time.
_SOURCE = (
    VECTORS
    + r"""
enum { WIDE = 4, TALL = 4, GROUP = 16 };

static inline __attribute__((always_inline)) void tile(
        int wide, int tall, real *out, long out_stride, const real *x, long x_stride,
        const real *weight, long weight_stride, long size) {
    vec sums[TALL][WIDE];
    for (int r = 0; r < tall; r++)
        for (int v = 0; v < wide; v++) sums[r][v] = load(out + r * out_stride + v * LANES);
    for (long k = 0; k < size; k++) {
        vec row[WIDE];
        for (int v = 0; v < wide; v++) row[v] = load(weight + k * weight_stride + v * LANES);
        for (int r = 0; r < tall; r++) {
            vec factor = all(x[r * x_stride + k]);
            for (int v = 0; v < wide; v++) sums[r][v] += factor * row[v];
        }
    }
    for (int r = 0; r < tall; r++)
        for (int v = 0; v < wide; v++) store(out + r * out_stride + v * LANES, sums[r][v]);
}

#define PANEL(wide) do { \
    long r = 0; \
    for (; r + TALL <= rows; r += TALL) \
        tile(wide, TALL, out + r * columns + c, columns, x + r * x_stride, x_stride, \
             weight + c, columns, size); \
    for (; r < rows; r++) \
        tile(wide, 1, out + r * columns + c, columns, x + r * x_stride, x_stride, \
             weight + c, columns, size); \
    c += wide * LANES; \
} while (0)

/* out[rows, columns] += x[rows, size] weight[size, columns], columns in whole vectors */
static void add_product(long rows, real *out, const real *x, long x_stride, const real *weight,
                        long size, long columns) {
    long c = 0;
    while (c + 4 * LANES <= columns) PANEL(4);
    if (c + 2 * LANES <= columns) PANEL(2);
    if (c < columns) PANEL(1);
}

typedef struct { long left, dilation, maps, own; const real *horizontal, *output; } Layer;

/* z += the taps of one pixel, for which `from` is the first number that its kernel reaches */
static void add_taps(const Layer *layer, long rows, real *z, const real *from, long stride,
                     long columns) {
    long maps = layer->maps, present = layer->left * maps;
    const real *weight = layer->horizontal;
    if (layer->dilation == 1) {
        add_product(rows, z, from, stride, weight, present + layer->own, columns);
        return;
    }
    for (long tap = 0; tap < present; tap += layer->dilation * maps) {
        add_product(rows, z, from + tap, stride, weight, maps, columns);
        weight += maps * columns;
    }
    add_product(rows, z, from + present, stride, weight, layer->own, columns);
}

/* Cells `first` to `end` of the feature maps of one pixel. rows[l] is what layer l reads of the
   present row, [batch, (left + width) maps], and rows[layers] what the last one gives. */
void cell(const Layer *layers, long num_layers, long first, long end, long size, long pixel,
          long width, real **rows, real *gates, const real *linked, long batch) {
    long group = end - first, wide = (group + LANES - 1) / LANES * LANES;
    real *z = calloc(GROUP * 3 * wide, sizeof(real)), *out = z + GROUP * 2 * wide;
    for (long b = 0; b < batch; b += GROUP) {
        long num = batch - b < GROUP ? batch - b : GROUP;
        for (long l = 0; l < num_layers; l++) {
            const Layer *own = layers + l;
            long stride = (own->left + width) * own->maps;
            const real *from = rows[l] + b * stride + pixel * own->maps;
            for (long r = 0; r < num; r++) {
                const real *above = linked
                    + (((b + r) * num_layers + l) * width + pixel) * 2 * size + 2 * first;
                memcpy(z + r * 2 * wide, above, group * sizeof(real));
                memcpy(z + r * 2 * wide + wide, above + group, group * sizeof(real));
            }
            add_taps(own, num, z, from, stride, 2 * wide);
            real *gate = gates + (b * num_layers + l) * size;
            for (long r = 0; r < num; r++) {
                real *a = z + r * 2 * wide;
                for (long c = 0; c < wide; c += LANES)
                    store(a + c, -gated(load(a + c) * (real)0.5, load(a + wide + c)));
                memcpy(gate + r * num_layers * size + first, a, group * sizeof(real));
                const real *present = from + r * stride + own->left * own->maps;
                if (l) memcpy(out + r * wide, present + own->own - group, group * sizeof(real));
                else memset(out + r * wide, 0, wide * sizeof(real));
            }
            add_product(num, out, gate, num_layers * size, own->output, end, wide);
            long left = l + 1 < num_layers ? layers[l + 1].left : 0;
            long next = (left + width) * size;
            real *to = rows[l + 1] + b * next + (left + pixel) * size + first;
            for (long r = 0; r < num; r++)
                memcpy(to + r * next, out + r * wide, group * sizeof(real));
        }
    }
    free(z);
}
"""
)


@dataclass(frozen=True)
class SliceOfLayer:
    """What one channel needs of a layer; see `PreparedLayer`.

    Args:
        left: pixels to the left that the kernel reaches.
        dilation: pixels from one tap to the next.
        maps: of a pixel.
        own: maps of the present pixel that the kernel sees.
        horizontal: [taps to the left x maps + own, 2 group].
        output: [gates of this and earlier channels, group].
    """

    left: int
    dilation: int
    maps: int
    own: int
    horizontal: Tensor
    output: Tensor

    def window(self, row: Tensor, pixel: int) -> Tensor:
        """What the kernel sees at a pixel of a row [batch, (left + W) maps]."""
        start, present = pixel * self.maps, (pixel + self.left) * self.maps
        if self.dilation == 1:
            return row[:, start : present + self.own]
        taps = range(start, present, self.dilation * self.maps)
        own = row[:, present : present + self.own]
        return torch.cat([*(row[:, tap : tap + self.maps] for tap in taps), own], 1)


class _Layer(ctypes.Structure):
    _fields_ = (
        ("left", ctypes.c_long),
        ("dilation", ctypes.c_long),
        ("maps", ctypes.c_long),
        ("own", ctypes.c_long),
        ("horizontal", ctypes.c_void_p),
        ("output", ctypes.c_void_p),
    )


class NativeCells:
    """The kernel and its weights, whose columns are padded to whole vectors."""

    def __init__(
        self, library: ctypes.CDLL, channels: list[list[SliceOfLayer]], bounds: tuple[int, ...]
    ) -> None:
        self._function = library.cell
        self._bounds = bounds
        self._kept: list[Tensor] = []
        self._channels = [
            (_Layer * len(layers))(*[self._layer(layer) for layer in layers])
            for layers in channels
        ]

    @staticmethod
    def of(channels: list[list[SliceOfLayer]], bounds: tuple[int, ...]) -> NativeCells | None:
        """None where there is no compiler, and for weights that are not on the CPU."""
        weight = channels[0][0].output
        flags = number_flags(weight.dtype)
        if flags is None or weight.device.type != "cpu":
            return None
        library = compiled(_SOURCE, *flags)
        return None if library is None else NativeCells(library, channels, bounds)

    def run(
        self, channel: int, pixel: int, rows: list[Tensor], gates: Tensor, linked: Tensor
    ) -> None:
        """All layers of one channel of a pixel, into `rows` and `gates`; see `GatedState`."""
        layers = self._channels[channel]
        pointers = (ctypes.c_void_p * len(rows))(*[row.data_ptr() for row in rows])
        batch, num_layers, width, both = linked.shape
        long = ctypes.c_long
        self._function(
            layers,
            long(num_layers),
            long(self._bounds[channel]),
            long(self._bounds[channel + 1]),
            long(both // 2),
            long(pixel),
            long(width),
            pointers,
            ctypes.c_void_p(gates.data_ptr()),
            ctypes.c_void_p(linked.data_ptr()),
            long(batch),
        )

    def _layer(self, layer: SliceOfLayer) -> _Layer:
        group = layer.output.shape[1]
        lanes = 64 // layer.output.element_size()
        padding = -group % lanes
        halves = F.pad(layer.horizontal.unflatten(1, (2, group)), (0, padding))
        horizontal = halves.flatten(1).contiguous()
        output = F.pad(layer.output, (0, padding)).contiguous()
        self._kept += [horizontal, output]
        return _Layer(
            layer.left,
            layer.dilation,
            layer.maps,
            layer.own,
            horizontal.data_ptr(),
            output.data_ptr(),
        )
