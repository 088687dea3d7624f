"""Probabilistic PCA against Gaussians written out in full."""

from __future__ import annotations

import pytest
import torch
from scipy.stats import multivariate_normal
from sklearn.decomposition import PCA
from torch.distributions import MultivariateNormal

from ancestral.core import DataError, ShapeError, as_batch
from ancestral.models import ExactLogProb, ProbabilisticPCA

NAN = float("nan")


def a_model(shape: tuple[int, ...] = (5,), latent_size: int = 2) -> ProbabilisticPCA:
    model = ProbabilisticPCA(shape, latent_size)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(0.5 * torch.randn_like(parameter))
    return model.requires_grad_(False)


def covariance(model: ProbabilisticPCA) -> torch.Tensor:
    identity = torch.eye(len(model.loc))
    return model.weight @ model.weight.T + model.noise_scale.square() * identity


def rows_with_gaps(model: ProbabilisticPCA, num_rows: int = 6) -> torch.Tensor:
    x = model.sample(num_rows)
    gaps = torch.rand_like(x) < 0.4
    gaps.flatten(1)[:, 0] = False  # something is observed in each row,
    gaps[0] = True  # but for the first
    x[gaps] = NAN
    return x


def test_log_prob_against_torch_and_scipy():
    model = a_model()
    x = model.sample(7)
    ours = model.log_prob(x)
    torch.testing.assert_close(
        ours, MultivariateNormal(model.loc, covariance(model)).log_prob(x), rtol=1e-11, atol=0
    )
    theirs = multivariate_normal(model.loc.numpy(), covariance(model).numpy()).logpdf(x.numpy())
    torch.testing.assert_close(ours, torch.from_numpy(theirs), rtol=1e-11, atol=0)


@pytest.mark.parametrize("shape", [(5,), (3, 4), (2, 3, 1), (1, 6)])
def test_missing_cells_are_integrated_out(shape):
    model = a_model(shape)
    batch = as_batch(rows_with_gaps(model))
    ours = model.log_prob(batch.x, batch.observed)
    cov, flat, seen = covariance(model), batch.x.flatten(1), batch.observed.flatten(1)
    assert ours.shape == (6,)
    assert ours[0] == 0  # the probability of nothing is one
    for i in range(1, 6):
        o = seen[i]
        marginal = multivariate_normal(model.loc[o].numpy(), cov[o][:, o].numpy())
        assert ours[i].item() == pytest.approx(marginal.logpdf(flat[i, o].numpy()), rel=1e-11)


def test_values_at_missing_cells_are_not_looked_at():
    model = a_model()
    batch = as_batch(rows_with_gaps(model))
    other = torch.where(batch.observed, batch.x, 1e3 * torch.randn_like(batch.x))
    for ours, theirs in (
        (model.log_prob(batch.x, batch.observed), model.log_prob(other, batch.observed)),
        (
            model.posterior(batch.x, batch.observed).loc,
            model.posterior(other, batch.observed).loc,
        ),
    ):
        assert torch.equal(ours, theirs)


@pytest.mark.parametrize("gaps", [False, True])
def test_posterior_is_gaussian_conditioning(gaps):
    model = a_model((3, 2), 3)
    batch = as_batch(rows_with_gaps(model) if gaps else model.sample(6))
    q = model.posterior(batch.x, batch.observed)
    assert q.batch_shape == (6,)
    assert bool((q.scale_tril.triu(1) == 0).all())
    w, s2, flat = model.weight, model.noise_scale.square(), batch.x.flatten(1)
    for i in range(6):
        o = torch.ones(6, dtype=torch.bool) if not gaps else batch.observed.flatten(1)[i]
        gain = w[o].T @ torch.linalg.inv(w[o] @ w[o].T + s2 * torch.eye(int(o.sum())))
        torch.testing.assert_close(q.mean[i], gain @ (flat[i, o] - model.loc[o]))
        torch.testing.assert_close(q.covariance_matrix[i], torch.eye(3) - gain @ w[o])


def test_joint_is_posterior_times_marginal():
    model = a_model((4, 2), 3)
    batch = as_batch(rows_with_gaps(model))
    z = torch.randn(4, 6, 3)
    log_joint = model.log_joint(batch.x, z, batch.observed)
    log_posterior = model.posterior(batch.x, batch.observed).log_prob(z)
    log_prob = model.log_prob(batch.x, batch.observed).expand(4, 6)
    torch.testing.assert_close(log_joint - log_posterior, log_prob, rtol=0, atol=1e-9)


def test_float32_keeps_its_digits_with_little_noise():
    model = a_model((50,), 3)
    model._set(model.weight, model.loc, torch.tensor(1e-6))
    x = model.sample(20)
    exact = model.log_prob(x)
    error = model.float().log_prob(x.float()).double() - exact
    # rounding x itself to float32 moves the residuals by about 1e-7 / s = 1e-4 each
    assert float(error.abs().max()) < 0.05


def test_closed_form_fit_is_that_of_sklearn():
    x = torch.randn(200, 6) @ torch.randn(6, 6) + 3
    model = ProbabilisticPCA((6,), 2).requires_grad_(False)
    assert model.fit_closed_form(x) == 0
    pca = PCA(2).fit(x.numpy())
    # sklearn divides by N - 1, maximum likelihood by N
    noise = pca.noise_variance_ * (199 / 200)
    assert float(model.noise_scale.square()) == pytest.approx(noise, rel=1e-10)
    cov = torch.from_numpy(pca.get_covariance()) * (199 / 200)
    torch.testing.assert_close(covariance(model), cov)
    score = MultivariateNormal(x.mean(0), torch.from_numpy(pca.get_covariance())).log_prob(x)
    assert pca.score(x.numpy()) == pytest.approx(float(score.mean()), rel=1e-10)
    assert float(model.log_prob(x).mean()) >= pca.score(x.numpy())


