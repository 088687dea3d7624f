"""Posteriors made of motion, choice and steps: E w = p(x), and every bound below log p."""

from __future__ import annotations

import math

import pytest
import torch
from linear_gaussian import Widened, a_model
from torch import nn

from ancestral.core import Batch, IncompatibleChoices, Kind, OptionError, Specification
from ancestral.distributions import DiagonalNormal
from ancestral.inference.bounds import Elbo, ImportanceWeighted
from ancestral.inference.evidence import summarized
from ancestral.inference.gradients import KlPenalty, Pathwise, PathwiseClosedFormKl
from ancestral.inference.mcmc import L2hmcKernel, tamed
from ancestral.inference.posteriors import (
    Amortized,
    AuxiliaryVariables,
    HamiltonianVariational,
    HmcRefined,
    ImportanceResampled,
    L2hmcPosterior,
    ParametricPosterior,
    RejectionSampled,
    SemiAmortized,
    StraightThrough,
)
from ancestral.models import DiagonalGaussian, LatentVariableModel
from ancestral.networks import DenseNetwork, InputFeatures

SPEC = Specification(Kind.REAL, (4,))


class Moved(ParametricPosterior):
    """A diagonal Gaussian near the posterior, with parameters that training can reach."""

    def __init__(self) -> None:
        super().__init__()
        self.shift = nn.Parameter(torch.tensor([0.2, -0.1]))
        self.log_stretch = nn.Parameter(torch.tensor([0.2, -0.1]))

    def distribution(self, model: LatentVariableModel, batch: Batch) -> DiagonalNormal:
        q = model.posterior(batch.x, batch.observed)
        log_scale = 0.5 * q.variance.log().detach() + self.log_stretch
        return DiagonalNormal(q.loc.detach() + self.shift, log_scale)


def an_inverse(size: int = 2) -> DiagonalGaussian:
    return DiagonalGaussian(DenseNetwork(3 * size, (8,), 2 * size))


def a_kernel() -> L2hmcKernel:
    kernel = L2hmcKernel(2, 3, 0.3)
    with torch.no_grad():
        for parameter in kernel.parameters():
            parameter.add_(0.1 * torch.randn_like(parameter))
    return kernel


def an_auxiliary() -> AuxiliaryVariables:
    return AuxiliaryVariables(
        InputFeatures(SPEC),
        DiagonalGaussian(DenseNetwork(4, (8,), 6)),
        DiagonalGaussian(DenseNetwork(7, (8,), 4)),
        DiagonalGaussian(DenseNetwork(6, (8,), 6)),
    )


POSTERIORS = {
    "hamiltonian": lambda: HamiltonianVariational(Moved(), an_inverse(), 2),
    "tempered": lambda: HamiltonianVariational(Moved(), an_inverse(), 2, tempering=0.6),
    "hmc": lambda: HmcRefined(Moved()),
    "l2hmc": lambda: L2hmcPosterior(Moved(), a_kernel()),
    "rejection": lambda: RejectionSampled(Moved(), num_pilots=20),
    "resampled": lambda: ImportanceResampled(Moved(), 4),
    "auxiliary": an_auxiliary,
    "semi-amortised": lambda: SemiAmortized(Moved(), 2),
    "straight-through": lambda: SemiAmortized(Moved(), 2, backward=StraightThrough()),
}


def one_datum(model):
    return model.sample(1).detach()


@pytest.mark.parametrize("name", sorted(POSTERIORS))
def test_weights_average_to_the_evidence_and_bounds_stay_below(name):
    # 200 data with the same x, so that thresholds and normalisers of each are independent; the
    # mean of w / p(x) within 4 standard errors of 1 fails for 1 seed in 10^4
    torch.manual_seed(1)
    model = a_model().requires_grad_(False)
    rows, draws = (400, 25) if name == "rejection" else (50, 400)
    batch = Batch(one_datum(model).expand(rows, -1))
    posterior = POSTERIORS[name]().eval()
    with torch.no_grad():
        z, log_q = posterior.draw(model, batch, draws)
        log_w = model.log_joint(batch.x, z) - log_q - model.log_prob(batch.x)
    assert z.shape == (draws, rows, 2)
    assert log_q.shape == (draws, rows)
    ratio = log_w.exp().mean(0)
    assert float(ratio.mean()) == pytest.approx(1, abs=4 * float(ratio.std()) / rows**0.5)
    assert float(ratio.std()) / rows**0.5 < 0.15  # the test has an eye for errors of 60 percent
    elbo = log_w.mean(0)
    assert float(elbo.mean()) < 4 * float(elbo.std()) / rows**0.5
    assert float(log_w.std()) > 1e-3


