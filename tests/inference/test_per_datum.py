"""Stochastic variational inference with parameters for each datum."""

from __future__ import annotations

import pytest
import torch
from linear_gaussian import a_model
from torch.distributions import kl_divergence

from ancestral.core import Batch, IncompatibleChoices, Kind, ShapeError, Specification, as_batch
from ancestral.distributions import DiagonalNormal
from ancestral.inference.bounds import Elbo
from ancestral.inference.gradients import KlPenalty, PathwiseClosedFormKl
from ancestral.inference.posteriors import Amortized, ColdStart, PerDatum, Refinement, WarmStart
from ancestral.models import DiagonalGaussian, ProbabilisticPCA
from ancestral.networks import DenseNetwork, InputFeatures


def diagonal_model(noise_variance: float = 0.25) -> ProbabilisticPCA:
    """W has orthogonal columns, so that the true posterior has no correlations."""
    model = ProbabilisticPCA((6,), 2).requires_grad_(False)
    orthogonal = torch.linalg.qr(torch.randn(6, 2)).Q
    model._set(orthogonal * torch.tensor([3.0, 1.0]), torch.randn(6), torch.tensor(noise_variance))
    return model


def an_encoder(num_dims: int = 6) -> Amortized:
    inputs = InputFeatures(Specification(Kind.REAL, (num_dims,)))
    network = torch.nn.Sequential(DenseNetwork(num_dims, (8,), 4), torch.nn.Dropout(0.5))
    return Amortized(inputs, DiagonalGaussian(network))


@pytest.mark.parametrize("noise_variance", [1.0, 0.25, 0.01])
@pytest.mark.parametrize("gaps", [False, True])
def test_adapted_comes_near_the_true_posterior(gaps, noise_variance):
    # posterior scales from 0.7 to 0.03; from the prior the divergence is up to 1000 nats
    model = diagonal_model(noise_variance)
    x = model.sample(10)
    if gaps:
        x[:5] = float("nan")  # nothing is seen: the posterior is the prior
    batch = as_batch(x)
    q = PerDatum(0, 2).adapted(model, batch).distribution(model, batch)
    p = model.posterior(batch.x, batch.observed)
    kl = kl_divergence(DiagonalNormal(q.loc, q.log_scale), p)
    assert float(kl.mean()) < 0.05
    assert float(kl.max()) < 0.2
    assert not q.loc.requires_grad


def test_adapted_leaves_model_and_training_rows_alone():
    model = diagonal_model()
    model.likelihood.network.weight.requires_grad_(True)
    posterior = PerDatum(3, 2, refinement=Refinement(num_steps=3))
    before = [p.clone() for p in (*model.parameters(), *posterior.parameters())]
    adapted = posterior.adapted(model, Batch(torch.randn(5, 6)))
    after = [*model.parameters(), *posterior.parameters()]
    assert all(torch.equal(a, b) for a, b in zip(before, after, strict=True))
    assert model.likelihood.network.weight.requires_grad
    assert model.likelihood.network.weight.grad is None
    assert adapted is not posterior


def test_adapted_works_without_gradients_around_it():
    model = diagonal_model()
    batch = Batch(model.sample(2))
    with torch.no_grad():
        q = PerDatum(0, 2).adapted(model, batch).distribution(model, batch)
    assert float(q.loc.abs().max()) > 0


def test_adapted_knows_its_rows_only():
    model = diagonal_model()
    posterior = PerDatum(0, 2, refinement=Refinement(num_steps=1))
    adapted = posterior.adapted(model, Batch(model.sample(4), None, torch.arange(70, 74)))
    assert adapted.draw(model, Batch(torch.zeros(4, 6)), 3).z.shape == (3, 4, 2)
    with pytest.raises(ShapeError, match="expected the 4 rows that q was fitted to, got 5"):
        adapted.draw(model, Batch(torch.zeros(5, 6)), 3)


