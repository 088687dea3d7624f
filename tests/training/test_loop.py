"""The loop: what it minimises, when it stops, what it refuses."""

from __future__ import annotations

import importlib.util
import json
import math
import sys
from pathlib import Path

import pytest
import torch
from torch import nn

from ancestral.core import Batch, NonFiniteLoss, OptionError
from ancestral.inference.objectives import Loss
from ancestral.training import LossModule, TrainingConfig, mean_terms, train
from ancestral.training.averaging import WeightAverage
from ancestral.training.compiling import compiled, validation_kept
from ancestral.training.optimizer import AdamW
from ancestral.training.schedules import learning_rate

_spec = importlib.util.spec_from_file_location("problems", Path(__file__).parent / "problems.py")
problems = importlib.util.module_from_spec(_spec)
sys.modules["problems"] = problems
_spec.loader.exec_module(problems)


class _Quadratic(nn.Module):
    def __init__(self):
        super().__init__()
        self.centre = nn.Parameter(torch.zeros(16))


class _SquaredDistance:
    """Minimised by the mean of the rows."""

    target = "score"
    companion = None

    def check(self, model, posterior):
        pass

    def announcements(self, num_steps, steps_per_epoch):
        return []

    def __call__(self, model, posterior, batch, step):
        loss = (batch.x - model.centre).square().sum(-1).mean()
        return Loss(loss, {"score": -loss.detach()})


def test_finds_the_minimum():
    source = problems.source()
    module = LossModule(_SquaredDistance(), _Quadratic(), None)
    train(
        module,
        source,
        TrainingConfig(epochs=60, batch_size=50, learning_rate=0.05, schedule="linear"),
    )
    mean = source.rows(slice(None)).x.mean(0)
    assert torch.allclose(module.model.centre, mean, atol=0.02)


def test_training_raises_the_bound():
    module, source = problems.module(), problems.source()
    module.eval()

    def terms():
        return mean_terms(module.objective, module.model, module.posterior, source.ordered(100))

    before = terms()
    train(module, source, TrainingConfig(epochs=30, batch_size=20, learning_rate=0.01))
    after = terms()
    assert after["bound"] > before["bound"] + 1.0
    assert after["bound"] == pytest.approx(after["reconstruction"] - after["kl"], abs=1e-5)


def test_the_same_seed_gives_the_same_weights_and_leaves_no_trace():
    def weights(seed):
        module = problems.module()
        train(module, problems.source(), TrainingConfig(epochs=2, batch_size=30, seed=seed))
        return torch.cat([p.detach().flatten() for p in module.parameters()])

    torch.manual_seed(11)
    first = weights(1)
    after = torch.rand(())
    torch.manual_seed(11)
    problems.module()
    assert torch.equal(first, weights(1))
    assert not torch.equal(first, weights(2))
    torch.manual_seed(0)  # `module` seeds with 0 itself; the loop must not have moved the state
    problems.module()
    assert torch.equal(after, torch.rand(()))


def test_early_stopping_keeps_the_best_weights():
    scores = [1.0, 3.0, 2.0, 2.5, 2.9, 0.0]
    seen = []
    module = problems.module()

    def validate():
        seen.append({k: v.clone() for k, v in module.state_dict().items()})
        return {"bound": scores[len(seen) - 1]}

    outcome = train(
        module,
        problems.source(),
        TrainingConfig(epochs=20, batch_size=50, patience=3),
        validate=validate,
    )
    assert outcome.stopped == "no better validation bound for 3 epochs"
    assert len(seen) == 5
    assert outcome.best_epoch == 2
    assert all(torch.equal(v, seen[1][k]) for k, v in module.state_dict().items())


def test_validation_sees_the_averaged_weights():
    module = problems.module()
    kept = []

    def validate():
        kept.append(module.posterior.encoder.network.output_layer.weight.detach().clone())
        return {"bound": float(len(kept))}

    config = TrainingConfig(epochs=3, batch_size=20, learning_rate=0.05, averaging=0.99)
    train(module, problems.source(), config, validate=validate)
    plain = problems.module()
    train(
        plain,
        problems.source(),
        TrainingConfig(epochs=3, batch_size=20, learning_rate=0.05, averaging=0.0),
    )
    final = module.posterior.encoder.network.output_layer.weight
    assert torch.equal(final, kept[-1])
    assert not torch.allclose(final, plain.posterior.encoder.network.output_layer.weight)


