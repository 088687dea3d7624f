"""Estimators for discrete latent variables against sums over all their values."""

from __future__ import annotations

import pytest
import torch
from discrete_models import (
    PROBLEMS,
    a_problem,
    enumerated,
    exact_bound,
    exact_gradient,
    flat_gradient,
    largest_z,
    many_gradients,
)
from torch import nn

from ancestral.core import Kind, Specification
from ancestral.inference.bounds import Elbo, ImportanceWeighted, Renyi
from ancestral.inference.gradients import (
    ArithmeticMean,
    Enumerated,
    InputDependent,
    KlPenalty,
    LayerSignals,
    LeaveOneOut,
    MuProp,
    Rebar,
    Relax,
    RunningMean,
    ScoreFunction,
    Vimco,
)
from ancestral.networks import InputFeatures

REPEATS, COPIES = 60, 30
NO_PENALTY = KlPenalty()


def input_dependent(num_layers: int) -> InputDependent:
    inputs = InputFeatures(Specification(Kind.BINARY, (3,), missing=True))
    sizes = [inputs.num_outputs] + [2] * (num_layers - 1)
    return InputDependent(inputs, [nn.Linear(size, 1) for size in sizes])


ESTIMATORS = {
    "plain": lambda sizes: (Elbo(1), ScoreFunction()),
    "plain, 3": lambda sizes: (Elbo(3), ScoreFunction()),
    "running mean": lambda sizes: (Elbo(2), ScoreFunction(RunningMean())),
    "input-dependent": lambda sizes: (Elbo(2), ScoreFunction(input_dependent(1))),
    "leave-one-out": lambda sizes: (Elbo(3), ScoreFunction(LeaveOneOut())),
    "MuProp": lambda sizes: (Elbo(2), MuProp()),
    "REBAR": lambda sizes: (Elbo(2), Rebar(0.7, 0.8)),
    "RELAX": lambda sizes: (Elbo(1), disturbed(Relax(sizes, 6))),
    "IWAE, plain": lambda sizes: (ImportanceWeighted(2), ScoreFunction()),
    "IWAE, running mean": lambda sizes: (ImportanceWeighted(2), ScoreFunction(RunningMean())),
    "IWAE, leave-one-out": lambda sizes: (ImportanceWeighted(3), ScoreFunction(LeaveOneOut())),
    "VIMCO": lambda sizes: (ImportanceWeighted(3), Vimco()),
    "VIMCO, arithmetic": lambda sizes: (ImportanceWeighted(2), Vimco(ArithmeticMean())),
    "Rényi": lambda sizes: (Renyi(0.5, 3), ScoreFunction(LeaveOneOut())),
}
LAYERED = {
    "by layer": lambda: (Elbo(2), ScoreFunction(signals=LayerSignals())),
    "by layer, running mean": lambda: (
        Elbo(1),
        ScoreFunction(RunningMean(num_layers=2), signals=LayerSignals()),
    ),
    "by layer, networks": lambda: (
        Elbo(2),
        ScoreFunction(input_dependent(2), signals=LayerSignals()),
    ),
    "by layer, leave-one-out": lambda: (
        Elbo(3),
        ScoreFunction(LeaveOneOut(), signals=LayerSignals()),
    ),
}


def disturbed(module: nn.Module) -> nn.Module:
    """One whose networks do something: they start at zero."""
    with torch.no_grad():
        for parameter in module.networks.parameters():
            parameter.add_(0.3 * torch.randn_like(parameter))
    return module


def check_mean(estimator, bound, problem) -> None:
    estimator.check(bound, problem.model, problem.posterior)
    exact = exact_gradient(problem, bound if not isinstance(bound, Elbo) else Elbo(1))
    gradients = many_gradients(estimator, bound, problem.repeated(COPIES), REPEATS)
    assert largest_z(gradients, exact) < 4


# Each test below looks at some 30 numbers with |z| < 4 from 60 means: it fails for one seed in
# 150, and all of them for one seed in 4; the seed is fixed.


@pytest.mark.parametrize("name", ESTIMATORS)
@pytest.mark.parametrize("problem", ["two layers", "categorical"])
def test_means_are_the_exact_gradient_over_all_parameters(name, problem):
    heads = PROBLEMS[problem]
    bound, estimator = ESTIMATORS[name]([head.event_shape[0] for head in heads])
    check_mean(estimator, bound, a_problem(heads))


@pytest.mark.parametrize("name", ["MuProp", "REBAR", "VIMCO"])
@pytest.mark.parametrize("problem", ["one layer", "categorical over binary"])
def test_means_are_the_exact_gradient_of_other_latents(name, problem):
    heads = PROBLEMS[problem]
    bound, estimator = ESTIMATORS[name]([head.event_shape[0] for head in heads])
    check_mean(estimator, bound, a_problem(heads))


@pytest.mark.parametrize("name", LAYERED)
def test_signals_by_layer_leave_the_mean(name):
    bound, estimator = LAYERED[name]()
    check_mean(estimator, bound, a_problem(PROBLEMS["two layers"]))


