"""Which estimators go with which bounds and posteriors, and what the others are told."""

from __future__ import annotations

import pytest
import torch
from discrete_models import NO_PENALTY, PROBLEMS, a_problem
from linear_gaussian import FreePosterior, a_model
from torch import nn
from torch.distributions import Bernoulli as TorchBernoulli
from torch.distributions import Independent

from ancestral.core import Batch, Draws, IncompatibleChoices, Kind, OptionError, Specification
from ancestral.distributions import Bernoulli, StandardNormal
from ancestral.inference.bounds import Chi, Elbo, ImportanceWeighted, Renyi
from ancestral.inference.gradients import (
    Concrete,
    DoublyReparameterized,
    Enumerated,
    GradientEstimator,
    KlPenalty,
    LayerSignals,
    LeaveOneOut,
    MuProp,
    Pathwise,
    PathwiseClosedFormKl,
    Rebar,
    Relax,
    ScoreFunction,
    StickTheLanding,
    StraightThrough,
    Vimco,
)
from ancestral.inference.objectives import Variational
from ancestral.inference.posteriors import Amortized, ParametricPosterior, Posterior
from ancestral.models import LatentConditional
from ancestral.networks import InputFeatures

DISCRETE_ONLY = [Concrete(), StraightThrough(), MuProp(), Rebar(), Relax((2, 2)), Enumerated()]
ELBO_ONLY = [MuProp(), Rebar(), Relax((2, 2))]
ALL = [
    *DISCRETE_ONLY,
    StickTheLanding(),
    DoublyReparameterized(),
    ScoreFunction(),
    ScoreFunction(LeaveOneOut()),
    Vimco(),
]


class Sampler(Posterior):
    """Reparameterised draws, and no distribution."""

    reparameterized = True

    def draw(self, model, batch, num_samples):
        z = torch.randn(num_samples, len(batch), 2)
        return Draws(z, StandardNormal(2).log_prob(z))

    def log_prob(self, model, batch, z):
        return StandardNormal(2).log_prob(z)


class SaysNothing(ParametricPosterior):
    """A discrete posterior that leaves `reparameterized` as it is by default."""

    def __init__(self):
        super().__init__()
        self.logits = nn.Parameter(torch.zeros(3, 2))

    def distribution(self, model, batch):
        return Independent(TorchBernoulli(logits=self.logits), 1)


def gaussian():
    return a_model(), FreePosterior(diagonal=True)


def discrete():
    problem = a_problem(PROBLEMS["two layers"])
    return problem.model, problem.posterior


def refusal(estimator, bound, model, posterior) -> str:
    with pytest.raises(IncompatibleChoices) as error:
        estimator.check(bound, model, posterior)
    assert error.value.hint
    return str(error.value)


@pytest.mark.parametrize("estimator", ALL, ids=lambda e: type(e).__name__)
def test_all_follow_the_protocol(estimator):
    assert isinstance(estimator, GradientEstimator)


@pytest.mark.parametrize("bound", [ImportanceWeighted(5), ImportanceWeighted(1), Renyi(0.5, 5)])
def test_stick_the_landing_refuses_other_bounds(bound):
    said = refusal(StickTheLanding(), bound, *gaussian())
    assert str(bound) in said
    assert "hint: use DoublyReparameterized() (DReG)" in said


@pytest.mark.parametrize("alpha", [-float("inf"), float("inf")])
def test_dreg_refuses_bounds_that_are_not_smooth(alpha):
    said = refusal(DoublyReparameterized(), Renyi(alpha, 5), *gaussian())
    assert "smooth" in said
    assert "hint: use Pathwise()" in said
    DoublyReparameterized().check(Renyi(0.3, 5), *gaussian())
    DoublyReparameterized().check(ImportanceWeighted(1), *gaussian())


@pytest.mark.parametrize(
    "estimator",
    [Pathwise(), PathwiseClosedFormKl(), StickTheLanding(), DoublyReparameterized()],
)
def test_pathwise_estimators_refuse_discrete_draws(estimator):
    assert "hint: use a score-function estimator" in refusal(estimator, Elbo(), *discrete())
    spec = Specification(Kind.BINARY, (3,))
    bits = LatentConditional(nn.Linear(3, 2), Bernoulli((2,)))
    amortized = Amortized(InputFeatures(spec), bits)
    assert "Amortized" in refusal(estimator, Elbo(), discrete()[0], amortized)


def test_pathwise_notices_constant_draws_of_a_posterior_that_says_otherwise():
    model, batch = a_model(), Batch(torch.zeros(3, 4))
    with pytest.raises(IncompatibleChoices, match="needs draws that pass gradients"):
        Pathwise().surrogate(Elbo(), model, SaysNothing(), batch, NO_PENALTY)


