"""Verdicts in words."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn

from ancestral.core import Draws, Kind, Specification
from ancestral.distributions import Bernoulli
from ancestral.evaluation import Information, LatentUse, evaluate, variational_terms
from ancestral.inference.evidence import Importance
from ancestral.inference.posteriors import DiscretePosterior, Posterior
from ancestral.models import FreePrior, LatentConditional, LatentVariableModel, LayeredPrior
from ancestral.networks import InputFeatures


def _known(kl, lower, upper):
    return Information(kl, lower, upper, 0.1, 1000, "densities")


MOVING, STILL = np.full(8, 0.5), np.zeros(8)


@pytest.mark.parametrize(
    ("variance", "kl", "known", "collapsed", "words"),
    [
        # an autoregressive decoder that needs no z, though means still twitch
        (MOVING, 0.03, None, True, "is 0.03 nats, so z carries next to nothing of x"),
        (np.full(32, 0.02), 0.16, _known(0.16, 0.1, 0.15), True, "nearly complete posterior col"),
        (MOVING, 0.2, _known(0.2, 0.15, 0.19), False, "z carries at least 0.1 nats of x"),
        # the same q for all x, far from the prior
        (MOVING, 9.0, _known(9.0, 0.01, 0.05), True, "is nearly the same for every x"),
        (STILL, 9.0, _known(9.0, 0.0, 0.02), True, "let the prior learn"),
        # means stand still, but scales or modes tell data apart
        (STILL, 2.0, _known(2.0, 1.1, 1.9), False, "the means of q stand still, but z carries"),
        (STILL, 2.0, None, True, "none of the 8 latent units is active"),
        (MOVING, 9.0, _known(9.0, 6.9, 8.0), False, "z carries at least 6.9 nats of x"),
        (MOVING, 9.0, _known(9.0, 6.98, 8.0), False, "z carries at least 6.9 nats of x"),
        # a KL is paid for, and nothing was found that it buys
        (MOVING, 1.7, _known(1.7, 0.04, 1.2), True, "from 0.0 to 1.2 nats of x"),
    ],
)
def test_kl_and_information_have_a_say(variance, kl, known, collapsed, words):
    use = LatentUse(variance, None, kl=kl, information=known)
    assert words in use.verdict
    assert use.has_collapsed is collapsed
    assert use.verdict.startswith("no posterior collapse") is not collapsed


def test_an_idle_layer_is_named():
    variance = np.array([0.5] * 6 + [0.0] * 4)
    use = LatentUse(variance, None, layer_sizes=(6, 4), kl_per_layer=(12.0, 0.004))
    assert use.active_units_per_layer == (6, 0)
    assert use.has_collapsed
    assert use.verdict.startswith("partial posterior collapse: layer 2 of 2, counted from the")
    assert "6 of 6, 0 of 4; KL 12.00, 0.00" in use.verdict
    whole = LatentUse(np.full(10, 0.5), None, layer_sizes=(6, 4))
    assert "(active by layer: 6 of 6, 4 of 4)" in whole.verdict


def test_a_mismatch_of_prior_and_codes_is_a_note():
    assert LatentUse(MOVING, None, information=_known(20.0, 6.9, 20.0)).mismatch is None
    assert LatentUse(MOVING, None, information=_known(40.0, 6.9, 37.0)).mismatch is None  # < 10 %
    assert LatentUse(MOVING, None).mismatch is None
    sentence = LatentUse(MOVING, None, information=_known(20.0, 6.9, 12.0)).mismatch
    assert "at least 8.0 nats away from the prior" in sentence
    assert "vae" not in sentence  # no recipe, which may be the model's own


class Noise(Posterior):
    """Draws from the prior, whatever x is."""

    reparameterized = False

    def draw(self, model, batch, num_samples):
        z = model.sample_latents(num_samples * len(batch)).unflatten(0, (num_samples, len(batch)))
        return Draws(z, model.log_prior(z))

    def log_prob(self, model, batch, z):
        raise AssertionError("has no density")


def test_noise_in_means_does_not_look_like_activity(make_vae):
    """The mean of 100 draws of N(0, 1) has variance 0.01, which is the threshold itself."""
    tiny = make_vae(Specification(Kind.BINARY, (6,)), latent_size=40, num_rows=300)
    use = variational_terms(tiny.model, Noise(), tiny.source.ordered(100)).use
    assert use.active_units == 0  # each estimate has a standard deviation of 0.0012
    assert use.kl == pytest.approx(0, abs=1e-12)


def _layered():
    prior = LayeredPrior(
        FreePrior(Bernoulli((2,))),
        [LatentConditional(nn.Linear(2, 3), Bernoulli((3,)))],
        sizes=(3, 2),
    )
    spec = Specification(Kind.BINARY, (6,))
    posterior = DiscretePosterior(
        InputFeatures(spec),
        [
            LatentConditional(nn.Linear(6, 3), Bernoulli((3,))),
            LatentConditional(nn.Linear(3, 2), Bernoulli((2,))),
        ],
    )
    return prior, posterior


def test_layers_of_bits_are_told_apart(make_vae):
    tiny = make_vae(Specification(Kind.BINARY, (6,)), latent_size=5, num_rows=60)
    prior, posterior = _layered()
    with torch.no_grad():
        posterior.layers[0].network.weight.mul_(8)
        prior.conditionals[0].network.weight.zero_()
        prior.conditionals[0].network.bias.zero_()
        posterior.layers[1].network.weight.zero_()  # z_2 does not depend on anything
        posterior.layers[1].network.bias.zero_()
    model = LatentVariableModel(prior, tiny.model.likelihood)
    e = evaluate(model, posterior, tiny.source, setting=tiny.setting, method=Importance(50))
    assert e.active_units_per_layer == (3, 0)
    assert sum(e.kl_per_layer) == pytest.approx(e.kl, abs=1e-9)
    assert e.kl_per_layer[1] == pytest.approx(0, abs=1e-12)
    assert e.kl_per_layer[0] > 0.1
    assert e.collapse.startswith("partial posterior collapse: layer 2 of 2")
    assert 0.1 < e.information.mutual_information < 3 * np.log(2)
    d = e.to_dict()
    assert d["active_units_per_layer"] == [3, 0]
    assert len(d["kl_per_layer"]) == 2


def test_idle_layers_are_many_or_cost_something():
    variance = np.array([0.5] * 3 + [0.0] * 4)
    idle = LatentUse(variance, None, layer_sizes=(3, 2, 2), kl_per_layer=(9.0, 0.01, 0.0))
    assert "layers 2, 3 of 3, counted from the data up, carry nothing of x" in idle.verdict
    costly = LatentUse(variance, None, layer_sizes=(3, 2, 2), kl_per_layer=(9.0, 2.0, 0.0))
    assert costly.has_collapsed
    assert "carry nothing" not in costly.verdict
    assert "have no unit whose mean moves with x" in costly.verdict
    assert "_vae" not in idle.verdict + costly.verdict
