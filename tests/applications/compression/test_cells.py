"""Cells of every family: the price of a symbol is its information content, and it comes back."""

import numpy as np
import pytest
import torch
from scipy import stats

from ancestral.applications.compression.cells import cell_coder
from ancestral.applications.compression.channels import Reader, Recorder
from ancestral.applications.compression.entropy import WordStack
from ancestral.applications.compression.grids import Floats, Fractions, Grids, Whole, grid_of
from ancestral.applications.compression.sites import SiteCoders
from ancestral.applications.compression.tails import log_masses, tails
from ancestral.core import IncompatibleChoices
from ancestral.distributions import (
    Bernoulli,
    Beta,
    Categorical,
    Cauchy,
    CellSite,
    ContinuousBernoulli,
    CoupledLogisticSites,
    DiscretizedLogistic,
    Exponential,
    FixedScaleNormal,
    Gamma,
    Laplace,
    Logistic,
    LogNormal,
    NegativeBinomial,
    Normal,
    Poisson,
    SiteMixture,
    StudentT,
    TruncatedNormal,
    ZeroInflatedNegativeBinomial,
    site_head,
)

DENSITIES = [
    Normal((1,)),
    FixedScaleNormal((1,), scale=0.7),
    Laplace((1,)),
    Logistic((1,)),
    Cauchy((1,)),
    StudentT((1,)),
    LogNormal((1,)),
    Exponential((1,)),
    Gamma((1,)),
    Beta((1,)),
    ContinuousBernoulli((1,)),
    TruncatedNormal((1,), low=0.0),
    TruncatedNormal((1,), low=-1.0, high=2.0),
    SiteMixture(Normal((1,)), 3),
    SiteMixture(StudentT((1,)), 2),
]
CODES = [Bernoulli((1,)), Categorical((1,), 9), DiscretizedLogistic((1,), 7)]
COUNTS = [Poisson((1,)), NegativeBinomial((1,)), ZeroInflatedNegativeBinomial((1,))]


def through(coder, features, symbols):
    """Words and content of symbols; that they come back is checked."""
    recorder, stack = Recorder(), WordStack()
    coder.code(features, features[:, :0], recorder, symbols)
    recorder.push_to(stack)
    bits = stack.num_bits
    reader = WordStack(stack.words)
    found = coder.code(features, features[:, :0], Reader(reader), None)
    assert (found == symbols).all()
    assert reader.is_empty
    return bits, recorder.content_nats / np.log(2)


def drawn(head, num, seed):
    torch.manual_seed(seed)
    features = torch.randn(num, head.num_features)
    return features, head.sample(features.unflatten(-1, head.feature_shape))


