"""The gradients that `vae` can be trained with."""

from __future__ import annotations

import pytest
import torch

import ancestral
from ancestral.core import OptionError


@pytest.mark.parametrize("gradient", ["closed-form", "pathwise", "stick-the-landing"])
def test_every_gradient_trains(gradient: str) -> None:
    x = (torch.rand(300, 12, generator=torch.Generator().manual_seed(0)) < 0.3).float().numpy()
    model = ancestral.build(
        "vae",
        gradient=gradient,
        latent_size=2,
        hidden_size=8,
        epochs=3,
    ).fit(x)
    assert model.history_.records[-1]["train/bound"] > model.history_.records[0]["train/bound"]


def test_unknown_gradients_are_refused() -> None:
    with pytest.raises(OptionError, match="closed-form, pathwise, stick-the-landing"):
        ancestral.build("vae", gradient="no such").fit(torch.zeros(10, 4).numpy())
