"""Objectives: what they train, what they log, and what they refuse."""

from __future__ import annotations

import pytest
import torch
from linear_gaussian import FreePosterior, a_model, analytic_elbo
from torch.distributions import MultivariateNormal

from ancestral.core import Batch, IncompatibleChoices, NotExact, OptionError, as_batch
from ancestral.distributions import Bernoulli
from ancestral.inference.bounds import Elbo, ImportanceWeighted
from ancestral.inference.gradients import Pathwise
from ancestral.inference.objectives import (
    ClosedForm,
    MaximumLikelihood,
    Objective,
    Reconstruction,
    Variational,
    WarmUp,
)
from ancestral.inference.posteriors import ExactPosterior
from ancestral.models import (
    Autoencoder,
    LatentVariableModel,
    NetworkConditional,
    ProbabilisticPCA,
    StandardNormalPrior,
)


def bernoulli_model() -> LatentVariableModel:
    likelihood = NetworkConditional(torch.nn.Linear(2, 3), Bernoulli((3,)))
    return LatentVariableModel(StandardNormalPrior(2), likelihood)


class _Inputs(torch.nn.Module):
    def forward(self, x, observed=None):
        return x if observed is None else x * observed


def an_autoencoder() -> Autoencoder:
    decoder = NetworkConditional(torch.nn.Linear(2, 3), Bernoulli((3,)))
    return Autoencoder(_Inputs(), torch.nn.Linear(3, 2), decoder)


def refusal(error_type, call) -> str:
    with pytest.raises(error_type) as error:
        call()
    return str(error.value)


@pytest.mark.parametrize(
    "objective", [ClosedForm(), MaximumLikelihood(), Reconstruction(), Variational()]
)
def test_all_are_objectives(objective):
    assert isinstance(objective, Objective)


@pytest.mark.parametrize("gaps", [False, True])
def test_maximum_likelihood_gradient(gaps):
    model = a_model()
    with torch.no_grad():
        x = model.sample(5)
    if gaps:
        x[1:, 2] = float("nan")
    batch = as_batch(x)
    loss = MaximumLikelihood()(model, None, batch, step=0)
    ours = torch.autograd.grad(loss.value, list(model.parameters()))
    cov = model.weight @ model.weight.T + model.noise_scale.square() * torch.eye(4)
    total = torch.zeros(())
    for i in range(5):
        o = torch.ones(4, dtype=torch.bool) if batch.observed is None else batch.observed[i]
        total = total - MultivariateNormal(model.loc[o], cov[o][:, o]).log_prob(batch.x[i, o])
    theirs = torch.autograd.grad(total / 5, list(model.parameters()))
    for one, two in zip(ours, theirs, strict=True):
        torch.testing.assert_close(one, two)
    torch.testing.assert_close(loss.terms["log_prob"], -loss.value.detach())
    assert not loss.terms["log_prob"].requires_grad
    MaximumLikelihood().check(model, None)


def test_maximum_likelihood_refuses_models_without_one():
    assert refusal(NotExact, lambda: MaximumLikelihood().check(bernoulli_model(), None)) == (
        "maximum likelihood needs an exact log p(x), which LatentVariableModel does not have\n\n"
        "hint: train a bound on it: Variational(Elbo(), PathwiseClosedFormKl())"
    )


def test_closed_form():
    model = ProbabilisticPCA((4,), 2)
    ClosedForm().check(model, None)
    x = torch.randn(30, 4)
    said = ClosedForm().fit(model, lambda: [Batch(x[:10]), Batch(x[10:])])
    assert said == "maximum likelihood in closed form"
    at_once = ProbabilisticPCA((4,), 2)
    at_once.fit_closed_form(x)
    torch.testing.assert_close(model.log_prob(x), at_once.log_prob(x))
    x[0, 0] = float("nan")
    said = ClosedForm().fit(model, lambda: [as_batch(x[:10]), as_batch(x[10:])])
    assert said.startswith("maximum likelihood by ")
    assert said.endswith(" iterations of EM (cells are missing)")
    assert refusal(IncompatibleChoices, lambda: ClosedForm().check(bernoulli_model(), None)) == (
        "LatentVariableModel has no closed-form maximum likelihood\n\n"
        "hint: train it with MaximumLikelihood() or Variational()"
    )
    with pytest.raises(IncompatibleChoices, match="a closed-form fit has no loss"):
        ClosedForm()(model, None, Batch(x), step=0)