def test_rows_are_found_by_index_and_others_get_no_gradient():
    model = diagonal_model()
    posterior = PerDatum(7, 2)
    with torch.no_grad():
        posterior.loc.copy_(torch.randn(7, 2))
    index = torch.tensor([5, 2])
    batch = Batch(model.sample(2), None, index)
    assert torch.equal(posterior.distribution(model, batch).mean, posterior.loc[index])
    loss = PathwiseClosedFormKl().surrogate(Elbo(), model, posterior, batch, KlPenalty()).loss
    loss.backward()
    for parameter in posterior.parameters():
        touched = parameter.grad.abs().sum(1) > 0
        assert touched.nonzero().flatten().tolist() == [2, 5]


def test_cold_start_is_the_prior():
    model = a_model()
    posterior = PerDatum(4, 2)
    with torch.no_grad():
        posterior.loc.fill_(9.0)
        posterior.log_scale.fill_(9.0)
    assert posterior.begin(model, Batch(torch.randn(2, 4), None, torch.tensor([3, 0])))
    assert posterior.loc[:, 0].tolist() == [0, 9, 9, 0]
    assert posterior.log_scale[:, 1].tolist() == [0, 9, 9, 0]
    assert isinstance(posterior.start, ColdStart)


def test_warm_start_is_the_encoder_without_dropout():
    model = diagonal_model()
    encoder = an_encoder()
    posterior = PerDatum(4, 2, start=WarmStart(encoder)).train()
    batch = Batch(model.sample(3), None, torch.tensor([0, 2, 3]))
    assert posterior.begin(model, batch)
    expected = encoder.eval().distribution(model, batch)
    torch.testing.assert_close(posterior.loc[batch.index], expected.mean)
    torch.testing.assert_close(posterior.log_scale[batch.index].exp(), expected.stddev)
    assert bool((posterior.loc[1] == 0).all())


def test_warm_start_is_saved_and_not_trained():
    encoder = an_encoder()
    posterior = PerDatum(4, 2, start=WarmStart(encoder))
    other = PerDatum(4, 2, start=WarmStart(an_encoder()))
    other.load_state_dict(posterior.state_dict())
    batch = Batch(torch.randn(3, 6))
    model = diagonal_model()
    for one, two in zip(
        posterior.start.start(model, batch), other.start.start(model, batch), strict=True
    ):
        assert torch.equal(one, two)
    trained = [name for name, p in posterior.named_parameters() if p.requires_grad]
    assert trained == ["loc", "log_scale"]
    assert all(p.requires_grad for p in encoder.parameters())


def test_warm_start_begins_refinement_where_the_encoder_says():
    model = diagonal_model()
    start = WarmStart(an_encoder())
    batch = Batch(model.sample(3))
    posterior = PerDatum(0, 2, start=start, refinement=Refinement(num_steps=0))
    q = posterior.adapted(model, batch).distribution(model, batch)
    loc, log_scale = start.start(model, batch)
    torch.testing.assert_close(q.mean, loc)
    torch.testing.assert_close(q.log_scale, log_scale)


def test_rows_without_index_are_refused():
    model, posterior = a_model(), PerDatum(4, 2)
    with pytest.raises(IncompatibleChoices) as error:
        posterior.draw(model, Batch(torch.zeros(2, 4)), 1)
    assert str(error.value) == (
        "expected rows of the training data, which have parameters of their own\n\n"
        "hint: call `adapted` to fit q to new data first"
    )
    with pytest.raises(IncompatibleChoices, match="expected training rows with their index"):
        posterior.begin(model, Batch(torch.zeros(2, 4)))


def test_amortised_posteriors_need_no_adapting():
    model, encoder = diagonal_model(), an_encoder()
    batch = Batch(model.sample(3))
    assert encoder.adapted(model, batch) is encoder
    assert encoder.begin(model, batch) is False
    encoder.eval()
    draws = encoder.draw(model, batch, 4)
    assert draws.z.shape == (4, 3, 2)
    torch.testing.assert_close(draws.log_q, encoder.log_prob(model, batch, draws.z))
