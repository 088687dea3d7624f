"""Parts of models with several Gaussian layers."""

from __future__ import annotations

from collections.abc import Sequence

from torch import nn

from ancestral.core import Specification
from ancestral.distributions import Head
from ancestral.models import (
    DiagonalGaussian,
    FirstLayer,
    LatentVariableModel,
    LayeredPrior,
    NetworkConditional,
    StandardNormalPrior,
    Units,
)
from ancestral.networks import ResidualNetwork

__all__ = ["gaussian_layers", "layered_model"]


def gaussian_layers(
    sizes_in: Sequence[int], sizes_out: Sequence[int], hidden_size: int, dropout: float
) -> list[DiagonalGaussian]:
    """Dense Gaussian conditionals from one layer to the next."""
    return [
        DiagonalGaussian(ResidualNetwork(i, hidden_size, 1, 2 * o, dropout=dropout))
        for i, o in zip(sizes_in, sizes_out, strict=True)
    ]


def layered_model(
    spec: Specification,
    head: Head,
    decoder: nn.Module,
    sizes: Sequence[int],
    *,
    hidden_size: int,
    dropout: float,
) -> LatentVariableModel:
    """z_n ~ N(0, I), Gaussian layers down to z_1, and a decoder of z_1."""
    downwards = gaussian_layers(sizes[1:], sizes[:-1], hidden_size, dropout)
    prior = LayeredPrior(StandardNormalPrior(sizes[-1]), downwards, sizes)
    likelihood = NetworkConditional(FirstLayer(decoder, sizes[0]), head, Units(spec))
    return LatentVariableModel(prior, likelihood)
