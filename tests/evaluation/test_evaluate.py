"""The numbers, against direct computation."""

from __future__ import annotations

import json
import math

import numpy as np
import pytest
import torch
from torch import nn
from torch.distributions import Normal, kl_divergence

from ancestral.core import DataError, Kind, NotExact, OptionError, Specification
from ancestral.data import TensorSource
from ancestral.evaluation import Evaluation, LatentUse, Setting, evaluate, variational_terms
from ancestral.inference.evidence import Exact, Importance
from ancestral.inference.posteriors import PerDatum, Refinement


def _evaluated(tiny, **options):
    return evaluate(tiny.model, tiny.posterior, tiny.source, setting=tiny.setting, **options)


def _as_json(evaluation):
    return json.loads(json.dumps(evaluation.to_dict(), allow_nan=False))


def test_ppca_has_exact_numbers(ppca):
    x = ppca.source.rows(slice(None)).x
    log_prob = ppca.model.log_prob(x).detach().numpy()
    d = _as_json(_evaluated(ppca))
    assert d["log_prob"] == {
        "value": pytest.approx(log_prob.mean(), abs=1e-12),
        "std_error": pytest.approx(log_prob.std(ddof=1) / math.sqrt(40), abs=1e-12),
        "kind": "exact",
        "unit": "nats",
        "samples": None,
    }
    assert d["bits_per_dim"] == pytest.approx(-log_prob.mean() / (5 * math.log(2)), abs=1e-12)
    assert d["n"] == 40
    assert "khat" not in d
    assert "ess" not in d


def test_with_the_exact_posterior_the_elbo_is_log_p(ppca):
    d = _as_json(_evaluated(ppca, elbo_samples=3))
    assert d["elbo"]["value"] == pytest.approx(d["log_prob"]["value"], abs=1e-9)
    assert d["elbo"]["kind"] == "lower_bound"
    assert d["reconstruction"] - d["kl"] == pytest.approx(d["elbo"]["value"], abs=1e-12)
    assert d["active_units"] == d["latent_size"] == 2


def test_importance_sampling_agrees_with_the_exact_value(ppca):
    exact = _evaluated(ppca).log_prob.value
    sampled = _evaluated(ppca, method=Importance(50))
    # the proposal is the exact posterior, so the weights are constant
    assert sampled.log_prob.value == pytest.approx(exact, abs=1e-9)
    assert sampled.log_prob.kind == "lower_bound"
    assert sampled.log_prob.samples == 50
    assert sampled.ess.min == pytest.approx(50)
    assert sampled.khat.median is None  # minus infinity: no tail at all
    assert sampled.khat.share_above_threshold == 0


def test_vae_terms_against_torch(vae):
    batch = vae.source.rows(slice(None))
    q = vae.posterior.distribution(vae.model, batch)
    kl = kl_divergence(Normal(q.mean, q.stddev), Normal(0.0, 1.0)).detach()  # [40, 2]
    d = _as_json(_evaluated(vae, method=Importance(100)))
    assert d["kl"] == pytest.approx(float(kl.sum(-1).mean()), abs=1e-10)
    assert d["kl_per_dim"] == pytest.approx(kl.mean(0).tolist(), abs=1e-10)
    active = int((q.mean.var(0, correction=0) > 0.01).sum())
    assert d["active_units"] == active
    assert d["log_prob"]["kind"] == d["elbo"]["kind"] == "lower_bound"
    assert d["elbo"]["value"] < d["log_prob"]["value"]
    names = {"median", "max", "share_above_threshold", "threshold", "quantiles"}
    assert set(d["khat"]) == names
    quantiles = list(d["khat"]["quantiles"].values())
    assert list(d["khat"]["quantiles"]) == ["5%", "25%", "50%", "75%", "95%"]
    assert quantiles == sorted(quantiles)
    assert quantiles[-1] <= d["khat"]["max"]
    assert set(d["ess"]) == {"median", "min"}
    assert 1 <= d["ess"]["min"] <= d["ess"]["median"] <= 100


