"""Draws as functions of their noise, quantiles and tables of masses, for every head."""

from __future__ import annotations

import ctypes
import math

import numpy as np
import pytest
import torch
from scipy import stats

from ancestral.core.native import compiled
from ancestral.core.native_vectors import VECTORS, number_flags
from ancestral.distributions import (
    LIKELIHOODS,
    Bernoulli,
    Beta,
    Categorical,
    CellHead,
    DiscretizedLogistic,
    NegativeBinomial,
    Normal,
    Poisson,
    SiteMixture,
    StudentT,
    ZeroInflatedNegativeBinomial,
    site_head,
)
from ancestral.distributions.incomplete_beta import beta_cdf, beta_icdf
from ancestral.distributions.native_draws import native_draw

CELLS = {
    name: likelihood.build((2,), 5)
    for name, likelihood in LIKELIHOODS.items()
    if isinstance(likelihood.build((2,), 5), CellHead)
}
CELLS["student-t mixture"] = SiteMixture(StudentT((2,)), 3)


@pytest.mark.parametrize("name", CELLS)
def test_draws_and_samples_are_of_one_distribution(name):
    """Two samples by Kolmogorov and Smirnov; fails by chance once in 100,000 for each head."""
    head = CELLS[name]
    torch.manual_seed(0)
    features = 0.5 * torch.randn(head.feature_shape)
    num = 4000
    uniforms = torch.rand(num, head.num_uniforms, *head.event_shape)
    many = features.expand(num, *features.shape)
    drawn = head.draw(many, uniforms)
    assert drawn.shape == (num, 2)
    assert torch.equal(drawn, head.draw(many, uniforms))
    sampled = head.sample(many)
    for cell in range(2):
        result = stats.ks_2samp(drawn[:, cell].numpy(), sampled[:, cell].numpy())
        assert result.pvalue > 1e-5


@pytest.mark.parametrize(
    "head",
    [
        Bernoulli((2,)),
        Categorical((2,), 4),
        DiscretizedLogistic((2,), 7),
        SiteMixture(DiscretizedLogistic((2,), 7), 3),
    ],
    ids=lambda head: type(head).__name__,
)
def test_tables_hold_the_masses(head):
    features = torch.randn(3, *head.feature_shape)
    table = head.table(features)
    codes = head.support.num_codes
    assert table.shape == (3, codes, 2)
    torch.testing.assert_close(table.sum(1), torch.ones(3, 2))
    for code in range(codes):
        x = torch.full((3, 2), float(code))
        torch.testing.assert_close(table[:, code], head.log_prob_cells(features, x).exp())


def test_no_table_without_codes():
    with pytest.raises(NotImplementedError, match="no finite table"):
        Normal((2,)).table(torch.zeros(2, 2))


@pytest.mark.parametrize("mean", [0.03, 4.0, 3000.0])
def test_quantiles_of_counts_against_scipy(mean):
    u = torch.linspace(0.001, 0.999, 41)
    log_mean = torch.full_like(u, float(np.log(mean)))
    found = Poisson(()).icdf(log_mean.unsqueeze(-1), u)
    np.testing.assert_array_equal(found.numpy(), stats.poisson.ppf(u.numpy(), mean))
    theta = 2.5
    features = torch.stack((log_mean, torch.full_like(u, float(np.log(theta)))), -1)
    found = NegativeBinomial(()).icdf(features, u)
    expected = stats.nbinom.ppf(u.numpy(), theta, theta / (theta + mean))
    np.testing.assert_allclose(found.numpy(), expected, atol=1e-3)


def test_quantiles_of_zero_inflated_counts_invert_their_masses():
    head = ZeroInflatedNegativeBinomial(())
    features = torch.tensor([1.0, 0.5, -0.3])
    u = torch.linspace(0.01, 0.99, 50)
    found = head.icdf(features.expand(50, 3), u)
    counts = torch.arange(200.0)
    cumulative = head.log_prob(features.expand(200, 3), counts).exp().cumsum(0)
    for value, level in zip(found.long().tolist(), u.tolist(), strict=True):
        assert cumulative[value] >= level - 1e-9
        assert value == 0 or cumulative[value - 1] < level + 1e-9