@pytest.mark.parametrize("estimator", DISCRETE_ONLY, ids=lambda e: type(e).__name__)
def test_relaxations_and_their_kin_refuse_continuous_draws(estimator):
    said = refusal(estimator, Elbo(), *gaussian())
    assert said.startswith(f"{type(estimator).__name__} needs discrete latent variables, got Free")
    assert "hint: use Pathwise()" in said
    estimator.check(Elbo(2), *discrete())


@pytest.mark.parametrize("estimator", ELBO_ONLY, ids=lambda e: type(e).__name__)
def test_estimators_for_the_elbo_refuse_other_bounds(estimator):
    assert "hint: use Vimco()" in refusal(estimator, ImportanceWeighted(3), *discrete())


def test_vimco_and_leave_one_out_need_other_samples():
    assert "num_samples = 2" in refusal(Vimco(), ImportanceWeighted(1), *discrete())
    assert "num_samples = 2" in refusal(ScoreFunction(LeaveOneOut()), Elbo(1), *discrete())
    assert "LeaveOneOut" in refusal(Vimco(), Elbo(3), *discrete())


def test_signals_by_layer_need_layers_and_the_elbo():
    estimator = ScoreFunction(signals=LayerSignals())
    assert "WholeSignal" in refusal(estimator, ImportanceWeighted(2), *discrete())
    assert "DiscretePosterior" in refusal(estimator, Elbo(), *gaussian())
    estimator.check(Elbo(), *discrete())


def test_upper_bounds_are_not_maximised():
    for estimator in (ScoreFunction(), Concrete(), StraightThrough(), Enumerated()):
        assert "upper bound" in refusal(estimator, Chi(2.0, 3), *discrete())
    assert "upper bound" in refusal(DoublyReparameterized(), Chi(2.0, 3), *gaussian())


@pytest.mark.parametrize("estimator", [StickTheLanding(), DoublyReparameterized()])
def test_samplers_without_a_distribution_are_refused(estimator):
    assert "hint: use Pathwise()" in refusal(estimator, Elbo(), a_model(), Sampler())


def test_the_score_function_takes_any_density():
    ScoreFunction().check(Elbo(), a_model(), Sampler())
    ScoreFunction().check(ImportanceWeighted(3), *gaussian())


def test_torch_distributions_are_understood_and_others_refused():
    model = a_problem(PROBLEMS["categorical"]).model  # any model over two bits
    bits = a_problem((Bernoulli((2,)),))
    batch = Batch(bits.batch.x, bits.batch.observed)
    posterior = SaysNothing()
    posterior.reparameterized = False
    for estimator in (Concrete(), Enumerated(), Rebar(), MuProp()):
        found = estimator.surrogate(Elbo(), bits.model, posterior, batch, NO_PENALTY)
        assert bool(found.loss.isfinite())
    wrong = FreePosterior(diagonal=True)
    wrong.reparameterized = False
    with pytest.raises(IncompatibleChoices, match="needs discrete latent variables") as error:
        Concrete().surrogate(Elbo(), model, wrong, batch, NO_PENALTY)
    assert "Pathwise()" in str(error.value.hint)


def test_enumeration_refuses_many_states_with_their_number():
    problem = a_problem(PROBLEMS["two layers"])
    with pytest.raises(IncompatibleChoices) as error:
        Enumerated(max_states=15).surrogate(Elbo(3), *problem, NO_PENALTY)
    assert str(error.value).startswith(
        "expected at most 15 values of z to sum over, got 16\n\nhint: use Vimco()"
    ) or "got 16" in str(error.value)
    with pytest.raises(IncompatibleChoices, match=r"16\^3 = 4,096"):
        Enumerated(max_states=4095).surrogate(ImportanceWeighted(3), *problem, NO_PENALTY)
    Enumerated(max_states=16).surrogate(Elbo(3), *problem, NO_PENALTY)
    with pytest.raises(OptionError, match="max_states"):
        Enumerated(max_states=1)


@pytest.mark.parametrize("estimator", ALL, ids=lambda e: type(e).__name__)
def test_free_bits_need_the_closed_form(estimator):
    bound = ImportanceWeighted(2) if isinstance(estimator, Vimco) else Elbo(2)
    with pytest.raises(IncompatibleChoices, match="free bits need a KL term"):
        estimator.surrogate(bound, *a_problem(PROBLEMS["two layers"]), KlPenalty(free_nats=0.5))
    model, posterior = (
        discrete()
        if not isinstance(estimator, StickTheLanding | DoublyReparameterized)
        else gaussian()
    )
    with pytest.raises(IncompatibleChoices, match="free bits"):
        Variational(bound, estimator, free_nats=0.5).check(model, posterior)