def test_reconstruction_is_near_its_expectation(vae):
    """A mean over 40 data x 2,000 draws: fails if more than 5 standard errors away."""
    batch = vae.source.rows(slice(None))
    with torch.no_grad():
        z, _ = vae.posterior.draw(vae.model, batch, 2000)
        log_likelihood = vae.model.log_likelihood(batch.x, z)
    expected = log_likelihood.mean()
    error = float((log_likelihood.var(0) / 2000 + log_likelihood.var(0) / 200).mean() / 40) ** 0.5
    found = _evaluated(vae, method=Importance(2), elbo_samples=200).reconstruction
    assert found == pytest.approx(float(expected), abs=5 * error)


def test_the_same_seed_gives_the_same_numbers_and_leaves_no_trace(vae):
    state = torch.get_rng_state()
    first, second = (_evaluated(vae, method=Importance(9), seed=3) for _ in range(2))
    assert first.to_dict() == second.to_dict()
    assert torch.equal(state, torch.get_rng_state())
    assert _evaluated(vae, method=Importance(9, seed=4)).log_prob != first.log_prob


def test_batches_do_not_change_exact_numbers(vae):
    whole, parts = (
        variational_terms(vae.model, vae.posterior, vae.source.ordered(size)) for size in (40, 7)
    )
    assert torch.allclose(whole.kl, parts.kl)
    assert np.allclose(whole.use.variance_of_means, parts.use.variance_of_means)
    assert np.allclose(whole.use.kl_per_dim, parts.use.kl_per_dim)


def test_autoencoders_have_no_likelihood(autoencoder):
    d = _as_json(_evaluated(autoencoder))
    assert not {"log_prob", "bits_per_dim", "elbo", "kl", "active_units"} & set(d)
    error = autoencoder.model.reconstruction_error(autoencoder.source.rows(slice(None)))
    expected = float(error.detach().mean())
    assert d["reconstruction_error"]["value"] == pytest.approx(expected, abs=1e-10)
    assert "not a likelihood" in d["reconstruction_error"]["unit"]
    assert d["latent_size"] == 3


def test_autoencoders_refuse_the_exact_method(autoencoder):
    with pytest.raises(NotExact, match="no prior over its codes"):
        Exact()(autoencoder.model, None, autoencoder.source.ordered(10))


def test_dequantised_data_weaken_the_kind(ppca):
    class Noisy(TensorSource):
        log_prob_kind = "lower_bound"

    ppca.source = Noisy(ppca.source.x, ppca.source.spec)
    e = _evaluated(ppca)
    assert e.log_prob.kind == "lower_bound"
    assert any("dequantised" in note for note in e.notes)
    assert not any("continuous" in note for note in e.notes)


def test_continuous_data_say_that_bits_depend_on_units(ppca, vae):
    assert any("units of the data" in note for note in _evaluated(ppca).notes)
    assert _evaluated(vae, method=Importance(2)).notes == ()


def test_bits_are_counted_over_observed_cells(make_vae, mixed_spec):
    tiny = make_vae(mixed_spec)
    num_observed = int(tiny.source.observed.sum())
    assert num_observed < 160
    e = _evaluated(tiny, method=Importance(20))
    assert e.bits_per_dim == pytest.approx(-e.values.sum() / (num_observed * math.log(2)))
    assert any("observed cells" in note for note in e.notes)


def test_dropout_is_off_inside_and_as_it_was_outside(vae):
    network = vae.model.likelihood.network
    network.insert(1, nn.Dropout(0.9))
    network[0].eval()
    vae.model.train()
    network[0].eval()
    first, second = (_evaluated(vae, method=Importance(5)) for _ in range(2))
    assert first.to_dict() == second.to_dict()
    assert network[1].training
    assert not network[0].training
    vae.model.eval()
    assert _evaluated(vae, method=Importance(5)).to_dict() == first.to_dict()


def test_a_posterior_per_datum_is_fitted_to_new_rows(vae):
    posterior = PerDatum(3, 2, refinement=Refinement(num_steps=60, learning_rate=0.1))
    rows = [vae.source.rows(slice(30, 40))]  # rows whose numbers it has never seen
    fitted = variational_terms(vae.model, posterior, rows, num_samples=100)
    start = PerDatum(3, 2, refinement=Refinement(num_steps=0))
    unfitted = variational_terms(vae.model, start, rows, num_samples=100)
    assert float(unfitted.kl.sum()) == pytest.approx(0, abs=1e-12)
    assert float(fitted.elbo.mean()) > float(unfitted.elbo.mean()) + 0.01


