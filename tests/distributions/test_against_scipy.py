"""Log-densities and means against scipy's, at single cells."""

import math

import pytest
import torch
from scipy import stats

from ancestral.distributions import (
    Bernoulli,
    Beta,
    Categorical,
    Cauchy,
    ContinuousBernoulli,
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
    StudentT,
    ZeroInflatedNegativeBinomial,
)

FREE = -math.inf  # no lower bound of the log-scale


def softplus(x):
    return math.log1p(math.exp(x))


def negative_binomial(log_mean, log_theta):
    # the inverse dispersion is bounded at e^16, smoothly
    mean, theta = math.exp(log_mean), math.exp(16 - softplus(16 - log_theta))
    return stats.nbinom(theta, theta / (theta + mean))


CASES = [
    (Bernoulli(()), [0.7], stats.bernoulli(1 / (1 + math.exp(-0.7))), [0, 1]),
    (Normal((), FREE), [0.3, -1.2], stats.norm(0.3, math.exp(-1.2)), [-2, 0.3, 9]),
    (FixedScaleNormal((), 0.2), [0.3], stats.norm(0.3, 0.2), [-2, 0.3, 9]),
    (Laplace((), FREE), [0.3, -1.2], stats.laplace(0.3, math.exp(-1.2)), [-2, 0.3, 9]),
    (Logistic((), FREE), [0.3, -1.2], stats.logistic(0.3, math.exp(-1.2)), [-2, 0.3, 90]),
    (Cauchy((), FREE), [0.3, -1.2], stats.cauchy(0.3, math.exp(-1.2)), [-2, 0.3, 1e6]),
    (
        StudentT((), FREE),
        [0.3, -1.2, 1.5],
        stats.t(1 + softplus(1.5), 0.3, math.exp(-1.2)),
        [-2, 0.3, 1e6],
    ),
    (
        StudentT((), FREE),
        [0.3, -1.2, 5000.0],
        stats.t(5001, 0.3, math.exp(-1.2)),
        [-2, 0.3, 1],
    ),
    (Exponential(()), [1.1], stats.expon(scale=math.exp(1.1)), [0, 0.5, 40]),
    (
        LogNormal((), FREE),
        [0.3, -1.2],
        stats.lognorm(math.exp(-1.2), scale=math.exp(0.3)),
        [0.1, 4],
    ),
    (
        Beta(()),
        [0.3, 2.0],
        stats.beta(1e-3 + softplus(0.3), 1e-3 + softplus(2)),
        [1e-9, 0.4, 0.99],
    ),
    (Poisson(()), [2.0], stats.poisson(math.exp(2)), [0, 3, 90]),
    (NegativeBinomial(()), [2.0, 0.5], negative_binomial(2.0, 0.5), [0, 3, 90, 4000]),
    (NegativeBinomial(()), [6.0, -3.0], negative_binomial(6.0, -3.0), [0, 3, 100_000]),
]


@pytest.mark.parametrize(
    ("head", "features", "expected", "points"), CASES, ids=lambda v: type(v).__name__
)
def test_log_prob_and_mean(head, features, expected, points):
    features = torch.tensor(features)
    log_prob = expected.logpdf if hasattr(expected.dist, "pdf") else expected.logpmf
    for point in points:
        value = head.log_prob(features, torch.tensor(float(point)))
        assert value.item() == pytest.approx(log_prob(point), rel=1e-7, abs=1e-7)
    if not isinstance(head, Cauchy):
        assert head.mean(features).item() == pytest.approx(expected.mean(), rel=1e-6)


@pytest.mark.parametrize(
    ("head", "features", "expected", "points"),
    [c for c in CASES if "icdf" in dir(c[0]) and hasattr(c[2].dist, "pdf")],
    ids=lambda v: type(v).__name__,
)
def test_quantiles(head, features, expected, points):
    if isinstance(head, StudentT):
        with pytest.raises(NotImplementedError, match="has no closed-form quantiles"):
            head.icdf(torch.tensor(features), torch.tensor(0.5))
        return
    for u in (1e-5, 0.2, 0.5, 0.99):
        value = head.icdf(torch.tensor(features), torch.tensor(u))
        # bisection stops at a distance of 1e-18, which is much for a quantile of 1e-17
        assert value.item() == pytest.approx(expected.ppf(u), rel=1e-9, abs=1e-15)


def test_categorical():
    logits = torch.tensor([0.1, -2.0, 1.0])
    p = logits.softmax(0)
    for k in range(3):
        value = Categorical((), 3).log_prob(logits, torch.tensor(float(k)))
        assert value.item() == pytest.approx(math.log(p[k]), abs=1e-12)
    assert Categorical((), 3).mean(logits).item() == pytest.approx(float(p[1] + 2 * p[2]))
    assert Categorical((), 3).representative(logits).item() == 2


def test_zero_inflation():
    inner = negative_binomial(1.0, 0.5)
    dropout = 1 / (1 + math.exp(-0.3))
    head, features = ZeroInflatedNegativeBinomial(()), torch.tensor([1.0, 0.5, 0.3])
    zero = head.log_prob(features, torch.tensor(0.0)).item()
    four = head.log_prob(features, torch.tensor(4.0)).item()
    assert zero == pytest.approx(math.log(dropout + (1 - dropout) * inner.pmf(0)), abs=1e-12)
    assert four == pytest.approx(math.log(1 - dropout) + inner.logpmf(4), abs=1e-10)
    assert head.mean(features).item() == pytest.approx((1 - dropout) * math.e)


