"""Missing cells of every autoregressive model against enumeration."""

from __future__ import annotations

import math

import pytest
import torch
from case import Case
from test_contract import ENUMERABLE, enumerated, named

from ancestral.applications import Imputation, ParticleFilter, impute
from ancestral.applications.ordered_imputing import impute_in_order
from ancestral.applications.particles import metropolis_moves
from ancestral.core import Batch, OptionError, ShapeError
from ancestral.distributions import Bernoulli, Categorical, Normal, site_head
from ancestral.models import AutoregressiveModel
from ancestral.networks.causal import NADE, LinearCausal, Plain

ROWS, SAMPLES = 48, 64
SETTINGS = ParticleFilter(num_particles=SAMPLES, num_moves=6)


def evidence(model: AutoregressiveModel, which: str) -> torch.Tensor:
    """[*shape] bool, in the order of the model: the worst case for it is that it comes last."""
    num_sites, width = model.network.num_sites, model.network.width
    step = model.network.order.argsort()
    seen = {
        "first": step < num_sites // 2,
        "last": step >= num_sites // 2,
        "every other": step % 2 == 1,
    }[which]
    return seen.unsqueeze(1).expand(-1, width).reshape(model.shape)


def enumerated_posterior(case: Case, model, x, seen, context):
    """log p(seen), P(cell = k | seen) [*shape, K], and standard deviations of one particle's part.

    A particle comes with probability p(x) / w(x), where w is the product of the conditionals of
    what is seen. So its weight w / p(seen) has mean 1 and mean square E[w] / p(seen) under the
    posterior; rare completions of great weight, which a sample may well lack, count in that.
    """
    first = seen.reshape(model.network.num_sites, -1).all(1)
    found = None if context is None else context[:1]
    states, _, _ = enumerated(case, model)
    given = None if found is None else found[:1].expand(len(states), *found.shape[1:])
    with torch.no_grad():
        terms = model.log_prob_sites(states, given)
    agrees = ((states == x[0]) | ~seen).flatten(1).all(1)
    log_prob, known = terms[agrees].sum(1), terms[agrees][:, first].sum(1)
    value = log_prob.logsumexp(0)
    mass, weight = (log_prob - value).exp(), (known - value).exp()
    each = (states[agrees].unsqueeze(-1) == torch.arange(case.num_codes)).double()
    marginals = (each * expand(mass, states)).sum(0)
    square = (expand(mass * weight, states) * (each - marginals).square()).sum(0)
    deviation = ((mass * weight).sum() - 1).clamp_min(0).sqrt()
    return value, marginals, float(deviation), square.sqrt()


def expand(mass, states):
    return mass.reshape(-1, *[1] * states.ndim)


@pytest.mark.parametrize("which", ["first", "last", "every other"])
@named(ENUMERABLE)
def test_marginals_and_evidence_agree_with_enumeration(case, which):
    """Four standard errors: by chance once in 16,000 for each of some thousands of numbers.

    Rows with the same evidence are independent runs. Weighted by their estimates of p(seen),
    which have no bias, their samples have none either; so the standard error can be seen.
    """
    model = case.model()
    x = case.values(model, 1).expand(ROWS, *model.shape)
    context = case.context(model, 1)
    context = None if context is None else context.expand(ROWS, *context.shape[1:])
    seen = evidence(model, which)
    batch = Batch(x, seen.expand_as(x), context=context)
    found = impute(model, batch, SAMPLES, seed=7, particles=SETTINGS)
    value, marginals, deviation, cells = enumerated_posterior(case, model, x, seen, context)

    assert torch.equal(found.samples[:, :, seen], x[:, None, seen].expand(-1, SAMPLES, -1))
    torch.testing.assert_close(found.weights.sum(1), torch.ones(ROWS))
    relative = (found.log_evidence.value - value).exp()
    if found.log_evidence.kind == "exact":
        torch.testing.assert_close(relative, torch.ones(ROWS), rtol=1e-8, atol=0)
        assert found.ess.eq(SAMPLES).all()
        assert found.warnings == ()
    else:
        assert found.log_evidence.kind == "lower_bound"
        spread = float(relative.std())
        # the error that a single run states, against the spread of many; no run can state what
        # it has not met, which is where particles by the dozen do not tell the evidence
        stated = float(found.log_evidence.std_error.square().mean().sqrt())
        if deviation / SAMPLES**0.5 < 0.3:
            assert 0.5 * spread < stated + 1e-9
        error = max(spread, stated, deviation / SAMPLES**0.5) / ROWS**0.5
        assert abs(float(relative.mean()) - 1) < 4 * error + 1e-9

    each = torch.stack([(found.samples == k).double() for k in range(case.num_codes)], -1)
    each = (each * found.weights.reshape(ROWS, -1, *[1] * (each.ndim - 2))).sum(1)
    share = (relative / relative.sum()).reshape(-1, *[1] * (each.ndim - 1))
    mean = (share * each).sum(0)
    spread = (share * (each - mean)).square().sum(0).sqrt()
    # a code that hardly ever comes has no spread in the sample
    error = torch.maximum(spread, cells / (ROWS * SAMPLES) ** 0.5)
    assert ((mean - marginals).abs() < 4 * error + 1e-9).all()