@pytest.mark.parametrize("name", sorted(POSTERIORS))
def test_bounds_train_model_and_posterior(name):
    model, posterior = a_model(), POSTERIORS[name]()
    batch = Batch(model.sample(6).detach())
    for bound in (Elbo(2), ImportanceWeighted(3)):
        Pathwise().check(bound, model, posterior)
        found = Pathwise().surrogate(bound, model, posterior, batch, KlPenalty())
        found.loss.backward()
    assert found.bound.shape == (6,)
    trained = [*model.named_parameters(), *posterior.named_parameters()]
    for parameter_name, parameter in trained:
        if parameter.requires_grad:
            assert parameter.grad is not None, parameter_name
            assert bool(parameter.grad.isfinite().all()), parameter_name
            assert float(parameter.grad.abs().max()) > 0, parameter_name


@pytest.mark.parametrize("name", sorted(POSTERIORS))
def test_the_same_value_without_gradients(name):
    """Validation asks under `no_grad`: nothing may need a graph, and no value may change."""
    model, posterior = a_model(), POSTERIORS[name]().eval()
    batch = Batch(model.sample(3).detach())
    torch.manual_seed(3)
    z, log_q = posterior.draw(model, batch, 2)
    torch.manual_seed(3)
    with torch.no_grad():
        again = posterior.draw(model, batch, 2)
    torch.testing.assert_close(again.z, z)
    assert not again.log_q.requires_grad
    torch.testing.assert_close(again.log_q, log_q)


@pytest.mark.parametrize(
    "name", ["hamiltonian", "hmc", "l2hmc", "rejection", "resampled", "auxiliary"]
)
def test_a_density_that_is_not_known_is_refused(name):
    model, posterior = a_model(), POSTERIORS[name]()
    batch = Batch(model.sample(2).detach())
    with pytest.raises(IncompatibleChoices, match="density") as error:
        posterior.log_prob(model, batch, torch.zeros(1, 2, 2))
    assert error.value.hint is not None


# ---------------------------------------------------------------- Hamiltonian variational


def test_hamiltonian_map_keeps_volume_by_autograd():
    """P6: a position step with the wrong momentum has the determinant 1.13 on a Gaussian."""
    model = a_model().requires_grad_(False)
    batch = Batch(one_datum(model))
    for tempering in (1.0, 0.4):
        posterior = HamiltonianVariational(
            Moved(), an_inverse(), 2, num_steps=3, step_size=0.4, tempering=tempering
        )
        unit = torch.tensor([[0.5, 0.7]])

        def move(w, posterior=posterior, unit=unit):
            from ancestral.inference.mcmc import Phase

            phase = Phase(w[None, None, :2], w[None, None, 2:])
            return torch.cat(posterior._moved(model, batch, unit, phase), -1).flatten()

        jacobian = torch.autograd.functional.jacobian(move, torch.randn(4))
        # P7: tempering is no no-op: momenta end up scaled, L = 2 of them
        expected = tempering ** (2 / 2)
        assert float(torch.linalg.det(jacobian)) == pytest.approx(expected, rel=1e-9)


def test_hamiltonian_log_q_is_the_sum_of_its_parts():
    """P8, P9: one q for drawing and scoring, and log p(v) at the momentum that was drawn."""
    model = a_model().requires_grad_(False)
    batch = Batch(model.sample(3))
    initial, inverse = Moved(), an_inverse()
    posterior = HamiltonianVariational(initial, inverse, 2, num_steps=2, tempering=0.5).eval()
    torch.manual_seed(8)
    z, log_q = posterior.draw(model, batch, 1)
    torch.manual_seed(8)
    q = initial.distribution(model, batch)
    start = q.rsample((1,))
    momentum = torch.randn_like(start) / math.sqrt(0.5)
    unit = (q.stddev.pow(-2) + 1).rsqrt()
    w, v = start / unit, momentum
    scales = [math.sqrt(2.0) + (1 - math.sqrt(2.0)) * k**2 / 4 for k in range(3)]

    def gradient(w):
        residual = (batch.x - model.loc - (w * unit) @ model.weight.T) @ model.weight
        return (residual / model.noise_scale.square() - w * unit) * unit

    for k, size in enumerate(posterior.step_sizes):
        w = w + 0.5 * size * v
        g = gradient(w)
        v = v + size * g / (1 + (g / 100).square().sum(-1, keepdim=True)).sqrt()
        w = w + 0.5 * size * v
        v = v * scales[k + 1] / scales[k]
    torch.testing.assert_close(z, w * unit)
    context = torch.cat(((z - q.loc) / unit, q.loc[None], q.stddev.log()[None]), -1)
    log_momentum = torch.distributions.Normal(0.0, math.sqrt(2.0)).log_prob(momentum).sum(-1)
    expected = (
        q.log_prob(start)
        + log_momentum
        - inverse(context).log_prob(v)
        - math.log(0.5)  # -L / 2 log b_0 with L = 2
    )
    torch.testing.assert_close(log_q, expected)