@pytest.mark.parametrize("logit", [-300.0, -3.0, -1e-3, -1e-9, 0.0, 1e-6, 0.4999, 0.5001, 30.0])
def test_continuous_bernoulli_around_one_half(logit):
    """Against 40 digits; float32 included, where the textbook formula loses all of them."""
    mpmath = pytest.importorskip("mpmath")
    with mpmath.workdps(60):
        exact = mpmath.mpf(0.25) * logit
        mean = mpmath.mpf(0.5)
        if logit:
            value = mpmath.mpf(logit)
            exact -= mpmath.log(mpmath.expm1(value) / value)
            mean = 1 / (1 - mpmath.exp(-value)) - 1 / value
    for dtype, tolerance in ((torch.float64, 1e-13), (torch.float32, 2e-6)):
        features = torch.tensor([logit], dtype=dtype, requires_grad=True)
        value = ContinuousBernoulli(()).log_prob(features, torch.tensor(0.25, dtype=dtype))
        assert value.item() == pytest.approx(float(exact), rel=tolerance, abs=tolerance)
        value.backward()
        assert features.grad.item() == pytest.approx(0.25 - float(mean), abs=tolerance)
        head_mean = ContinuousBernoulli(()).mean(features.detach()).item()
        assert head_mean == pytest.approx(float(mean), abs=tolerance)


def logistic_mass(x, num_levels, loc, log_scale):
    mpmath = pytest.importorskip("mpmath")
    with mpmath.workdps(2000):
        half = mpmath.mpf(1) / (num_levels - 1)
        y = 2 * half * x - 1
        scale = mpmath.exp(mpmath.mpf(log_scale))

        def cumulative(t):
            return 1 / (1 + mpmath.exp(-(t - mpmath.mpf(loc)) / scale))

        upper = mpmath.mpf(1) if x == num_levels - 1 else cumulative(y + half)
        lower = mpmath.mpf(0) if x == 0 else cumulative(y - half)
        return float(mpmath.log(upper - lower))


@pytest.mark.parametrize("log_scale", [-7.0, -5.0, -1.0, 3.0])
@pytest.mark.parametrize("x", [0, 1, 128, 254, 255])
@pytest.mark.parametrize("loc", [-1.0, 0.25, 1.0])
def test_discretized_logistic_in_single_precision(log_scale, x, loc):
    """The usual code is off by 2.15 nats at a log-scale of -7.

    Far in the tail log p is about -(distance / scale), of which float32 keeps 6e-8: hence a
    relative tolerance, which is 1e-4 nats per 1000.
    """
    exact = logistic_mass(x, 256, loc, log_scale)
    head = DiscretizedLogistic((), 256, min_log_scale=FREE)
    features = torch.tensor([loc, log_scale], dtype=torch.float32, requires_grad=True)
    value = head.log_prob(features, torch.tensor(float(x), dtype=torch.float32))
    assert value.item() == pytest.approx(exact, abs=1e-4, rel=3e-7)
    value.backward()
    assert bool(features.grad.isfinite().all())
    double = head.log_prob(features.detach().double(), torch.tensor(float(x)))
    assert double.item() == pytest.approx(exact, abs=1e-11, rel=1e-13)


def test_discretized_logistic_sums_to_one_in_single_precision():
    head = DiscretizedLogistic((), 256)
    loc = torch.tensor([-30.0, -1.0, -0.1, 0.0, 0.7, 1.0, 5.0], dtype=torch.float32)
    log_scale = torch.tensor([-50.0, -7.0, -3.0, 0.0, 9.0], dtype=torch.float32)
    features = torch.stack(torch.meshgrid(loc, log_scale, indexing="ij"), -1)
    x = torch.arange(256, dtype=torch.float32)[:, None, None]
    total = head.log_prob(features, x).exp().sum(0)
    torch.testing.assert_close(total, torch.ones(7, 5, dtype=torch.float32), rtol=0, atol=2e-4)


@pytest.mark.parametrize("concentration", [10.0, 1e3, 1e5])
def test_large_concentrations_keep_their_digits_in_single_precision(concentration):
    head = Gamma(())
    features = torch.tensor([concentration - 0.01, math.log(30 / concentration)]).float()
    a, log_scale = (part.double() for part in head.concentration_and_log_scale(features))
    exact = stats.gamma(a.item(), scale=log_scale.exp().item())
    for x in torch.tensor([29.0, 30.0, 30.5]):
        value = head.log_prob(features, x.float())
        assert value.dtype is torch.float32
        assert value.item() == pytest.approx(exact.logpdf(x.item()), rel=1e-6, abs=1e-5)


def test_large_counts_keep_their_digits_in_single_precision():
    features = torch.tensor([math.log(1e5), 3.0])
    x = torch.tensor(100_321.0)
    for head, exact in (
        (NegativeBinomial(()), negative_binomial(math.log(1e5), 3.0)),
        (Poisson(()), stats.poisson(1e5)),
    ):
        part = features[: head.num_parameters].float()
        value = head.log_prob(part, x.float())
        # a float32 log-mean is itself known to 5e-7 only, which a Poisson multiplies by 321
        assert value.item() == pytest.approx(exact.logpmf(100_321), abs=1e-3)
