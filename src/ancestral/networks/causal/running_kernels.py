"""C kernels of `running_features`: one pass over the sites, in which sums stay in the cache."""

from __future__ import annotations

import ctypes

import torch

from ancestral.core.native import compiled
from ancestral.core.native_draw import NativeDraw
from ancestral.core.native_vectors import VECTORS, number_flags

__all__ = ["library"]

_CODES = {"sigmoid": 0, "relu": 1, "tanh": 2}

_SOURCE = r"""
/* e^x of one number, for loops that the compiler makes vectors of; to about 1e-7 in float */
#ifdef DOUBLE
static inline real power(real x) { return exp(x); }
#else
static inline real power(real x) {
    x = x < -LARGEST ? -LARGEST : x;
    x = x > LARGEST ? LARGEST : x;
    union { float f; int32_t i; } shifted, p;
    shifted.f = x * 1.44269504f + SHIFT;  /* rounds, and keeps n in the low bits */
    float n = shifted.f - SHIFT, r = (x - n * LOG2_HIGH) - n * LOG2_LOW;
    p.f = 1.0f / 720 * r + 1.0f / 120;
    p.f = p.f * r + 1.0f / 24;
    p.f = p.f * r + 1.0f / 6;
    p.f = p.f * r + 0.5f;
    p.f = p.f * r * r + (r + 1.0f);
    p.i += shifted.i << MANTISSA;
    return p.f;
}
#endif

/* g(a); a NaN stays one */
static inline real activated(real a) {
#if ACTIVATION == 0
    real h = 1 / (1 + power(-a));
    return a == a ? h : a;
#elif ACTIVATION == 1
    return a < 0 ? 0 : a;
#else
    real h = 2 / (1 + power(-2 * a)) - 1;
    return a == a ? h : a;
#endif
}

/* g'(a) by h = g(a) */
static inline real slope(real h) {
#if ACTIVATION == 0
    return h * (1 - h);
#elif ACTIVATION == 1
    return h > 0 ? 1 : 0;
#else
    return 1 - h * h;
#endif
}

static inline real dot(const real *a, const real *b, long size) {
    real sum = 0;
    #pragma omp simd reduction(+:sum)
    for (long k = 0; k < size; k++) sum += a[k] * b[k];
    return sum;
}

static inline void add(real *restrict a, real factor, const real *restrict b, long size) {
    #pragma omp simd
    for (long k = 0; k < size; k++) a[k] += factor * b[k];
}

/* sums [B, H] start as the first site's and end with all sites added. kept, which may be NULL,
   gets those of every so many sites, [sites / every, B, H]. */
void forward(const real *inputs, const real *weight, const real *readout,
             const real *scale, const real *gate, const long *order, real *sums, real *kept,
             real *out, long num_rows, long num_sites, long num_inputs, long num_outputs,
             long size, long every, int threads) {
    #pragma omp parallel for num_threads(threads) if(threads > 1)
    for (int thread = 0; thread < threads; thread++) {
        long first = num_rows * thread / threads, last = num_rows * (thread + 1) / threads;
        real *h = malloc(size * sizeof(real));
        for (long t = 0; t < num_sites; t++) {
            long site = order[t];
            for (long row = first; row < last; row++) {
                real *a = sums + row * size, factor = scale[t];
                if (kept && t % every == 0)
                    memcpy(kept + (t / every * num_rows + row) * size, a, size * sizeof(real));
                #pragma omp simd
                for (long k = 0; k < size; k++) h[k] = activated(factor * a[k]);
                if (gate) {
                    const real *of_row = gate + row * size;
                    for (long k = 0; k < size; k++) h[k] *= of_row[k];
                }
                long cell = row * num_sites + site;
                for (long p = 0; p < num_outputs; p++)
                    out[cell * num_outputs + p] =
                        dot(h, readout + (site * num_outputs + p) * size, size);
                for (long e = 0; e < num_inputs; e++) {
                    real x = inputs[cell * num_inputs + e];
                    if (x != 0) add(a, x, weight + (site * num_inputs + e) * size, size);
                }
            }
        }
        free(h);
    }
}

/* Sums of the sites before each of those from `begin` to `end`, of some units of all rows, added
   up as they were: to take them away from later ones would lose what a large input has hidden.
   at[site, row] points to them: in kept, or in room, where a site has changed them. */
static void sums_again(const real *inputs, const real *weight, const long *order,
                       const real *kept, real *room, const real **at, long begin, long end,
                       long num_rows, long num_sites, long num_inputs, long all, long size) {
    for (long row = 0; row < num_rows; row++) at[row] = kept + row * all;
    for (long t = begin; t + 1 < end; t++, at += num_rows) {
        long site = order[t];
        for (long row = 0; row < num_rows; row++) {
            const real *a = at[row], *x = inputs + (row * num_sites + site) * num_inputs;
            for (long e = 0; e < num_inputs; e++) {
                if (x[e] == 0) continue;
                const real *w = weight + (site * num_inputs + e) * all;
                #pragma omp simd
                for (long k = 0; k < size; k++) room[k] = a[k] + x[e] * w[k];
                a = room;
            }
            at[num_rows + row] = a;
            if (a == room) room += size;
        }
    }
}

/* From the last site to the first, with sums from those that `forward` has kept. Each thread has
   some of the hidden units. of_inputs and of_scale may be NULL, and need one thread otherwise;
   all gradients come as zeros. of_start ends as the gradient of the first sums. */
void backward(const real *inputs, const real *weight, const real *readout,
              const real *scale, const real *gate, const long *order, const real *sums,
              const real *of_out, real *of_inputs, real *of_weight, real *of_readout,
              real *of_scale, real *of_start,
              long num_rows, long num_sites, long num_inputs, long num_outputs, long all,
              long every, int threads) {
    #pragma omp parallel for num_threads(threads) if(threads > 1)
    for (int thread = 0; thread < threads; thread++) {
        long first = all * thread / threads, size = all * (thread + 1) / threads - first;
        real *h = malloc(2 * size * sizeof(real)), *of_h = h + size;
        real *room = malloc((every * num_rows + 1) * size * sizeof(real));
        const real **at = malloc(every * num_rows * sizeof(real *));
        for (long t = num_sites - 1, end = num_sites; t >= 0; t--) {
            long site = order[t], begin = t / every * every;
            real factor = scale[t], of_factor = 0;
            if (t == end - 1) {
                const real *kept_sums = sums + t / every * num_rows * all + first;
                sums_again(inputs, weight + first, order, kept_sums, room, at, begin, end,
                           num_rows, num_sites, num_inputs, all, size);
                end = begin;
            }
            for (long row = 0; row < num_rows; row++) {
                const real *a = at[(t - begin) * num_rows + row];
                real *later = of_start + row * all + first;
                long cell = row * num_sites + site;
                for (long e = 0; e < num_inputs; e++) {
                    real x = inputs[cell * num_inputs + e];
                    long place = (site * num_inputs + e) * all + first;
                    if (of_inputs)
                        of_inputs[cell * num_inputs + e] = dot(later, weight + place, size);
                    if (x == 0) continue;
                    add(of_weight + place, x, later, size);
                }
                const real *kept = gate ? gate + row * all + first : 0;
                #pragma omp simd
                for (long k = 0; k < size; k++) h[k] = activated(factor * a[k]);
                for (long k = 0; k < size; k++) of_h[k] = 0;
                if (kept) for (long k = 0; k < size; k++) h[k] *= kept[k];
                for (long p = 0; p < num_outputs; p++) {
                    real x = of_out[cell * num_outputs + p];
                    long place = (site * num_outputs + p) * all + first;
                    add(of_readout + place, x, h, size);
                    add(of_h, x, readout + place, size);
                }
                if (kept) {
                    for (long k = 0; k < size; k++) of_h[k] *= kept[k];
                    for (long k = 0; k < size; k++) h[k] = activated(factor * a[k]);
                }
                #pragma omp simd
                for (long k = 0; k < size; k++) of_h[k] *= slope(h[k]);
                if (of_scale) of_factor += dot(of_h, a, size);
                add(later, factor, of_h, size);
            }
            if (of_scale) of_scale[t] = of_factor;
        }
        free(at);
        free(room);
        free(h);
    }
}

/* one step: the site before is added to the sums (unless there is none), this one is read out */
void step(const real *before, const real *weight, const real *readout, const real *bias,
          const real *scale, const long *order, real *sums, real *out,
          long t, long num_rows, long num_inputs, long num_outputs, long size) {
    real *h = malloc(size * sizeof(real)), factor = scale[t];
    const real *added = before ? weight + order[t - 1] * num_inputs * size : 0;
    const real *read = readout + order[t] * num_outputs * size;
    const real *first = bias + order[t] * num_outputs;
    for (long row = 0; row < num_rows; row++) {
        real *a = sums + row * size;
        for (long e = 0; before && e < num_inputs; e++) {
            real x = before[row * num_inputs + e];
            if (x != 0) add(a, x, added + e * size, size);
        }
        #pragma omp simd
        for (long k = 0; k < size; k++) h[k] = activated(factor * a[k]);
        for (long p = 0; p < num_outputs; p++)
            out[row * num_outputs + p] = first[p] + dot(h, read + p * size, size);
    }
    free(h);
}
"""

