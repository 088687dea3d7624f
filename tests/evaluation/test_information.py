"""Mutual information and marginal KL, against linear-Gaussian models in which both are known."""

from __future__ import annotations

import json
import math

import numpy as np
import pytest
import torch
from torch import nn
from torch.distributions import MultivariateNormal, Normal, kl_divergence

from ancestral.core import Draws, Kind, Specification
from ancestral.data import TensorSource
from ancestral.distributions import DiagonalNormal
from ancestral.evaluation import Evaluation, Information, estimate_information, evaluate
from ancestral.evaluation.information import _entropy_form
from ancestral.inference.evidence import Importance
from ancestral.inference.posteriors import ExactPosterior, ParametricPosterior, Posterior
from ancestral.models import ProbabilisticPCA


def a_model(num_rows=1000, noise=1.0, num_dims=5, latent_size=2):
    """A PCA model, rows drawn from it, and W."""
    model = ProbabilisticPCA((num_dims,), latent_size).requires_grad_(False)
    weight = 0.7 * torch.randn(num_dims, latent_size)
    model._set(weight, torch.randn(num_dims), torch.tensor(noise))
    source = TensorSource(model.sample(num_rows), Specification(Kind.REAL, (num_dims,)))
    return model, source


class Linear(ParametricPosterior):
    """N(A (x - m) + b, diag(s^2)): for Gaussian x its aggregate is Gaussian."""

    def __init__(self, matrix, scale, offset=0.0):
        super().__init__()
        self.matrix, self.scale, self.offset = matrix, scale, offset

    def distribution(self, model, batch):
        loc = (batch.x - model.loc) @ self.matrix.T + self.offset
        return DiagonalNormal(loc, torch.full_like(loc, math.log(self.scale)))


class DrawsAlone(Posterior):
    """Another posterior of which nothing but draws is to be had."""

    reparameterized = False

    def __init__(self, inner):
        super().__init__()
        self.inner = inner

    def draw(self, model, batch, num_samples):
        z, log_q = self.inner.draw(model, batch, num_samples)
        return Draws(z.detach(), log_q.detach())

    def log_prob(self, model, batch, z):
        raise AssertionError("has no density")


def analytic(model, q):
    """MI, marginal KL and mean KL under the model's own x, for a `Linear` q."""
    w = model.weight
    data = w @ w.T + model.noise_scale.square() * torch.eye(len(w))
    size = w.shape[1]
    moved = q.matrix @ data @ q.matrix.T
    own = q.scale**2 * torch.eye(size)
    information = 0.5 * (torch.logdet(moved + own) - torch.logdet(own))
    aggregate = MultivariateNormal(torch.full((size,), q.offset), moved + own)
    prior = MultivariateNormal(torch.zeros(size), torch.eye(size))
    marginal = kl_divergence(aggregate, prior)
    return float(information), float(marginal)


def test_exact_posterior_of_the_true_model():
    """The aggregate is the prior, and MI is the channel's capacity: 5 standard errors."""
    model, source = a_model()
    w = model.weight
    gram = torch.eye(2) + w.T @ w / model.noise_scale.square()
    expected = 0.5 * float(torch.logdet(gram))
    found = estimate_information(model, ExactPosterior(), source)
    tolerance = 5 * found.std_error + 0.05
    assert found.mutual_information == pytest.approx(expected, abs=tolerance)
    assert found.mutual_information <= found.mutual_information_at_most + 1e-12
    assert found.mutual_information_at_most == pytest.approx(expected, abs=0.2)
    assert found.marginal_kl == pytest.approx(0, abs=0.15)
    assert found.marginal_kl + found.mutual_information == pytest.approx(found.kl, abs=1e-12)
    assert found.aggregate == "densities"


@pytest.mark.parametrize("offset", [0.0, 2.0])
@pytest.mark.parametrize("scale", [0.3, 1.0])
def test_a_wrong_posterior_has_a_marginal_kl(scale, offset):
    model, source = a_model()
    q = Linear(0.5 * torch.randn(2, 5), scale, offset)
    information, marginal = analytic(model, q)
    found = estimate_information(model, q, source)
    assert found.num_rows == 1000
    # the rows are a sample of the model's: 0.15 nats, and half a per cent of the larger terms
    assert found.mutual_information == pytest.approx(information, abs=0.15)
    assert found.mutual_information < information + 5 * found.std_error
    assert found.mutual_information_at_most > information - 0.1
    assert found.marginal_kl == pytest.approx(marginal, abs=0.15 + 0.05 * marginal)
    assert found.marginal_kl_at_least < marginal + 0.1 + 0.05 * marginal


def test_against_the_integral_over_the_mixture():
    """One latent variable and few rows: the mixture's entropy by quadrature."""
    model, source = a_model(num_rows=12, latent_size=1)
    q = Linear(torch.randn(1, 5), 0.8, 0.5)
    x = source.rows(slice(None))
    loc = q.distribution(model, x).loc
    grid = torch.linspace(-30, 30, 60_001)
    mixture = Normal(loc, 0.8).log_prob(grid).logsumexp(0) - math.log(12)
    step = float(grid[1] - grid[0])
    entropy = -float((mixture.exp() * mixture).sum()) * step
    information = entropy - float(Normal(0.0, 0.8).entropy())
    prior = Normal(0.0, 1.0).log_prob(grid)
    marginal = float((mixture.exp() * (mixture - prior)).sum()) * step
    runs = [estimate_information(model, q, source, seed=s) for s in range(40)]
    values = np.array([f.mutual_information for f in runs])
    error = values.std(ddof=1) / math.sqrt(len(values))
    assert values.mean() == pytest.approx(information, abs=4 * error)  # fails once in 16,000
    # the KL of these rows is exact, so the two parts have opposite errors
    assert runs[0].kl == pytest.approx(information + marginal, abs=1e-6)
    assert np.mean([f.marginal_kl for f in runs]) == pytest.approx(marginal, abs=4 * error)


