"""The C of a step of dilated convolutions, and of whole sequences of steps."""

from __future__ import annotations

import ctypes

import torch

from ancestral.core.native import compiled
from ancestral.core.native_vectors import VECTORS, number_flags

__all__ = ["kernel"]


def kernel(dtype: torch.dtype, draw: str | None = None) -> ctypes.CDLL | None:
    """A library with `step`, and with `generate` where it is told how to draw.

    None where there is no compiler, and for numbers it has no vectors of.

    Args:
        dtype: of all numbers.
        draw: C, see `core.native_draw`; or None.
    """
    flags = number_flags(dtype)
    if flags is None:
        return None
    return compiled(VECTORS + _STEP + ("" if draw is None else draw + _GENERATE), *flags)


# A weight matrix lies in panels of at most 4 vectors of its columns, so that a panel's results
# stay in registers while its rows are read from memory once, one after the other, for up to 4
# sequences at a time.
_STEP = r"""
enum { WIDE = 4, TALL = 4 };

static inline __attribute__((always_inline)) void tile(
        int wide, int tall, real *out, long out_stride, const real *x, long x_stride,
        const real *weight, long size) {
    vec sums[TALL][WIDE];
    for (int r = 0; r < tall; r++)
        for (int v = 0; v < wide; v++) sums[r][v] = load(out + r * out_stride + v * LANES);
    for (long k = 0; k < size; k++, weight += wide * LANES) {
        vec row[WIDE];
        for (int v = 0; v < wide; v++) row[v] = load(weight + v * LANES);
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
        tile(wide, TALL, out + r * out_stride, out_stride, x + r * x_stride, x_stride, \
             weight, size); \
    for (; r < rows; r++) \
        tile(wide, 1, out + r * out_stride, out_stride, x + r * x_stride, x_stride, \
             weight, size); \
    out += wide * LANES; weight += wide * LANES * size; num -= wide; \
} while (0)

/* out += x weight; columns of out up to a whole vector are written */
static void add_product(long rows, real *out, long out_stride, const real *x, long x_stride,
                        const real *weight, long size, long columns) {
    long num = (columns + LANES - 1) / LANES;
    while (num >= 4) PANEL(4);
    if (num >= 2) PANEL(2);
    if (num) PANEL(1);
}

static long whole_vectors(long size) { return (size + LANES - 1) / LANES * LANES; }
static long in_panels(long rows, long columns) { return rows * whole_vectors(columns); }

typedef struct {
    long layers, taps, channels, skips, outputs, context, codes, width, memory;
    const long *dilations;
    const real *input, *input_bias, *gates, *context_gates, *residual, *skip, *skip_bias,
        *hidden, *hidden_bias, *output, *output_bias;
} Network;

/* strides count numbers from one sequence to the next */
typedef struct {
    real *memory;
    const real *offsets; long offset_stride;
    const real *context; long context_stride;
} Rows;

static long scratch_size(const Network *n) {
    return 4 * whole_vectors(n->channels) + 3 * whole_vectors(n->skips)
        + whole_vectors(n->outputs) + 8 * LANES;
}

static void encode(const Network *n, const real *value, real *h) {
    long size = n->channels;
    memcpy(h, n->input_bias, size * sizeof(real));
    if (!value) return;
    for (long w = 0; w < n->width; w++) {
        const real *row = n->input;
        real factor = 1;
        if (n->codes) {
            long code = value[w] > 0 ? value[w] : 0;  /* 0 for NaN, which is no place */
            row += (w * n->codes + (code < n->codes ? code : n->codes - 1)) * size;
        } else {
            row += w * size;
            factor = value[w];
        }
        for (long c = 0; c < size; c++) h[c] += factor * row[c];
    }
}

static void rectify(real *x, long size) {
    for (long i = 0; i < size; i++) x[i] = x[i] < 0 ? 0 : x[i];  /* NaN stays */
}

static void spread(real *to, long stride, const real *bias, long size, long rows) {
    for (long r = 0; r < rows; r++) memcpy(to + r * stride, bias, size * sizeof(real));
}

/* features of `rows` sequences at step t, [rows, wide]; values[rows, width] of step t - 1 */
static real *advance(const Network *n, Rows s, const real *values, long t, long rows,
                     real *scratch) {
    long C = n->channels, wide = whole_vectors(C), tall = whole_vectors(n->skips);
    long wide_gates = 2 * wide + LANES, wide_out = whole_vectors(n->outputs) + LANES;
    real *h = scratch, *z = h + rows * wide, *gates = z + rows * wide;
    real *skip = gates + rows * wide_gates, *hidden = skip + rows * tall;
    real *out = hidden + rows * tall;
    const real *gate_weight = n->gates, *context_weight = n->context_gates;
    const real *residual = n->residual, *skip_weight = n->skip;
    real *memory = s.memory;
    for (long r = 0; r < rows; r++) encode(n, values ? values + r * n->width : 0, h + r * wide);
    spread(skip, tall, n->skip_bias, n->skips, rows);
    for (long l = 0; l < n->layers; l++) {
        long dilation = n->dilations[l], length = (n->taps - 1) * dilation;
        for (long r = 0; r < rows; r++)
            memcpy(gates + r * wide_gates, s.offsets + r * s.offset_stride + l * 2 * C,
                   2 * C * sizeof(real));
        for (long j = 0; j < n->taps; j++, gate_weight += in_panels(C, 2 * C)) {
            long slot = j ? (t + length - j * dilation) % length * C : 0;
            add_product(rows, gates, wide_gates, j ? memory + slot : h, j ? n->memory : wide,
                        gate_weight, C, 2 * C);
        }
        if (n->context) {
            add_product(rows, gates, wide_gates, s.context, s.context_stride,
                        context_weight, n->context, 2 * C);
            context_weight += in_panels(n->context, 2 * C);
        }
        for (long r = 0; r < rows; r++)
            for (long c = 0; c < C; c += LANES) {
                const real *from = gates + r * wide_gates + c;
                store(z + r * wide + c, gated(load(from), load(from + C)));
            }
        if (length)
            for (long r = 0; r < rows; r++)
                memcpy(memory + r * n->memory + t % length * C, h + r * wide, C * sizeof(real));
        memory += length * C;
        add_product(rows, skip, tall, z, wide, skip_weight, C, n->skips);
        skip_weight += in_panels(C, n->skips);
        if (l + 1 == n->layers) break;
        add_product(rows, h, wide, z, wide, residual, C, C);
        residual += in_panels(C, C);
    }
    rectify(skip, rows * tall);
    spread(hidden, tall, n->hidden_bias, n->skips, rows);
    add_product(rows, hidden, tall, skip, tall, n->hidden, n->skips, n->skips);
    rectify(hidden, rows * tall);
    spread(out, wide_out, n->output_bias, n->outputs, rows);
    add_product(rows, out, wide_out, hidden, tall, n->output, n->skips, n->outputs);
    return out;
}

void step(const Network *n, real *memory, const real *offsets, long offset_stride,
          const real *context, long context_stride, const real *values, real *out,
          long t, long batch) {
    enum { GROUP = 32 };
    real *scratch = calloc(GROUP * scratch_size(n), sizeof(real));
    for (long first = 0; first < batch; first += GROUP) {
        long rows = batch - first < GROUP ? batch - first : GROUP;
        Rows s = {memory + first * n->memory, offsets + first * offset_stride, offset_stride,
                  context + first * context_stride, context_stride};
        const real *before = values ? values + first * n->width : 0;
        const real *found = advance(n, s, before, t, rows, scratch);
        for (long r = 0; r < rows; r++)
            memcpy(out + (first + r) * n->outputs,
                   found + r * (whole_vectors(n->outputs) + LANES), n->outputs * sizeof(real));
    }
    free(scratch);
}
"""

