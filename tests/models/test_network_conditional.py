"""Networks read by heads: units, missing cells, initial values."""

from __future__ import annotations

import math

import pytest
import torch
from torch import nn
from torch.distributions import TransformedDistribution

from ancestral.core import Column, DataError, Kind, ShapeError, Specification, as_batch
from ancestral.distributions import Bernoulli, Categorical, Laplace, Normal, default_head
from ancestral.models import (
    Autoencoder,
    DiagonalGaussian,
    FullGaussian,
    LatentVariableModel,
    NetworkConditional,
    StandardNormalPrior,
    Units,
)
from ancestral.networks import ConvolutionalDecoder, DenseNetwork, ResidualNetwork

NAN = float("nan")
LATENT_SIZE = 2

MIXED = Specification(
    None,
    (4,),
    columns=(
        Column("age", Kind.REAL),
        Column("town", Kind.CATEGORICAL, 3),
        Column("income", Kind.REAL),
        Column("visits", Kind.COUNT),
    ),
    missing=True,
)


def real_rows(shape: tuple[int, ...], num_rows: int = 30) -> torch.Tensor:
    return 100 + 7 * torch.randn(num_rows, *shape)


def mixed_rows(num_rows: int = 30) -> torch.Tensor:
    return torch.stack(
        [
            40 + 10 * torch.randn(num_rows),
            torch.randint(3, (num_rows,)).double(),
            3e4 + 1e4 * torch.randn(num_rows),
            torch.poisson(torch.full((num_rows,), 4.0)),
        ],
        -1,
    )


def conditional(spec: Specification, *, units: bool) -> NetworkConditional:
    head = default_head(spec)
    network = DenseNetwork(LATENT_SIZE, (8,), head.num_features)
    return NetworkConditional(network, head, Units(spec) if units else None)


CASES = [
    (Specification(Kind.REAL, (3,), missing=True), lambda: real_rows((3,))),
    (Specification(Kind.REAL, (4, 5), missing=True), lambda: real_rows((4, 5))),
    (Specification(Kind.REAL, (4, 4, 3), missing=True), lambda: real_rows((4, 4, 3))),
    (MIXED, mixed_rows),
]
cases = pytest.mark.parametrize(("spec", "make"), CASES, ids=["vector", "grey", "colour", "table"])


@cases
@pytest.mark.parametrize("gaps", [False, True])
def test_raw_data_have_the_density_of_standardised_ones_less_the_log_det(spec, make, gaps):
    x = make()
    if gaps:
        x[torch.rand_like(x) < 0.3] = NAN
    batch = as_batch(x)
    raw = conditional(spec, units=True)
    raw.units.initialize(batch.x, batch.observed)
    standard = NetworkConditional(raw.network, raw.head)
    seen = torch.ones_like(x, dtype=torch.bool) if batch.observed is None else batch.observed
    y = (batch.x - raw.units.loc) / raw.units.scale
    z = torch.randn(5, 30, LATENT_SIZE)
    log_det = torch.where(seen, raw.units.scale.log(), 0.0).flatten(1).sum(1)
    expected = standard.log_prob(y, z, batch.observed) - log_det
    ours = raw.log_prob(batch.x, z, batch.observed)
    assert ours.shape == (5, 30)
    torch.testing.assert_close(ours, expected, rtol=1e-12, atol=1e-10)
    assert float(log_det.abs().max()) > 1  # the units did something


@cases
def test_changing_the_units_of_the_data_changes_the_density_by_the_jacobian(spec, make):
    """Metres or kilometres: log p differs by log 1000 for each real cell, and by nothing else."""
    x = make()
    real = torch.ones(spec.shape, dtype=torch.bool)
    if spec.columns is not None:
        real = torch.tensor([c.kind is Kind.REAL for c in spec.columns])
    factor = torch.where(real, 1000.0, 1.0)
    metres, kilometres = conditional(spec, units=True), conditional(spec, units=True)
    kilometres.load_state_dict(metres.state_dict())
    metres.units.initialize(x * factor)
    kilometres.units.initialize(x)
    z = torch.randn(30, LATENT_SIZE)
    difference = kilometres.log_prob(x, z) - metres.log_prob(x * factor, z)
    expected = torch.full((30,), float(real.sum()) * math.log(1000))
    torch.testing.assert_close(difference, expected, rtol=1e-9, atol=1e-7)