def test_average_is_the_formula():
    layer = nn.Linear(1, 1, bias=False)
    average = WeightAverage(layer, 0.9)
    expected = float(layer.weight.detach())
    for step in range(1, 130):
        with torch.no_grad():
            layer.weight.fill_(float(step))
        average.update(step)
        if step <= 64 or step % 8 == 0:
            decay = min(0.9, (1 + step) / (10 + step)) ** (1 if step <= 64 else 8)
            expected = decay * expected + (1 - decay) * step
    assert float(average.values[0]) == pytest.approx(expected, rel=1e-6)


def test_time_limit_ends_a_run_within_an_epoch():
    config = TrainingConfig(epochs=10_000, batch_size=10, max_minutes=0.3 / 60)
    outcome = train(problems.module(), problems.source(), config)
    assert "minutes are over" in outcome.stopped
    assert 0.3 <= outcome.seconds < 5


class _Explodes(_SquaredDistance):
    def __call__(self, model, posterior, batch, step):
        loss = super().__call__(model, posterior, batch, step)
        if step == 7:
            bad = loss.value * math.nan
            return Loss(bad, {"score": bad.detach()})
        return loss


def test_non_finite_loss_names_step_rows_and_cause(tmp_path):
    module = LossModule(_Explodes(), _Quadratic(), None)
    with pytest.raises(NonFiniteLoss) as caught:
        train(
            module,
            problems.source(),
            TrainingConfig(epochs=5, batch_size=4, checkpoint_seconds=0),
            folder=tmp_path,
        )
    text = str(caught.value)
    assert text.startswith("the loss is not finite at step 7 (rows ")
    assert "'score' overflowed" in text
    assert "hint: the last good checkpoint is kept" in text
    from ancestral.training.checkpoint import Checkpoint

    kept = Checkpoint.load(tmp_path / "checkpoint/state.safetensors")
    assert kept.numbers["step"] == 7
    assert all(bool(t.isfinite().all()) for t in kept.part("weights").values())


class _LosesItsGradient(_SquaredDistance):
    """A finite loss with an infinite slope, at some steps."""

    def __init__(self, steps):
        self.steps = steps

    def __call__(self, model, posterior, batch, step):
        loss = super().__call__(model, posterior, batch, step)
        if step in self.steps:
            weight = next(model.parameters())
            zero = (weight - weight.detach()).sum()
            return Loss(loss.value + zero.abs().sqrt(), loss.terms)
        return loss


class _Says:
    def __init__(self):
        self.said = []

    def __getattr__(self, name):
        return self.said.append if name == "say" else lambda *_: None


def test_a_gradient_that_overflows_now_and_then_is_left_out_and_said():
    module, reporter = LossModule(_LosesItsGradient({2, 7}), _Quadratic(), None), _Says()
    config = TrainingConfig(epochs=2, batch_size=4, clip_norm=1e6)
    outcome = train(module, problems.source(), config, reporter=reporter)
    said = [sentence for sentence in reporter.said if "not finite" in sentence]
    assert len(said) == 1, reporter.said
    assert said[0].startswith("the gradient of 2 steps was not finite, and nothing was learnt")
    assert outcome.history.records[-1]["left_out_steps"] == 2
    assert all(bool(p.isfinite().all()) for p in module.parameters())


def test_steps_that_were_left_out_are_counted_on_after_a_resume(tmp_path):
    reporter = _Says()
    for epochs in (1, 2):
        module = LossModule(_LosesItsGradient({2}), _Quadratic(), None)
        config = TrainingConfig(epochs=epochs, batch_size=4, clip_norm=1e6)
        outcome = train(module, problems.source(), config, folder=tmp_path, reporter=reporter)
    assert [r["left_out_steps"] for r in outcome.history.records] == [1, 1]
    assert sum("not finite" in sentence for sentence in reporter.said) == 1


