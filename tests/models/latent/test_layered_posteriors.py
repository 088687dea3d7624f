"""Bottom-up and top-down posteriors against the exact ones of a linear-Gaussian chain."""

from __future__ import annotations

import pytest
import torch
from torch import nn
from torch.distributions import MultivariateNormal

from ancestral.core import Batch, IncompatibleChoices, OptionError
from ancestral.distributions import Normal
from ancestral.inference.bounds import Elbo, ImportanceWeighted
from ancestral.inference.evidence import importance_sampled
from ancestral.inference.gradients import KlPenalty, Pathwise
from ancestral.inference.posteriors import Amortized, BottomUp, Ladder
from ancestral.models import (
    DiagonalGaussian,
    FirstLayer,
    LatentVariableModel,
    LayeredPrior,
    NetworkConditional,
    StandardNormalPrior,
)

D, SIZES, NOISE = 3, (3, 2), 0.4


class Values(nn.Module):
    """x as it is."""

    def forward(self, x, observed=None):
        return x


def linear(weight, bias, log_scale) -> nn.Linear:
    """c -> (W c + b, log s), the second part constant."""
    layer = nn.Linear(weight.shape[1], 2 * weight.shape[0])
    with torch.no_grad():
        layer.weight.copy_(torch.cat((weight, torch.zeros_like(weight))))
        layer.bias.copy_(torch.cat((bias, log_scale)))
    return layer


class Chain:
    """z_2 ~ N(0, I), z_1 = A z_2 + a + noise, x = W z_1 + b + noise, with W diagonal."""

    def __init__(self) -> None:
        self.A, self.a = torch.randn(3, 2), 0.5 * torch.randn(3)
        self.s1 = torch.tensor([0.6, 0.9, 1.2])
        self.W, self.b = torch.tensor([0.8, -1.1, 0.5]), torch.randn(3)
        between = DiagonalGaussian(linear(self.A, self.a, self.s1.log()))
        prior = LayeredPrior(StandardNormalPrior(2), [between], SIZES)
        noise = torch.full((3,), NOISE).log()
        flat = linear(torch.diag(self.W), self.b, noise)
        head = Normal((D,), min_log_scale=-float("inf"))
        self.model = LatentVariableModel(prior, NetworkConditional(FirstLayer(flat, 3), head))

    def log_prob(self, x):
        inner = self.A @ self.A.T + torch.diag(self.s1.square())
        W = torch.diag(self.W)
        covariance = W @ inner @ W + NOISE**2 * torch.eye(3)
        return MultivariateNormal(W @ self.a + self.b, covariance).log_prob(x)

    def top(self):
        """p(z_2 | x) as a linear map of x: weight, bias, covariance."""
        W = torch.diag(self.W)
        B = W @ self.A
        R = torch.diag((self.W * self.s1).square() + NOISE**2)
        covariance = torch.linalg.inv(torch.eye(2) + B.T @ torch.linalg.inv(R) @ B)
        weight = covariance @ B.T @ torch.linalg.inv(R)
        return weight, -weight @ (W @ self.a + self.b), covariance

    def evidence(self):
        """p(x | z_1) as a Gaussian of z_1: exact, since W is diagonal."""
        return linear(torch.diag(1 / self.W), -self.b / self.W, (NOISE / self.W.abs()).log())


def diagonal_top(chain: Chain) -> None:
    """Turn z_2 so that its posterior has a diagonal covariance."""
    vectors = torch.linalg.eigh(chain.top()[2]).eigenvectors
    chain.A = chain.A @ vectors
    network = chain.model.prior.conditionals[0].network
    with torch.no_grad():
        network.weight[:3] = chain.A


def exact_ladder(chain: Chain) -> Ladder:
    diagonal_top(chain)
    weight, bias, covariance = chain.top()
    top = linear(weight, bias, 0.5 * covariance.diagonal().log())
    same = [nn.Identity(), nn.Identity()]
    return Ladder(Values(), same, [chain.evidence(), top], SIZES)


