"""Pairs that would train something else than the bound are refused before any step."""

from __future__ import annotations

import math

import pytest
import torch
from discrete_models import NO_PENALTY, PROBLEMS, a_problem
from linear_gaussian import NUM_ROWS, FreePosterior, Widened, a_model
from torch import nn
from torch.distributions import Bernoulli as TorchBernoulli
from torch.distributions import Independent

from ancestral.core import Batch, IncompatibleChoices, Kind, OptionError, Specification
from ancestral.distributions import Bernoulli
from ancestral.inference.bounds import (
    Chi,
    Ciwae,
    Elbo,
    ImportanceWeighted,
    Jackknife,
    Miwae,
    Renyi,
)
from ancestral.inference.gradients import (
    Concrete,
    DoublyReparameterized,
    Enumerated,
    InputDependent,
    KlPenalty,
    LayerSignals,
    LeaveOneOut,
    Pathwise,
    PathwiseClosedFormEntropy,
    PathwiseClosedFormKl,
    Rebar,
    Relax,
    RunningMean,
    SampledIndex,
    ScoreFunction,
    StickTheLanding,
    StraightThrough,
    TwoBounds,
    VarianceNormalization,
    Vimco,
)
from ancestral.inference.objectives import Aggressive, Variational, WarmUp, WeightedKl
from ancestral.inference.posteriors import (
    Amortized,
    AuxiliaryVariables,
    BottomUp,
    ExactPosterior,
    HamiltonianVariational,
    HmcRefined,
    ImportanceResampled,
    ParametricPosterior,
    PointMass,
    RejectionSampled,
)
from ancestral.models import (
    DiagonalGaussian,
    LatentConditional,
    LatentVariableModel,
    VampPrior,
)
from ancestral.networks import InputFeatures

REAL = Specification(Kind.REAL, (4,))


def an_amortized() -> Amortized:
    return Amortized(InputFeatures(REAL), DiagonalGaussian(nn.Linear(4, 4)))


def rich_posteriors() -> dict:
    base = an_amortized()
    auxiliary = AuxiliaryVariables(
        InputFeatures(REAL),
        DiagonalGaussian(nn.Linear(4, 4)),
        DiagonalGaussian(nn.Linear(6, 4)),
        DiagonalGaussian(nn.Linear(6, 4)),
    )
    inverse = DiagonalGaussian(nn.Linear(6, 4))
    return {
        "auxiliary": auxiliary,
        "hamiltonian": HamiltonianVariational(base, inverse, 2, num_steps=1),
        "hmc": HmcRefined(base),
        "rejection": RejectionSampled(base),
        "resampled": ImportanceResampled(base, 2),
    }


def refusal(objective, model, posterior) -> str:
    with pytest.raises(IncompatibleChoices) as error:
        objective.check(model, posterior)
    assert error.value.hint
    return str(error.value)


def test_rejection_gives_the_model_the_gradient_at_the_accepted_draws_alone():
    model, batch = a_model(), Batch(torch.randn(NUM_ROWS, 4))
    base = Widened()
    posterior = RejectionSampled(base, num_pilots=20)
    torch.manual_seed(5)
    z, _ = posterior.draw(model, batch, 2)
    expected = torch.autograd.grad(
        -model.log_joint(batch.x, z.detach()).mean(), list(model.parameters())
    )
    torch.manual_seed(5)
    # `Widened` reads the model, whose weights belong to p here
    base.distribution = _constant(base.distribution)
    loss = Pathwise().surrogate(Elbo(2), model, posterior, batch, NO_PENALTY).loss
    for found, exact in zip(
        torch.autograd.grad(loss, list(model.parameters())), expected, strict=True
    ):
        torch.testing.assert_close(found, exact)


def _constant(distribution):
    def constant(model, batch):
        with torch.no_grad():
            return distribution(model, batch)

    return constant


