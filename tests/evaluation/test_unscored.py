"""What `evaluate` says of models that no q leads to."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from ancestral.core import Kind, NotExact, Specification
from ancestral.data import TensorSource
from ancestral.distributions import Bernoulli
from ancestral.evaluation import Evaluation, Setting, compare, evaluate
from ancestral.inference.evidence import Importance
from ancestral.inference.posteriors import PointMass
from ancestral.models import LatentVariableModel, NetworkConditional, StandardNormalPrior

SETTING = Setting("wae", "toy", "test")


class _Inputs(nn.Module):
    def forward(self, x, observed=None):
        return x


def a_model():
    likelihood = NetworkConditional(nn.Linear(2, 3), Bernoulli((3,)))
    return LatentVariableModel(StandardNormalPrior(2), likelihood)


@pytest.fixture
def source():
    rows = (torch.rand(7, 3) < 0.5).to(torch.uint8)
    return TensorSource(rows, Specification(Kind.BINARY, (3,)))


def test_a_deterministic_encoder_has_a_reconstruction_error_and_no_bound(source):
    model, posterior = a_model(), PointMass(_Inputs(), nn.Linear(3, 2))
    found = evaluate(model, posterior, source, setting=SETTING, batch_size=3)
    assert found.n == 7
    assert found.log_prob is None
    assert found.elbo is None
    assert found.kl is None
    assert found.reconstruction_error is not None
    batch = source.rows(slice(0, 7))
    with torch.no_grad():
        exact = -model.log_likelihood(batch.x, posterior.mean(model, batch)).mean()
    assert found.reconstruction_error.value == pytest.approx(float(exact), rel=1e-9)
    assert found.latent_size == 2
    assert "--method ais" in found.notes[0]
    assert "not a likelihood" in found.notes[0]
    assert Evaluation.from_dict(found.to_dict()).to_dict() == found.to_dict()


def test_without_a_posterior_there_is_only_a_note(source):
    found = evaluate(a_model(), None, source, setting=SETTING)
    assert found.n == 7
    assert found.log_prob is None
    assert found.reconstruction_error is None
    assert "--method ais" in found.notes[0]
    (row,) = compare({"one": found})
    assert row.log_prob is None


def test_importance_sampling_is_refused_with_a_hint(source):
    with pytest.raises(NotExact, match="has no log p") as error:
        evaluate(a_model(), None, source, setting=SETTING, method=Importance(10))
    assert "ais" in str(error.value.hint)