def test_signals_by_layer_where_x_depends_on_every_layer():
    problem = a_problem(PROBLEMS["two layers"])
    bound, estimator = LAYERED["by layer, leave-one-out"]()
    decoder = nn.Linear(4, 3)
    problem.model.likelihood.network = decoder
    exact_layers = Enumerated().surrogate(Elbo(), *problem, NO_PENALTY).loss
    exact = flat_gradient(exact_layers, problem.parameters)
    gradients = many_gradients(estimator, bound, problem.repeated(COPIES), REPEATS)
    assert largest_z(gradients, exact) < 4


@pytest.mark.parametrize("name", ["leave-one-out", "MuProp", "REBAR", "VIMCO"])
def test_means_with_a_weight_on_the_kl(name):
    problem = a_problem(PROBLEMS["one layer"])
    bound, estimator = ESTIMATORS[name]([3])
    exact = exact_gradient(problem, bound if not isinstance(bound, Elbo) else Elbo(1), weight=0.4)
    gradients = many_gradients(estimator, bound, problem.repeated(COPIES), REPEATS, KlPenalty(0.4))
    assert largest_z(gradients, exact) < 4


@pytest.mark.parametrize("problem", PROBLEMS)
@pytest.mark.parametrize("bound", [Elbo(1), Elbo(3), ImportanceWeighted(2), Renyi(-0.5, 2)])
def test_enumeration_is_exact(problem, bound):
    case = a_problem(PROBLEMS[problem])
    found = Enumerated().surrogate(bound, *case, KlPenalty(0.7))
    single = Elbo(1) if isinstance(bound, Elbo) else bound
    torch.testing.assert_close(
        flat_gradient(found.loss, case.parameters), exact_gradient(case, single, 0.7)
    )
    if bound.kind == "lower_bound":
        torch.testing.assert_close(found.bound, exact_bound(case, single).detach())
    log_w, log_q = enumerated(case)
    torch.testing.assert_close(
        found.reconstruction - found.kl, (log_q.exp() * log_w).sum(0).detach()
    )
    assert not found.bound.requires_grad


@pytest.mark.parametrize(
    ("bound", "estimator"),
    [
        (Elbo(4), ScoreFunction(LeaveOneOut())),
        (Elbo(4), MuProp()),
        (Elbo(4), Rebar()),
        (ImportanceWeighted(4), Vimco()),
    ],
)
def test_values_are_those_of_the_bound_and_validation_needs_no_gradient(bound, estimator):
    problem = a_problem(PROBLEMS["two layers"]).repeated(2000)
    with torch.no_grad():
        found = estimator.surrogate(bound, *problem, KlPenalty(0.2))
    exact = Enumerated().surrogate(bound, *a_problem(PROBLEMS["two layers"]), NO_PENALTY)
    # 6,000 rows of 4 samples: standard errors below 0.01; 5 of them: fails for 1 seed in 10^6
    for name in ("bound", "reconstruction", "kl"):
        torch.testing.assert_close(
            getattr(found, name).mean(), getattr(exact, name).mean().detach(), rtol=0, atol=0.05
        )
    assert not found.loss.requires_grad


def test_where_q_is_exact_vimco_has_almost_no_noise_and_reinforce_has():
    # with q(z) = p(z | x) all log-weights are equal: what the samples say of q is nothing
    problem = a_problem(PROBLEMS["one layer"])
    with torch.no_grad():  # x tells nothing of z: the posterior is the prior
        problem.model.likelihood.network.network.weight.zero_()
        problem.posterior.layers[0].network.weight.zero_()
        problem.posterior.layers[0].network.bias.copy_(problem.model.prior.top.features[0])
    of_q = list(problem.posterior.parameters())
    count = sum(p.numel() for p in of_q)
    for estimator, bound, quiet in (
        (Vimco(), ImportanceWeighted(4), True),
        (ScoreFunction(LeaveOneOut()), Elbo(4), True),
        (MuProp(), Elbo(4), True),
        (ScoreFunction(), Elbo(4), False),
    ):
        gradient = many_gradients(estimator, bound, problem, 1)[0, -count:]
        assert (float(gradient.abs().max()) < 1e-12) == quiet, estimator


def test_the_leave_one_out_baseline_of_the_importance_weighted_bound_is_vimcos():
    problem = a_problem(PROBLEMS["two layers"])
    gradients = []
    for estimator in (Vimco(), ScoreFunction(LeaveOneOut())):
        torch.manual_seed(4)
        gradients.append(many_gradients(estimator, ImportanceWeighted(3), problem, 1))
    torch.testing.assert_close(*gradients)


def test_the_arithmetic_baseline_is_the_bound_of_the_others():
    log_w = torch.randn(4, 5)
    imputed = ArithmeticMean()(log_w)
    for k in range(4):
        others = torch.cat((log_w[:k], log_w[k + 1 :]))
        replaced = torch.cat((others, imputed[k : k + 1]))
        torch.testing.assert_close(ImportanceWeighted(4)(replaced), ImportanceWeighted(3)(others))
