"""Aggressive training of the posterior: whose turn it is, when it ends, and exact resume."""

from __future__ import annotations

import importlib.util
import math
import sys
from pathlib import Path

import pytest
import torch
from torch import nn

from ancestral.core import Batch, IncompatibleChoices, OptionError
from ancestral.distributions import DiagonalNormal
from ancestral.inference.gradients import Pathwise, TwoBounds
from ancestral.inference.objectives import Aggressive, Objective, Variational
from ancestral.inference.objectives.aggressive import minibatch_information
from ancestral.inference.posteriors import ParametricPosterior
from ancestral.models import VampPrior
from ancestral.training import LossModule, TrainingConfig, mean_terms, train


def _load(name):
    path = Path(__file__).parent / f"{name}.py"
    spec = importlib.util.spec_from_file_location(f"aggressive_{name}", path)
    loaded = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = loaded
    spec.loader.exec_module(loaded)
    return loaded


problems = _load("problems")
CONFIG = TrainingConfig(
    epochs=5, batch_size=20, learning_rate=0.01, averaging=0.9, checkpoint_seconds=0.0, seed=3
)


def a_module(**options):
    plain = problems.module()
    settings = {"check_every": 2, "max_inner": 6, "window": 20} | options
    objective = Aggressive(Variational(), **settings)
    return LossModule(objective, plain.model, plain.posterior)


def moved(module, batch, step, optimizer):
    """Which of the model and the posterior a step changes."""
    parts = {"model": module.model, "posterior": module.posterior}
    before = {k: [p.detach().clone() for p in part.parameters()] for k, part in parts.items()}
    optimizer.zero_grad()
    module(batch, step).value.backward()
    optimizer.step()
    return {
        name
        for name, part in parts.items()
        if any(not torch.equal(a, b) for a, b in zip(before[name], part.parameters(), strict=True))
    }


@pytest.fixture
def batch(single_precision):
    return problems.source().rows(slice(0, 40))


def test_the_posterior_moves_alone_and_then_the_model_alone(batch):
    module = a_module(window=100_000, max_inner=100)
    assert isinstance(module.objective, Objective)
    module.objective.check(module.model, module.posterior)
    optimizer = torch.optim.Adam(module.parameters(), lr=0.01)
    who = [moved(module, batch, step, optimizer) for step in range(80)]
    assert all(len(one) == 1 for one in who)
    model_steps = [i for i, one in enumerate(who) if one == {"model"}]
    assert len(model_steps) >= 2
    gaps = [b - a - 1 for a, b in zip([-1, *model_steps], model_steps, strict=False)]
    assert all(gap >= 2 and gap % 2 == 0 for gap in gaps)
    assert len(set(gaps)) > 1  # decided by the bound, not by counting


def test_no_more_inner_steps_than_allowed(batch):
    module = a_module(window=100_000, max_inner=4)
    optimizer = torch.optim.SGD(module.parameters(), lr=1e-3)  # the bound grows and grows
    who = [moved(module, batch, step, optimizer) for step in range(15)]
    posterior_in_a_row, longest = 0, 0
    for one in who:
        posterior_in_a_row = posterior_in_a_row + 1 if one == {"posterior"} else 0
        longest = max(longest, posterior_in_a_row)
    assert longest <= 4


def test_it_ends_when_the_information_no_longer_grows(batch):
    module = a_module()
    pace = module.objective.pace
    optimizer = torch.optim.SGD(module.parameters(), lr=0.0)  # nothing changes but the noise
    step = 0
    while pace.active and step < 400:
        moved(module, batch, step, optimizer)
        step += 1
    assert not pace.active
    optimizer = torch.optim.SGD(module.parameters(), lr=0.01)
    assert moved(module, batch, step, optimizer) == {"model", "posterior"}


def test_validation_leaves_the_state_alone(batch):
    module = a_module()
    module(batch, 0)
    before = module.objective.pace.get_extra_state()
    with torch.no_grad():
        terms = module(batch, 0).terms
    assert torch.equal(before, module.objective.pace.get_extra_state())
    assert set(terms) == {"bound", "reconstruction", "kl"}


@pytest.mark.parametrize("steps", [1, 5, 17, 33, 50])
def test_interrupted_and_resumed_equals_uninterrupted(tmp_path, steps, single_precision):
    def run(folder, interrupt_after=None):
        module = a_module()
        source = problems.source()
        calls = [0]

        def hook(*_):
            calls[0] += 1
            if interrupt_after is not None and calls[0] > interrupt_after:
                raise KeyboardInterrupt

        module.register_forward_pre_hook(hook)

        def validate():
            return mean_terms(
                module.objective, module.model, module.posterior, source.ordered(50), seed=1
            )

        train(module, source, CONFIG, validate=validate, folder=folder)
        return module

    expected = run(None)
    with pytest.raises(KeyboardInterrupt):
        run(tmp_path, interrupt_after=steps)
    resumed = run(tmp_path)
    ours, theirs = resumed.state_dict(), expected.state_dict()
    assert ours.keys() == theirs.keys()
    assert "companion._extra_state" in ours
    for name, value in theirs.items():
        assert torch.equal(ours[name], value), name


class Shifted(ParametricPosterior):
    """q(z | x) = N(x, s^2)."""

    def __init__(self, scale):
        super().__init__()
        self.log_scale = nn.Parameter(torch.tensor(math.log(scale)))

    def distribution(self, model, batch):
        return DiagonalNormal(batch.x, self.log_scale.expand_as(batch.x))


def test_information_of_a_batch():
    # rows far apart are told apart with certainty, equal rows not at all
    far = Batch(torch.arange(8.0).unsqueeze(-1) * 1000)
    assert float(minibatch_information(None, Shifted(1.0), far)) == pytest.approx(math.log(8))
    same = Batch(torch.zeros(8, 1))
    assert float(minibatch_information(None, Shifted(1.0), same)) == pytest.approx(0, abs=1e-12)
    # a Gaussian channel of unit noise and signal has log(2) / 2 nats; 2,000 rows, spread of the
    # terms below 1: 4 standard errors, fails for 1 seed in 10^4
    rows = Batch(torch.randn(2000, 1))
    found = float(minibatch_information(None, Shifted(1.0), rows))
    assert found == pytest.approx(0.5 * math.log(2), abs=4 / math.sqrt(2000))


def test_refusals():
    with pytest.raises(OptionError, match="check_every <= max_inner <= window"):
        Aggressive(check_every=20, max_inner=10)
    module = problems.module()
    with pytest.raises(IncompatibleChoices, match="need as many of them"):
        Aggressive(Variational(gradient=TwoBounds())).check(module.model, module.posterior)


def test_a_prior_that_borrows_the_encoder_leaves_it_to_the_posterior(batch):
    """The posterior's turn trains the encoder, and not the pseudo-inputs; the model's the rest."""
    plain = problems.module()
    objective = Aggressive(Variational(gradient=Pathwise()), check_every=2, max_inner=2)
    module = LossModule(objective, plain.model, plain.posterior)
    posterior = module.posterior
    shape = posterior.inputs(batch.x[:1]).shape[1:]
    module.model.prior = VampPrior(posterior.inputs, posterior.encoder, tuple(shape), 3)
    optimizer = torch.optim.SGD(module.parameters(), 0.1)
    turns = [moved(module, batch, step, optimizer) for step in range(3)]
    assert turns == [{"posterior"}, {"posterior"}, {"model"}]
