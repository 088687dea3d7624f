"""Approximation and amortisation gap, against linear-Gaussian models in which both are known."""

from __future__ import annotations

import json
import math

import pytest
import torch
from test_information import Bits, DrawsAlone, a_model
from torch import nn
from torch.distributions import Independent, Normal, kl_divergence

from ancestral.core import OptionError
from ancestral.data import TensorSource
from ancestral.distributions import DiagonalNormal, FullNormal
from ancestral.evaluation import Evaluation, GapsOptions, evaluate, measure_gaps
from ancestral.inference.evidence import Exact, Importance
from ancestral.inference.posteriors import (
    ExactPosterior,
    ParametricPosterior,
    PerDatum,
    Refinement,
)

OPTIONS = GapsOptions(num_rows=20)


class Moved(ParametricPosterior):
    """The exact posterior moved and stretched; diagonal, if asked for."""

    def __init__(self, shift, stretch, *, diagonal):
        super().__init__()
        self.shift, self.stretch, self.diagonal = shift, stretch, diagonal

    def distribution(self, model, batch):
        q = model.posterior(batch.x, batch.observed)
        if self.diagonal:
            log_scale = 0.5 * q.variance.log() + math.log(self.stretch)
            return DiagonalNormal(q.loc + self.shift, log_scale)
        return FullNormal(q.loc + self.shift, self.stretch * q.scale_tril)


def a_correlated_model(num_rows, noise=1.0):
    """The two latent variables say much the same, so the posterior correlates them."""
    model, source = a_model(num_rows, noise)
    weight = model.weight.clone()
    weight[:, 1] = 0.8 * weight[:, 0] + 0.4 * weight[:, 1]
    model._set(weight, model.loc, model.noise_scale.square())
    source = TensorSource(model.sample(num_rows), source.spec)
    return model, source


def true_gaps(model, posterior, source):
    """Mean KL(q || p(z | x)), and that of the best diagonal Gaussian."""
    batch = source.rows(slice(0, 1))  # of a linear-Gaussian model, both are the same for all x
    exact = model.posterior(batch.x)
    total = kl_divergence(posterior.distribution(model, batch), exact)
    precision = torch.linalg.inv(exact.covariance_matrix)[0]
    best = 0.5 * (precision.diagonal().log().sum() - torch.logdet(precision))
    return float(total), float(best)


def test_the_exact_posterior_has_no_gap():
    model, source = a_model(num_rows=20)
    found = measure_gaps(model, ExactPosterior(), source, OPTIONS)
    for gap in (found.total, found.approximation, found.amortization):
        assert gap.value == pytest.approx(0, abs=1e-3)
    assert found.family == "full-covariance Gaussian"
    assert found.num_rows == 20


def test_a_wrong_member_of_the_right_family_has_an_amortization_gap_alone():
    model, source = a_model(num_rows=20)
    q = Moved(0.4, 1.5, diagonal=False)
    total, _ = true_gaps(model, q, source)
    found = measure_gaps(model, q, source, OPTIONS)
    assert total > 0.3
    # 1,000 draws for each of 20 rows: standard error of a hundredth at most
    assert found.amortization.value == pytest.approx(total, abs=0.05)
    assert found.approximation.value == pytest.approx(0, abs=0.01)
    assert found.total.value == pytest.approx(total, abs=0.05)


@pytest.mark.parametrize("noise", [1.0, 0.05])
def test_a_diagonal_posterior_of_correlated_variables_has_both(noise):
    model, source = a_correlated_model(num_rows=20, noise=noise)
    q = Moved(0.1, 1.3, diagonal=True)
    total, best = true_gaps(model, q, source)
    found = measure_gaps(model, q, source, OPTIONS)
    assert best > 0.03
    assert found.approximation.value == pytest.approx(best, abs=0.02 + 0.1 * best)
    assert found.amortization.value == pytest.approx(total - best, abs=0.03 + 0.05 * total)
    assert found.family == "diagonal Gaussian"


def test_the_prior_as_posterior_finds_its_way():
    """From a collapsed q to a sharp posterior: 100 nats and more."""
    model, source = a_correlated_model(num_rows=20, noise=0.02)

    class Prior(ParametricPosterior):
        def distribution(self, model, batch):
            return DiagonalNormal(torch.zeros(len(batch), 2), torch.zeros(len(batch), 2))

    _, best = true_gaps(model, Prior(), source)
    found = measure_gaps(model, Prior(), source, OPTIONS)
    assert found.amortization.value > 50
    assert found.approximation.value == pytest.approx(best, abs=0.05 + 0.1 * best)