@cases
@pytest.mark.parametrize("units", [False, True])
def test_forward_is_the_same_distribution(spec, make, units):
    x = make()
    decoder = conditional(spec, units=units)
    if units:
        decoder.units.initialize(x)
    for lead in ((30,), (4, 30)):
        z = torch.randn(*lead, LATENT_SIZE)
        p = decoder(z)
        assert p.batch_shape == lead
        assert p.event_shape == spec.shape
        torch.testing.assert_close(p.log_prob(x), decoder.log_prob(x, z))
        assert p.sample().shape == (*lead, *spec.shape)
        assert isinstance(p, TransformedDistribution) is units


@cases
def test_mean_and_samples_are_in_the_units_of_the_data(spec, make):
    x = make()
    decoder = conditional(spec, units=True).requires_grad_(False)
    decoder.units.initialize(x)
    decoder.initialize(x)
    z = torch.randn(1, LATENT_SIZE).expand(20_000, -1)
    mean = decoder.mean(z[:1])[0]
    samples = decoder.sample(z)
    assert samples.shape == (20_000, *spec.shape)
    if spec.columns is not None:  # the mean of codes means nothing
        mean, samples = mean[[0, 2, 3]], samples[:, [0, 2, 3]]
    # 5 standard errors on up to 48 cells: fails for fewer than 1 seed in 10^4
    error = (samples.mean(0) - mean) / (samples.std(0) / 20_000**0.5)
    assert float(error.abs().max()) < 5


@cases
@pytest.mark.parametrize("gaps", [False, True])
def test_starts_at_the_mean_of_the_data(spec, make, gaps):
    x = make()
    if gaps:
        x[torch.rand_like(x) < 0.3] = NAN
    batch = as_batch(x)
    decoder = conditional(spec, units=True).requires_grad_(False)
    decoder.units.initialize(batch.x, batch.observed)
    decoder.initialize(batch.x, batch.observed)
    decoder.network.output_layer.weight.zero_()  # what is left does not depend on z
    mean = decoder.mean(torch.randn(1, LATENT_SIZE))[0]
    expected = x.nanmean(0)
    real = [0, 2, 3] if spec.columns is not None else slice(None)
    torch.testing.assert_close(mean[real], expected[real], rtol=1e-2, atol=1e-2)


def test_initialisation_raises_the_likelihood():
    x = (torch.rand(50, 4, 5) < torch.rand(4, 5)).double()
    for network in (
        DenseNetwork(LATENT_SIZE, (8,), 20),
        ResidualNetwork(LATENT_SIZE, 8, 1, 20),
        ConvolutionalDecoder(LATENT_SIZE, (4, 3), (1, 4, 5, 1)),
    ):
        decoder = NetworkConditional(network, Bernoulli((4, 5))).requires_grad_(False)
        z = torch.randn(50, LATENT_SIZE)
        before = decoder.log_prob(x, z).mean()
        decoder.initialize(x)
        assert float(decoder.log_prob(x, z).mean()) > float(before) + 1


def test_initialisation_checks_the_support():
    decoder = NetworkConditional(DenseNetwork(2, (), 3), Bernoulli((3,)))
    with pytest.raises(DataError, match="0 or 1"):
        decoder.initialize(torch.full((4, 3), 0.5))


def test_networks_without_an_output_bias_are_left_alone():
    layer = nn.Linear(2, 3)
    before = layer.bias.clone()
    NetworkConditional(nn.Sequential(layer), Bernoulli((3,))).initialize(torch.ones(4, 3))
    assert torch.equal(layer.bias, before)


