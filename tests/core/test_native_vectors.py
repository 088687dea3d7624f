"""The functions that kernels share: their digits, their ends, and what they do with NaN."""

from __future__ import annotations

import ctypes

import pytest
import torch

from ancestral.core.native import compiled
from ancestral.core.native_vectors import VECTORS, number_flags

SOURCE = (
    VECTORS
    + r"""
void run(const real *a, const real *b, real *limits, real *powers, real *gates, long size) {
    for (long i = 0; i < size; i += LANES) {
        store(limits + i, limited(load(a + i), -2, 3));
        store(powers + i, exponential(load(a + i)));
        store(gates + i, gated(load(a + i), load(b + i)));
    }
}
"""
)


def run(a: torch.Tensor, b: torch.Tensor) -> list[torch.Tensor]:
    library = compiled(SOURCE, *(number_flags(a.dtype) or ()))
    if library is None:
        pytest.skip("there is no compiler")
    results = [torch.empty_like(a) for _ in range(3)]
    library.run(*(ctypes.c_void_p(t.data_ptr()) for t in (a, b, *results)), ctypes.c_long(len(a)))
    return results


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_values(dtype):
    a, b = (6 * torch.randn(2, 64)).to(dtype)
    a[:2], b[:2] = torch.tensor([50.0, -50.0]), torch.tensor([-60.0, 60.0])
    limits, powers, gates = run(a, b)
    assert torch.equal(limits, a.clamp(-2, 3))
    rtol = 1e-6 if dtype is torch.float32 else 1e-14
    torch.testing.assert_close(powers, a.exp(), rtol=rtol, atol=0)
    torch.testing.assert_close(gates, a.tanh() * b.sigmoid(), rtol=rtol, atol=4 * rtol)
    powers = run(torch.full_like(a, -torch.inf), b)[1]
    assert bool((powers < 1e-37).all())


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_nan_stays(dtype):
    """A guard against numbers that are not finite would otherwise see nothing."""
    whole = {torch.float32: torch.int32, torch.float64: torch.int64}[dtype]
    a, b = torch.ones(2, 16, dtype=dtype)
    a[[1, 2]] = torch.tensor([torch.nan, -torch.nan], dtype=dtype)
    a.view(whole)[3] = torch.tensor(torch.nan, dtype=dtype).view(whole) + 3  # with other bits
    b[5] = torch.nan
    limits, powers, gates = run(a, b)
    for result in (limits, powers):
        assert torch.equal(result.isnan(), a.isnan())
    assert torch.equal(gates.isnan(), a.isnan() | b.isnan())