_GENERATE = r"""
/* sites `begin` to `end` of the order; x[batch, sites, width] holds those before, gets these */
void generate(const Network *n, real *memory, const real *offsets, long offset_stride,
              const real *context, long context_stride, const real *uniforms, long num_uniforms,
              const double *parameters, real *x, const long *order, long sites,
              long begin, long end, long batch, int threads) {
    long group = (batch + threads - 1) / threads;
    if (group > 32) group = 32;
    long width = n->width, wide_out = whole_vectors(n->outputs) + LANES;
    #pragma omp parallel for num_threads(threads) if(threads > 1) schedule(dynamic)
    for (long first = 0; first < batch; first += group) {
        long rows = batch - first < group ? batch - first : group;
        real *scratch = calloc(rows * (scratch_size(n) + width), sizeof(real));
        real *values = scratch + rows * scratch_size(n);
        for (long t = begin; t < end; t++) {
            long site = order[t];
            if (t) for (long r = 0; r < rows; r++)
                memcpy(values + r * width, x + ((first + r) * sites + order[t - 1]) * width,
                       width * sizeof(real));
            Rows s = {memory + first * n->memory, offsets + first * offset_stride, offset_stride,
                      context + first * context_stride + site * n->context, context_stride};
            real *found = advance(n, s, t ? values : 0, t, rows, scratch);
            for (long r = 0; r < rows; r++) {
                long at = (first + r) * sites + site;
                const real *noise = uniforms + at * num_uniforms;
                draw(found + r * wide_out, noise, parameters, x + at * width);
            }
        }
        free(scratch);
    }
}
"""