def test_the_merge_of_the_right_evidence_is_the_exact_posterior():
    chain = Chain()
    posterior = exact_ladder(chain)
    x = torch.randn(6, D)
    with torch.no_grad():
        z, log_q = posterior.draw(chain.model, Batch(x), 7)
        log_w = chain.model.log_joint(x, z) - log_q
    torch.testing.assert_close(log_w, chain.log_prob(x).expand(7, 6))
    torch.testing.assert_close(posterior.log_prob(chain.model, Batch(x), z), log_q)


def test_evidence_without_precision_leaves_the_prior():
    chain = Chain()
    nothing = linear(torch.zeros(3, D), torch.ones(3), torch.full((3,), 6.9))
    top = linear(torch.zeros(2, D), torch.zeros(2), torch.zeros(2))
    posterior = Ladder(Values(), [nn.Identity()] * 2, [nothing, top], SIZES)
    x = torch.randn(4, D)
    with torch.no_grad():
        z, log_q = posterior.draw(chain.model, Batch(x), 50)
    torch.testing.assert_close(log_q, chain.model.log_prior(z), atol=0.02, rtol=0)


def widened(weight, bias, covariance) -> DiagonalGaussian:
    """Around an exact mean, with scales half as large again as the exact ones."""
    return DiagonalGaussian(linear(weight, bias, (1.5 * covariance.diagonal().sqrt()).log()))


def regression(covariance, cross, mean_in, mean_out, inner):
    """E[u | v] = weight v + bias and Cov[u | v] of a joint Gaussian."""
    weight = torch.linalg.solve(inner, cross.T).T
    return weight, mean_out - weight @ mean_in, covariance - weight @ cross.T


def near_bottom_up(chain: Chain) -> BottomUp:
    inner = chain.A @ chain.A.T + torch.diag(chain.s1.square())
    W = torch.diag(chain.W)
    x = W @ inner @ W + NOISE**2 * torch.eye(3)
    of_x = regression(inner, inner @ W, W @ chain.a + chain.b, chain.a, x)
    of_z1 = regression(torch.eye(2), chain.A.T, chain.a, torch.zeros(2), inner)
    return BottomUp(Values(), [widened(*of_x), widened(*of_z1)], SIZES)


