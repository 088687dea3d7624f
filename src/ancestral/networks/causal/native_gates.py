"""Gated units and their gradient as compiled kernels: one pass over memory each."""

from __future__ import annotations

import ctypes

import torch
from torch import Tensor

from ancestral.core.native import compiled
from ancestral.core.native_vectors import VECTORS, number_flags

__all__ = ["fits_native", "native_gate", "native_gate_gradient"]

_LANES = 16
_SOURCE = (
    VECTORS
    + r"""
#ifdef HALF  /* bfloat16, rounded to nearest even; what is computed is float */
typedef uint16_t number;
typedef uint16_t numbers __attribute__((vector_size(2 * LANES)));
static inline vec get(const number *from) {
    numbers x;
    memcpy(&x, from, sizeof x);
    return (vec)(__builtin_convertvector(x, wholes) << 16);
}
static inline void put(number *to, vec x) {
    wholes bits = (wholes)x;
    numbers half = __builtin_convertvector((bits + 0x7fff + ((bits >> 16) & 1)) >> 16, numbers);
    memcpy(to, &half, sizeof half);
}
#else
typedef real number;
static inline vec get(const number *from) { return load(from); }
static inline void put(number *to, vec x) { store(to, x); }
#endif

/* (a, b) becomes (tanh a, sigmoid b), and z their product; z's rows are `stride` apart */
void gate(number *gates, number *z, long rows, long size, long stride, int threads) {
    #pragma omp parallel for num_threads(threads) if(threads > 1)
    for (long r = 0; r < rows; r++) {
        number *a = gates + r * 2 * size, *b = a + size, *to = z + r * stride;
        for (long c = 0; c < size; c += LANES) {
            vec e = exponential(2 * limited(get(a + c), -20, 20));
            vec f = exponential(limited(-get(b + c), -40, 40));
            vec up = e + 1, down = 1 + f, each = 1 / (up * down);
            vec t = (e - 1) * each * down, s = each * up;
            put(a + c, t);
            put(b + c, s);
            put(to + c, t * s);
        }
    }
}

/* gradients of a and b from that of z, of tanh a and of sigmoid b */
void gate_gradient(const number *dz, const number *gates, number *out,
                   long rows, long size, long stride, int threads) {
    #pragma omp parallel for num_threads(threads) if(threads > 1)
    for (long r = 0; r < rows; r++) {
        const number *a = gates + r * 2 * size, *b = a + size, *from = dz + r * stride;
        number *to = out + r * 2 * size;
        for (long c = 0; c < size; c += LANES) {
            vec d = get(from + c), t = get(a + c), s = get(b + c);
            put(to + c, d * s * (1 - t * t));
            put(to + size + c, d * t * s * (1 - s));
        }
    }
}
"""
)
_ROWS_PER_THREAD = 500


def fits_native(gates: Tensor) -> bool:
    """Whether there is a kernel for these, [rows, 2 C]."""
    whole = gates.shape[-1] % (2 * _LANES) == 0
    return gates.device.type == "cpu" and whole and _library(gates.dtype) is not None


def native_gate(gates: Tensor, z: Tensor) -> None:
    """Overwrite (a, b) by (tanh a, sigma(b)), and z by their product.

    Args:
        gates: [rows, 2 C], contiguous.
        z: [rows, C], a slice of something wider.
    """
    _call("gate", (gates, z), z)


def native_gate_gradient(dz: Tensor, gates: Tensor) -> Tensor:
    """Gradients of (a, b), [rows, 2 C].

    Args:
        dz: [rows, C], of the product; its rows may lie apart.
        gates: [rows, 2 C], (tanh a, sigma(b)).
    """
    out = torch.empty_like(gates)
    _call("gate_gradient", (dz, gates, out), dz)
    return out


def _call(name: str, tensors: tuple[Tensor, ...], z: Tensor) -> None:
    rows, size = z.shape
    assert z.stride(1) == 1
    addresses = [ctypes.c_void_p(tensor.data_ptr()) for tensor in tensors]
    sizes = [ctypes.c_long(number) for number in (rows, size, z.stride(0))]
    threads = max(1, min(torch.get_num_threads(), rows // _ROWS_PER_THREAD))
    getattr(_library(z.dtype), name)(*addresses, *sizes, threads)


def _library(dtype: torch.dtype) -> ctypes.CDLL | None:
    if dtype is torch.bfloat16:
        return compiled(_SOURCE, *(number_flags(torch.float32) or ()), "-DHALF")
    flags = number_flags(dtype)
    return None if flags is None else compiled(_SOURCE, *flags)
