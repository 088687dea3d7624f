"""What estimators learn or remember: baselines, running means, temperatures."""

from __future__ import annotations

import pytest
import torch
from discrete_models import NO_PENALTY, PROBLEMS, a_problem, many_gradients
from torch import nn

from ancestral.core import Batch, Kind, OptionError, Specification
from ancestral.distributions import Bernoulli, OneHot
from ancestral.inference.bounds import Elbo
from ancestral.inference.gradients import (
    InputDependent,
    LayerSignals,
    MuProp,
    NoControlVariate,
    Rebar,
    Relax,
    RunningMean,
    ScoreFunction,
    VarianceNormalization,
)
from ancestral.inference.objectives import Variational
from ancestral.inference.posteriors import DiscretePosterior, discrete_layers
from ancestral.models import LatentConditional
from ancestral.networks import InputFeatures


def variance_of_q(estimator, bound, case, repeats=60):
    count = sum(p.numel() for p in case.posterior.parameters())
    return float(many_gradients(estimator, bound, case, repeats)[:, -count:].var(0).sum())


def distant_problem():
    """Log-weights far from zero, as those of real data are: half of it is a constant."""
    case = a_problem(PROBLEMS["one layer"])
    x = torch.ones(3, 3)
    with torch.no_grad():
        case.model.likelihood.network.network.bias.fill_(-4.0)
    return case._replace(batch=Batch(x, torch.ones(3, 3, dtype=torch.bool)))


def test_control_variates_lessen_the_variance():
    case = distant_problem()
    plain = variance_of_q(ScoreFunction(NoControlVariate()), Elbo(1), case)
    running = variance_of_q(ScoreFunction(RunningMean()), Elbo(1), case)
    first_order = variance_of_q(MuProp(), Elbo(1), case)
    relaxed = variance_of_q(Rebar(), Elbo(1), case)
    assert running < 0.2 * plain
    assert relaxed < 0.5 * plain
    assert first_order < 0.2 * running


def test_a_running_mean_is_of_earlier_steps_and_saved():
    case = distant_problem()
    estimator = ScoreFunction(RunningMean(decay=0.5))
    for _ in range(3):
        estimator.surrogate(Elbo(2), *case, NO_PENALTY)
    state = estimator.state_dict()
    assert float(state["control_variate.num_steps"]) == 3
    resumed = ScoreFunction(RunningMean(decay=0.5))
    resumed.load_state_dict(state)
    losses = []
    for one in (estimator, resumed):
        torch.manual_seed(2)
        losses.append(one.surrogate(Elbo(2), *case, NO_PENALTY).loss)
    assert losses[0] == losses[1]
    assert Variational(Elbo(2), estimator).companion is estimator
    with torch.no_grad():
        estimator.surrogate(Elbo(2), *case, NO_PENALTY)
    assert float(estimator.control_variate.num_steps) == 4  # validation leaves no trace


def trained(estimator, case, num_steps, learning_rate=0.02, bound=None):
    """Only what the estimator itself learns; p and q stay as they are."""
    optimizer = torch.optim.Adam(estimator.parameters(), lr=learning_rate)
    for _ in range(num_steps):
        optimizer.zero_grad()
        estimator.surrogate(bound or Elbo(1), *case, NO_PENALTY).loss.backward()
        optimizer.step()
    return estimator


def test_baseline_networks_learn_what_the_signal_depends_on():
    case = distant_problem()
    rows = torch.tensor([[1.0, 1, 1], [0, 0, 0], [1, 0, 0]])  # of very different log p
    case = case._replace(batch=Batch(rows, torch.ones(3, 3, dtype=torch.bool)))
    inputs = InputFeatures(Specification(Kind.BINARY, (3,)))
    estimator = ScoreFunction(InputDependent(inputs, [nn.Linear(3, 1)]))
    trained(estimator, case, 120, 0.2)
    running = variance_of_q(trained_running_mean(case), Elbo(1), case)
    assert variance_of_q(estimator, Elbo(1), case) < 0.5 * running


def trained_running_mean(case):
    estimator = ScoreFunction(RunningMean())
    for _ in range(30):
        estimator.surrogate(Elbo(1), *case, NO_PENALTY)
    return estimator


def test_nvil_normalises_each_layers_signal():
    case = a_problem(PROBLEMS["two layers"])
    inputs = InputFeatures(Specification(Kind.BINARY, (3,), missing=True))
    networks = [nn.Linear(inputs.num_outputs, 1), nn.Linear(2, 1)]
    estimator = ScoreFunction(
        InputDependent(inputs, networks), VarianceNormalization(num_layers=2), LayerSignals()
    )
    estimator.check(Elbo(2), case.model, case.posterior)
    before = [p.clone() for p in estimator.parameters()]
    trained(estimator, case, 3, bound=Elbo(2))
    assert all(
        bool((p != old).any()) for p, old in zip(estimator.parameters(), before, strict=True)
    )
    assert estimator.normalization.variance.shape == (2, 1, 1)
    signals = 100 * torch.randn(2, 50, 40)
    assert float(VarianceNormalization(num_layers=2)(signals).std()) == pytest.approx(1, abs=0.05)
    small = 0.1 * torch.randn(1, 50, 40)
    torch.testing.assert_close(VarianceNormalization()(small), small)


