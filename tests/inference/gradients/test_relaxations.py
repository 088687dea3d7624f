"""Discrete draws as thresholds of noise, their relaxations, and what those are wrong by."""

from __future__ import annotations

import pytest
import torch
from discrete_models import NO_PENALTY, PROBLEMS, a_problem, exact_gradient, many_gradients
from scipy.stats import chi2

from ancestral.core import OptionError
from ancestral.distributions.relaxations import BinaryRelaxation, OneHotRelaxation
from ancestral.inference.bounds import Elbo, ImportanceWeighted
from ancestral.inference.gradients import Concrete, Enumerated, StraightThrough

RELAXATIONS = [BinaryRelaxation(), OneHotRelaxation(3)]
LOGITS = torch.tensor([0.5, -1.2, 0.1], dtype=torch.float64)


@pytest.mark.parametrize("relaxation", RELAXATIONS)
def test_thresholds_of_noisy_logits_have_the_right_mean(relaxation):
    logits = LOGITS.expand(50_000, 3)
    z = relaxation.hard(logits + relaxation.noise(logits))
    mean = relaxation.mean(LOGITS)
    # three numbers within 4.5 standard errors: fails for 1 seed in 50,000
    std_error = (mean * (1 - mean) / len(z)).sqrt()
    assert float(((z.mean(0) - mean) / std_error).abs().max()) < 4.5


@pytest.mark.parametrize("relaxation", RELAXATIONS)
def test_noise_given_the_value_is_the_noise_there(relaxation):
    logits = LOGITS.expand(10_000, 3)
    free = logits + relaxation.noise(logits)
    z = relaxation.hard(logits + relaxation.noise(logits))
    given = relaxation.noisy_given(logits, z)
    torch.testing.assert_close(relaxation.hard(given), z)
    # the mixture over z is the free noise: counts in 12 cells of each number, chi-squared beyond
    # its 1 - 10^-5 quantile: six tests, fails for 1 seed in 10^4
    for j in range(3):
        edges = free[:, j].quantile(torch.linspace(0, 1, 13)[1:-1])
        a, b = (
            torch.bincount(torch.bucketize(values[:, j].contiguous(), edges), minlength=12)
            for values in (free, given)
        )
        statistic = ((a - b).square() / (a + b)).sum()
        assert float(statistic) < chi2.ppf(1 - 1e-5, 11)


@pytest.mark.parametrize("relaxation", RELAXATIONS)
def test_relaxed_values_approach_the_discrete_ones(relaxation):
    logits = LOGITS.expand(2000, 3)
    noisy = logits + relaxation.noise(logits)
    far = [
        float((relaxation.relaxed(noisy, t) - relaxation.hard(noisy)).abs().mean())
        for t in (1.0, 0.3, 0.01)
    ]
    assert far[0] > far[1] > far[2]
    assert far[2] < 0.01


@pytest.mark.parametrize("problem", ["two layers", "categorical"])
def test_the_bias_of_concrete_shrinks_with_the_temperature(problem):
    case = a_problem(PROBLEMS[problem])
    exact = exact_gradient(case, Elbo(1))
    biases = []
    for temperature in (2.0, 0.5, 0.1):
        gradients = many_gradients(Concrete(temperature), Elbo(4), case.repeated(400), 15)
        biases.append(float((gradients.mean(0) - exact).norm()))
    # 24,000 draws of each row: the noise in the last, noisiest norm is below 0.05
    assert biases[0] > 2 * biases[1] > 4 * biases[2]


def test_straight_through_is_unbiased_for_the_model_and_nearly_so_for_q():
    case = a_problem(PROBLEMS["one layer"])
    exact = exact_gradient(case, Elbo(1))
    num_model = sum(p.numel() for p in case.model.parameters())
    gradients = many_gradients(StraightThrough(0.5), Elbo(4), case.repeated(200), 40)
    z = (gradients.mean(0) - exact) / (gradients.std(0) / 40**0.5)
    assert float(z[:num_model].abs().max()) < 4  # 20 numbers: fails for 1 seed in 500
    assert float(z[num_model:].abs().max()) > 4
    bias = (gradients.mean(0) - exact)[num_model:].norm()
    assert float(bias) < 0.3 * float(exact[num_model:].norm())


@pytest.mark.parametrize("bound", [Elbo(2), ImportanceWeighted(3)])
@pytest.mark.parametrize("problem", ["two layers", "categorical"])
def test_the_gradient_of_concrete_is_that_of_its_own_objective(bound, problem):
    case = a_problem(PROBLEMS[problem])
    estimator = Concrete(0.8)

    def loss():
        torch.manual_seed(7)  # the same noise each time
        return estimator.surrogate(bound, *case, NO_PENALTY).loss

    gradients = torch.autograd.grad(loss(), case.parameters)
    step = 1e-6
    for parameter, gradient in zip(case.parameters, gradients, strict=True):
        flat = parameter.data.view(-1)
        for i in range(flat.numel()):
            middle = float(flat[i])
            flat[i] = middle + step
            above = loss().item()
            flat[i] = middle - step
            below = loss().item()
            flat[i] = middle
            numeric = (above - below) / (2 * step)
            assert float(gradient.view(-1)[i]) == pytest.approx(numeric, abs=1e-7, rel=1e-5)


@pytest.mark.parametrize("estimator", [Concrete(1.5), StraightThrough(1.5)])
def test_the_bound_that_is_reported_is_that_of_discrete_draws(estimator):
    case = a_problem(PROBLEMS["two layers"])
    exact = Enumerated().surrogate(Elbo(), *case, NO_PENALTY).bound.mean()
    found = estimator.surrogate(Elbo(4), *case.repeated(3000), NO_PENALTY)
    # 9,000 rows: standard error below 0.01, and 5 of them: fails for 1 seed in 10^6
    torch.testing.assert_close(found.bound.mean(), exact.detach(), rtol=0, atol=0.05)
    torch.testing.assert_close(found.bound, found.reconstruction - found.kl)


@pytest.mark.parametrize("kind", [Concrete, StraightThrough])
def test_temperatures_are_positive(kind):
    with pytest.raises(OptionError, match="expected a temperature above 0, got 0"):
        kind(0.0)