def test_a_gradient_that_stays_away_ends_the_run_and_spares_the_weights():
    module = LossModule(_LosesItsGradient(range(5, 1000)), _Quadratic(), None)
    config = TrainingConfig(epochs=50, batch_size=4, clip_norm=1e6)
    with pytest.raises(NonFiniteLoss, match="the loss is finite, but its gradient") as caught:
        train(module, problems.source(), config)
    assert "in the last 25 steps, up to step 29 (rows " in str(caught.value)
    assert "lower --learning-rate" in caught.value.hint
    assert all(bool(p.isfinite().all()) for p in module.parameters())


def test_infinite_rows_are_named_as_the_cause():
    class Rows:
        def __len__(self):
            return 4

        def batches(self, batch_size, *, seed, epoch, start=0):
            yield Batch(torch.full((4, 16), math.inf), index=torch.arange(4))

    module = LossModule(_SquaredDistance(), _Quadratic(), None)
    with pytest.raises(NonFiniteLoss, match="the rows themselves hold numbers"):
        train(module, Rows(), TrainingConfig(epochs=1, batch_size=4))


@pytest.mark.parametrize(
    ("schedule", "step", "expected"),
    [("constant", 70, 0.1), ("linear", 25, 0.075), ("cosine", 50, 0.05), ("cosine", 100, 0.0)],
)
def test_schedules(schedule, step, expected):
    config = TrainingConfig(learning_rate=0.1, schedule=schedule)
    assert learning_rate(config, step, 100) == pytest.approx(expected)


def test_a_schedule_ends_with_the_time_if_that_is_over_sooner():
    config = TrainingConfig(learning_rate=0.1, schedule="linear", max_minutes=2)
    assert learning_rate(config, 10, 100, seconds=0) == pytest.approx(0.09)
    assert learning_rate(config, 10, 100, seconds=60) == pytest.approx(0.05)
    assert learning_rate(config, 80, 100, seconds=60) == pytest.approx(0.02)
    assert learning_rate(config, 10, 100, seconds=130) == 0
    constant = TrainingConfig(learning_rate=0.1, max_minutes=2)
    assert learning_rate(constant, 10, 100, seconds=60) == pytest.approx(0.1)


def test_learning_rate_warm_up():
    config = TrainingConfig(learning_rate=0.1, lr_warmup_steps=10)
    assert [learning_rate(config, s, 100) for s in (0, 4, 9, 50)] == pytest.approx(
        [0.01, 0.05, 0.1, 0.1]
    )


@pytest.mark.parametrize(
    ("options", "text"),
    [
        ({"epochs": 0}, "expected epochs at least 1, got 0"),
        ({"learning_rate": -1.0}, r"expected learning_rate above 0, got -1\.0"),
        ({"averaging": 1.0}, r"expected averaging in \[0, 1\), got 1\.0"),
        ({"precision": "int8"}, "expected precision to be one of .*, got 'int8'"),
    ],
)
def test_options_outside_their_range(options, text):
    with pytest.raises(OptionError, match=text):
        TrainingConfig(**options)


def test_unknown_option_in_a_file():
    with pytest.raises(OptionError, match="unknown training option 'epoch'"):
        TrainingConfig.from_dict({"epoch": 3})


def test_config_survives_json():
    config = TrainingConfig(epochs=3, schedule="cosine", precision="bf16")
    assert TrainingConfig.from_dict(json.loads(json.dumps(config.to_dict()))) == config


def test_warm_up_trains_on_less_than_the_kl_but_reports_all_of_it():
    batch = problems.source().rows(slice(0, 50))
    torch.manual_seed(3)
    module = problems.module(warm_up=100, dropout=0.0)
    torch.manual_seed(3)
    start = module(batch, 0)
    torch.manual_seed(3)
    end = module(batch, 100)
    assert start.terms["bound"] == end.terms["bound"]
    assert float(start.value.detach()) == pytest.approx(-float(start.terms["reconstruction"]))


