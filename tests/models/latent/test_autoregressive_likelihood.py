"""p(x | z) of an autoregressive model: exact, shared between samples, drawn as it is scored."""

from __future__ import annotations

import itertools

import pytest
import torch
from scipy.stats import chi2
from torch import nn

from ancestral.core import Batch, Kind, Specification
from ancestral.distributions import (
    Bernoulli,
    Categorical,
    ColumnSites,
    Normal,
    Product,
    named_head,
    site_head,
)
from ancestral.inference.bounds import Elbo
from ancestral.inference.objectives import Variational
from ancestral.inference.posteriors import Amortized
from ancestral.models import (
    AutoregressiveLikelihood,
    AutoregressiveModel,
    DiagonalGaussian,
    LatentVariableModel,
    Likelihood,
    NetworkConditional,
    StandardNormalPrior,
)
from ancestral.networks import SiteMaps
from ancestral.networks.causal import (
    GatedConvolutions,
    LinearCausal,
    MaskedDense,
    MergedContext,
    Plain,
)
from ancestral.networks.causal.encodings import column_encoding

SHAPE, LATENT = (2, 3), 2


def _shake(module: nn.Module) -> None:
    with torch.no_grad():
        for parameter in module.parameters():
            parameter.add_(0.6 * torch.randn_like(parameter))


def merged() -> AutoregressiveLikelihood:
    values = GatedConvolutions(
        (2, 3, 1), 4, Plain(), size=3, num_layers=1, kernel_size=3, first_kernel_size=3
    )
    model = AutoregressiveModel(MergedContext(values, 1), site_head(Bernoulli(SHAPE), 6), SHAPE)
    likelihood = AutoregressiveLikelihood(model, SiteMaps(nn.Linear(LATENT, 24), 6, 4))
    _shake(likelihood)
    return likelihood.eval()


def through_every_layer() -> AutoregressiveLikelihood:
    network = MaskedDense(6, 1, Plain(), hidden_sizes=(9,), context_size=3)
    model = AutoregressiveModel(network, site_head(Bernoulli(SHAPE), 6), SHAPE)
    likelihood = AutoregressiveLikelihood(model, nn.Linear(LATENT, 3))
    _shake(likelihood)
    return likelihood.eval()


BUILDERS = [merged, through_every_layer]
STATES = list(itertools.product((0.0, 1.0), repeat=6))


@pytest.fixture(params=BUILDERS, ids=lambda b: b.__name__)
def likelihood(request) -> AutoregressiveLikelihood:
    return request.param()


def states() -> torch.Tensor:
    return torch.tensor(STATES).reshape(-1, *SHAPE)


@torch.no_grad()
def test_it_sums_to_one_for_each_z(likelihood):
    z = torch.randn(5, 1, LATENT)
    log_prob = likelihood.log_prob(states(), z.expand(5, len(STATES), LATENT))
    assert log_prob.shape == (5, len(STATES))
    torch.testing.assert_close(log_prob.exp().sum(1), torch.ones(5))
    assert log_prob.exp().std(0).max() > 1e-3  # and z matters


@torch.no_grad()
def test_samples_of_z_share_a_pass_and_get_the_same_numbers(likelihood):
    x, z = states()[:7], torch.randn(3, 7, LATENT)
    found = likelihood.log_prob(x, z)
    each = torch.stack([likelihood.log_prob(x, one) for one in z])
    torch.testing.assert_close(found, each)
    direct = [likelihood(z[:, i]).log_prob(x[i]) for i in range(7)]
    torch.testing.assert_close(found, torch.stack(direct, 1))
    torch.testing.assert_close(likelihood.log_prob(x[0], z), likelihood(z).log_prob(x[0]))


@torch.no_grad()
def test_draws_are_as_frequent_as_they_are_likely(likelihood):
    z = torch.randn(LATENT)
    probability = likelihood.log_prob(states(), z.expand(len(STATES), LATENT)).exp()
    drawn = likelihood.sample(z.expand(20, 400, LATENT))
    assert drawn.shape == (20, 400, *SHAPE)
    powers = 2.0 ** torch.arange(5, -1, -1)
    counts = torch.bincount((drawn.flatten(2) @ powers).long().flatten(), minlength=len(STATES))
    expected = 8000 * probability
    common = expected > 5
    squares = ((counts - expected).square() / expected)[common].sum()
    assert squares < chi2.ppf(1 - 1e-4, int(common.sum()))  # fails once in 10,000 runs