@pytest.mark.parametrize("name", sorted(rich_posteriors()))
def test_score_functions_need_the_density_of_the_draws(name):
    model, posterior = a_model(), rich_posteriors()[name]
    for objective in (
        Variational(Elbo(2), ScoreFunction()),
        Variational(ImportanceWeighted(2), Vimco()),
    ):
        said = refusal(objective, model, posterior)
        assert type(posterior).__name__ in said
        assert "hint: use Pathwise()" in said
    Variational(Elbo(2), Pathwise()).check(model, posterior)


def test_resampled_discrete_draws_have_no_score_either():
    case = a_problem(PROBLEMS["one layer"])
    posterior = ImportanceResampled(case.posterior, 2)
    said = refusal(Variational(Elbo(1), ScoreFunction()), case.model, posterior)
    assert "hint: use the posterior that proposes its draws" in said


@pytest.mark.parametrize(
    "objective",
    [
        Variational(Elbo(2), Pathwise()),
        Variational(Elbo(2), ScoreFunction()),
        Variational(ImportanceWeighted(2), Vimco()),
        Variational(ImportanceWeighted(2), SampledIndex()),
        Variational(ImportanceWeighted(2), TwoBounds(Elbo(2))),
        WeightedKl(gradient=Pathwise()),
    ],
    ids=lambda o: type(getattr(o, "gradient", o)).__name__,
)
def test_points_have_no_bound(objective):
    point = PointMass(InputFeatures(REAL), nn.Linear(4, 2))
    assert "which PointMass does not have" in refusal(objective, a_model(), point)


@pytest.mark.parametrize("name", ["hmc", "rejection", "resampled"])
def test_a_kl_that_holds_the_likelihood_is_not_weighed(name):
    model, posterior = a_model(), rich_posteriors()[name]
    for objective in (
        Variational(Elbo(), Pathwise(), WarmUp(10)),
        Variational(Elbo(), Pathwise(), free_nats=0.5),
        WeightedKl(2.0, Pathwise()),
        WeightedKl(1.0, Pathwise(), WarmUp(10)),
    ):
        assert "has log p(x | z) in it" in refusal(objective, model, posterior)
    Variational(Elbo(), Pathwise(), WarmUp(10, start=1.0)).check(model, posterior)
    WeightedKl(1.0, Pathwise()).check(model, posterior)


@pytest.mark.parametrize("name", ["auxiliary", "hamiltonian"])
def test_auxiliary_variables_may_be_weighed(name):
    Variational(Elbo(), Pathwise(), WarmUp(10)).check(a_model(), rich_posteriors()[name])


def test_signals_and_what_is_kept_for_each_are_counted():
    case = a_problem(PROBLEMS["two layers"])
    inputs = InputFeatures(Specification(Kind.BINARY, (3,), missing=True))
    networks = [nn.Linear(inputs.num_outputs, 1), nn.Linear(2, 1)]
    wrong = {
        "RunningMean for 1 layers": ScoreFunction(RunningMean(num_layers=2)),
        "RunningMean for 2 layers": ScoreFunction(RunningMean(), signals=LayerSignals()),
        "InputDependent for 1 layers": ScoreFunction(InputDependent(inputs, networks)),
        "InputDependent for 2 layers": ScoreFunction(
            InputDependent(inputs, networks[:1]), signals=LayerSignals()
        ),
        "VarianceNormalization for 1 layers": ScoreFunction(
            normalization=VarianceNormalization(num_layers=2)
        ),
        "VarianceNormalization for 2 layers": ScoreFunction(
            normalization=VarianceNormalization(), signals=LayerSignals()
        ),
    }
    for what, estimator in wrong.items():
        said = refusal(Variational(Elbo(), estimator), case.model, case.posterior)
        assert f"expected {what}' signals, got one for" in said
    ScoreFunction(RunningMean(num_layers=2), signals=LayerSignals()).check(
        Elbo(), case.model, case.posterior
    )


@pytest.mark.parametrize("sizes", [(2,), (2, 3), (2, 2, 2)])
def test_relax_has_the_layers_of_the_posterior(sizes):
    case = a_problem(PROBLEMS["two layers"])
    said = refusal(Variational(Elbo(), Relax(sizes)), case.model, case.posterior)
    assert f"layers of {sizes} variables" in said
    Relax((2, 2)).check(Elbo(), case.model, case.posterior)