@pytest.mark.filterwarnings("ignore:.*torch.jit.script:DeprecationWarning")
@pytest.mark.parametrize("options", [{"precision": "bf16"}, {"compile": True}])
def test_fast_options_give_nearly_the_same_gradient(options, single_precision):
    """bf16 keeps 8 bits of a product; compiled code may only differ by rounding."""
    if options.get("compile"):
        import shutil

        if shutil.which("g++") is None:
            pytest.skip("torch.compile needs a C++ compiler")
    module = problems.module(dropout=0.0)
    batch = problems.source().rows(slice(0, 200))

    def gradient(run, precision):
        module.zero_grad()
        torch.manual_seed(4)
        with torch.autocast("cpu", torch.bfloat16, enabled=precision == "bf16"):
            loss = run(batch, 0)
        loss.value.backward()
        return torch.cat([p.grad.flatten() for p in module.parameters()]), loss.terms["bound"]

    exact, bound = gradient(module, "float32")
    if options.get("compile"):
        with validation_kept():
            fast, fast_bound = gradient(compiled(module), "float32")
    else:
        fast, fast_bound = gradient(module, options["precision"])
    tolerance = 0.03 if "precision" in options else 1e-4
    assert float((fast - exact).norm() / exact.norm()) < tolerance
    assert float(fast_bound) == pytest.approx(float(bound), abs=tolerance)


@pytest.mark.filterwarnings("ignore:.*torch.jit.script:DeprecationWarning")
def test_compiled_training_goes_through_the_loop_and_leaves_no_trace(single_precision):
    import shutil

    if shutil.which("g++") is None:
        pytest.skip("torch.compile needs a C++ compiler")
    before = torch.distributions.Distribution._validate_args
    module = problems.module()
    config = TrainingConfig(epochs=2, batch_size=50, compile=True, learning_rate=0.01)
    outcome = train(module, problems.source(), config)
    assert outcome.steps == 10
    assert torch.distributions.Distribution._validate_args == before


@pytest.mark.parametrize("weight_decay", [0.0, 0.1])
def test_the_optimizer_is_torch_s_to_the_bit(weight_decay):
    ours, theirs = nn.Linear(5, 4), nn.Linear(5, 4)
    theirs.load_state_dict(ours.state_dict())
    adam = AdamW(list(ours.parameters()), weight_decay)
    reference = torch.optim.AdamW(
        theirs.parameters(), lr=0.02, weight_decay=weight_decay, fused=True
    )
    generator = torch.Generator().manual_seed(0)
    for _ in range(20):
        x = torch.randn(3, 5, generator=generator)
        for layer in (ours, theirs):
            layer.zero_grad()
            layer(x).square().sum().backward()
        adam.step(0.02)
        reference.step()
    assert torch.equal(ours.weight, theirs.weight)
    assert torch.equal(ours.bias, theirs.bias)


@pytest.mark.parametrize("clip_norm", [1.0, 1e3])
@pytest.mark.parametrize("bad", [torch.nan, torch.inf, -torch.inf, 1e30])
def test_a_step_whose_gradient_is_not_finite_moves_nothing(single_precision, bad, clip_norm):
    layer, control = nn.Linear(5, 4), nn.Linear(5, 4)
    control.load_state_dict(layer.state_dict())
    adam = AdamW(list(layer.parameters()), weight_decay=0.1)
    reference = AdamW(list(control.parameters()), weight_decay=0.1)
    generator = torch.Generator().manual_seed(0)
    for number in range(6):
        x = torch.randn(3, 5, generator=generator)
        for part, optimizer in ((layer, adam), (control, reference)):
            if number in (2, 3) and part is control:
                continue
            optimizer.zero_grad()
            part(x).square().sum().backward()
            if number in (2, 3):
                part.bias.grad[1] = bad  # 1e30 is finite, its square is not
            optimizer.step(0.02, clip_norm)
        if number == 3:
            assert (int(adam.left_out), int(adam.left_out_in_a_row)) == (2, 2)
    assert torch.equal(layer.weight, control.weight)
    assert torch.equal(layer.bias, control.bias)
    assert (int(adam.left_out), int(adam.left_out_in_a_row)) == (2, 0)