def copies(num_sites: int = 6, strength: float = 4.0) -> AutoregressiveModel:
    """Bits that nearly copy the one before."""
    network = LinearCausal(num_sites, 1, Plain())
    with torch.no_grad():
        for t in range(1, num_sites):
            network.weight[t, 0, t - 1, 0] = 2 * strength
            network.output_bias[t, 0] = -strength
    return AutoregressiveModel(
        network, site_head(Bernoulli((num_sites,)), num_sites), (num_sites,)
    ).eval()


def test_clamping_alone_would_be_wrong():
    """The last bit is 1, so the first nearly surely is; ancestral clamping would say 1/2."""
    model = copies(3)
    x = torch.tensor([[0.0, 0.0, 1.0]])
    found = impute(model, Batch(x, torch.tensor([[False, False, True]])), 500, seed=1)
    states = torch.cartesian_prod(*[torch.tensor([0.0, 1.0])] * 2, torch.tensor([1.0]))
    with torch.no_grad():
        mass = model.log_prob(states).softmax(0)
    expected = float((mass * states[:, 0]).sum())
    assert expected > 0.95
    assert float(found.marginals(2)[0, 0, 1]) == pytest.approx(expected, abs=0.03)
    assert "sequential Monte Carlo" in found.method


def rare_first_bit() -> tuple[AutoregressiveModel, Batch]:
    """The last bit is 1 if the first is, which it hardly ever is."""
    network = LinearCausal(4, 1, Plain())
    with torch.no_grad():
        network.output_bias[0, 0] = -6.0
        network.weight[3, 0, 0, 0] = 20.0
        network.output_bias[3, 0] = -10.0
    model = AutoregressiveModel(network, site_head(Bernoulli((4,)), 4), (4,)).eval()
    seen = torch.tensor([[False, True, True, True]])
    return model, Batch(torch.tensor([[0.0, 0, 0, 1]]), seen)


def test_a_rare_row_is_warned_of():
    """Few of a thousand particles agree with the last bit; the moves put the draws right."""
    found = impute(*rare_first_bit(), 1000, seed=5)
    assert float(found.ess) < 100
    assert "1 row rests on few independent particles" in found.warnings[0]
    assert "of 1000 at worst" in found.warnings[0]
    assert float(found.marginals(2)[0, 0, 1]) > 0.9


def test_what_all_particles_miss_is_noticed():
    """None of ten agrees, so that their weights are equal and look perfect."""
    found = impute(*rare_first_bit(), 10, seed=2, particles=ParticleFilter(10))
    assert float(found.ess) == pytest.approx(10)
    assert any("had missed likely completions" in sentence for sentence in found.warnings)
    assert float(found.marginals(2)[0, 0, 1]) > 0.9


def test_moves_leave_the_posterior_alone_and_forget_where_they_began():
    """From copies of one wrong completion to the enumerated posterior; fails once in 16,000."""
    model = copies(4, 1.0)
    x = torch.tensor([[0.0, 0.0, 0.0, 1.0]])
    seen = torch.tensor([[False, False, False, True]]).unsqueeze(-1)
    num = 4000
    start = x.reshape(1, 1, 4, 1).expand(1, num, 4, 1).clone()
    moved = metropolis_moves(model.network, model.head, start, seen, 120)
    after = moved.sites
    states = torch.cartesian_prod(*[torch.tensor([0.0, 1.0])] * 3, torch.tensor([1.0]))
    with torch.no_grad():
        mass = model.log_prob(states).softmax(0)
    expected = (mass.unsqueeze(1) * states).sum(0)
    error = (expected * (1 - expected) / num).clamp_min(0).sqrt()
    assert ((after[0, :, :, 0].mean(0) - expected).abs() <= 4 * error + 1e-12).all()
    assert torch.equal(after[0, :, 3, 0], torch.ones(num))


