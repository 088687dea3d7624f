"""The Bernoulli likelihood and its gradient as compiled kernels, one pass over memory each."""

from __future__ import annotations

import ctypes

import torch
from torch import Tensor

from ancestral.core.native import compiled

__all__ = ["fits_native", "native_gradient", "native_log_prob"]

# x l - softplus(l) = x l - max(l, 0) - log(1 + e^-|l|). In each of 16 lanes the factors
# 1 + e^-|l|, in [1, 2], are multiplied up; before the product can overflow its exponent is put
# aside, and one logarithm is left for a row. A row's end is padded with logits of 1e4 and x of 1,
# for which the log-probability is 0.
_SOURCE = r"""
#include <math.h>
#include <stdint.h>
#include <string.h>

enum { LANES = 16, FACTORS = 96 };
typedef float floats __attribute__((vector_size(4 * LANES)));
typedef int32_t ints __attribute__((vector_size(4 * LANES)));
typedef uint16_t shorts __attribute__((vector_size(2 * LANES)));

#ifdef HALF  /* bfloat16, rounded to nearest even */
typedef shorts numbers;
typedef uint16_t number;
static inline floats widened(numbers x) {
    return (floats)(__builtin_convertvector(x, ints) << 16);
}
static inline numbers narrowed(floats x) {
    ints bits = (ints)x;
    return __builtin_convertvector((bits + 0x7fff + ((bits >> 16) & 1)) >> 16, shorts);
}
#define CERTAIN 0x461c
#else
typedef floats numbers;
typedef float number;
static inline floats widened(numbers x) { return x; }
static inline numbers narrowed(floats x) { return x; }
#define CERTAIN 1e4f
#endif

static inline floats logits_at(const number *from, long left) {
    numbers x;
    if (left < LANES) for (int j = 0; j < LANES; j++) x[j] = j < left ? from[j] : CERTAIN;
    else memcpy(&x, from, sizeof x);
    return widened(x);
}

static inline floats targets_at(const float *from, long left) {
    floats x;
    if (left < LANES) for (int j = 0; j < LANES; j++) x[j] = j < left ? from[j] : 1.0f;
    else memcpy(&x, from, sizeof x);
    return x;
}

/* e^-|x|: 2^n e^r with |r| < log(2) / 2, and e^r by Taylor's series, to 1e-7 */
static inline floats decay(floats x) {
    floats a = (floats)((ints)x & 0x7fffffff), limit = (floats){0} + 87.0f;
    ints below = a < limit;
    a = (floats)(((ints)a & below) | ((ints)limit & ~below));
    floats shifted = a * -1.44269504f + 12582912.0f;  /* rounds, and keeps n in the low bits */
    floats n = shifted - 12582912.0f;
    floats r = n * 2.12194440e-4f - (a + n * 0.693359375f);
    floats p = 1.0f / 720 * r + 1.0f / 120;
    p = p * r + 1.0f / 24;
    p = p * r + 1.0f / 6;
    p = p * r + 0.5f;
    p = p * r * r + (r + 1.0f);
    return (floats)((ints)p + ((ints)shifted << 23));
}

/* row i of the logits meets row i mod num_x of x */
void log_prob(const number *logits, const float *x, float *out,
              long num_rows, long num_x, long size, int threads) {
    #pragma omp parallel for num_threads(threads) if(threads > 1)
    for (long row = 0; row < num_rows; row++) {
        const number *l = logits + row * size;
        const float *y = x + row % num_x * size;
        floats sums = {0}, products = sums + 1.0f;
        ints exponents = {0};
        for (long i = 0, factors = 0; i < size; i += LANES) {
            floats logit = logits_at(l + i, size - i), target = targets_at(y + i, size - i);
            sums += target * logit - (floats)((ints)logit & (logit > 0.0f));
            products *= 1.0f + decay(logit);
            if (++factors % FACTORS == 0) {
                exponents += ((ints)products >> 23) - 127;
                products = (floats)(((ints)products & 0x7fffff) | 0x3f800000);
            }
        }
        double sum = 0, logarithm = 0;
        for (int j = 0; j < LANES; j += 4) {
            double left = (double)products[j] * products[j + 1];
            double right = (double)products[j + 2] * products[j + 3];
            logarithm += log(left * right);
        }
        for (int j = 0; j < LANES; j++) sum += sums[j] - exponents[j] * 0.6931471805599453;
        out[row] = sum - logarithm;
    }
}

/* (x - sigmoid(l)) times the gradient of the row */
void gradient(const number *logits, const float *x, const float *of_rows, number *out,
              long num_rows, long num_x, long size, int threads) {
    #pragma omp parallel for num_threads(threads) if(threads > 1)
    for (long row = 0; row < num_rows; row++) {
        const number *l = logits + row * size;
        const float *y = x + row % num_x * size;
        number *o = out + row * size;
        for (long i = 0; i < size; i += LANES) {
            floats logit = logits_at(l + i, size - i), target = targets_at(y + i, size - i);
            floats e = decay(logit), one = (floats){0} + 1.0f;
            ints above = logit > 0.0f;
            floats mean = (floats)(((ints)one & above) | ((ints)e & ~above)) / (1.0f + e);
            numbers result = narrowed((target - mean) * of_rows[row]);
            memcpy(o + i, &result, sizeof(number) * (size - i < LANES ? size - i : LANES));
        }
    }
}
"""

_FLAGS = {
    torch.float32: ("-ffp-contract=fast",),
    torch.bfloat16: ("-ffp-contract=fast", "-DHALF"),
}
_CELLS_PER_THREAD = 20_000  # below it a second thread costs more than it brings


def fits_native(logits: Tensor, x: Tensor) -> bool:
    """Whether the kernels can be had, and take these tensors."""
    return (
        logits.device.type == "cpu"
        and logits.dtype in _FLAGS
        and x.device.type == "cpu"
        and x.dtype is torch.float32
        and logits.numel() > 0
        and x.shape == logits.shape[logits.ndim - x.ndim :]
        and _library(logits.dtype) is not None
    )


def native_log_prob(logits: Tensor, x: Tensor) -> Tensor:
    """The sum of x l - softplus(l) over the last axis, [...] float32.

    Args:
        logits: [..., D] float32 or bfloat16.
        x: [..., D], the last of the logits' axes, or all of them.
    """
    logits, x = logits.contiguous(), x.contiguous()
    out = torch.empty(logits.shape[:-1], dtype=torch.float32)
    _call("log_prob", logits, x, out)
    return out


def native_gradient(logits: Tensor, x: Tensor, of_rows: Tensor) -> Tensor:
    """(x - sigmoid(l)) g, in the logits' precision.

    Args:
        logits: [..., D].
        x: [..., D].
        of_rows: g, [...] float32, the gradient of the sums.
    """
    logits, x, of_rows = logits.contiguous(), x.contiguous(), of_rows.contiguous()
    out = torch.empty_like(logits)
    _call("gradient", logits, x, of_rows, out)
    return out


def _library(dtype: torch.dtype) -> ctypes.CDLL | None:
    return compiled(_SOURCE, *_FLAGS[dtype])


def _call(name: str, logits: Tensor, x: Tensor, *others: Tensor) -> None:
    size = logits.shape[-1]
    addresses = [ctypes.c_void_p(tensor.data_ptr()) for tensor in (logits, x, *others)]
    sizes = [ctypes.c_long(n) for n in (logits.numel() // size, x.numel() // size, size)]
    threads = max(1, min(torch.get_num_threads(), logits.numel() // _CELLS_PER_THREAD))
    getattr(_library(logits.dtype), name)(*addresses, *sizes, threads)