def test_hamiltonian_training_tightens_the_bound():
    """A shifted q with the right inverse model comes nearer to log p than q alone can."""
    model = a_model().requires_grad_(False)
    batch = Batch(model.sample(30))
    initial = Moved().requires_grad_(False)
    posterior = HamiltonianVariational(initial, an_inverse(), 2)

    def gap(q, draws=300):
        with torch.no_grad():
            z, log_q = q.draw(model, batch, draws)
            return float((model.log_prob(batch.x) - model.log_joint(batch.x, z) + log_q).mean())

    before = gap(initial)
    optimizer = torch.optim.Adam(posterior.parameters(), 0.03)
    for _ in range(80):
        loss = Pathwise().surrogate(Elbo(4), model, posterior, batch, KlPenalty()).loss
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    assert 0 < gap(posterior) < 0.8 * before


def test_forces_that_overflow_do_no_harm():
    model = a_model().requires_grad_(False)
    with torch.no_grad():
        model.likelihood.network.log_noise_scale.fill_(-12.0)  # forces of 10^10
    posterior = HamiltonianVariational(Widened(3.0, 5.0), an_inverse(), 2)
    batch = Batch(model.sample(4))
    z, log_q = posterior.draw(model, batch, 3)
    assert bool(z.isfinite().all())
    (log_q.mean() - model.log_joint(batch.x, z).mean()).backward()
    assert bool(posterior.step_logits.grad.isfinite().all())


def test_options_out_of_range_are_refused():
    for options in ({"num_steps": 0}, {"step_size": 1.5}, {"tempering": 0.0}):
        with pytest.raises(OptionError, match="expected num_steps >= 1"):
            HamiltonianVariational(Moved(), an_inverse(), 2, **options)
    with pytest.raises(OptionError, match="expected num_particles >= 1, got 0"):
        ImportanceResampled(Moved(), 0)
    with pytest.raises(OptionError, match="expected 0 < acceptance < 1"):
        RejectionSampled(Moved(), acceptance=1.0)
    with pytest.raises(OptionError, match="expected 5 or more of the pilots") as caught:
        RejectionSampled(Moved(), acceptance=0.02)  # would end after 10,000 rounds
    assert caught.value.hint == "use num_pilots=250 or more"
    RejectionSampled(Moved(), acceptance=0.02, num_pilots=250)
    with pytest.raises(OptionError, match="expected num_steps >= 1, num_pairs >= 1"):
        SemiAmortized(Moved(), 2, num_steps=0)
    with pytest.raises(OptionError, match="expected num_transitions >= 1"):
        HmcRefined(Moved(), num_transitions=0)


# ---------------------------------------------------------------- refinement


@pytest.mark.parametrize("name", ["hmc", "l2hmc"])
def test_refinement_logs_the_encoders_own_bound_and_draws_better(name):
    model = a_model().requires_grad_(False)
    batch = Batch(one_datum(model).expand(3000, -1))
    posterior = POSTERIORS[name]().eval()
    torch.manual_seed(4)
    z, log_q = posterior.draw(model, batch, 1)
    log_w = model.log_joint(batch.x, z) - log_q
    torch.manual_seed(4)
    start = posterior.encoder.draw(model, batch, 1)
    torch.testing.assert_close(log_w, model.log_joint(batch.x, start.z) - start.log_q)
    truth = model.posterior(batch.x[:1]).loc[0]

    def error(draws):
        return float((draws[0].detach().mean(0) - truth).norm())

    assert error(z) < 0.8 * error(start.z)
    assert posterior.adapted(model, batch) is posterior.encoder


