"""A small model in which everything is known, and posteriors that are wrong on purpose."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.distributions import MultivariateNormal, kl_divergence

from ancestral.core import Batch
from ancestral.distributions import DiagonalNormal, FullNormal
from ancestral.inference.posteriors import ParametricPosterior
from ancestral.models import LatentVariableModel, ProbabilisticPCA

NUM_DIMS, LATENT_SIZE, NUM_ROWS = 4, 2, 3


def a_model(num_dims: int = NUM_DIMS, latent_size: int = LATENT_SIZE) -> ProbabilisticPCA:
    model = ProbabilisticPCA((num_dims,), latent_size)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(0.3 * torch.randn_like(parameter))
    return model


class FreePosterior(ParametricPosterior):
    """N(m_i, L_i L_i^T) with parameters that have nothing to do with x."""

    def __init__(self, *, diagonal: bool, num_rows: int = NUM_ROWS) -> None:
        super().__init__()
        self.diagonal = diagonal
        self.loc = nn.Parameter(0.5 * torch.randn(num_rows, LATENT_SIZE))
        self.log_scale = nn.Parameter(0.3 * torch.randn(num_rows, LATENT_SIZE) - 0.5)
        if not diagonal:
            self.below = nn.Parameter(0.3 * torch.randn(num_rows, LATENT_SIZE, LATENT_SIZE))

    def factor(self) -> Tensor:
        factor = torch.diag_embed(self.log_scale.exp())
        return factor if self.diagonal else factor + self.below.tril(-1)

    def distribution(self, model: LatentVariableModel, batch: Batch):
        if self.diagonal:
            return DiagonalNormal(self.loc, self.log_scale)
        return FullNormal(self.loc, self.factor())


class Widened(ParametricPosterior):
    """The exact posterior, moved and stretched: a proposal of known quality."""

    def __init__(self, shift: float = 0.3, stretch: float = 1.3) -> None:
        super().__init__()
        self.shift, self.stretch = shift, stretch

    def distribution(self, model: LatentVariableModel, batch: Batch) -> FullNormal:
        q = model.posterior(batch.x, batch.observed)
        return FullNormal(q.loc + self.shift, self.stretch * q.scale_tril)


def kl_from_prior(q: FreePosterior) -> Tensor:
    theirs = MultivariateNormal(q.loc, scale_tril=q.factor())
    return kl_divergence(
        theirs, MultivariateNormal(torch.zeros(LATENT_SIZE), torch.eye(LATENT_SIZE))
    )


def expected_log_likelihood(model: ProbabilisticPCA, q: FreePosterior, x: Tensor) -> Tensor:
    """E_q log N(x; W z + m, s^2 I), by the moments of q."""
    w, s2 = model.weight, model.noise_scale.square()
    residual = x - q.loc @ w.T - model.loc
    spread = (w @ q.factor()).square().sum((-2, -1))
    constant = model.loc.numel() * (2 * torch.pi * s2).log()
    return -0.5 * (constant + (residual.square().sum(-1) + spread) / s2)


def analytic_elbo(model: ProbabilisticPCA, q: FreePosterior, x: Tensor) -> Tensor:
    return expected_log_likelihood(model, q, x) - kl_from_prior(q)