# all steps, each with the draw of its site; `codes` of a value, or 0 for one number, and `known`
# for one more input that is 1
_GENERATE = r"""
void generate(const real *weight, const real *readout, const real *bias, const real *scale,
              const long *order, const real *loc, const real *spread, real *sums,
              const real *uniforms, const double *parameters, real *x,
              long num_rows, long num_sites, long codes, long known, long num_outputs, long size,
              long num_uniforms) {
    long inputs = (codes ? codes : 1) + known;
    real *h = malloc(size * sizeof(real));
    real *features = calloc(num_outputs + LANES, sizeof(real));
    for (long t = 0; t < num_sites; t++) {
        long site = order[t];
        const real *read = readout + site * num_outputs * size;
        const real *added = weight + site * inputs * size;
        real factor = scale[t];
        for (long row = 0; row < num_rows; row++) {
            real *a = sums + row * size, *value = x + row * num_sites + site;
            #pragma omp simd
            for (long k = 0; k < size; k++) h[k] = activated(factor * a[k]);
            for (long p = 0; p < num_outputs; p++)
                features[p] = bias[site * num_outputs + p] + dot(h, read + p * size, size);
            draw(features, uniforms + (row * num_sites + site) * num_uniforms, parameters, value);
            long code = *value > 0 ? *value : 0;  /* 0 for NaN, which is no place */
            if (codes) add(a, 1, added + code * size, size);
            else if (*value != 0 || loc[site] != 0)
                add(a, (*value - loc[site]) / spread[site], added, size);
            if (known) add(a, 1, added + (inputs - 1) * size, size);
        }
    }
    free(h);
    free(features);
}
"""


def library(
    dtype: torch.dtype, activation: str, draw: NativeDraw | None = None
) -> ctypes.CDLL | None:
    """The kernels, if there is a compiler; with a draw, that of whole sequences among them."""
    flags = number_flags(dtype)
    if flags is None:
        return None
    source = VECTORS + _SOURCE
    if draw is not None:
        source = VECTORS + draw.source + _SOURCE + _GENERATE
    return compiled(source, f"-DACTIVATION={_CODES[activation]}", *flags)
