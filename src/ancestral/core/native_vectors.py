"""C that kernels share: vectors of float or double, and the functions networks are made of."""

from __future__ import annotations

import torch

__all__ = ["VECTORS", "number_flags"]

# `real` is the number, `vec` so many of them as fill 64 bytes. e^x is 2^n e^r with |r| < log(2)/2
# and e^r by Taylor's series, to the last digits of either precision.
VECTORS = r"""
#include <math.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#ifdef DOUBLE
typedef double real;
typedef int64_t whole;
enum { LANES = 8, TERMS = 13, MANTISSA = 52 };
#define LARGEST 700.0
#define SHIFT 6755399441055744.0
#define LOG2_HIGH 6.93145751953125e-1
#define LOG2_LOW 1.42860682030941723212e-6
#else
typedef float real;
typedef int32_t whole;
enum { LANES = 16, TERMS = 7, MANTISSA = 23 };
#define LARGEST 87.0f
#define SHIFT 12582912.0f
#define LOG2_HIGH 0.693359375f
#define LOG2_LOW -2.12194440e-4f
#endif
typedef real vec __attribute__((vector_size(64)));
typedef whole wholes __attribute__((vector_size(64)));

static const real TAYLOR[14] = {1.0, 1.0, 1.0 / 2, 1.0 / 6, 1.0 / 24, 1.0 / 120, 1.0 / 720,
    1.0 / 5040, 1.0 / 40320, 1.0 / 362880, 1.0 / 3628800, 1.0 / 39916800, 1.0 / 479001600,
    1.0 / 6227020800.0};

static inline vec load(const real *from) { vec x; memcpy(&x, from, sizeof x); return x; }
static inline void store(real *to, vec x) { memcpy(to, &x, sizeof x); }
static inline vec all(real x) { return (vec){0} + x; }
static inline vec choose(wholes which, vec yes, vec no) {
    return (vec)(((wholes)yes & which) | ((wholes)no & ~which));
}
/* comparisons with NaN are false, so that it stays */
static inline vec limited(vec x, real low, real high) {
    x = choose(x < all(low), all(low), x);
    return choose(x > all(high), all(high), x);
}

static inline vec exponential(vec x) {
    x = limited(x, -LARGEST, LARGEST);
    vec shifted = x * (real)1.4426950408889634 + SHIFT;  /* rounds, and keeps n in the low bits */
    vec n = shifted - SHIFT;
    vec r = x - n * LOG2_HIGH - n * LOG2_LOW;
    vec p = all(TAYLOR[TERMS]);
    for (int i = TERMS - 1; i >= 0; i--) p = p * r + TAYLOR[i];
    vec power = (vec)((wholes)p + ((wholes)shifted << MANTISSA));
    return choose(x == x, power, x);  /* the sum of a NaN's bits need not be one */
}

/* tanh(a) sigmoid(b), with one division; the limits are where either has rounded to its end */
static inline vec gated(vec a, vec b) {
    vec e = exponential(2 * limited(a, -20, 20)), f = exponential(limited(-b, -40, 40));
    return (e - 1) / ((e + 1) * (1 + f));
}
"""

_FLAGS = {torch.float32: (), torch.float64: ("-DDOUBLE",)}


def number_flags(dtype: torch.dtype) -> tuple[str, ...] | None:
    """Options for `compiled` that make `real` this type; None if there is no such vector."""
    flags = _FLAGS.get(dtype)
    return None if flags is None else ("-ffp-contract=fast", *flags)