def test_reals_in_their_own_units():
    """A linear-Gaussian model: evidence first is exact, evidence last is estimated."""
    torch.manual_seed(3)
    network = LinearCausal(3, 2, Plain())
    with torch.no_grad():
        network.weight.normal_(0, 0.7)
        network.weight[:, 1] = 0.0  # constant scales make the joint normal
    model = AutoregressiveModel(network, site_head(Normal((3,)), 3), (3,)).eval()
    with torch.no_grad():
        many = model.sample(200_000)
    loc, cov = many.mean(0), many.T.cov()
    x = torch.tensor([[0.0, 0.0, 0.8]])
    found = impute(model, Batch(x, torch.tensor([[False, False, True]])), 4000, seed=2)
    gain = cov[:2, 2] / cov[2, 2]
    expected = loc[:2] + gain * (0.8 - loc[2])
    scale = (cov[:2, :2].diagonal() - gain * cov[:2, 2]).sqrt()
    error = scale / math.sqrt(float(found.ess))
    assert ((found.samples[0, :, :2].mean(0) - expected).abs() < 5 * error).all()
    log_p = torch.distributions.Normal(loc[2], cov[2, 2].sqrt()).log_prob(torch.tensor(0.8))
    assert float(found.log_evidence.value) == pytest.approx(float(log_p), abs=0.1)


def test_rows_have_their_own_masks_and_seeds_decide():
    model = copies(5, 1.0)
    x = torch.randint(2, (7, 5)).double()
    seen = torch.rand(7, 5) < 0.5
    seen[0], seen[1] = True, False
    batch = Batch(x, seen)
    one, same, other = (impute(model, batch, 30, seed=seed) for seed in (1, 1, 2))
    assert torch.equal(one.samples, same.samples)
    assert not torch.equal(one.samples, other.samples)
    assert torch.equal(one.samples[0], x[0].expand(30, 5))
    given = seen.unsqueeze(1).expand(-1, 30, -1)
    assert torch.equal(one.samples[given], x.unsqueeze(1).expand(-1, 30, -1)[given])
    assert len(one) == len(one.methods) == 7
    torch.testing.assert_close(
        one.log_evidence.value[0], model.log_prob(x[0]).detach(), rtol=1e-9, atol=1e-9
    )
    assert float(one.log_evidence.value[1]) == pytest.approx(0.0, abs=1e-12)


def test_masks_of_another_shape_are_refused():
    model = copies(4)
    with pytest.raises(ShapeError, match=r"expected a mask .* \[2, 4\].*got \[2, 3\]\n\nhint: "):
        impute(model, Batch(torch.zeros(2, 4), torch.ones(2, 3, dtype=torch.bool)))
    with pytest.raises(OptionError, match="at least 1 sample"):
        impute(model, Batch(torch.zeros(2, 4)), 0)
    with pytest.raises(OptionError, match="at least 2 particles"):
        ParticleFilter(1)


def test_parts_join_in_the_order_of_rows():
    model = copies(4, 1.0)
    x = torch.randint(2, (4, 4)).double()
    seen = torch.tensor([[True, True, False, False], [False, True, True, False]] * 2)
    found = impute(model, Batch(x, seen), 10)
    exactly = [method.startswith("exactly") for method in found.methods]
    assert exactly == [True, False, True, False]
    assert found.method.startswith("2 rows ")
    assert isinstance(Imputation.concatenate([found, found]), Imputation)


@pytest.mark.parametrize("native", ["0", "1"])
def test_values_of_another_type_change_nothing(native, monkeypatch):
    monkeypatch.setenv("ANCESTRAL_NATIVE", native)
    network = NADE(6, 1, Plain(), 5).float().eval()
    head = site_head(Bernoulli((6,)), 6)
    x, seen = torch.randint(2, (4, 6, 1)), torch.rand(4, 6, 1) < 0.5
    found = []
    for dtype in (torch.float32, torch.float64):
        torch.manual_seed(0)
        found.append(ParticleFilter(30)(network, head, x.to(dtype), seen, 30))
    assert torch.equal(found[0].log_evidence, found[1].log_evidence)
    assert torch.equal(found[0].sites, found[1].sites)


def test_rows_at_a_time_follow_from_what_a_completion_takes(monkeypatch):
    """6 sites of 10 features and 20 completions are 1,200 numbers a row."""
    sizes = []

    def spy(model, batch, num_samples, settings):
        sizes.append(len(batch))
        return impute_in_order(model, batch, num_samples, settings)

    network = LinearCausal(6, 10, Plain())
    model = AutoregressiveModel(network, site_head(Categorical((6,), 10), 6), (6,)).eval()
    seen = torch.zeros(5, 6, dtype=torch.bool)
    monkeypatch.setattr("ancestral.applications.imputing.impute_in_order", spy)
    monkeypatch.setattr("ancestral.applications.imputing._NUMBERS", 2 * 1200)
    found = impute(model, Batch(torch.zeros(5, 6), seen), 20, particles=ParticleFilter(2))
    assert sizes == [2, 2, 1]
    assert len(found) == 5
