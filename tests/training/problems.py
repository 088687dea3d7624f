"""A small variational autoencoder on synthetic data, for tests of the loop."""

from __future__ import annotations

import torch
from torch import nn

from ancestral.core import Kind, Specification
from ancestral.data import TensorSource
from ancestral.distributions import Bernoulli
from ancestral.inference.bounds import Elbo
from ancestral.inference.gradients import PathwiseClosedFormKl
from ancestral.inference.objectives import Variational, WarmUp
from ancestral.inference.posteriors import Amortized
from ancestral.models import (
    DiagonalGaussian,
    LatentVariableModel,
    NetworkConditional,
    StandardNormalPrior,
)
from ancestral.networks import DenseNetwork, InputFeatures, ResidualNetwork
from ancestral.training import LossModule

SPEC = Specification(Kind.BINARY, (16,))


def source(num_rows: int = 230) -> TensorSource:
    generator = torch.Generator().manual_seed(5)
    rates = torch.rand(num_rows, 1, generator=generator)
    rows = (torch.rand(num_rows, 16, generator=generator) < rates).to(torch.uint8)
    return TensorSource(rows, SPEC)


def module(warm_up: int = 0, dropout: float = 0.2) -> LossModule:
    """Dropout makes the noise of a step matter in the networks too."""
    torch.manual_seed(0)
    encoder = DiagonalGaussian(ResidualNetwork(16, 12, 1, 6, dropout=dropout))
    decoder = NetworkConditional(DenseNetwork(3, (12,), 16, nn.SiLU), Bernoulli((16,)))
    return LossModule(
        Variational(Elbo(), PathwiseClosedFormKl(), WarmUp(warm_up), free_nats=0.01),
        LatentVariableModel(StandardNormalPrior(3), decoder),
        Amortized(InputFeatures(SPEC), encoder),
    )