def test_progress_counts_the_rows_of_each_pass(vae):
    counts = []
    _evaluated(vae, method=Importance(2), batch_size=15, on_rows=counts.append)
    assert counts == [15, 15, 10] * 2


def test_values_that_are_not_finite_become_null_and_a_warning(ppca):
    x = ppca.source.x.clone()
    x[0] = 1e300
    ppca.source = TensorSource(x, ppca.source.spec)
    e = _evaluated(ppca)
    d = _as_json(e)
    assert d["log_prob"]["value"] is None
    assert any(w.startswith("1 of 40 data have no finite log p") for w in d["warnings"])
    assert math.isnan(Evaluation.from_dict(d).log_prob.value)


def test_heavy_tails_are_a_warning(vae):
    with torch.no_grad():
        vae.posterior.encoder.network[1].bias[2:] = -4.0  # far too narrow a proposal
        vae.model.likelihood.network[0].weight.mul_(3)
    e = _evaluated(vae, method=Importance(100))
    assert e.khat.share_above_threshold > 0.05
    assert any(w.startswith("k-hat is above 0.50 for") for w in e.warnings)


def test_too_few_samples_for_a_tail_are_a_warning(vae):
    e = _evaluated(vae, method=Importance(10))
    assert e.khat is None
    assert e.warnings[0].startswith("10 importance samples are too few")


def test_round_trip_through_json(vae, ppca, autoencoder):
    for tiny in (vae, ppca, autoencoder):
        e = _evaluated(tiny)
        assert Evaluation.from_dict(_as_json(e)).to_dict() == e.to_dict()


def test_no_rows_and_no_samples_are_refused(vae):
    empty = vae.source.subset(slice(0, 0))
    with pytest.raises(DataError, match="expected rows to evaluate in split 'test', got none"):
        evaluate(vae.model, vae.posterior, empty, setting=vae.setting)
    with pytest.raises(OptionError, match="at least 1 sample for the bound, got 0"):
        _evaluated(vae, elbo_samples=0)


def test_one_row_has_no_standard_error(ppca):
    ppca.source = ppca.source.subset(slice(0, 1))
    assert _as_json(_evaluated(ppca))["log_prob"]["std_error"] is None


def test_collapse_is_found_and_advice_given(make_vae):
    tiny = make_vae(Specification(Kind.BINARY, (30,)), latent_size=8)
    linear = tiny.posterior.encoder.network[1]
    nn.init.zeros_(linear.weight)
    nn.init.zeros_(linear.bias)
    e = _evaluated(tiny, method=Importance(200))
    assert e.active_units == 0
    assert e.kl == pytest.approx(0, abs=1e-12)
    assert e.collapse.startswith("posterior collapse: none of the 8 latent units is active")
    assert e.warnings == (e.collapse,)
    with torch.no_grad():
        linear.weight[0] = 1.0
    e = _evaluated(tiny, method=Importance(20))
    assert e.active_units == 1
    assert e.collapse.startswith("partial posterior collapse: 7 of 8 latent units are inactive")
    assert "free bits" in e.warnings[-1]


@pytest.mark.parametrize(
    ("variance", "words"),
    [
        ([0.5, 0.3], "no posterior collapse: all 2 latent units are active"),
        ([0.5, 0.0], "no posterior collapse: 1 of 2 latent units are active; the other 1"),
        ([0.5] + [0.0] * 31, "partial posterior collapse: 31 of 32 latent units are inactive"),
        ([0.01] * 3, "posterior collapse: none of the 3"),  # the threshold itself is not active
    ],
)
def test_verdicts(variance, words):
    assert LatentUse(np.array(variance), None).verdict.startswith(words)


def test_setting_is_in_the_json(ppca):
    ppca.setting = Setting("ppca", "wine", "valid", "static, seed 0")
    d = _as_json(_evaluated(ppca))
    assert [d[k] for k in ("recipe", "data", "split", "binarization")] == [
        "ppca",
        "wine",
        "valid",
        "static, seed 0",
    ]
