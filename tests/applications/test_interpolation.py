"""Paths between codes, and attribute vectors, against their formulas."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from ancestral.applications.arithmetic import attribute_vector, shifted
from ancestral.applications.interpolation import CodePath, path_between
from ancestral.core import DataError, OptionError, ShapeError

SPHERICAL = CodePath.SPHERICAL


def shoemake(u, v, t):
    """Equation of section 3.3, as it stands; no good for nearly equal or opposite directions."""
    angle = math.acos(float(u @ v / (u.norm() * v.norm())))
    direction = (
        math.sin((1 - t) * angle) * u / u.norm() + math.sin(t * angle) * v / v.norm()
    ) / math.sin(angle)
    return ((1 - t) * u.norm() + t * v.norm()) * direction


@pytest.mark.parametrize("dims", [2, 3, 20])
def test_spherical_paths_follow_the_formula(dims):
    first, last = torch.randn(7, dims), 3 * torch.randn(7, dims)
    found = path_between(first, last, 6, SPHERICAL)
    for row in range(7):
        for step in range(6):
            expected = shoemake(first[row], last[row], step / 5)
            torch.testing.assert_close(found[row, step], expected, rtol=1e-9, atol=1e-9)


def test_radius_and_angle_change_evenly():
    found = path_between(torch.randn(5, 4), 2 * torch.randn(5, 4), 9, SPHERICAL)
    radius = found.norm(dim=-1)
    torch.testing.assert_close(radius.diff(dim=1).std(1), torch.zeros(5), rtol=0, atol=1e-12)
    unit = found / radius.unsqueeze(-1)
    cosines = (unit[:, 1:] * unit[:, :-1]).sum(-1)
    torch.testing.assert_close(cosines.std(1), torch.zeros(5), rtol=0, atol=1e-12)


@pytest.mark.parametrize("angle", [0.0, 1e-15, 1e-12, 1e-9, 1e-7, 1e-4])
@pytest.mark.parametrize("opposite", [False, True])
def test_nearly_equal_and_nearly_opposite_directions(angle, opposite):
    u = torch.tensor([[0.6, 0.8, 0.0]])
    v = torch.tensor([[0.6 * math.cos(angle), 0.8 * math.cos(angle), math.sin(angle)]])
    v = -2 * v if opposite else 2 * v
    found = path_between(u, v, 5, SPHERICAL)
    assert bool(found.isfinite().all())
    assert torch.equal(found[:, 0], u)
    assert torch.equal(found[:, -1], v)
    torch.testing.assert_close(
        found.norm(dim=-1)[0], torch.linspace(1, 2, 5), rtol=1e-9, atol=1e-9
    )
    unit = found[0] / found[0].norm(dim=-1, keepdim=True)
    steps = (unit[1:] * unit[:-1]).sum(-1).clamp(-1, 1).acos()
    expected = (math.pi - angle if opposite else angle) / 4
    torch.testing.assert_close(steps, torch.full((4,), expected), rtol=1e-6, atol=1e-7)


@pytest.mark.parametrize(
    ("start", "end"),
    [([[0.0, 0.0]], [[1.0, 2.0]]), ([[1.0, 2.0]], [[0.0, 0.0]]), ([[2.0]], [[-1.0]])],
)
def test_without_a_direction_or_a_circle_the_path_is_straight(start, end):
    first, last = torch.tensor(start), torch.tensor(end)
    straight = path_between(first, last, 4)
    torch.testing.assert_close(path_between(first, last, 4, SPHERICAL), straight)


def test_ends_are_the_codes_to_the_last_digit_in_single_precision(single_precision):
    first, last = torch.randn(50, 30), torch.randn(50, 30)
    for path in CodePath:
        found = path_between(first, last, 3, path)
        assert found.dtype == torch.float32
        assert torch.equal(found[:, 0], first)
        assert torch.equal(found[:, -1], last)


def test_paths_are_refused():
    with pytest.raises(OptionError, match="expected at least 2 steps, got 1"):
        path_between(torch.zeros(1, 2), torch.zeros(1, 2), 1)
    with pytest.raises(ShapeError, match=r"as many codes to end at as to start from"):
        path_between(torch.zeros(1, 2), torch.zeros(2, 2), 3)


def test_attribute_vectors_are_differences_of_means():
    codes, has = torch.randn(40, 3), torch.arange(40) % 4 == 0
    x = codes.numpy()
    expected = x[::4].mean(0) - x[np.arange(40) % 4 != 0].mean(0)
    np.testing.assert_allclose(attribute_vector(codes, has).numpy(), expected, rtol=1e-12)
    lacks = torch.arange(40) % 4 == 1
    expected = x[::4].mean(0) - x[1::4].mean(0)
    np.testing.assert_allclose(attribute_vector(codes, has, lacks).numpy(), expected, rtol=1e-12)


def test_shifted_codes():
    codes, vector = torch.randn(4, 3), torch.tensor([1.0, 0.0, -2.0])
    found = shifted(codes, vector, torch.tensor([-2.0, 0.0, 1.0]))
    assert found.shape == (4, 3, 3)
    torch.testing.assert_close(found[:, 0], codes - 2 * vector)
    assert torch.equal(found[:, 1], codes)
    torch.testing.assert_close(found[:, 2], codes + vector)


def test_attributes_are_refused():
    codes = torch.zeros(3, 2)
    with pytest.raises(DataError, match="expected rows with the attribute, got none"):
        attribute_vector(codes, torch.zeros(3, dtype=torch.bool))
    with pytest.raises(DataError, match="expected rows without it, got none"):
        attribute_vector(codes, torch.ones(3, dtype=torch.bool))
    with pytest.raises(ShapeError, match="expected a mask of 3 rows"):
        attribute_vector(codes, torch.ones(2, dtype=torch.bool))
    with pytest.raises(ShapeError, match="expected a vector of 2 latent variables"):
        shifted(codes, torch.zeros(3), torch.zeros(1))
