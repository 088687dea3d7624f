"""`DensityEstimator.impute`: what a person hands in, what comes back."""

from __future__ import annotations

import numpy as np
import pytest
import torch

import ancestral
from ancestral.applications import Imputation
from ancestral.core import Column, DataError, Estimate, Kind, NotExact, ShapeError, Specification
from ancestral.data import Masked, as_source
from ancestral.estimator.filling import completed_rows


@pytest.fixture(scope="module")
def rows():
    rng = np.random.default_rng(0)
    first = rng.integers(0, 2, 300)
    return np.stack([first, first, rng.integers(0, 2, 300)], 1).astype(float)


@pytest.fixture
def tree(rows, single_precision):
    return ancestral.build("chow_liu").fit(rows)


def test_gaps_are_filled_though_training_saw_none(tree):
    x = np.array([[1.0, np.nan, 0.0], [np.nan, 0.0, 1.0]])
    assert tree.impute(x).tolist() == [[1.0, 1.0, 0.0], [0.0, 0.0, 1.0]]
    with pytest.raises(DataError, match="expected complete rows"):
        tree.score_samples(x)


def test_a_mask_says_the_same_as_nan(tree):
    x = np.array([[1.0, 1.0, 0.0], [0.0, 0.0, 1.0]])
    mask = np.array([[True, False, True], [False, True, True]])
    gaps = np.where(mask, x, np.nan)
    one, other = tree.impute_samples(gaps, 20), tree.impute_samples(x, 20, observed=mask)
    assert torch.equal(one.samples, other.samples)
    assert torch.equal(one.observed, torch.tensor(mask))
    assert one.log_evidence.kind == "exact"
    with pytest.raises(ShapeError, match=r"expected a mask .*\[2, 3\].*got \[2, 2\]\n\nhint: "):
        tree.impute(x, observed=mask[:, :2])
    with pytest.raises(DataError, match="mask of True and False"):
        tree.impute(x, observed=mask * 2)
    with pytest.raises(DataError, match="expected an array for a mask"):
        tree.impute(as_source(x), observed=mask)
    hidden = Masked(as_source(x), torch.tensor(mask))
    assert np.array_equal(tree.impute(hidden), tree.impute(gaps))
    assert len(hidden.subset(slice(0, 1))) == 1
    with pytest.raises(ShapeError, match="expected a mask"):
        Masked(as_source(x), torch.tensor(mask[:1]))


def test_models_of_one_order_use_particles(rows, single_precision):
    model = ancestral.build("fvsbn", epochs=60, learning_rate=0.05, batch_size=50).fit(rows)
    x = np.array([[np.nan, 1.0, 1.0]] * 3)
    assert (model.impute(x)[:, 0] == 1).all()
    found = model.impute_samples(x, 50)
    assert "sequential Monte Carlo" in found.method
    assert found.log_evidence.kind == "lower_bound"


def test_models_without_conditionals_refuse(single_precision):
    x = np.random.default_rng(0).random((40, 5))
    model = ancestral.build("autoencoder", latent_size=2, hidden_size=8, epochs=1).fit(x)
    with pytest.raises(NotExact, match="cannot impute"):
        model.impute(x)
    wide = np.random.default_rng(0).normal(size=(60, 4))
    options = {"latent_size": 1, "hidden_size": 8, "num_blocks": 1, "epochs": 1}
    model = ancestral.build("vae", likelihood="normal-full", **options).fit(wide)
    with pytest.raises(NotExact, match="depend on each other even given the latent variables"):
        model.impute(np.where(wide > 1, np.nan, wide))


def test_ppca_draws_from_the_conditional_normal(single_precision):
    """Mean and spread of 4,000 draws; five standard errors, by chance once in a million."""
    rng = np.random.default_rng(0)
    x = rng.normal(size=(500, 4)) @ rng.normal(size=(4, 4)) + 3
    model = ancestral.build("ppca", latent_size=2).fit(x)
    p = model.model_
    cov = (p.weight @ p.weight.T + p.noise_scale**2 * torch.eye(4)).detach().double()
    loc = p.loc.detach().double()
    gap = np.array([[x[0, 0], np.nan, x[0, 2], np.nan]])
    found = model.impute_samples(gap, 4000)
    known, gone = [0, 2], [1, 3]
    gain = cov[gone][:, known] @ torch.linalg.inv(cov[known][:, known])
    mean = loc[gone] + gain @ (torch.tensor(gap[0, known]) - loc[known])
    spread = cov[gone][:, gone] - gain @ cov[known][:, gone]
    draws = found.samples[0][:, gone].double()
    error = spread.diagonal().sqrt() / 4000**0.5
    assert ((draws.mean(0) - mean).abs() < 5 * error).all()
    assert torch.allclose(draws.T.cov(), spread, rtol=0.15, atol=0.05)
    assert found.log_evidence.kind == "exact"
    np.testing.assert_allclose(
        model.impute(gap, 4000)[0, gone], mean.numpy(), atol=float(6 * error.max())
    )


def test_representatives_by_kind():
    """The likeliest category, the median of levels, the mean of reals; weights count."""
    spec = Specification(
        None,
        (3,),
        columns=(
            Column("c", Kind.CATEGORICAL, 3),
            Column("l", Kind.LEVELS, 9),
            Column("r", Kind.REAL),
        ),
    )
    samples = torch.tensor([[[2.0, 1.0, 1.0], [2.0, 8.0, 2.0], [0.0, 3.0, 6.0]]])
    found = Imputation(
        samples,
        torch.tensor([[0.2, 0.2, 0.6]]),
        torch.zeros(1, 3, dtype=torch.bool),
        torch.tensor([3.0]),
        Estimate(torch.zeros(1), "exact"),
        ("by hand",),
        ("few particles",),
    )
    with pytest.warns(UserWarning, match="few particles"):
        assert completed_rows([found], spec).shape == (1, 3)
    torch.testing.assert_close(found.completed(spec), torch.tensor([[0.0, 3.0, 4.2]]))
    torch.testing.assert_close(found.marginals(3)[0, 0], torch.tensor([0.6, 0.0, 0.4]))