@torch.no_grad()
def test_what_is_shown_is_near_the_mean_and_does_not_change(likelihood):
    z = torch.randn(4, LATENT)
    shown = likelihood.representative(z)
    assert torch.equal(shown, likelihood.representative(z))
    torch.testing.assert_close(shown[1:3], likelihood.representative(z[1:3]))
    for one, picture in zip(z, shown, strict=True):
        log_prob = likelihood.log_prob(states(), one.expand(len(STATES), LATENT))
        exact = (log_prob.exp().reshape(-1, 1, 1) * states()).sum(0)
        # eight draws of a cell in [0, 1] deviate by less than 0.18: within four standard errors
        assert (picture - exact).abs().max() < 0.72
        assert (picture - exact).abs().mean() < 0.25
    assert shown.std(0).max() > 0.01


@torch.no_grad()
def test_columns_of_a_table_are_shown_by_kind():
    head = ColumnSites(Product((((0, 2), Normal((2,))), ((1,), Categorical((1,), 3)))))
    from ancestral.core import Column, Kind

    columns = (
        Column("a", Kind.REAL),
        Column("b", Kind.CATEGORICAL, 3),
        Column("c", Kind.REAL),
    )
    sizes = [head.num_site_features(t) for t in range(3)]
    network = MaskedDense(
        3, sizes, column_encoding(columns), hidden_sizes=(8,), context_size=LATENT
    )
    likelihood = AutoregressiveLikelihood(AutoregressiveModel(network, head, (3,)), nn.Identity())
    _shake(likelihood)
    shown = likelihood.eval().representative(torch.randn(30, LATENT))
    assert set(shown[:, 1].tolist()) <= {0.0, 1.0, 2.0}
    assert shown[:, 0].unique().numel() > 3


def test_cells_that_come_first_may_be_all_that_is_known():
    likelihood = merged()
    observed = torch.tensor([[True, True, False], [False, False, False]]).expand(3, 2, 3)
    x, z = torch.ones(3, *SHAPE), torch.randn(2, 3, LATENT)
    with torch.no_grad():
        marginal = likelihood.log_prob(x, z, observed)
        same = states()[(states()[:, 0, :2] == 1).all(-1)]
        for i, k in itertools.product(range(3), range(2)):
            each = likelihood.log_prob(same, z[k, i].expand(len(same), LATENT))
            torch.testing.assert_close(marginal[k, i], each.logsumexp(0))


@pytest.mark.parametrize("build", BUILDERS)
def test_gradients_reach_all_parameters(build):
    likelihood = build().train()
    model = LatentVariableModel(StandardNormalPrior(LATENT), likelihood)
    encoder = DiagonalGaussian(nn.Sequential(nn.Flatten(), nn.Linear(6, 2 * LATENT)))
    posterior = Amortized(_Plainly(), encoder)
    x = torch.randint(2, (20, *SHAPE)).double()
    Variational(Elbo(2))(model, posterior, Batch(x), 0).value.backward()
    for name, parameter in [*model.named_parameters(), *posterior.named_parameters()]:
        assert parameter.grad is not None, name
        # what is added to a gate before the first pixel's row meets zeros
        assert parameter.grad.any(), name


def test_the_protocol_is_met_by_both():
    assert isinstance(merged(), Likelihood)
    assert isinstance(NetworkConditional(nn.Linear(2, 6), Bernoulli((6,))), Likelihood)


def test_a_linear_chain_takes_its_context():
    network = LinearCausal(6, 1, Plain(), context_size=LATENT)
    model = AutoregressiveModel(network, site_head(Bernoulli(SHAPE), 6), SHAPE)
    likelihood = AutoregressiveLikelihood(model, nn.Identity())
    with pytest.raises(TypeError, match="needs a context"):
        likelihood.log_prob(torch.ones(1, *SHAPE))
    assert likelihood.eval().sample(torch.zeros(2, 3, LATENT)).shape == (2, 3, *SHAPE)


class _Plainly(nn.Module):
    def forward(self, x, observed=None):
        return x


@torch.no_grad()
@pytest.mark.parametrize("kind", [Kind.LEVELS, Kind.CATEGORICAL])
def test_levels_are_shown_by_their_mean_and_names_by_the_likeliest(kind):
    head = named_head("categorical", Specification(kind, (6,), num_levels=9))
    network = MaskedDense(6, 9, Plain(), hidden_sizes=(8,), context_size=LATENT)
    model = AutoregressiveModel(network, site_head(head, 6), (6,))
    likelihood = AutoregressiveLikelihood(model, nn.Identity())
    _shake(likelihood)
    shown = likelihood.eval().representative(torch.randn(5, LATENT))
    whole = torch.equal(shown, shown.round())
    assert whole == (kind is Kind.CATEGORICAL)
    independent = head.representative(torch.randn(5, *head.feature_shape))
    assert torch.equal(independent, independent.round()) == (kind is Kind.CATEGORICAL)
