"""The gates of an LSTM as one pass over memory."""

from __future__ import annotations

import ctypes

import torch
from torch import Tensor

from ancestral.core.native import compiled

__all__ = ["lstm_gates"]

_SOURCE = r"""
#include <math.h>
#include <stdint.h>
#include <string.h>

/* e^x to the last bit or two, in a form that compilers vectorise */
static inline float power(float x) {
    x = x > 88.0f ? 88.0f : (x < -87.0f ? -87.0f : x);
    float n = rintf(x * 1.44269504f);
    float r = fmaf(n, -0.693145752f, x);
    r = fmaf(n, -1.42860677e-6f, r);
    float p = 1.98412698e-4f;
    p = fmaf(p, r, 1.38888889e-3f);
    p = fmaf(p, r, 8.33333333e-3f);
    p = fmaf(p, r, 4.16666667e-2f);
    p = fmaf(p, r, 1.66666667e-1f);
    p = fmaf(p, r, 0.5f);
    p = fmaf(p, r, 1.0f);
    p = fmaf(p, r, 1.0f);
    int32_t bits = ((int32_t)n + 127) << 23;
    float scale;
    memcpy(&scale, &bits, 4);
    return p * scale;
}

static inline float sigmoid(float x) { return 1.0f / (1.0f + power(-x)); }

/* 2 sigma(2 x) - 1 loses what is below one part in 10^7 of 1, as the sums before it do */
static inline float bent(float x) { return fmaf(2.0f, sigmoid(2.0f * x), -1.0f); }

/* gates [rows, 4 size]: input, forget, output, candidate */
void lstm_gates(const float *gates, float *memory, float *hidden, long rows, long size) {
    for (long row = 0; row < rows; row++) {
        const float *taken = gates + row * 4 * size, *kept = taken + size;
        const float *shown = kept + size, *candidate = shown + size;
        float *c = memory + row * size, *h = hidden + row * size;
        #pragma omp simd
        for (long k = 0; k < size; k++) {
            float next = fmaf(sigmoid(kept[k]), c[k], sigmoid(taken[k]) * bent(candidate[k]));
            c[k] = next;
            h[k] = sigmoid(shown[k]) * bent(next);
        }
    }
}
"""


def lstm_gates(gates: Tensor, memory: Tensor, hidden: Tensor) -> None:
    """C <- f c + i g, h <- o tanh(c), in place.

    Args:
        gates: [batch, 4 H]: input, forget, output, candidate, before their sigmoids; overwritten.
        memory: [batch, H], c.
        hidden: [batch, H], h.
    """
    library = compiled(_SOURCE) if _suits(gates, memory, hidden) else None
    size = hidden.shape[1]
    if library is not None:
        pointers = (ctypes.c_void_p(t.data_ptr()) for t in (gates, memory, hidden))
        library.lstm_gates(*pointers, ctypes.c_long(len(hidden)), ctypes.c_long(size))
        return
    taken, kept, shown = gates[:, : 3 * size].sigmoid_().chunk(3, 1)
    memory.mul_(kept).addcmul_(taken, gates[:, 3 * size :].tanh_())
    torch.tanh(memory, out=hidden).mul_(shown)


def _suits(*tensors: Tensor) -> bool:
    return all(
        t.dtype is torch.float32 and t.device.type == "cpu" and t.is_contiguous() for t in tensors
    )
