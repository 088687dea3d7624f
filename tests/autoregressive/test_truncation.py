"""Temperature, top-k and top-p at their limits."""

from __future__ import annotations

import pytest
import torch

from ancestral.models import Truncation


@pytest.mark.parametrize("temperature", [1e-300, 1e-50, 1e-30, 1e-3])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_tiny_temperatures_take_the_likeliest(temperature, dtype):
    table = torch.tensor([[0.2, 0.5, 0.3, 0.0], [0.4, 0.4, 0.2, 0.0]], dtype=dtype)
    expected = torch.tensor([[0, 1, 0, 0], [0.5, 0.5, 0, 0]], dtype=dtype)
    torch.testing.assert_close(Truncation(temperature)(table), expected)


def test_a_temperature_is_a_power():
    table = torch.tensor([0.2, 0.5, 0.3, 0.0])
    for temperature in (0.5, 3.0, 1e6):
        powers = table ** (1 / temperature) * (table > 0)
        torch.testing.assert_close(Truncation(temperature)(table), powers / powers.sum())
