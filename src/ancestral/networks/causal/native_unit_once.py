"""Steps of a masked network with rectified units as compiled code, with draws or without."""

from __future__ import annotations

import ctypes
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from ancestral.core.native import compiled
from ancestral.core.native_draw import NativeDraw
from ancestral.core.native_vectors import VECTORS, number_flags

if TYPE_CHECKING:
    from ancestral.networks.causal.unit_once import UnitOnce

__all__ = ["NativeInputs", "NativeSteps"]

# Parts of a state and rows of weights are padded to whole vectors, and weights are zero where a
# unit must not look, so that a sum may run on to the end of a vector.
_STEP = r"""
enum { ROWS = 4 };

typedef struct {
    int64_t num_sites, num_layers, num_features, state_size;
    const int64_t *ends;          /* [1 + layers, sites + 1]: inputs, units of degree t at most */
    const int64_t *feature_ends;  /* [sites + 1] */
    const int64_t *offsets;       /* [2 + layers]: parts of the state */
    const real *const *weights;   /* of each layer, the features, the direct connections */
    const int64_t *widths;        /* numbers in a row of each */
} plan;

static inline real total(vec x) {
    real sum = 0;
    for (int j = 0; j < LANES; j++) sum += x[j];
    return sum;
}

/* to[row, unit] += sum_j weight[unit, j] from[row, j], j < count */
static void accumulate(real *to, const real *from, int64_t stride, int64_t batch,
                       const real *weight, int64_t width, int64_t units, int64_t count) {
    for (int64_t unit = 0; unit < units; unit++, weight += width) {
        int64_t row = 0;
        for (; row + ROWS <= batch; row += ROWS) {
            const real *a = from + row * stride, *b = a + stride, *c = b + stride, *d = c + stride;
            vec p = {0}, q = {0}, r = {0}, s = {0};
            for (int64_t j = 0; j < count; j += LANES) {
                vec w = load(weight + j);
                p += w * load(a + j); q += w * load(b + j);
                r += w * load(c + j); s += w * load(d + j);
            }
            real *out = to + row * stride + unit;
            out[0] += total(p); out[stride] += total(q);
            out[2 * stride] += total(r); out[3 * stride] += total(s);
        }
        for (; row < batch; row++) {
            const real *a = from + row * stride;
            vec p = {0}, q = {0};
            int64_t j = 0;
            for (; j + LANES < count; j += 2 * LANES) {
                p += load(weight + j) * load(a + j);
                q += load(weight + j + LANES) * load(a + j + LANES);
            }
            for (; j < count; j += LANES) p += load(weight + j) * load(a + j);
            to[row * stride + unit] += total(p + q);
        }
    }
}

/* the units of degree t and the features of step t, once the first t sites are in the state */
static void advance(const plan *p, int64_t t, real *state, int64_t batch) {
    int64_t stride = p->state_size, steps = p->num_sites + 1, known = p->ends[t], count = known;
    const real *source = state;
    for (int64_t layer = 1; layer <= p->num_layers; layer++) {
        const int64_t *ends = p->ends + layer * steps;
        int64_t first = t ? ends[t - 1] : 0, units = ends[t] - first, width = p->widths[layer - 1];
        real *part = state + p->offsets[layer], *to = part + first;
        accumulate(to, source, stride, batch,
                   p->weights[layer - 1] + first * width, width, units, count);
        for (int64_t row = 0; row < batch; row++)
            for (int64_t unit = 0; unit < units; unit++) {
                real *h = to + row * stride + unit;
                *h = *h < 0 ? 0 : *h;  /* NaN stays */
            }
        source = part;
        count = ends[t];
    }
    int64_t first = p->feature_ends[t], features = p->feature_ends[t + 1] - first;
    real *to = state + p->offsets[p->num_layers + 1] + t * p->num_features;
    int64_t width = p->widths[p->num_layers];
    accumulate(to, source, stride, batch,
               p->weights[p->num_layers] + first * width, width, features, count);
    width = p->widths[p->num_layers + 1];
    accumulate(to, state, stride, batch,
               p->weights[p->num_layers + 1] + first * width, width, features, known);
}

void step(const plan *p, int64_t t, real *state, int64_t batch,
          const real *encoded, int64_t encoded_stride) {
    if (t) {
        int64_t before = p->ends[t - 1], known = p->ends[t];
        for (int64_t row = 0; row < batch; row++)
            for (int64_t j = before; j < known; j++)
                state[row * p->state_size + j] = encoded[row * encoded_stride + j - before];
    }
    advance(p, t, state, batch);
}
"""

_GENERATE = r"""
/* values enter as (x - loc) / scale, or one-hot, where a site has more than one input */
void generate(const plan *p, real *state, int64_t batch, const int64_t *order,
              const real *loc, const real *scale, const real *uniforms, int64_t num_uniforms,
              const double *parameters, real *scratch, real *x) {
    int64_t num_features = p->num_features, num_sites = p->num_sites;
    for (int64_t t = 0; t < num_sites; t++) {
        advance(p, t, state, batch);
        int64_t site = order[t], first = p->ends[t], inputs = p->ends[t + 1] - first;
        for (int64_t row = 0; row < batch; row++) {
            real *own = state + row * p->state_size, *value = x + row * num_sites + site;
            memcpy(scratch, own + p->offsets[p->num_layers + 1] + t * num_features,
                   num_features * sizeof(real));
            draw(scratch, uniforms + (row * num_sites + site) * num_uniforms, parameters, value);
            if (inputs == 1) own[first] = (*value - loc[site]) / scale[site];
            else for (int64_t k = 0; k < inputs; k++) own[first + k] = k == (int64_t)*value;
        }
    }
}
"""
_ROWS_AT_ONCE = 64  # whose states stay in the cache together
_SPARE = 16  # numbers behind the features that a draw may use

