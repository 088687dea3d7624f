"""Distances between samples, against loops and enumeration."""

from __future__ import annotations

import itertools
import math

import pytest
import torch

from ancestral.core import ShapeError
from ancestral.distributions import (
    Discrepancy,
    GaussianKernel,
    InverseMultiquadratic,
    MaximumMeanDiscrepancy,
    SlicedWasserstein,
    mmd_squared,
    sliced_wasserstein_squared,
    squared_distances,
)

KERNELS = [GaussianKernel((0.5, 1.0, 4.0)), InverseMultiquadratic()]


def by_hand(kernel, x, y):
    """k of two vectors, from its formula."""
    square = sum((a - b) ** 2 for a, b in zip(x.tolist(), y.tolist(), strict=True))
    if isinstance(kernel, GaussianKernel):
        parts = [math.exp(-square / (2 * s * s)) for s in kernel.scales]
    else:
        constants = [2 * len(x) * s for s in kernel.scales]
        parts = [c / (c + square) for c in constants]
    return sum(parts) / len(parts)


@pytest.mark.parametrize("kernel", KERNELS)
def test_mmd_is_that_of_a_double_loop(kernel):
    x, y = torch.randn(5, 3), torch.randn(7, 3) + 0.5
    total = 0.0
    for sample in (x, y):
        n = len(sample)
        pairs = [
            by_hand(kernel, sample[i], sample[j]) for i in range(n) for j in range(n) if i != j
        ]
        total += sum(pairs) / (n * (n - 1))
    cross = [by_hand(kernel, a, b) for a in x for b in y]
    total -= 2 * sum(cross) / len(cross)
    assert float(mmd_squared(x, y, kernel)) == pytest.approx(total, rel=1e-12)
    assert float(MaximumMeanDiscrepancy(kernel)(x, y)) == pytest.approx(total, rel=1e-12)


@pytest.mark.parametrize("kernel", KERNELS)
def test_mmd_is_unbiased(kernel):
    # over all samples of two from either of two distributions on three points
    points = torch.tensor([[0.0], [1.0], [2.5]])
    p, q = torch.tensor([0.2, 0.5, 0.3]), torch.tensor([0.6, 0.1, 0.3])
    gram = kernel(squared_distances(points, points), 1)
    exact = (p - q) @ gram @ (p - q)
    mean = torch.zeros(())
    for i, j, k, m in itertools.product(range(3), repeat=4):
        value = mmd_squared(points[[i, j]], points[[k, m]], kernel)
        mean = mean + p[i] * p[j] * q[k] * q[m] * value
    torch.testing.assert_close(mean, exact)
    assert float(exact) > 0


def test_squared_distances_far_from_zero(single_precision):
    x = torch.randn(20, 6) + 1000
    exact = torch.cdist(x.double(), x.double()).square()
    assert float((squared_distances(x, x) - exact).abs().max()) < 1e-3


def test_mmd_gradient():
    x = torch.randn(4, 2, requires_grad=True)
    y = torch.randn(3, 2, requires_grad=True)
    for kernel in KERNELS:
        assert torch.autograd.gradcheck(lambda a, b, k=kernel: mmd_squared(a, b, k), (x, y))


def test_sliced_wasserstein_is_optimal_transport_on_each_line():
    x, y = torch.randn(4, 3), torch.randn(4, 3)
    directions = torch.nn.functional.normalize(torch.randn(5, 3), dim=-1)
    total = 0.0
    for direction in directions:
        a, b = x @ direction, y @ direction
        total += min(
            float((a - b[list(order)]).square().mean())
            for order in itertools.permutations(range(4))
        )
    ours = float(sliced_wasserstein_squared(x, y, directions))
    assert ours == pytest.approx(total / 5, rel=1e-12)


def test_sliced_wasserstein_of_a_shift():
    # along a unit vector a shift by v moves all by its component: v^2 / D on average
    x, shift = torch.randn(50, 3), torch.tensor([1.0, 2.0, -2.0])
    value = float(SlicedWasserstein(20_000)(x, x + shift))
    assert value == pytest.approx(9 / 3, rel=0.03)
    assert float(SlicedWasserstein(3)(x, x)) == 0


def test_wrong_shapes_are_refused():
    assert isinstance(MaximumMeanDiscrepancy(), Discrepancy)
    assert isinstance(SlicedWasserstein(), Discrepancy)
    for x, y in ((1, 3), (3, 1)):
        with pytest.raises(ShapeError, match="at least 2 rows"):
            mmd_squared(torch.zeros(x, 2), torch.zeros(y, 2), KERNELS[0])
    with pytest.raises(ShapeError, match="at least 2 rows"):
        mmd_squared(torch.zeros(3, 2), torch.zeros(3, 4), KERNELS[0])
    with pytest.raises(ShapeError, match="two samples of one size"):
        sliced_wasserstein_squared(torch.zeros(3, 2), torch.zeros(4, 2), torch.ones(1, 2))
