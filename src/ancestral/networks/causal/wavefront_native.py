"""The cells of a front as compiled kernels: all nonlinearities in one pass over memory."""

from __future__ import annotations

import ctypes
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from ancestral.core.native import compiled

if TYPE_CHECKING:
    from ancestral.networks.causal.wavefront import _Cells

__all__ = ["native_cells"]

_SOURCE = r"""
#include <string.h>
#include <stdint.h>

/* e^x for |x| <= 80: 2^n e^r with |r| < log(2) / 2, and e^r by Taylor's series */
static inline float exponential(float x) {
    x = x > 80.0f ? 80.0f : x;
    x = x < -80.0f ? -80.0f : x;
    float shifted = x * 1.44269504f + 12582912.0f;  /* rounds, and keeps n in the low bits */
    float n = shifted - 12582912.0f;
    float r = (x - n * 0.693359375f) + n * 2.12194440e-4f;
    float p = 1.0f / 720 * r + 1.0f / 120;
    p = p * r + 1.0f / 24;
    p = p * r + 1.0f / 6;
    p = p * r + 0.5f;
    p = p * r * r + (r + 1.0f);
    int32_t bits, low;
    memcpy(&bits, &p, 4);
    memcpy(&low, &shifted, 4);
    bits += (int32_t)((uint32_t)low << 23);
    memcpy(&p, &bits, 4);
    return p;
}
static inline float sigmoid(float x) { return 1.0f / (1.0f + exponential(-x)); }
static inline float hyperbolic(float x) { return 2.0f / (1.0f + exponential(-2.0f * x)) - 1.0f; }

struct sizes { long directions, pixels, batch, inputs, taps, groups, units, own, first, last; };

void forward(float *gates, const float *bias, float *states, float *hidden, float *joined,
             const int *before, const int *links, const struct sizes *z, int threads) {
    const long n = z->last - z->first, size = z->groups * z->units;
    const long width = z->inputs + z->taps * size;
    #pragma omp parallel for num_threads(threads) if(threads > 1)
    for (long k = 0; k < z->directions * n * z->batch; k++) {
        const long d = k / (n * z->batch), pixel = z->first + k / z->batch % n, b = k % z->batch;
        const long row = (d * z->pixels + pixel) * z->batch + b;
        const long previous = before[pixel];
        float *h = hidden + row * size;
        for (long group = 0; group < z->groups; group++) {
            const long u = z->units, at = group * u;
            float *gate = gates + row * 4 * size + 4 * at;
            const float *offset = bias + d * 4 * size + 4 * at;
            float *state = states + row * size + at;
            const float *old = states + ((d * z->pixels + previous) * z->batch + b) * size + at;
            #pragma omp simd
            for (long j = 0; j < u; j++) {
                float i = sigmoid(gate[j] + offset[j]);
                float f = sigmoid(gate[u + j] + offset[u + j]);
                float o = sigmoid(gate[2 * u + j] + offset[2 * u + j]);
                float g = hyperbolic(gate[3 * u + j] + offset[3 * u + j]);
                gate[j] = i; gate[u + j] = f; gate[2 * u + j] = o; gate[3 * u + j] = g;
                float c = i * g;
                if (previous >= 0) c += f * old[j];
                state[j] = c;
                h[at + j] = o * hyperbolic(c);
            }
        }
        for (long tap = 0; tap < z->taps; tap++) {
            const long to = links[tap * z->pixels + pixel];
            if (to >= 0)
                memcpy(joined + ((d * z->pixels + to) * z->batch + b) * width + z->inputs
                       + tap * size, h, size * sizeof(float));
        }
    }
}

void backward(float *gates, float *of_hidden, float *states, const float *hidden, float *joined,
              const int *before, const int *links, const struct sizes *z, int threads) {
    const long n = z->last - z->first, size = z->groups * z->units;
    const long width = z->inputs + z->taps * size;
    #pragma omp parallel for num_threads(threads) if(threads > 1)
    for (long k = 0; k < z->directions * n * z->batch; k++) {
        const long d = k / (n * z->batch), pixel = z->first + k / z->batch % n, b = k % z->batch;
        const long row = (d * z->pixels + pixel) * z->batch + b;
        const long previous = before[pixel], next = links[z->own * z->pixels + pixel];
        float *of_h = of_hidden + row * size;
        for (long tap = 0; tap < z->taps; tap++) {
            const long to = links[tap * z->pixels + pixel];
            if (to < 0) continue;
            const float *more = joined + ((d * z->pixels + to) * z->batch + b) * width
                                + z->inputs + tap * size;
            for (long j = 0; j < size; j++) of_h[j] += more[j];
        }
        for (long group = 0; group < z->groups; group++) {
            const long u = z->units, at = group * u;
            float *gate = gates + row * 4 * size + 4 * at;
            float *state = states + row * size + at;
            const float *old = states + ((d * z->pixels + previous) * z->batch + b) * size + at;
            const float *after = states + ((d * z->pixels + next) * z->batch + b) * size + at;
            #pragma omp simd
            for (long j = 0; j < u; j++) {
                float i = gate[j], f = gate[u + j], o = gate[2 * u + j], g = gate[3 * u + j];
                float bent = hyperbolic(state[j]), oh = of_h[at + j];
                float oc = oh * o * (1.0f - bent * bent);
                if (next >= 0) oc += after[j];
                float c = previous >= 0 ? old[j] : 0.0f;
                gate[j] = oc * g * i * (1.0f - i);
                gate[u + j] = oc * c * f * (1.0f - f);
                gate[2 * u + j] = oh * bent * o * (1.0f - o);
                gate[3 * u + j] = oc * i * (1.0f - g * g);
                state[j] = oc * f;
            }
        }
    }
}
"""

_FLAGS = ("-ffp-contract=fast",)
_UNITS_PER_THREAD = 20_000  # below it a second thread costs more than it brings


_SIZES = "directions pixels batch inputs taps groups units own first last"


class _Sizes(ctypes.Structure):
    _fields_ = [(name, ctypes.c_long) for name in _SIZES.split(" ")]


def native_cells(cells: _Cells, other: Tensor, number: int, *, backward: bool = False) -> bool:
    """Do a front's cells in place, if the kernels can be had and take these tensors.

    Args:
        cells: activations of all pixels.
        other: the bias, or for `backward` the gradient of the hidden states, contiguous,
            which is overwritten.
        number: of the front.
        backward: gradients of the gates, rather than states from gates.

    Returns:
        Whether it was done.
    """
    if any(t.device.type != "cpu" or t.dtype is not torch.float32 for t in (cells.gates, other)):
        return False
    library = compiled(_SOURCE, *_FLAGS)
    if library is None:
        return False
    wavefront = cells.wavefront
    directions, pixels, batch, size = cells.hidden.shape
    first, last = wavefront.starts[number : number + 2]
    sizes = _Sizes(
        directions, pixels, batch, cells.num_inputs, len(wavefront.taps), cells.groups,
        size // cells.groups, wavefront.own, first, last,
    )  # fmt: skip
    tensors = (
        cells.gates, other, cells.states, cells.hidden, cells.joined,
        wavefront.before, wavefront.links,
    )  # fmt: skip
    addresses = [ctypes.c_void_p(tensor.data_ptr()) for tensor in tensors]
    units = directions * (last - first) * batch * size
    threads = max(1, min(torch.get_num_threads(), units // _UNITS_PER_THREAD))
    function = library.backward if backward else library.forward
    function(*addresses, ctypes.byref(sizes), threads)
    return True