_POINTER, _INTEGER = ctypes.c_void_p, ctypes.c_int64


class _Plan(ctypes.Structure):
    _fields_ = (
        ("num_sites", _INTEGER),
        ("num_layers", _INTEGER),
        ("num_features", _INTEGER),
        ("state_size", _INTEGER),
        ("ends", _POINTER),
        ("feature_ends", _POINTER),
        ("offsets", _POINTER),
        ("weights", _POINTER),
        ("widths", _POINTER),
    )


@dataclass(frozen=True)
class NativeInputs:
    """How values enter: (x - loc) / scale; or one-hot, where a site has several inputs.

    Args:
        loc: [T], as stored.
        scale: [T].
    """

    loc: Tensor
    scale: Tensor


class NativeSteps:
    """The plan of a `UnitOnce` as the compiled code reads it.

    Args:
        plan: whose tensors are kept alive.
        kernel: of one step.
    """

    def __init__(self, plan: UnitOnce, kernel: ctypes.CDLL) -> None:
        self._weights = [*plan.hidden, plan.output, plan.direct]
        self._tensors = [
            torch.stack(plan.ends).contiguous(),
            plan.feature_ends,
            torch.tensor(plan.offsets),
            torch.tensor([weight.data_ptr() for weight in self._weights]),
            torch.tensor([weight.shape[1] for weight in self._weights]),
        ]
        num_sites = len(plan.sites)
        self._plan = _Plan(
            num_sites,
            len(plan.hidden),
            plan.num_features,
            plan.offsets[-1] + num_sites * plan.num_features,
            *(tensor.data_ptr() for tensor in self._tensors),
        )
        self._order = torch.tensor(plan.sites)
        self._address = ctypes.addressof(self._plan)
        self._dtype = plan.output.dtype
        self._step = _typed(kernel.step, "step")

    @staticmethod
    def of(plan: UnitOnce) -> NativeSteps | None:
        """Where the weights are on the CPU, in a type it knows, and there is a compiler."""
        weight = plan.output
        kernel = _library("", weight.dtype) if weight.device.type == "cpu" else None
        return None if kernel is None else NativeSteps(plan, kernel)

    def step(self, values: Tensor, t: int, encoded: Tensor | None) -> None:
        """One step, which overwrites `values`.

        Args:
            values: [batch, S], the state.
            t: number of the step.
            encoded: [batch, E], of the site before.
        """
        address = stride = 0
        if encoded is not None:
            encoded = encoded.to(self._dtype).contiguous()
            address, stride = encoded.data_ptr(), encoded.stride(0)
        self._step(self._address, t, values.data_ptr(), len(values), address, stride)

    def generate(
        self, values: Tensor, draw: NativeDraw, uniforms: Tensor, inputs: NativeInputs
    ) -> Tensor | None:
        """All steps, each with its draws, which overwrite `values`.

        None where the kernel with this draw cannot be built.

        Args:
            values: [batch, S], before the first step.
            draw: of any site.
            uniforms: [batch, T, numbers].
            inputs: how values enter.

        Returns:
            [batch, T, 1].
        """
        kernel = _library(draw.source, self._dtype)
        if kernel is None:
            return None
        generate = _typed(kernel.generate, "generate")
        uniforms = uniforms.to(self._dtype).contiguous()
        x = values.new_empty(*uniforms.shape[:2], 1)
        parameters = (ctypes.c_double * max(1, len(draw.parameters)))(*draw.parameters)
        scratch = values.new_zeros(self._plan.num_features + _SPARE)
        loc, scale = (part.to(values).contiguous() for part in (inputs.loc, inputs.scale))
        for first in range(0, len(values), _ROWS_AT_ONCE):
            rows = slice(first, first + _ROWS_AT_ONCE)
            generate(
                self._address,
                values[rows].data_ptr(),
                len(values[rows]),
                self._order.data_ptr(),
                loc.data_ptr(),
                scale.data_ptr(),
                uniforms[rows].data_ptr(),
                uniforms.shape[2],
                ctypes.addressof(parameters),
                scratch.data_ptr(),
                x[rows].data_ptr(),
            )
        return x


_ARGUMENTS = {
    "step": (_POINTER, _INTEGER, _POINTER, _INTEGER, _POINTER, _INTEGER),
    "generate": (
        *(_POINTER, _POINTER, _INTEGER, _POINTER, _POINTER, _POINTER, _POINTER, _INTEGER),
        *(_POINTER, _POINTER, _POINTER),
    ),
}


def _typed(function: ctypes._NamedFuncPointer, name: str) -> ctypes._NamedFuncPointer:
    function.argtypes = _ARGUMENTS[name]
    function.restype = None
    return function


def _library(draw: str, dtype: torch.dtype) -> ctypes.CDLL | None:
    """The kernel of one step, or with a draw that of whole sequences too."""
    flags = number_flags(dtype)
    if flags is None:
        return None
    return compiled(VECTORS + _STEP + (draw + _GENERATE if draw else ""), *flags)