def test_relax_counts_layers_of_other_posteriors_too():
    case = a_problem((Bernoulli((2,)),))
    posterior = Coins()
    posterior.reparameterized = False
    with pytest.raises(IncompatibleChoices, match="got layer 1 of 2 variables"):
        Relax((3,)).surrogate(Elbo(), case.model, posterior, case.batch, NO_PENALTY)


class Coins(ParametricPosterior):
    """Discrete, and says nothing of it."""

    def __init__(self) -> None:
        super().__init__()
        self.logits = nn.Parameter(torch.zeros(NUM_ROWS, 2))

    def distribution(self, model, batch):
        return Independent(TorchBernoulli(logits=self.logits), 1)


@pytest.mark.parametrize(
    "estimator",
    [
        Pathwise(),
        SampledIndex(),
        TwoBounds(Elbo(1)),
        StickTheLanding(),
        DoublyReparameterized(),
        PathwiseClosedFormEntropy(),
    ],
    ids=lambda e: type(e).__name__,
)
def test_constant_draws_are_noticed_by_all_who_need_others(estimator):
    batch = Batch(torch.zeros(NUM_ROWS, 4))
    with pytest.raises(IncompatibleChoices, match="needs draws that pass gradients") as error:
        estimator.surrogate(Elbo(1), a_model(), Coins(), batch, NO_PENALTY)
    assert error.value.hint


def test_closed_kl_notices_them_too():
    case = a_problem((Bernoulli((2,)),))
    prior = LatentConditional(nn.Linear(1, 2), Bernoulli((2,)))
    coins = TorchBernoulli(logits=torch.zeros(NUM_ROWS, 2))
    prior.forward = lambda context=None: Independent(coins, 1)
    model = LatentVariableModel(prior, case.model.likelihood)
    with pytest.raises(IncompatibleChoices, match="needs draws that pass gradients"):
        PathwiseClosedFormKl().surrogate(Elbo(1), model, Coins(), case.batch, NO_PENALTY)


def test_layers_from_the_data_up_say_whether_their_draws_pass_gradients():
    inputs = InputFeatures(Specification(Kind.BINARY, (3,)))
    gaussian = DiagonalGaussian(nn.Linear(3, 4))
    coins = LatentConditional(nn.Linear(2, 2), Bernoulli((2,)))
    assert BottomUp(inputs, [gaussian], [2]).reparameterized
    posterior = BottomUp(inputs, [gaussian, coins], [2, 2])
    assert not posterior.reparameterized
    # and it can still be drawn from and scored
    batch = Batch(torch.ones(5, 3))
    z, log_q = posterior.draw(a_model(), batch, 7)
    assert z.shape == (7, 5, 4)
    torch.testing.assert_close(log_q, posterior.log_prob(a_model(), batch, z))


@pytest.mark.parametrize("alpha", [0.5, 1.0, -math.inf])
def test_diverged_weights_reach_the_loss_that_is_watched(alpha):
    model, posterior = a_model(), FreePosterior(diagonal=True)
    with torch.no_grad():
        posterior.loc[0, 0] = math.nan
    batch = Batch(torch.zeros(NUM_ROWS, 4))
    found = SampledIndex().surrogate(Renyi(alpha, 4), model, posterior, batch, NO_PENALTY)
    assert bool(found.loss.isnan())


class Elbow(Elbo):
    """A bound of one's own."""