def near_ladder(chain: Chain) -> Ladder:
    posterior = exact_ladder(chain)
    with torch.no_grad():
        for layer in posterior.evidence:
            layer.bias[layer.out_features // 2 :] += 0.3
    return posterior


def a_bottom_up() -> BottomUp:
    torch.manual_seed(3)
    encoders = [DiagonalGaussian(nn.Linear(D, 6)), DiagonalGaussian(nn.Linear(3, 4))]
    return BottomUp(Values(), encoders, SIZES)


def a_ladder() -> Ladder:
    torch.manual_seed(3)
    up = [nn.Sequential(nn.Linear(D, 5), nn.SiLU()), nn.Sequential(nn.Linear(5, 4), nn.SiLU())]
    return Ladder(Values(), up, [nn.Linear(5, 6), nn.Linear(4, 4)], SIZES)


@pytest.mark.parametrize("build", [near_bottom_up, near_ladder], ids=["bottom-up", "ladder"])
def test_bounds_rise_to_the_exact_log_p(build):
    chain = Chain()
    posterior, x = build(chain), torch.randn(5, D)
    exact = chain.log_prob(x)
    with torch.no_grad():
        z, log_q = posterior.draw(chain.model, Batch(x), 4000)
        log_w = chain.model.log_joint(x, z) - log_q
    elbo, iwae = Elbo()(log_w), ImportanceWeighted()(log_w.reshape(50, -1)).mean()
    assert bool((elbo < exact).all())
    assert elbo.mean() < iwae < exact.mean() + 0.05
    estimate = importance_sampled(chain.model, posterior, [Batch(x)], num_samples=20_000)
    # within five standard errors each: fails by chance in fewer than one run of 100,000
    assert ((estimate.value - exact).abs() < 5 * estimate.std_error).all()
    assert estimate.std_error.max() < 0.03


@pytest.mark.parametrize("build", [a_bottom_up, a_ladder], ids=["bottom-up", "ladder"])
def test_density_of_draws_and_means(build):
    chain, batch = Chain(), Batch(torch.randn(4, D))
    posterior = build()
    with torch.no_grad():
        z, log_q = posterior.draw(chain.model, batch, 3000)
        torch.testing.assert_close(posterior.log_prob(chain.model, batch, z), log_q)
        mean = posterior.mean(chain.model, batch)
        assert torch.equal(mean, posterior.mean(chain.model, batch))
        # means of 3,000 draws and of 100 means: 5 standard errors of the larger noise
        spread = z.std(0) * (1 / 100 + 1 / 3000) ** 0.5
        assert ((z.mean(0) - mean).abs() < 5 * spread + 1e-9).all()
    assert log_q.shape == (3000, 4)
    with pytest.raises(NotImplementedError):
        _ = posterior.distribution(chain.model, batch).mean


@pytest.mark.parametrize("build", [a_bottom_up, a_ladder], ids=["bottom-up", "ladder"])
def test_gradients_reach_q_and_p(build):
    chain, posterior = Chain(), build()
    batch = Batch(torch.randn(8, D))
    s = Pathwise().surrogate(Elbo(), chain.model, posterior, batch, KlPenalty())
    s.loss.backward()
    for name, parameter in [*posterior.named_parameters(), *chain.model.named_parameters()]:
        assert parameter.grad is not None, name
        assert parameter.grad.any(), name


def test_the_kl_of_the_ladder_is_against_the_models_own_conditionals():
    """What PyTorch-VAE's lvae.py gets wrong: the KL moves when the model's layers do."""
    chain, posterior = Chain(), a_ladder()
    batch = Batch(torch.randn(6, D))

    def kl():
        with torch.no_grad():
            torch.manual_seed(0)
            z, log_q = posterior.draw(chain.model, batch, 2000)
            layers = posterior.distribution(chain.model, batch).log_prob_layers(z)
            by_layer = (layers - chain.model.prior.log_prob_layers(z)).mean(0)
            whole = (log_q - chain.model.log_prior(z)).mean(0)
            torch.testing.assert_close(by_layer.sum(-1), whole)
            return by_layer

    before = kl()
    assert (before.mean(0) > 0).all()  # each layer's KL, the top's included
    with torch.no_grad():
        chain.model.prior.conditionals[0].network.bias[:3] += 1.0
    after = kl()
    torch.testing.assert_close(after[:, 1], before[:, 1])
    assert (after[:, 0] - before[:, 0]).abs().max() > 0.05


def test_wrong_partners_are_refused():
    flat = LatentVariableModel(StandardNormalPrior(5), Chain().model.likelihood)
    with pytest.raises(IncompatibleChoices, match=r"LayeredPrior of sizes \(3, 2\)"):
        a_ladder().distribution(flat, Batch(torch.zeros(2, D)))
    with pytest.raises(OptionError, match="an encoder for each layer"):
        BottomUp(Values(), [], (3,))
    with pytest.raises(OptionError, match="an upward network"):
        Ladder(Values(), [nn.Identity()], [], (3,))


def test_a_single_layer_is_an_amortised_posterior():
    encoder = DiagonalGaussian(nn.Linear(D, 6))
    one, other = BottomUp(Values(), [encoder], (3,)), Amortized(Values(), encoder)
    batch, model = Batch(torch.randn(4, D)), Chain().model
    torch.manual_seed(0)
    a = one.draw(model, batch, 3)
    torch.manual_seed(0)
    b = other.draw(model, batch, 3)
    torch.testing.assert_close(a.z, b.z)
    torch.testing.assert_close(a.log_q, b.log_q)