def test_never_negative_never_above_log_n():
    log_q = torch.randn(30, 30)
    apart = torch.full((30, 30), -math.inf).fill_diagonal_(0.0)
    alike = torch.zeros(30, 30)
    for pairs in (log_q, apart, alike):
        value = _entropy_form(pairs, 1)
        assert bool((value >= -1e-12).all())
        assert bool((value <= math.log(30) + 1e-12).all())
    assert float(_entropy_form(apart, 1).mean()) == pytest.approx(math.log(30))
    assert float(_entropy_form(alike, 1).abs().max()) < 1e-12


def test_codes_that_never_meet_reach_the_limit_and_a_gaussian_bounds_the_rest():
    """Here the aggregate is Gaussian, so that bound is tight: within the noise of 200 rows."""
    model, source = a_model(num_rows=200)
    q = Linear(10 * torch.randn(2, 5), 1e-4)
    information, marginal = analytic(model, q)
    found = estimate_information(model, q, source)
    assert found.mutual_information == pytest.approx(math.log(200))
    assert found.limit == pytest.approx(math.log(200))
    assert information > 20
    assert found.mutual_information_at_most == pytest.approx(information, abs=0.3)
    assert found.marginal_kl_at_least == pytest.approx(marginal, rel=0.1)


def test_a_collapsed_posterior_has_none():
    model, source = a_model(num_rows=100)
    found = estimate_information(model, Linear(torch.zeros(2, 5), 1.0), source)
    assert found.mutual_information == pytest.approx(0, abs=1e-12)
    assert found.mutual_information_at_most == pytest.approx(0, abs=1e-12)
    assert found.marginal_kl == pytest.approx(0, abs=1e-12)


def test_draws_alone_give_a_looser_bound():
    model, source = a_model()
    q = Linear(0.5 * torch.randn(2, 5), 0.3, 1.0)
    information, marginal = analytic(model, q)
    found = estimate_information(model, DrawsAlone(q), source)
    assert found.aggregate == "fitted Gaussians"
    assert found.num_rows == 200
    # Gaussian draws: the fitted critics lose a few hundredths for each dimension
    assert information - 0.4 < found.mutual_information < information + 5 * found.std_error
    assert found.mutual_information_at_most == pytest.approx(information, abs=0.3)
    assert found.marginal_kl == pytest.approx(marginal, abs=0.5 + 0.1 * marginal)


class Bits(Posterior):
    """Independent bits whose probabilities depend on the sign of the first cells."""

    reparameterized = False

    def __init__(self, strength):
        super().__init__()
        self.strength = strength

    def logits(self, batch):
        return self.strength * batch.x[:, :2].sign()

    def draw(self, model, batch, num_samples):
        logits = self.logits(batch)
        z = torch.bernoulli(logits.sigmoid().expand(num_samples, -1, -1))
        return Draws(z, self.log_prob(model, batch, z))

    def log_prob(self, model, batch, z):
        loss = nn.functional.binary_cross_entropy_with_logits
        logits = self.logits(batch).expand_as(z)
        return -loss(logits, z, reduction="none").sum(-1)


def test_bits_of_a_draw_only_posterior():
    """Two bits that copy two signs carry the entropy of the four cases."""
    model, source = a_model()
    signs = source.rows(slice(None)).x[:, :2].sign().unique(dim=0, return_counts=True)[1]
    shares = signs / signs.sum()
    entropy = -float((shares * shares.log()).sum())
    found = estimate_information(model, Bits(8.0), source)
    assert found.aggregate == "fitted Gaussians"
    assert found.mutual_information == pytest.approx(entropy, abs=0.2)
    nothing = estimate_information(model, Bits(0.0), source)
    assert nothing.mutual_information < 0.1


def test_the_same_seed_gives_the_same_numbers_and_leaves_no_trace(vae):
    state = torch.get_rng_state()
    first, second = (
        estimate_information(vae.model, vae.posterior, vae.source, seed=2) for _ in range(2)
    )
    assert first == second
    assert torch.equal(state, torch.get_rng_state())
    assert estimate_information(vae.model, vae.posterior, vae.source, seed=3) != first


def test_one_row_tells_nothing(vae):
    alone = vae.source.subset(slice(0, 1))
    assert estimate_information(vae.model, vae.posterior, alone) is None


def test_in_the_json_and_back(vae):
    e = evaluate(vae.model, vae.posterior, vae.source, setting=vae.setting, method=Importance(20))
    d = json.loads(json.dumps(e.to_dict(), allow_nan=False))
    of_both = {"value", "kind", "std_error", "unit", "rows", "kl_of_these_rows", "aggregate"}
    assert set(d["mutual_information"]) == of_both | {"upper_bound", "limit"}
    assert set(d["marginal_kl"]) == of_both | {"lower_bound"}
    assert d["mutual_information"]["kind"] == "lower_bound"
    assert d["marginal_kl"]["kind"] == "upper_bound"
    assert d["mutual_information"]["rows"] == 40
    assert d["mutual_information"]["limit"] == pytest.approx(math.log(40))
    together = d["mutual_information"]["value"] + d["marginal_kl"]["value"]
    assert together == pytest.approx(d["kl"], abs=1e-9)  # all 40 rows were taken
    assert Evaluation.from_dict(d).information == e.information
    assert isinstance(e.information, Information)