def test_one_sample_is_drawn_by_its_weight_also_where_weights_are_zero():
    from ancestral.inference.gradients.sampled_index import _drawn

    torch.manual_seed(0)
    log_w = torch.tensor([0.0, 1.0, -math.inf, -1.0]).unsqueeze(1).expand(4, 20_000)
    for bound, power in (
        (Elbow(4), 0.0),
        (ImportanceWeighted(4), 1.0),
        (Renyi(0.5, 4), 0.5),
        (Renyi(3.0, 4), None),
    ):
        share = torch.bincount(_drawn(bound, log_w)[0], minlength=4) / 20_000
        weights = torch.tensor([0.0, 0.0, 0.0, 0.0])
        if power is None:
            weights[[0, 1, 3]] = -math.inf  # of w^-2 all is in the weight of zero
        elif power:
            weights = power * log_w[:, 0]
        # 16 shares within 4.5 standard errors of at most 0.0036: fails for 1 seed in 9,000
        torch.testing.assert_close(share, weights.softmax(0), atol=0.016, rtol=0)


def test_two_bounds_refuse_a_prior_that_follows_the_posteriors_weights():
    base = an_amortized()
    prior = VampPrior(base.inputs, base.encoder, (4,), 3)
    model = LatentVariableModel(prior, a_model().likelihood)
    objective = Variational(ImportanceWeighted(2), TwoBounds(Elbo(2)))
    assert "VampPrior" in refusal(objective, model, base)
    state = torch.get_rng_state()
    objective.check(model, an_amortized_twin())
    assert torch.equal(torch.get_rng_state(), state)


def an_amortized_twin() -> Amortized:
    with torch.random.fork_rng():
        return an_amortized()


def test_a_weight_of_one_is_the_objective_of_refined_draws():
    # the surrogate at weight 1 has the gradient of the encoder's own bound: what is refused is
    # only what would not
    model, posterior = a_model(), HmcRefined(an_amortized()).eval()
    batch = Batch(torch.randn(NUM_ROWS, 4))
    weights = list(posterior.encoder.parameters())

    def gradient(q):
        torch.manual_seed(3)
        loss = Pathwise().surrogate(Elbo(1), model, q, batch, KlPenalty()).loss
        return torch.cat([g.flatten() for g in torch.autograd.grad(loss, weights)])

    torch.testing.assert_close(gradient(posterior), gradient(posterior.encoder))


@pytest.mark.parametrize("estimator", [ScoreFunction(), Enumerated(), Concrete()])
def test_upper_bounds_of_discrete_draws_get_a_hint_that_works(estimator):
    case = a_problem(PROBLEMS["one layer"])
    said = refusal(Variational(Chi(2.0, 3), estimator), case.model, case.posterior)
    assert "hint: use ImportanceWeighted(3)" in said
    Variational(ImportanceWeighted(3), estimator).check(case.model, case.posterior)


@pytest.mark.parametrize("make", [Rebar, Concrete, StraightThrough])
def test_a_temperature_of_zero_gets_a_hint(make):
    with pytest.raises(OptionError, match="temperature above 0") as error:
        make(0.0)
    assert error.value.hint


def test_aggressive_training_takes_estimators_that_keep_nothing():
    Aggressive(Variational(Elbo(3), ScoreFunction(LeaveOneOut())))
    for learns in (ScoreFunction(RunningMean()), Rebar()):
        with pytest.raises(IncompatibleChoices, match="learns"):
            Aggressive(Variational(Elbo(3), learns))


def test_aggressive_training_refuses_posteriors_that_have_nothing_to_learn():
    with pytest.raises(IncompatibleChoices, match="ExactPosterior, which has nothing") as error:
        Aggressive(Variational(Elbo(3), Pathwise())).check(a_model(), ExactPosterior())
    assert error.value.hint
    Aggressive(Variational(Elbo(3), Pathwise())).check(a_model(), FreePosterior(diagonal=True))


@pytest.mark.parametrize("bound", [Renyi(-1.0, 3), Jackknife(1, 3), Miwae(1, 3), Ciwae(0.5, 3)])
def test_the_documented_pairs_are_taken(bound):
    model, posterior = a_model(), FreePosterior(diagonal=True)
    for estimator in (Pathwise(), DoublyReparameterized(), ScoreFunction()):
        Variational(bound, estimator).check(model, posterior)
    case = a_problem(PROBLEMS["one layer"])
    for estimator in (ScoreFunction(), Enumerated()):
        Variational(bound, estimator).check(case.model, case.posterior)