def test_variational_terms_are_true_ones_during_warm_up():
    model, posterior = a_model(), FreePosterior(diagonal=True)
    with torch.no_grad():
        batch = Batch(model.sample(3))
    objective = Variational(Elbo(5000), warm_up=WarmUp(10), free_nats=0.1)
    loss = objective(model, posterior, batch, step=3)
    with torch.no_grad():
        exact = float(analytic_elbo(model, posterior, batch.x).mean())
    # the standard error is below 0.1
    assert float(loss.terms["bound"]) == pytest.approx(exact, abs=0.4)
    assert set(loss.terms) == {"bound", "reconstruction", "kl"}
    difference = loss.terms["reconstruction"] - loss.terms["kl"]
    torch.testing.assert_close(loss.terms["bound"], difference)
    assert not any(term.requires_grad for term in loss.terms.values())
    cheaper = 0.3 * loss.terms["kl"] - loss.terms["reconstruction"]
    torch.testing.assert_close(loss.value.detach(), cheaper)
    assert objective.target == "bound"


def test_training_on_the_bound_reaches_the_maximum_likelihood():
    # with the exact posterior the gradient of the bound is, on average, that of log p; here it
    # is exact, since the path through z adds nothing: compare one gradient of many samples
    model = a_model()
    with torch.no_grad():
        batch = Batch(model.sample(3))
    objective = Variational(ImportanceWeighted(2), Pathwise())
    objective.check(model, ExactPosterior())
    value = objective(model, ExactPosterior(), batch, step=0).value
    ours = torch.autograd.grad(value, list(model.parameters()))
    exact = MaximumLikelihood()(model, None, batch, step=0).value
    theirs = torch.autograd.grad(exact, list(model.parameters()))
    for one, two in zip(ours, theirs, strict=True):
        torch.testing.assert_close(one, two)


def test_variational_refusals():
    objective = Variational()
    assert refusal(IncompatibleChoices, lambda: objective.check(an_autoencoder(), None)) == (
        "a variational objective needs a latent-variable model and a posterior, got Autoencoder "
        "and NoneType\n\n"
        "hint: models with an exact likelihood train with MaximumLikelihood()"
    )
    with pytest.raises(IncompatibleChoices, match="needs the Elbo, got ImportanceWeighted"):
        Variational(ImportanceWeighted(5)).check(a_model(), ExactPosterior())
    with pytest.raises(OptionError, match="expected free_nats >= 0, got -1"):
        Variational(free_nats=-1)


def test_warm_up_weights():
    warm_up = WarmUp(num_steps=10, start=0.5)
    assert [warm_up.weight(s) for s in (0, 5, 10, 1000)] == [0.5, 0.75, 1.0, 1.0]
    assert WarmUp().weight(0) == 1.0
    for bad in ({"num_steps": -1}, {"start": 1.5}, {"start": -0.1}):
        with pytest.raises(OptionError, match="expected num_steps >= 0 and 0 <= start <= 1"):
            WarmUp(**bad)


def test_warm_up_says_when_it_ends():
    objective = Variational(warm_up=WarmUp(250))
    assert objective.announcements(1000, 100) == ["KL warm-up ends at step 250, in epoch 3"]
    assert objective.announcements(250, 100) == ["KL warm-up ends at step 250, in epoch 3"]
    assert objective.announcements(200, 100) == [
        "KL warm-up ends at step 250, in epoch 3, which this run of 200 steps does not reach: "
        "the model would be trained on something else than the bound"
    ]
    assert Variational().announcements(200, 100) == []


def test_reconstruction_trains_autoencoders_only():
    model = an_autoencoder()
    Reconstruction().check(model, None)
    batch = Batch(torch.tensor([[0.0, 1.0, 1.0]]))
    loss = Reconstruction()(model, None, batch, step=0)
    logits = model.decoder.network(model.encoder(batch.x))
    error = torch.nn.functional.binary_cross_entropy_with_logits(logits, batch.x, reduction="sum")
    torch.testing.assert_close(loss.value, error)
    assert loss.terms.keys() == {"minus_reconstruction_error"}
    assert Reconstruction().announcements(1, 1) == [
        "an autoencoder has no p(x): its numbers are reconstruction errors"
    ]
    assert refusal(
        IncompatibleChoices, lambda: Reconstruction().check(bernoulli_model(), None)
    ) == (
        "the reconstruction error trains autoencoders, got LatentVariableModel\n\n"
        "hint: train a bound: Variational(Elbo(), PathwiseClosedFormKl())"
    )
    assert not hasattr(model, "log_prob")
    assert not hasattr(model, "sample")


def test_reconstruction_error_ignores_missing_cells():
    model = an_autoencoder()
    batch = as_batch(torch.tensor([[0.0, float("nan"), 1.0]]))
    z = model.encode(batch)
    logits = model.decoder.network(z)[0, [0, 2]]
    error = torch.nn.functional.binary_cross_entropy_with_logits(
        logits, torch.tensor([0.0, 1.0]), reduction="sum"
    )
    torch.testing.assert_close(model.reconstruction_error(batch)[0], error)
    torch.testing.assert_close(model.reconstruct(z), model.decoder.network(z).sigmoid())