def test_refined_gradients_are_those_of_model_at_the_end_and_encoder_at_the_start():
    model, posterior = a_model(), HmcRefined(Moved()).eval()
    batch = Batch(model.sample(5).detach())
    torch.manual_seed(6)
    Pathwise().surrogate(Elbo(), model, posterior, batch, KlPenalty()).loss.backward()
    for_model = [p.grad.clone() for p in model.parameters()]
    for_encoder = [p.grad.clone() for p in posterior.parameters()]
    model.zero_grad()
    torch.manual_seed(6)
    z = posterior.draw(model, batch, 1).z.detach()
    (-model.log_joint(batch.x, z).mean()).backward()
    for found, expected in zip(for_model, model.parameters(), strict=True):
        torch.testing.assert_close(found, expected.grad)
    posterior.zero_grad()
    model.requires_grad_(False)
    torch.manual_seed(6)
    start = posterior.encoder.draw(model, batch, 1)
    (start.log_q - model.log_joint(batch.x, start.z)).mean().backward()
    for found, expected in zip(for_encoder, posterior.parameters(), strict=True):
        torch.testing.assert_close(found, expected.grad)


def test_the_step_size_follows_the_acceptance_in_training_only():
    model = a_model()
    batch = Batch(model.sample(20).detach())
    posterior = HmcRefined(Moved(), step_size=1.9)
    for _ in range(15):
        posterior.draw(model, batch, 2)
    learnt = float(posterior.step_size)
    assert learnt < 1.9
    posterior.eval()
    posterior.draw(model, batch, 2)
    assert float(posterior.step_size) == learnt
    assert "step_size" in posterior.state_dict()


# ---------------------------------------------------------------- resampling and rejection


def test_elbo_of_the_resampled_is_the_importance_weighted_bound():
    model = a_model()
    batch = Batch(model.sample(4).detach())
    posterior = ImportanceResampled(Moved(), 5)
    torch.manual_seed(2)
    found = Pathwise().surrogate(Elbo(3), model, posterior, batch, KlPenalty())
    found.loss.backward()
    gradient = posterior.base.shift.grad.clone()
    posterior.zero_grad()
    torch.manual_seed(2)
    z, log_q = posterior.base.draw(model, batch, 15)
    log_w = (model.log_joint(batch.x, z) - log_q).unflatten(0, (5, 3))
    bound = (log_w.logsumexp(0) - math.log(5)).mean(0)
    torch.testing.assert_close(found.bound, bound.detach())
    (-bound.mean()).backward()
    torch.testing.assert_close(gradient, posterior.base.shift.grad)


def test_resampling_and_rejection_come_nearer_to_the_posterior():
    model = a_model().requires_grad_(False)
    batch = Batch(one_datum(model).expand(2000, -1))
    truth = model.posterior(batch.x[:1]).loc[0]
    base = Moved().requires_grad_(False)
    errors = [
        float((q.draw(model, batch, 1).z[0].detach().mean(0) - truth).norm())
        for q in (base, ImportanceResampled(base, 10), RejectionSampled(base, acceptance=0.2))
    ]
    assert errors[1] < 0.5 * errors[0]
    assert errors[2] < 0.7 * errors[0]


def test_rejection_accepts_as_many_as_asked():
    from ancestral.inference.posteriors.rejection import _threshold

    log_w = 5 * torch.randn(4000, 3) - 100
    for acceptance in (0.1, 0.5, 0.9):
        rate = (log_w + _threshold(log_w, acceptance)).sigmoid().mean(0)
        torch.testing.assert_close(rate, torch.full((3,), acceptance))
    log_w[0] = -torch.inf
    assert bool(_threshold(log_w, 0.5).isfinite().all())


def test_rejection_knows_its_own_standard_error():
    """Draws that shared an estimate of Z had weights that went up and down together."""
    # 80 estimates of the same datum: their spread is known to 8 percent, so that 40 percent are 5
    # standard errors; the shared estimate made it several times what was reported
    torch.manual_seed(3)
    model = a_model().requires_grad_(False)
    batch = Batch(one_datum(model))
    posterior = RejectionSampled(Moved(), acceptance=0.2).eval()
    with torch.no_grad():
        propose = posterior.proposal(model, batch)
        draws = [propose(100) for _ in range(80)]
        log_w = torch.cat([model.log_joint(batch.x, z) - log_q for z, log_q in draws], 1)
    found = summarized(log_w)
    assert float(found.value.std()) == pytest.approx(float(found.std_error.mean()), rel=0.4)


