"""Missing cells are not coded: rows come back, and cost what the observed cells do."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from bits_back_models import made, specification

from ancestral.applications.compression.autoregressive import AutoregressiveCodec
from ancestral.applications.compression.bits_back import BitsBackCodec
from ancestral.applications.compression.codec import CodingOptions
from ancestral.applications.compression.gaps import Gaps, batch_of, gaps_of
from ancestral.applications.compression.gaussian import GaussianCodec
from ancestral.applications.compression.grids import Fractions, Grids
from ancestral.applications.compression.lossy import LossyCodec
from ancestral.applications.compression.mixed_orders import MixedOrdersCodec
from ancestral.distributions import Bernoulli, site_head
from ancestral.models import (
    AutoregressiveModel,
    OrderEnsemble,
    ProbabilisticPCA,
    random_orders,
)
from ancestral.networks.causal import LinearCausal, OrderAgnosticNADE, Plain


@pytest.fixture(autouse=True)
def _no_gradients():
    with torch.no_grad():
        yield


def with_gaps(rows: torch.Tensor, share: float = 0.5) -> tuple[torch.Tensor, Gaps]:
    """Half of the cells are taken out, of some rows all, of others none."""
    observed = torch.rand(rows.shape) > share
    observed[0], observed[1] = False, True
    symbols = rows.numpy().copy()
    gaps = gaps_of(symbols, observed.numpy())
    assert gaps is not None
    return torch.from_numpy(symbols), gaps


def bits_of(encoded) -> tuple[int, float]:
    return 32 * len(encoded.words), encoded.content_nats / math.log(2)


def test_probabilistic_pca_costs_log_p_of_what_is_there():
    x = torch.randn(400, 3) @ torch.randn(3, 7) * 2 + 0.3 * torch.randn(400, 7) + 5
    model = ProbabilisticPCA((7,), 3)
    model.fit_closed_form(x)
    rows = (100 * x).round().long()
    symbols, gaps = with_gaps(rows)
    cells = zip(symbols.T, gaps.observed.T, strict=True)
    grids = Grids(tuple(Fractions(int(s[o].min()), int(s[o].max()), 100) for s, o in cells))
    codec = GaussianCodec(model, grids, CodingOptions(150))
    encoded = codec.encode(symbols, gaps=gaps)
    assert torch.equal(codec.decode(encoded.words, 400, gaps=gaps), symbols)
    nats = -float(model.log_prob(symbols.double() / 100, gaps.observed).sum())
    nats += math.log(100) * int(gaps.observed.sum())
    assert encoded.content_nats == pytest.approx(nats, rel=1e-5)
    bits, content = bits_of(encoded)
    assert content * 0.99 < bits < content * 1.01 + 64


OF_EACH_KIND = (
    "diagonal",
    "full",
    "bottom up",
    "vamp prior",
    "prior by two flows",
    "autoregressive decoder",
    "belief net",
    "levels",
    "categories",
)


@pytest.mark.parametrize("name", OF_EACH_KIND)
def test_bits_back_costs_the_elbo_of_what_is_there(name):
    """Four standard errors of one draw for each row are exceeded once in 16,000 times."""
    model, posterior = made(name)
    symbols, gaps = with_gaps(model.sample(600).round().long())
    spec = specification(name)
    codec = BitsBackCodec(model, posterior, spec, Grids(), CodingOptions(batch_size=100))
    encoded = codec.encode(symbols, gaps=gaps)
    assert torch.equal(codec.decode(encoded.words, 600, gaps=gaps), symbols)
    bits, content = bits_of(encoded)
    assert content * 0.985 < bits < content * 1.01 + 200
    whole = codec.encode(symbols)
    assert len(encoded.words) < 0.9 * len(whole.words)
    if name != "autoregressive decoder":  # whose bound needs all that comes before a cell
        batch = batch_of(symbols.double(), gaps)
        z, log_q = posterior.draw(model, batch, 50)
        terms = (log_q - model.log_joint(batch.x, z, batch.observed)) / math.log(2)
        deviation = math.sqrt(float(terms.var(0).sum()))
        assert content == pytest.approx(float(terms.mean(0).sum()), abs=4 * deviation)


def binary():
    network = LinearCausal(12, 1, Plain())
    torch.nn.init.normal_(network.weight)
    return AutoregressiveModel(network, site_head(Bernoulli((12,)), 12), (3, 4)).eval()


def test_autoregressive_models_pay_for_what_is_there_given_guesses():
    model = binary()
    symbols, gaps = with_gaps(model.sample(200).long())
    codec = AutoregressiveCodec(model, Grids(), CodingOptions(64))
    encoded = codec.encode(symbols, gaps=gaps)
    assert torch.equal(codec.decode(encoded.words, 200, gaps=gaps), symbols)
    terms = model.log_prob_sites(symbols.double())
    exact = -float(terms[gaps.observed.flatten(1)].sum())
    assert encoded.content_nats == pytest.approx(exact)
    bits, content = bits_of(encoded)
    assert content < bits < content * 1.001 + 64


def test_ensembles_of_orders_too():
    network = OrderAgnosticNADE(8, 1, Plain(), hidden_sizes=[8])
    for parameter in network.parameters():
        parameter.normal_()
    member = AutoregressiveModel(network, site_head(Bernoulli((8,)), 8), (8,))
    model = OrderEnsemble(member, random_orders(8, 4)).eval()
    symbols, gaps = with_gaps(model.sample(300).long())
    codec = MixedOrdersCodec(model, Grids(), CodingOptions(50))
    encoded = codec.encode(symbols, gaps=gaps)
    assert torch.equal(codec.decode(encoded.words, 300, gaps=gaps), symbols)
    bits, content = bits_of(encoded)
    assert content < bits < content * 1.02 + 64
    assert bits < 0.7 * 32 * len(codec.encode(symbols).words)


@pytest.mark.parametrize("name", ["diagonal", "belief net", "autoregressive decoder"])
def test_a_lossy_message_leaves_gaps_alone(name):
    model, posterior = made(name)
    symbols, gaps = with_gaps(model.sample(100).round().long())
    codec = LossyCodec(model, posterior, specification(name), Grids(), CodingOptions(40))
    message = codec.encode(symbols, gaps=gaps)
    assert torch.equal(codec.decode(message.words, 100, gaps=gaps), message.symbols)
    guessed = ~gaps.observed
    assert torch.equal(message.symbols[guessed], gaps.filled[guessed])
    wrong = (message.symbols != symbols)[gaps.observed]
    assert message.squared_error == pytest.approx(float(np.mean(wrong.numpy())))
