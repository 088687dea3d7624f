"""Normal noise of rows as one native kernel, for `row_noise`."""

from __future__ import annotations

import ctypes

import torch
from torch import Tensor

from ancestral.core.native import compiled

__all__ = ["native_normal"]

# The hashes of `core.hashing`, then Box & Muller's pairs: the logarithm by the series of Cephes
# (logf), sine and cosine by those of a quarter turn. Loops are written to be vectorised.
_SOURCE = r"""
#include <math.h>
#include <stdint.h>
#include <string.h>

static inline uint64_t mixed64(uint64_t z) {
    z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9u;
    z = (z ^ (z >> 27)) * 0x94D049BB133111EBu;
    return z ^ (z >> 31);
}

static inline uint32_t mixed32(uint32_t z) {
    z = (z ^ (z >> 16)) * 0x7FEB352Du;
    z = (z ^ (z >> 15)) * 0x846CA68Bu;
    return z ^ (z >> 16);
}

/* log x for x from 2^-24 to 1 */
static inline float logarithm(float x) {
    int32_t bits;
    memcpy(&bits, &x, sizeof bits);
    int32_t exponent = (bits >> 23) - 126;
    int32_t mantissa_bits = (bits & 0x7FFFFF) | 0x3F000000;
    float m;
    memcpy(&m, &mantissa_bits, sizeof m);  /* from 1/2 to 1 */
    int small = m < 0.70710678f;
    float e = (float)(exponent - small);
    m = (small ? m + m : m) - 1.0f;
    float z = m * m;
    float p = 7.0376836292e-2f;
    p = p * m - 1.1514610310e-1f;
    p = p * m + 1.1676998740e-1f;
    p = p * m - 1.2420140846e-1f;
    p = p * m + 1.4249322787e-1f;
    p = p * m - 1.6668057665e-1f;
    p = p * m + 2.0000714765e-1f;
    p = p * m - 2.4999993993e-1f;
    p = p * m + 3.3333331174e-1f;
    float y = p * m * z + e * -2.12194440e-4f - 0.5f * z;
    return m + y + e * 0.693359375f;
}

/* out: [samples, rows, size] and one more; scratch: 4 * rows * pairs + 2 * pairs numbers */
void normal(const int32_t *keys, int64_t rows, int64_t first, int64_t samples, int64_t size,
            const uint64_t *seeds, uint32_t *scratch, float *out) {
    int64_t pairs = (size + 1) / 2, many = rows * pairs;
    uint32_t *numbers = scratch, *radii = numbers + 2 * pairs, *angles = radii + many;
    float *cosines = (float *)(angles + many), *sines = cosines + many;
    for (int64_t s = 0; s < samples; s++) {
        uint64_t sample = mixed64((uint64_t)(first + s));
        for (int part = 0; part < 2; part++)
            for (int64_t p = 0; p < pairs; p++)
                numbers[part * pairs + p] =
                    (uint32_t)mixed64(sample + (uint64_t)p + seeds[part]);
        for (int64_t b = 0; b < rows; b++)
            for (int64_t p = 0; p < pairs; p++) {
                radii[b * pairs + p] = numbers[p] + (uint32_t)keys[b];
                angles[b * pairs + p] = numbers[pairs + p] + (uint32_t)keys[b];
            }
        #pragma omp simd
        for (int64_t i = 0; i < many; i++) {
            int32_t first_bits = (int32_t)(mixed32(radii[i]) & 0xFFFFFF);
            int32_t second_bits = (int32_t)(mixed32(angles[i]) & 0xFFFFFF);
            float radius = sqrtf(-2.0f * logarithm(1.0f - (float)first_bits * 0x1p-24f));
            int32_t quarter = (second_bits + 0x200000) >> 22;
            float t = (float)(second_bits - (quarter << 22)) * (1.57079632679f * 0x1p-22f);
            float u = t * t;
            float sine = t + t * u * ((-1.9515295891e-4f * u + 8.3321608736e-3f) * u
                                      - 1.6666654611e-1f);
            float cosine = 1.0f - 0.5f * u + u * u * ((2.443315711809948e-5f * u
                           - 1.388731625493765e-3f) * u + 4.166664568298827e-2f);
            int turned = quarter & 1;
            float c = turned ? -sine : cosine, d = turned ? cosine : sine;
            float sign = (quarter & 2) ? -radius : radius;
            cosines[i] = sign * c;
            sines[i] = sign * d;
        }
        for (int64_t b = 0; b < rows; b++) {
            float *to = out + (s * rows + b) * size;
            /* the last sine of an odd row falls on what comes next, and is overwritten */
            for (int64_t p = 0; p < pairs; p++) to[p] = cosines[b * pairs + p];
            for (int64_t p = 0; p < pairs; p++) to[pairs + p] = sines[b * pairs + p];
        }
    }
}
"""


def native_normal(
    keys: Tensor, first: int, num_samples: int, size: int, seeds: tuple[int, int]
) -> Tensor | None:
    """[samples, rows, size] in single precision; None where there is no kernel.

    What it gives is what `NoiseOfRows` makes in torch, up to rounding.

    Args:
        keys: [rows] int32, contiguous, on the CPU.
        first: number of the first sample.
        num_samples: from there on.
        size: numbers of each row.
        seeds: of the places of radii and angles.
    """
    library = compiled(_SOURCE) if keys.device.type == "cpu" else None
    if library is None:
        return None
    rows, pairs = len(keys), -(-size // 2)
    scratch = torch.empty(4 * rows * pairs + 2 * pairs, dtype=torch.int32)
    out = torch.empty(num_samples * rows * size + 1, dtype=torch.float32)
    library.normal(
        ctypes.c_void_p(keys.data_ptr()),
        ctypes.c_int64(rows),
        ctypes.c_int64(first),
        ctypes.c_int64(num_samples),
        ctypes.c_int64(size),
        (ctypes.c_uint64 * 2)(*seeds),
        ctypes.c_void_p(scratch.data_ptr()),
        ctypes.c_void_p(out.data_ptr()),
    )
    return out[:-1].reshape(num_samples, rows, size)