def test_closed_form_fit_is_stationary():
    x = torch.randn(100, 3, 2) * torch.tensor([1.0, 4.0]) + 1
    model = ProbabilisticPCA((3, 2), 2)
    model.fit_closed_form(x)
    model.log_prob(x).mean().backward()
    for name, parameter in model.named_parameters():
        assert float(parameter.grad.abs().max()) < 1e-9, name


def test_fit_far_from_zero_in_float32():
    x = torch.randn(500, 4) @ torch.randn(4, 4)
    near = ProbabilisticPCA((4,), 2)
    near.fit_closed_form(x)
    far = ProbabilisticPCA((4,), 2).float()
    far.fit_closed_form((x + 1000).float())
    torch.testing.assert_close(covariance(far).double(), covariance(near), rtol=2e-3, atol=2e-3)
    torch.testing.assert_close(far.loc.double(), near.loc + 1000, rtol=0, atol=1e-3)


def test_em_raises_log_prob_at_every_step_and_ends_where_it_is_stationary():
    truth = a_model((6,), 2)
    x = truth.sample(300)
    x[torch.rand_like(x) < 0.25] = NAN
    batch = as_batch(x)
    model = ProbabilisticPCA((6,), 2)
    rows, mask = batch.x, batch.observed.to(batch.x.dtype)
    values = []
    with torch.no_grad():
        for _ in range(30):
            values.append(float(model.log_prob(batch.x, batch.observed).mean()))
            posterior = model.posterior(batch.x, batch.observed)
            model._maximization_step(rows, mask, posterior)
    steps = torch.tensor(values).diff()
    assert float(steps.min()) > -1e-12
    assert float(steps[0]) > 0.01
    fitted = ProbabilisticPCA((6,), 2).requires_grad_(False)
    assert fitted.fit_closed_form(batch.x, batch.observed) > 0
    best = fitted.log_prob(batch.x, batch.observed).mean()
    assert float(best) > values[0]
    assert float(best) > float(truth.log_prob(batch.x, batch.observed).mean())
    fitted.requires_grad_(True)
    fitted.log_prob(batch.x, batch.observed).mean().backward()
    for name, parameter in fitted.named_parameters():
        assert float(parameter.grad.abs().max()) < 5e-3, name


def test_em_with_nothing_missing_is_the_closed_form():
    x = torch.randn(100, 5) @ torch.randn(5, 5)
    closed, em = (ProbabilisticPCA((5,), 2).requires_grad_(False) for _ in range(2))
    closed.fit_closed_form(x)
    em.fit_closed_form(x, torch.ones(100, 5, dtype=torch.bool))
    torch.testing.assert_close(covariance(em), covariance(closed), rtol=1e-3, atol=1e-3)
    assert float(em.log_prob(x).mean()) == pytest.approx(
        float(closed.log_prob(x).mean()), abs=1e-5
    )


def test_em_far_from_zero_finds_the_same():
    x = a_model().sample(200)
    x[torch.rand_like(x) < 0.2] = NAN
    near, far = as_batch(x), as_batch(x + 1e6)
    one, other = ProbabilisticPCA((5,), 2), ProbabilisticPCA((5,), 2)
    one.fit_closed_form(near.x, near.observed)
    other.fit_closed_form(far.x, far.observed)
    torch.testing.assert_close(covariance(one), covariance(other), rtol=1e-4, atol=1e-4)


def test_a_column_without_values_does_no_harm():
    x = a_model().sample(50)
    x[:, 2] = NAN
    batch = as_batch(x)
    model = ProbabilisticPCA((5,), 2)
    model.fit_closed_form(batch.x, batch.observed)
    assert all(bool(p.isfinite().all()) for p in model.parameters())
    assert bool((model.weight[2] == 0).all())


def test_moments_of_samples():
    # two-sided 5-sigma limits on 20 + 4 numbers: fails for fewer than 1 seed in 10^4
    model = a_model((4,), 2)
    n = 20_000
    x = model.sample(n)
    cov = covariance(model)
    z = (x.mean(0) - model.loc) / (cov.diagonal() / n).sqrt()
    assert float(z.abs().max()) < 5
    d = cov.diagonal()
    std_error = ((d[:, None] * d + cov.square()) / n).sqrt()
    assert float(((x.T.cov() - cov) / std_error).abs().max()) < 5


def test_reconstruction_and_shapes():
    model = a_model((2, 3), 2)
    assert isinstance(model, ExactLogProb)
    z = torch.randn(5, 4, 2)
    torch.testing.assert_close(
        model.reconstruct(z), (z @ model.weight.T + model.loc).unflatten(-1, (2, 3))
    )
    assert model.log_prob(torch.zeros(7, 4, 2, 3)).shape == (7, 4)


def test_refusals():
    with pytest.raises(DataError, match=r"expected 1 <= latent_size < .*4") as error:
        ProbabilisticPCA((4,), 4)
    assert error.value.hint == "a probabilistic PCA needs fewer latent variables than cells"
    with pytest.raises(DataError, match="expected more rows than latent variables"):
        ProbabilisticPCA((4,), 2).fit_closed_form(torch.zeros(2, 4))
    with pytest.raises(ShapeError):
        ProbabilisticPCA((4,), 2).log_prob(torch.zeros(3, 5))