@pytest.mark.parametrize("head", DENSITIES, ids=lambda h: type(h).__name__)
def test_tails_are_integrals_of_the_density(head):
    features = torch.randn(4, *head.feature_shape)
    x = head.sample(features)
    step = 1e-4 * x.abs().clamp_min(1e-3)
    below, above = tails(head, features, x + step), tails(head, features, x - step)
    density = head.log_prob(features, x).exp()
    slope = ((below[0] - above[0]) / (2 * step)).squeeze(-1)
    torch.testing.assert_close(slope, density, rtol=1e-3, atol=1e-6)
    total = sum(tails(head, features, x))
    torch.testing.assert_close(total, torch.ones_like(total), rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("head", DENSITIES, ids=lambda h: type(h).__name__)
def test_a_number_costs_the_mass_of_its_interval(head):
    features, x = drawn(head, 300, seed=1)
    values = np.round(x.squeeze(-1).clamp(-50, 50).numpy(), 3) + 0.0
    grid, symbols = grid_of(values)
    bits, content = through(cell_coder(CellSite(head), grid), features, symbols)
    # given that numbers lie within the range of the data, they cost no more than without that
    assert bits <= content + 64 + 0.001 * content
    step = 1 / grid.denominator
    low = tails(
        head, features.unflatten(-1, head.feature_shape), torch.tensor(values - step / 2)[:, None]
    )
    high = tails(
        head, features.unflatten(-1, head.feature_shape), torch.tensor(values + step / 2)[:, None]
    )
    mass = torch.maximum(high[0] - low[0], low[1] - high[1])
    assert content == pytest.approx(float(-mass.log2().sum()), rel=1e-3)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("scale", [1e-30, 1.0, 1e30])
def test_floats_of_any_size_come_back(dtype, scale):
    rng = np.random.default_rng(0)
    values = (rng.standard_cauchy(200) * scale).astype(dtype)
    values[:4] = [0.0, np.finfo(dtype).tiny, np.finfo(dtype).max, -np.finfo(dtype).max]
    grid, symbols = grid_of(values)
    assert isinstance(grid, Floats)
    features = torch.randn(200, 2)
    through(cell_coder(CellSite(Normal((1,))), grid), features, symbols)


def test_numbers_far_outside_what_a_model_knows_come_back():
    symbols = np.array([0, 10**12, -(10**12), 5])
    grid = Fractions(-(10**12), 10**12, 10)
    through(cell_coder(CellSite(Normal((1,))), grid), torch.zeros(4, 2), symbols)


def _log_mass(a, b):
    """Log(Phi(b) - Phi(a)), by scipy, in the tail where it is small."""
    a, b = (a, b) if a > 0 else (-b, -a)
    far, near = stats.norm.logsf(b), stats.norm.logsf(a)
    return near + np.log1p(-np.exp(far - near))


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("z", [3, 10, 20, 30, 60, -10, -30, -60])
@pytest.mark.parametrize("reach", [0.1, 300.0])
def test_a_number_far_out_is_said_to_cost_what_it_does(dtype, z, reach):
    """Where Phi itself is 0 or 1, and whether the data are all out there or reach from afar."""
    log_normal = LogNormal((1,), min_log_scale=-np.inf)
    mixture = SiteMixture(FixedScaleNormal((1,), scale=1.0), 2)
    heads = {Normal((1,), min_log_scale=-np.inf): 2, FixedScaleNormal((1,), 1.0): 1, mixture: 4}
    symbols = np.array([100 * z])
    low, high = (round(100 * (z + sign * reach)) for sign in (-1, 1))
    for head, num in heads.items():
        recorder = Recorder()
        coder = cell_coder(CellSite(head), Fractions(low, high, 100))
        features = torch.zeros(1, num, dtype=dtype)
        coder.code(features, features[:, :0], recorder, symbols)
        expected = -_log_mass(z - 0.005, z + 0.005)
        assert recorder.content_nats == pytest.approx(expected, rel=1e-9)
        given = expected + _log_mass(z - reach - 0.005, z + reach + 0.005)
        least = 3 * 22 * np.log(2)  # three digits, each 2 / 2^24 at least
        assert recorder.coded_nats == pytest.approx(min(given, least), rel=1e-3, abs=30)
        if reach < 1:
            assert recorder.coded_nats == pytest.approx(given, rel=1e-3)
        through(coder, features, symbols)
    edges = torch.tensor([[np.exp(float(-abs(z))), np.exp(0.01 - abs(z))]])
    found = log_masses(log_normal, torch.zeros(1, 2, 1), edges)
    assert float(found) == pytest.approx(_log_mass(-abs(z), 0.01 - abs(z)))


def test_numbers_of_full_precision_cost_their_density():
    """Digits so fine that ends of intervals differ by rounding: all of them are alike."""
    values = torch.randn(300).numpy() * 3 + 100
    grid, symbols = grid_of(values)
    assert isinstance(grid, Floats)
    coder = cell_coder(CellSite(FixedScaleNormal((1,), 1.0)), grid, loc=100.0, scale=3.0)
    bits, content = through(coder, torch.zeros(300, 1), symbols)
    expected = -stats.norm.logpdf(values, 100, 3).sum() - np.log(np.spacing(values)).sum()
    assert content * np.log(2) == pytest.approx(expected, rel=1e-3)
    assert bits < content * 1.001 + 64


def test_counts_of_which_none_is_likely_come_back():
    coder = cell_coder(CellSite(Poisson((1,))), Whole(0, 40))
    features = torch.full((5, 1), -60.0) if Poisson((1,)).num_features == 1 else None
    assert features is not None
    symbols = np.array([0, 1, 12, 30, 40])
    bits, content = through(coder, features, symbols)
    exact = Poisson((1,)).log_prob(features.unsqueeze(-1), torch.from_numpy(symbols)[:, None])
    assert content == pytest.approx(-float(exact.sum()) / np.log(2))
    assert bits < 4 * 24 + 64


def test_symbols_without_mass_in_single_precision_cost_what_they_do():
    logits = torch.tensor([[0.0, 150.0]], dtype=torch.float32)
    recorder = Recorder()
    coder = cell_coder(CellSite(Categorical((1,), 2)), None)
    coder.code(logits, logits[:, :0], recorder, np.array([0]))
    assert recorder.content_nats == pytest.approx(150)
    assert recorder.coded_nats == pytest.approx(23 * np.log(2))


def test_tails_of_other_families_fall_back_on_the_density():
    edges = torch.tensor([[2000.0, 2000.5, 2001.0]])
    found = log_masses(Laplace((1,)), torch.zeros(1, 2, 1), edges)
    scale = Laplace((1,)).location_and_log_scale(torch.zeros(2, 1))[1].exp()
    exact = -edges[:, :2] / scale + torch.log(-torch.expm1(-0.5 / scale)) - np.log(2)
    assert torch.allclose(found, exact, atol=0.02)


def test_units_are_those_of_the_data():
    head, values = Normal((1,)), np.array([100.0, 103.5, 97.25])
    grid, symbols = grid_of(values)
    features = torch.zeros(3, 2)
    moved = through(cell_coder(CellSite(head), grid, 0, 100.0, 2.0), features, symbols)
    other = Fractions(*(int((v - 400) / 1) for v in (grid.low, grid.high)), 8)
    same = through(cell_coder(CellSite(head), other), features, symbols - 400)
    assert moved[1] == pytest.approx(same[1], rel=1e-6)


@pytest.mark.parametrize("head", CODES, ids=lambda h: type(h).__name__)
def test_a_code_costs_its_mass(head):
    features, x = drawn(head, 500, seed=2)
    symbols = x.squeeze(-1).long().numpy()
    bits, content = through(cell_coder(CellSite(head), None), features, symbols)
    exact = -head.log_prob(features.unflatten(-1, head.feature_shape), x).sum() / np.log(2)
    assert content == pytest.approx(float(exact), rel=1e-6)
    assert abs(bits - content) < 64 + 0.001 * content


@pytest.mark.parametrize("head", COUNTS, ids=lambda h: type(h).__name__)
def test_a_count_costs_its_mass(head):
    features, x = drawn(head, 300, seed=3)
    symbols = x.squeeze(-1).long().numpy()
    coder = cell_coder(CellSite(head), Whole(0, int(symbols.max())))
    _, content = through(coder, features, symbols)
    exact = -head.log_prob(features.unflatten(-1, head.feature_shape), x).sum() / np.log(2)
    assert content == pytest.approx(float(exact), rel=1e-6)


@pytest.mark.parametrize("largest", [4095, 4096, 5000, 10**6])
def test_counts_beyond_the_table_come_back(largest):
    symbols = np.array([0, 3, min(4096, largest), largest, largest - 1, 4095])
    coder = cell_coder(CellSite(Poisson((1,))), Whole(0, largest))
    bits, _ = through(coder, torch.ones(6, 1), symbols)
    assert bits < 6 * 60


def test_a_constant_costs_nothing():
    coder = cell_coder(CellSite(Normal((1,))), Fractions(7, 7, 10))
    bits, _ = through(coder, torch.randn(50, 2), np.full(50, 7))
    assert bits == 0


@pytest.mark.parametrize("width", [1, 3])
def test_coupled_colours_come_back(width):
    head = CoupledLogisticSites.of_image(4, 16, width, num_components=2)
    features = torch.randn(20, 4, head.num_features)
    x = head.draw(features, torch.rand(20, 4, head.num_uniforms))
    symbols = x.long().numpy()
    recorder, stack = Recorder(), WordStack()
    coders = SiteCoders(head, Grids())
    coders.code_all(features, recorder, symbols)
    exact = -head.log_prob(features, x).sum()
    assert recorder.content_nats == pytest.approx(float(exact), rel=1e-5)
    recorder.push_to(stack)
    assert (coders.code_all(features, Reader(stack), None) == symbols).all()
    assert stack.is_empty


def test_all_sites_at_once_are_the_sites_one_by_one():
    head = site_head(Categorical((6,), 5), 6)
    features = torch.randn(30, 6, 5)
    symbols = torch.randint(5, (30, 6, 1)).numpy()
    coders, together, alone = SiteCoders(head, Grids()), Recorder(), Recorder()
    coders.code_all(features, together, symbols)
    for t in range(6):
        coders.code(t, features[:, t], alone, symbols[:, t])
    assert together.content_nats == pytest.approx(alone.content_nats)


def test_a_family_without_a_cumulative_function_is_refused():
    class Strange(Normal):
        tails = None

    with pytest.raises(IncompatibleChoices, match="no cumulative function"):
        tails(Strange((1,)), torch.zeros(1, 2, 1), torch.zeros(1, 1))
    with pytest.raises(IncompatibleChoices, match="no masses"):
        cell_coder(CellSite(Normal((1,))), None)


@pytest.mark.parametrize(("dtype", "farthest"), [(torch.float32, 13.0), (torch.float64, 37.0)])
def test_tails_of_gaussians_have_all_their_digits(dtype, farthest):
    z = torch.linspace(-farthest, farthest, 75, dtype=dtype)
    head = Normal((75,), min_log_scale=-np.inf)
    below, above = head.tails(torch.zeros(2, 75, dtype=dtype), z)
    exact = stats.norm.logcdf(z.double().numpy())
    rtol = 1e-4 if dtype == torch.float32 else 1e-11
    assert below.double().log().numpy() == pytest.approx(exact, rel=rtol, abs=1e-6)
    assert torch.equal(above, below.flip(0))