@pytest.mark.parametrize("name", sorted(POSTERIORS))
def test_a_mean_does_not_depend_on_the_other_rows(name):
    model = a_model().requires_grad_(False)
    batch = Batch(model.sample(6))
    posterior = POSTERIORS[name]().eval()
    with torch.no_grad():
        whole = posterior.mean(model, batch)
        part = posterior.mean(model, batch.rows(slice(2, 5)))
    torch.testing.assert_close(part, whole[2:5])
    assert float(whole.std(0).min()) > 1e-3


def test_kernels_learn_from_stiff_posteriors_without_a_nan(single_precision):
    """Posteriors up to tens of times as narrow as q: trajectories diverge, gradients explode."""
    for sharpness in (1.0, 3.0, 10.0, 100.0):
        model = a_model().float().requires_grad_(False)
        with torch.no_grad():
            model.likelihood.network.log_noise_scale.sub_(math.log(sharpness))
        encoder = Amortized(InputFeatures(SPEC), DiagonalGaussian(nn.Linear(4, 4)))
        posterior = L2hmcPosterior(encoder, L2hmcKernel(2, 10, 0.3))
        batch = Batch(model.sample(64))
        found = Pathwise().surrogate(Elbo(), model, posterior, batch, KlPenalty())
        found.loss.backward()
        for parameter_name, parameter in posterior.named_parameters():
            assert bool(parameter.grad.isfinite().all()), (sharpness, parameter_name)


def test_gradients_do_not_explode_along_a_trajectory(monkeypatch):
    """120 leapfrog steps, far too long for posteriors 100 times as narrow as q: chaos."""

    def largest(tame):
        torch.manual_seed(0)
        monkeypatch.setattr("ancestral.inference.posteriors.hamiltonian.tamed", tame)
        model = a_model()
        with torch.no_grad():
            model.likelihood.network.log_noise_scale.sub_(math.log(100.0))
        encoder = Amortized(InputFeatures(SPEC), DiagonalGaussian(nn.Linear(4, 4)))
        q = HamiltonianVariational(encoder, an_inverse(), 2, num_steps=120, step_size=0.9)
        batch = Batch(model.sample(64))
        found = Pathwise().surrogate(Elbo(), model, q, batch, KlPenalty())
        found.loss.backward()
        return max(float(p.grad.abs().max()) for p in q.parameters()), float(found.loss.detach())

    wild, loss = largest(lambda state: state)
    calm, same_loss = largest(tamed)
    assert wild > 1e20
    assert calm < 1e12
    assert same_loss == pytest.approx(loss)


# ---------------------------------------------------------------- semi-amortised


def test_steps_come_nearer_to_the_best_gaussian_and_q_is_a_function_of_x():
    model = a_model().requires_grad_(False)
    batch = Batch(model.sample(8))
    encoder = Amortized(InputFeatures(SPEC), DiagonalGaussian(DenseNetwork(4, (8,), 4)))

    def elbo(q):
        torch.manual_seed(0)
        with torch.no_grad():
            found = PathwiseClosedFormKl().surrogate(Elbo(200), model, q, batch, KlPenalty())
            return float(found.bound.mean())

    values = [elbo(encoder)]
    values += [elbo(SemiAmortized(encoder, 2, num_steps=k, num_pairs=8)) for k in (1, 3, 10)]
    assert values == sorted(values)
    assert values[-1] > values[0] + 0.3
    best = float(model.log_prob(batch.x).mean())
    assert values[-1] < best
    q = SemiAmortized(encoder, 2)
    whole = q.distribution(model, batch)
    part = q.distribution(model, batch.rows(slice(3, 5)))
    torch.testing.assert_close(part.loc, whole.loc[3:5])
    torch.testing.assert_close(part.log_scale, whole.log_scale[3:5])


def test_training_through_the_steps_is_their_true_gradient():
    model, encoder = a_model().requires_grad_(False), Moved()
    batch = Batch(model.sample(3))
    q = SemiAmortized(encoder, 2, num_steps=3)

    def loss():
        torch.manual_seed(5)
        return PathwiseClosedFormKl().surrogate(Elbo(4), model, q, batch, KlPenalty()).loss

    loss().backward()
    for parameter in (encoder.shift, encoder.log_stretch, q.step_logits):
        for i in range(2):
            found = float(parameter.grad[i])
            with torch.no_grad():
                parameter[i] += 1e-5
                above = loss()
                parameter[i] -= 2e-5
                below = loss()
                parameter[i] += 1e-5
            assert found == pytest.approx(float(above - below) / 2e-5, rel=1e-4, abs=1e-7)