def test_one_far_quantile_does_not_make_the_others_add_up_masses(monkeypatch):
    """Memory would grow with cells times the counts that the slowest of them needs."""
    head, largest = NegativeBinomial((2,)), 0
    masses = NegativeBinomial._log_prob

    def counted(self, features, x):
        nonlocal largest
        largest = max(largest, x.numel())
        return masses(self, features, x)

    monkeypatch.setattr(NegativeBinomial, "_log_prob", counted)
    features = torch.zeros(1000, 2, 2)
    features[500, 0, 1] = 12.0  # a mean of 160,000
    u = torch.rand(1000, 2)
    found = head.icdf(features, u)
    assert largest < 1 << 19
    q = stats.nbinom.ppf(u.numpy(), 1.0, 0.5)
    q[500, 1] = stats.nbinom.ppf(float(u[500, 1]), 1.0, 1 / (1 + np.exp(12.0)))
    np.testing.assert_array_equal(found.numpy(), q)
    assert head.icdf(features[:0], u[:0]).shape == (0, 2)


def test_quantiles_of_counts_take_features_of_leading_axes_that_broadcast():
    head = Poisson((3,))
    features, u = torch.randn(5, 1, 3), torch.rand(4, 5, 3)
    found = head.icdf(features, u)
    np.testing.assert_array_equal(
        found.numpy(), stats.poisson.ppf(u.numpy(), features.squeeze(1).exp().expand(4, 5, 3))
    )


_DRAWS = r"""
void draws(real *features, const real *uniforms, const double *p, real *x, long n) {
    for (long i = 0; i < n; i++) draw(features + 2 * i, uniforms + i, p, x + i);
}
"""


@pytest.mark.parametrize("minimum", [-7.0, -math.inf])
def test_levels_drawn_in_c_are_those_of_the_head(minimum):
    head = DiscretizedLogistic((1,), 5, minimum)
    draw = native_draw(site_head(head, 1))
    library = compiled(VECTORS + draw.source + _DRAWS, *number_flags(torch.float64))
    if library is None:
        pytest.skip("there is no compiler")
    features = torch.randn(4000, 2)
    features[0] = torch.nan
    u = torch.rand(4000).clamp(1e-9, 1 - 1e-9)
    found = torch.empty(4000)
    parameters = (ctypes.c_double * len(draw.parameters))(*draw.parameters)
    kept = features.clone()
    addresses = [ctypes.c_void_p(t.data_ptr()) for t in (kept, u, found)]
    library.draws(*addresses[:2], parameters, addresses[2], ctypes.c_long(4000))
    expected = head.icdf(features.unsqueeze(-1), u.unsqueeze(-1)).squeeze(-1)
    bits = [t[1:].view(torch.int64) for t in (found, expected)]
    assert torch.equal(*bits)  # 0 is not -0
    assert found[0].isnan()
    assert expected[0].isnan()
    assert {0.0, 4.0} <= set(found[1:].tolist())


def test_extreme_uniforms_end():
    top = 1 - torch.finfo(torch.float64).eps / 2
    u = torch.tensor([torch.finfo(torch.float64).tiny, top])
    for head, size in ((Poisson(()), 1), (NegativeBinomial(()), 2)):
        assert head.icdf(torch.full((2, size), 3.0), u).isfinite().all()


def test_incomplete_beta_against_scipy():
    rng = np.random.default_rng(0)
    a, b = np.exp(rng.normal(0, 2, 300)), np.exp(rng.normal(0, 2, 300))
    x = rng.uniform(size=300)
    found = beta_cdf(*map(torch.as_tensor, (a, b, x)))
    np.testing.assert_allclose(found.numpy(), stats.beta.cdf(x, a, b), rtol=1e-9, atol=1e-12)
    u = rng.uniform(0.01, 0.99, size=300)
    found = beta_icdf(*map(torch.as_tensor, (a, b, u)))
    back = stats.beta.cdf(found.numpy(), a, b)
    # for tiny concentrations the quantile is closer to 0 or 1 than bisection or doubles resolve
    sharp = (a > 0.1) & (b > 0.1)
    np.testing.assert_allclose(back[sharp], u[sharp], rtol=1e-6, atol=1e-6)
    assert Beta((1,)).icdf(torch.zeros(2, 1), torch.tensor([0.5])).shape == (1,)
