"""Completions of a model whose cells depend on each other given z, against enumeration."""

from __future__ import annotations

import itertools
import math

import torch
from torch import nn

from ancestral.applications import ParticleFilter, impute
from ancestral.core import Batch
from ancestral.distributions import Bernoulli, site_head
from ancestral.inference.posteriors import Amortized
from ancestral.models import (
    AutoregressiveLikelihood,
    AutoregressiveModel,
    DiagonalGaussian,
    LatentVariableModel,
    StandardNormalPrior,
)
from ancestral.networks.causal import MaskedDense, Plain

STATES = torch.tensor(list(itertools.product((0.0, 1.0), repeat=4))).double()


class Nothing(nn.Module):
    """What an encoder sees of rows with gaps: here nothing, so that q is the prior."""

    def forward(self, x, observed=None):
        return x.new_zeros(len(x), 1)


def a_model() -> tuple[LatentVariableModel, Amortized]:
    network = MaskedDense(4, 1, Plain(), hidden_sizes=(7,), context_size=1)
    model = AutoregressiveModel(network, site_head(Bernoulli((4,)), 4), (4,))
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(0.9 * torch.randn_like(parameter))
    likelihood = AutoregressiveLikelihood(model, nn.Identity())
    encoder = nn.Linear(1, 2)
    nn.init.zeros_(encoder.bias)
    posterior = Amortized(Nothing(), DiagonalGaussian(encoder))
    return LatentVariableModel(StandardNormalPrior(1), likelihood).eval(), posterior.eval()


def probabilities(model: LatentVariableModel) -> torch.Tensor:
    """p(x) of all states, by a sum over a fine grid of z."""
    z = torch.linspace(-7, 7, 400).reshape(-1, 1, 1)
    step = float(z[1] - z[0])
    log_joint = model.log_joint(STATES, z.expand(-1, len(STATES), 1))
    return (log_joint.logsumexp(0) + math.log(step)).exp()


@torch.no_grad()
def test_gaps_before_and_after_what_is_known():
    model, posterior = a_model()
    p = probabilities(model)
    torch.testing.assert_close(p.sum(), torch.ones(()), atol=1e-6, rtol=0)
    x = torch.tensor([[0.0, 0.0, 1.0, 0.0], [1.0, 0.0, 0.0, 0.0]])
    observed = torch.tensor([[False, False, True, True], [True, True, False, False]])
    found = impute(
        model,
        Batch(x, observed),
        6000,
        posterior=posterior,
        particles=ParticleFilter(num_particles=64),
    )
    assert "particles" in found.method
    for row in range(2):
        fits = (STATES[:, observed[row]] == x[row, observed[row]]).all(1)
        evidence = p[fits].sum()
        error = found.log_evidence.std_error[row]
        assert abs(float(found.log_evidence.value[row] - evidence.log())) < 5 * error + 1e-3
        exact = (p[fits, None] * STATES[fits]).sum(0) / evidence
        estimated = (found.weights[row, :, None] * found.samples[row]).sum(0)
        # 6,000 draws, of which at least a third count: 4.5 standard errors
        assert (estimated - exact).abs().max() < 4.5 * 0.5 / 2000**0.5
        assert (found.samples[row][:, observed[row]] == x[row, observed[row]]).all()
    assert found.ess.min() > 2000
