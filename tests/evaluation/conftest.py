"""Tiny models with random weights, whose numbers can be computed in another way."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from ancestral.core import Column, Kind, Specification
from ancestral.data import TensorSource
from ancestral.distributions import default_head
from ancestral.evaluation import Setting
from ancestral.inference.posteriors import Amortized, ExactPosterior
from ancestral.models import (
    Autoencoder,
    DiagonalGaussian,
    LatentVariableModel,
    NetworkConditional,
    ProbabilisticPCA,
    StandardNormalPrior,
    Units,
)
from ancestral.networks import InputFeatures

sys.path.insert(0, str(Path(__file__).parent))  # so that its tests can share models


@dataclass
class Tiny:
    model: nn.Module
    posterior: object
    source: TensorSource
    setting: Setting


def _rows(spec, num_rows, generator):
    """Rows of each column's kind, [num_rows, *shape]."""
    shape = (num_rows, *spec.shape)
    if spec.columns is not None:
        parts = [
            _rows(Specification(c.kind, (1,), c.num_levels), num_rows, generator)
            for c in spec.columns
        ]
        return torch.cat(parts, 1)
    match spec.kind:
        case Kind.BINARY:
            return torch.randint(0, 2, shape, generator=generator).double()
        case Kind.LEVELS | Kind.CATEGORICAL:
            return torch.randint(0, spec.num_levels, shape, generator=generator).double()
        case Kind.COUNT:
            return torch.randint(0, 9, shape, generator=generator).double()
        case Kind.REAL:
            return 3 + 2 * torch.randn(shape, generator=generator)
        case _:
            return torch.rand(shape, generator=generator) * 0.9 + 0.05


@pytest.fixture
def make_source():
    def make(spec, num_rows=40, labels=None):
        generator = torch.Generator().manual_seed(1)
        x = _rows(spec, num_rows, generator)
        if spec.missing:
            x[torch.rand(x.shape, generator=generator) < 0.2] = float("nan")
        return TensorSource(x, spec, labels=labels)

    return make


def _encoder(spec, num_outputs):
    features = InputFeatures(spec)
    linear = nn.LazyLinear(num_outputs)
    network = nn.Sequential(nn.Flatten(-len(features.output_shape)), linear)
    return features, network


@pytest.fixture
def make_vae(make_source):
    def make(spec, latent_size=2, num_rows=40):
        source = make_source(spec, num_rows)
        head = default_head(spec)
        network = nn.Sequential(
            nn.Linear(latent_size, 16), nn.Tanh(), nn.Linear(16, head.num_features)
        )
        likelihood = NetworkConditional(network, head, Units(spec))
        model = LatentVariableModel(StandardNormalPrior(latent_size), likelihood)
        features, encoder = _encoder(spec, 2 * latent_size)
        posterior = Amortized(features, DiagonalGaussian(encoder))
        rows = source.rows(slice(None))
        features.initialize(rows.x, rows.observed)
        posterior.distribution(model, rows)  # the lazy layer gets its size
        return Tiny(model, posterior, source, Setting("vae", "toy", "test"))

    return make


@pytest.fixture
def vae(make_vae):
    return make_vae(Specification(Kind.BINARY, (5, 6)))


@pytest.fixture
def ppca(make_source):
    source = make_source(Specification(Kind.REAL, (5,)))
    model = ProbabilisticPCA((5,), 2)
    model.fit_closed_form(source.rows(slice(None)).x)
    return Tiny(model, ExactPosterior(), source, Setting("ppca", "toy", "test"))


@pytest.fixture
def autoencoder(make_source):
    spec = Specification(Kind.BINARY, (5, 6))
    source = make_source(spec)
    features, encoder = _encoder(spec, 3)
    decoder = NetworkConditional(nn.Linear(3, 30), default_head(spec))
    model = Autoencoder(features, encoder, decoder)
    model.encode(source.rows(slice(0, 2)))
    return Tiny(model, None, source, Setting("autoencoder", "toy", "test"))


@pytest.fixture
def mixed_spec():
    columns = (
        Column("age", Kind.REAL),
        Column("town", Kind.CATEGORICAL, 3, ("Ulm", "Bonn", "Kiel")),
        Column("smokes", Kind.BINARY),
        Column("children", Kind.COUNT),
    )
    return Specification(None, (4,), columns=columns, missing=True)


@pytest.fixture
def labels():
    return np.arange(40) % 4