@pytest.mark.parametrize(
    "head",
    [Bernoulli((3,)), Bernoulli((4, 5)), Normal((3,)), Categorical((4,), 3), Laplace((2, 3, 1))],
)
@pytest.mark.parametrize("lead", [(1,), (2,), (3,), (6,), (2, 3), (1, 1)])
def test_one_log_prob_for_each_context(head, lead):
    # a batch of one row, or of as many rows as a cell has parameters, is nothing special
    decoder = NetworkConditional(DenseNetwork(LATENT_SIZE, (), head.num_features), head)
    z = torch.randn(*lead, LATENT_SIZE)
    x = torch.ones(*lead, *head.event_shape)
    assert decoder.features(z).shape == (*lead, *head.feature_shape)
    assert decoder.log_prob(x, z).shape == lead
    assert decoder.mean(z).shape == x.shape
    assert decoder.sample(z).shape == x.shape


def test_features_may_come_in_their_own_shape():
    head = Normal((4, 5))
    flat = nn.Linear(LATENT_SIZE, head.num_features)
    shaped = nn.Sequential(flat, nn.Unflatten(-1, head.feature_shape))
    z, x = torch.randn(6, LATENT_SIZE), torch.randn(6, 4, 5)
    torch.testing.assert_close(
        NetworkConditional(shaped, head).log_prob(x, z),
        NetworkConditional(flat, head).log_prob(x, z),
    )


def test_other_outputs_are_refused():
    with pytest.raises(ShapeError, match="expected network output of shape"):
        NetworkConditional(nn.Linear(2, 7), Normal((3,)))(torch.zeros(4, 2))
    with pytest.raises(TypeError, match="needs a context"):
        NetworkConditional(nn.Linear(2, 6), Normal((3,)))()


@pytest.mark.parametrize("shape", [(28, 20), (7, 5), (8, 8, 3)])
def test_convolutional_decoders_of_grey_and_coloured_images(shape):
    spec = Specification(Kind.BINARY, shape)
    for head in (Bernoulli(shape), Normal(shape)):
        parameters = head.num_features // spec.num_dims
        network = ConvolutionalDecoder(LATENT_SIZE, (4, 3), (parameters, *spec.image_shape))
        decoder = NetworkConditional(network, head)
        z = torch.randn(2, 3, LATENT_SIZE)
        assert decoder.log_prob(torch.zeros(3, *shape), z).shape == (2, 3)
        assert decoder.mean(z).shape == (2, 3, *shape)
        assert decoder.sample(z[:1, :1]).shape == (1, 1, *shape)


def test_units_of_other_kinds_are_left_alone():
    for kind in (Kind.BINARY, Kind.COUNT, Kind.POSITIVE, Kind.UNIT):
        units = Units(Specification(kind, (2,)))
        units.initialize(torch.full((5, 2), 7.0) * torch.rand(5, 1))
        assert units.is_identity
        assert units.scale.tolist() == [1, 1]
    units = Units(MIXED)
    units.initialize(mixed_rows())
    assert units.scale[[1, 3]].tolist() == [1, 1]
    assert units.loc[[1, 3]].tolist() == [0, 0]
    assert float(units.scale[2]) > 1000


def test_units_undo_themselves():
    units = Units(Specification(Kind.REAL, (3,)))
    x = real_rows((3,))
    units.initialize(x)
    y = units(x)
    torch.testing.assert_close(y.mean(0), torch.zeros(3), rtol=0, atol=1e-12)
    torch.testing.assert_close(y.std(0, correction=0), torch.ones(3))
    torch.testing.assert_close(units.inverse(y), x)
    torch.testing.assert_close(units.log_det(), -units.scale.log().sum())


def test_images_share_their_units():
    units = Units(Specification(Kind.REAL, (4, 5)))
    x = real_rows((4, 5)) * torch.linspace(0.0, 1.0, 5)
    units.initialize(x)
    assert len(set(units.scale.flatten().tolist())) == 1
    assert float(units.loc[0, 0]) == pytest.approx(float(x.mean()))
    assert float(units.scale[0, 0]) == pytest.approx(float(x.std(correction=0)))