@pytest.mark.parametrize("make", [lambda: Rebar(3.0, 0.0), lambda: Relax((3,), 16, 3.0, 0.0)])
def test_rebar_and_relax_learn_to_be_less_noisy(make):
    case = distant_problem()
    estimator = make()
    before = variance_of_q(estimator, Elbo(1), case)
    trained(estimator, case.repeated(10), 60, 0.05)
    assert variance_of_q(estimator, Elbo(1), case) < 0.4 * before
    assert float(estimator.strength.detach()) > 0.3


def test_what_rebar_learns_by_is_the_gradient_of_the_variance():
    # by finite differences of the mean squared norm, with the same noise
    case = a_problem(PROBLEMS["one layer"])
    estimator = Rebar(0.8, 0.6)
    q = discrete_layers(case.posterior.distribution(case.model, case.batch), "this test")
    leaf = q.first.detach().requires_grad_()

    class OfLogits(DiscretePosterior):
        def distribution(self, model, batch):
            return type(q)(q.heads, leaf)

    posterior = OfLogits(case.posterior.inputs, list(case.posterior.layers))

    def loss():
        torch.manual_seed(8)
        return estimator.surrogate(Elbo(1), case.model, posterior, case.batch, NO_PENALTY).loss

    def mean_square():
        (gradient,) = torch.autograd.grad(loss(), leaf)
        return float((3 * gradient).square().sum(-1).mean())  # the loss is a mean of 3 rows

    for parameter in (estimator.log_temperature, estimator.strength):
        (found,) = torch.autograd.grad(loss(), parameter)
        middle, step = float(parameter.detach()), 1e-5
        parameter.data.fill_(middle + step)
        above = mean_square()
        parameter.data.fill_(middle - step)
        below = mean_square()
        parameter.data.fill_(middle)
        assert float(found) == pytest.approx((above - below) / (2 * step), rel=1e-5)


def test_relax_refuses_sizes_that_are_none():
    with pytest.raises(OptionError, match="sizes of at least 1"):
        Relax((3, 0))


def test_a_discrete_posterior_sums_to_one_and_draws_what_it_says():
    case = a_problem(PROBLEMS["categorical over binary"])
    q = case.posterior.distribution(case.model, case.batch)
    states = q.enumerate_support()
    assert states.shape == (12, 3, 5)
    assert len(torch.unique(states[:, 0], dim=0)) == 12 == q.num_states
    probability = q.log_prob(states).exp().detach()
    torch.testing.assert_close(probability.sum(0), torch.ones(3))
    z = q.sample((20_000,))
    same = (z.unsqueeze(1) == states).all(-1).double().mean(0)
    # 36 frequencies within 4.5 standard errors: fails for 1 seed in 4,000
    std_error = (probability * (1 - probability) / 20_000).sqrt()
    assert float(((same - probability) / std_error).abs().max()) < 4.5
    mean = case.posterior.mean(case.model, case.batch)
    torch.testing.assert_close(
        mean, (probability.unsqueeze(-1) * states).sum(0), atol=0.25, rtol=0
    )
    single = a_problem(PROBLEMS["categorical"])
    one = single.posterior.distribution(single.model, single.batch)
    expected = one.log_prob(one.enumerate_support()).exp().unsqueeze(-1) * one.enumerate_support()
    torch.testing.assert_close(one.mean, expected.sum(0))


def test_discrete_posteriors_refuse_other_heads():
    from ancestral.distributions import Normal

    with pytest.raises(OptionError, match="expected discrete layers"):
        DiscretePosterior(nn.Identity(), [LatentConditional(nn.Linear(3, 4), Normal((2,)))])
    with pytest.raises(OptionError, match="at least one layer"):
        DiscretePosterior(nn.Identity(), [])
    with pytest.raises(OptionError, match="whole blocks of 3"):
        OneHot((4,), 3)
    assert Bernoulli((2,)).event_shape == (2,)


@pytest.mark.parametrize("make", [lambda: ScoreFunction(RunningMean()), Rebar, MuProp])
def test_one_precision_from_start_to_end(single_precision, make):
    estimator = make()
    case = a_problem(PROBLEMS["two layers"])
    case = case._replace(model=case.model.float(), posterior=case.posterior.float())
    rows = Batch(case.batch.x.float(), case.batch.observed)
    found = estimator.surrogate(Elbo(2), case.model, case.posterior, rows, NO_PENALTY)
    found.loss.backward()
    assert {t.dtype for t in found} == {torch.float32}