def test_with_exact_evidence_nothing_is_sampled_for_log_p():
    model, source = a_model(num_rows=20)
    q = Moved(2.0, 0.5, diagonal=False)  # a poor proposal
    total, _ = true_gaps(model, q, source)
    options = GapsOptions(num_rows=20, evidence=Exact())
    found = measure_gaps(model, q, source, options)
    assert found.total.value == pytest.approx(total, abs=5 * found.total.std_error + 0.05)


class Encoded(ParametricPosterior):
    """A diagonal Gaussian under another name, from a network that knows nothing yet."""

    def __init__(self):
        super().__init__()
        self.network = nn.Sequential(nn.Linear(5, 64), nn.Tanh(), nn.Linear(64, 4))

    def distribution(self, model, batch):
        loc, log_scale = self.network(batch.x).chunk(2, -1)
        return Independent(Normal(loc, log_scale.exp()), 1)


def test_other_families_are_trained_on_the_rows_alone():
    model, source = a_correlated_model(num_rows=12)
    q = Encoded()
    before = [p.clone() for p in q.parameters()]
    x = source.rows(slice(None))
    exact = model.posterior(x.x)
    own = q.distribution(model, x)
    total = kl_divergence(DiagonalNormal(own.mean, own.stddev.log()), exact).mean().item()
    _, best = true_gaps(model, Moved(0.0, 1.0, diagonal=True), source)
    options = GapsOptions(num_rows=12, refinement=Refinement(500, 0.5, 8))
    found = measure_gaps(model, q, source, options)
    assert found.family == "a copy of q, trained on these rows alone"
    # 12 rows and 64 hidden units: a little is left, on the side that is stated
    assert 0.8 * (total - best) < found.amortization.value < 1.05 * (total - best)
    assert best - 0.05 < found.approximation.value < best + 0.2 * (total - best)
    assert all(torch.equal(a, b) for a, b in zip(before, q.parameters(), strict=True))


def test_a_posterior_fitted_to_each_row_has_next_to_no_amortization_gap():
    model, source = a_model(num_rows=12)
    found = measure_gaps(model, PerDatum(0, 2), source, GapsOptions(num_rows=12))
    assert found.amortization.value == pytest.approx(0, abs=0.1)


@pytest.mark.parametrize("q", [Bits(1.0), DrawsAlone(Moved(0.1, 1.1, diagonal=True))])
def test_without_gradients_the_gap_is_not_split(q):
    model, source = a_model(num_rows=10)
    found = measure_gaps(model, q, source, GapsOptions(num_rows=10))
    assert found.approximation is None
    assert found.amortization is None
    assert found.total.value > 0
    assert "cannot be fitted" in found.family
    assert found.to_dict()["amortization"] is None


def test_a_limit_of_time_is_kept():
    model, source = a_model(num_rows=200)
    options = GapsOptions(num_rows=200, max_seconds=1e-9)
    assert measure_gaps(model, ExactPosterior(), source, options) is None
    options = GapsOptions(200, refinement=Refinement(1, 0.1, 8), max_seconds=0.02)
    found = measure_gaps(model, Moved(0.1, 1.1, diagonal=True), source, options)
    assert found is None or found.num_rows < 200


def test_rows_are_counted_and_must_be_some(vae):
    counts = []
    options = GapsOptions(20, Importance(10), num_samples=10, refinement=Refinement(2, 0.1, 2))
    measure_gaps(vae.model, vae.posterior, vae.source, options, on_rows=counts.append)
    assert counts == [16, 4]
    with pytest.raises(OptionError, match="expected gaps of at least 1 row, got 0"):
        GapsOptions(0)


def test_in_the_json_and_back(vae):
    options = GapsOptions(10, num_samples=50, refinement=Refinement(20, 0.1, 4))
    state = torch.get_rng_state()
    runs = [
        evaluate(
            vae.model,
            vae.posterior,
            vae.source,
            setting=vae.setting,
            method=Importance(20),
            gaps=options,
        )
        for _ in range(2)
    ]
    assert torch.equal(state, torch.get_rng_state())
    first, second = (json.loads(json.dumps(e.to_dict(), allow_nan=False)) for e in runs)
    assert first == second
    gaps = first["gaps"]
    names = {"total", "approximation", "amortization", "kind", "unit", "rows", "samples"}
    names |= {"family", "found_by"}
    assert set(gaps) == names
    assert set(gaps["total"]) == {"value", "std_error"}
    parts = gaps["approximation"]["value"] + gaps["amortization"]["value"]
    assert parts == pytest.approx(gaps["total"]["value"], abs=1e-9)
    assert Evaluation.from_dict(first).to_dict() == runs[0].to_dict()
    assert (
        "gaps"
        not in evaluate(
            vae.model, vae.posterior, vae.source, setting=vae.setting, method=Importance(20)
        ).to_dict()
    )