def test_units_far_from_zero_in_float32_and_of_constants():
    x = (1e6 + torch.randn(20_000, 2)).float()
    x[:, 1] = 0.1
    units = Units(Specification(Kind.REAL, (2,))).float()
    units.initialize(x)
    exact = x.double()
    assert float(units.loc[0]) == pytest.approx(float(exact[:, 0].mean()), abs=0.04)
    assert float(units.scale[0]) == pytest.approx(float(exact[:, 0].std()), rel=5e-3)
    assert float(units.scale[1]) == 1


def test_likelihoods_make_models():
    head = Bernoulli((3,))
    decoder = NetworkConditional(DenseNetwork(LATENT_SIZE, (4,), 3), head)
    model = LatentVariableModel(StandardNormalPrior(LATENT_SIZE), decoder)
    x, z = torch.ones(4, 3), torch.randn(5, 4, LATENT_SIZE)
    prior = torch.distributions.Normal(0.0, 1.0).log_prob(z).sum(-1)
    torch.testing.assert_close(model.log_prior(z), prior)
    torch.testing.assert_close(model.log_joint(x, z), prior + decoder.log_prob(x, z))
    assert model.sample(7).shape == (7, 3)
    assert set(model.sample(7).unique().tolist()) <= {0, 1}
    torch.testing.assert_close(model.reconstruct(z), decoder.mean(z))
    observed = torch.zeros(4, 3, dtype=torch.bool)
    torch.testing.assert_close(model.log_joint(x, z, observed), prior)


def test_diagonal_gaussian():
    output = torch.tensor([[1.0, 2.0, -0.5, 100.0]])
    q = DiagonalGaussian(nn.Identity())(output)
    assert q.mean.tolist() == [[1, 2]]
    assert q.stddev[0].tolist() == pytest.approx([math.exp(-0.5), math.exp(7)])


def test_full_gaussian():
    size = FullGaussian.num_outputs(3)
    output = 0.3 * torch.randn(2, 5, size)
    q = FullGaussian(nn.Identity(), 3)(output)
    assert size == 9
    assert q.batch_shape == (2, 5)
    factor = q.scale_tril
    assert bool((factor.triu(1) == 0).all())
    torch.testing.assert_close(factor.diagonal(dim1=-2, dim2=-1).log(), output[..., 3:6])
    row_by_row = torch.stack([factor[..., 1, 0], factor[..., 2, 0], factor[..., 2, 1]], -1)
    torch.testing.assert_close(row_by_row, output[..., 6:])
    torch.testing.assert_close(
        q.log_prob(torch.zeros(3)),
        torch.distributions.MultivariateNormal(q.loc, scale_tril=factor).log_prob(torch.zeros(3)),
    )


def test_every_parameter_of_a_full_gaussian_gets_a_gradient():
    layer = nn.Linear(4, FullGaussian.num_outputs(3))
    q = FullGaussian(layer, 3)(torch.randn(6, 4))
    q.log_prob(torch.zeros(3)).sum().backward()
    assert bool((layer.bias.grad != 0).all())


def test_autoencoders_code_and_rebuild():
    class Inputs(nn.Module):
        def forward(self, x, observed=None):
            return 2 * x

    model = Autoencoder(
        Inputs(), nn.Linear(3, 2), NetworkConditional(nn.Linear(2, 6), Normal((3,)))
    )
    batch = as_batch(torch.randn(4, 3))
    z = model.encode(batch)
    torch.testing.assert_close(z, model.encoder(2 * batch.x))
    torch.testing.assert_close(model.reconstruct(z), model.decoder.mean(z))
    torch.testing.assert_close(
        model.reconstruction_error(batch), -model.decoder.log_prob(batch.x, z)
    )


def test_what_is_shown_of_codes_is_the_likeliest():
    decoder = NetworkConditional(nn.Identity(), Categorical((1,), 3))
    model = LatentVariableModel(StandardNormalPrior(3), decoder)
    logits = torch.tensor([[2.0, 0.0, 1.9]])  # of codes 0, 1, 2: the mean is about 1
    assert model.reconstruct(logits).tolist() == [[0.0]]
    assert 0.8 < float(decoder.mean(logits)) < 1.2
