"""Codecs: rows come back, and cost what the model says that they are worth."""

import math

import numpy as np
import pytest
import torch

from ancestral.applications.compression.autoregressive import AutoregressiveCodec
from ancestral.applications.compression.choosing import codec_for
from ancestral.applications.compression.codec import CodingOptions
from ancestral.applications.compression.entropy import CorruptWords
from ancestral.applications.compression.gaussian import GaussianCodec
from ancestral.applications.compression.grids import Grids, grid_of
from ancestral.applications.compression.mixed_orders import MixedOrdersCodec
from ancestral.applications.compression.running import (
    RunningCodec,
    sensible_lanes,
    takes_running,
)
from ancestral.core import Kind, NotExact, OptionError, Specification
from ancestral.distributions import Bernoulli, Categorical, Normal, site_head
from ancestral.models import (
    AutoregressiveModel,
    OrderEnsemble,
    ProbabilisticPCA,
    Units,
    random_orders,
)
from ancestral.networks.causal import (
    DilatedConvolutional,
    LinearCausal,
    OneHot,
    OrderAgnosticNADE,
    Plain,
    RecurrentCausal,
)


@pytest.fixture(autouse=True)
def _no_gradients():
    with torch.no_grad():
        yield


REALS = Specification(Kind.REAL, (4,))


def roughened(model):
    """With weights that say something."""
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(0.5 * torch.randn_like(parameter))
    return model.eval()


def bits_of(encoded):
    return 32 * len(encoded.words), encoded.content_nats / math.log(2)


def binary(order=None, context_size=0):
    network = LinearCausal(12, 1, Plain(), order=order, context_size=context_size)
    return roughened(AutoregressiveModel(network, site_head(Bernoulli((12,)), 12), (3, 4)))


@pytest.mark.parametrize("batch_size", [1, 7, 30, 1000])
@pytest.mark.parametrize("order", [None, list(reversed(range(12)))])
def test_rows_come_back_and_cost_log_p(batch_size, order):
    model = binary(order)
    x = model.sample(60)
    codec = AutoregressiveCodec(model, Grids(), CodingOptions(batch_size))
    encoded = codec.encode(x.long())
    assert encoded.words.dtype == np.uint32
    assert torch.equal(codec.decode(encoded.words, 60), x.long())
    bits, content = bits_of(encoded)
    assert content == pytest.approx(-float(model.log_prob(x).sum()) / math.log(2))
    assert content < bits < content + 64 + 0.001 * content


def test_rows_that_are_given_something():
    model = binary(context_size=2)
    context = torch.randn(30, 2)
    x = model.sample(30, context)
    codec = AutoregressiveCodec(model, Grids(), CodingOptions(8))
    encoded = codec.encode(x.long(), context)
    assert torch.equal(codec.decode(encoded.words, 30, context), x.long())
    exact = -float(model.log_prob(x, context).sum())
    assert encoded.content_nats == pytest.approx(exact)


def gridded(values):
    values = values + 0.0  # no zero is below zero
    parts = [grid_of(values[:, d]) for d in range(values.shape[1])]
    return Grids(tuple(g for g, _ in parts)), torch.from_numpy(np.stack([s for _, s in parts], 1))


def test_real_numbers_in_units_of_their_own():
    units = Units(REALS)
    rows = 100 + 30 * torch.randn(50, 4)
    units.initialize(rows)
    head = site_head(Normal((4,)), 4)
    network = LinearCausal(4, head.num_features, Plain())
    model = roughened(AutoregressiveModel(network, head, (4,), units))
    values = np.round(model.sample(200).numpy(), 2)
    grids, symbols = gridded(values)
    codec = AutoregressiveCodec(model, grids, CodingOptions(64))
    encoded = codec.encode(symbols)
    found = codec.decode(encoded.words, 200)
    assert (grids.numbers(found).numpy() == values).all()
    exact = -float(model.log_prob(torch.from_numpy(values)).sum()) + 800 * math.log(100)
    assert encoded.content_nats == pytest.approx(exact, rel=1e-3)


def test_probabilistic_pca_needs_no_bits_back():
    x = torch.randn(300, 3) @ torch.randn(3, 7) * 2 + 0.3 * torch.randn(300, 7) + 5
    model = ProbabilisticPCA((7,), 3)
    model.fit_closed_form(x)
    values = np.round(x.numpy(), 2)
    grids, symbols = gridded(values)
    codec = codec_for(model, None, Specification(Kind.REAL, (7,)), grids, CodingOptions(128))
    assert isinstance(codec, GaussianCodec)
    encoded = codec.encode(symbols)
    assert torch.equal(codec.decode(encoded.words, 300), symbols)
    exact = -float(model.log_prob(torch.from_numpy(values)).sum())
    exact += 2100 * math.log(100)
    bits, content = bits_of(encoded)
    assert encoded.content_nats == pytest.approx(exact, rel=1e-4)
    assert bits < content + 64 + 0.001 * content


@pytest.mark.parametrize("batch_size", [40, 300])
def test_orders_are_paid_back(batch_size):
    """The mixture costs less than any of its orders, and log2 M less than saying the order."""
    network = OrderAgnosticNADE(8, 1, Plain(), hidden_sizes=[8])
    member = roughened(AutoregressiveModel(network, site_head(Bernoulli((8,)), 8), (8,)))
    model = OrderEnsemble(member, random_orders(8, 4)).eval()
    x = model.sample(300)
    codec = codec_for(
        model, None, Specification(Kind.BINARY, (8,)), None, CodingOptions(batch_size)
    )
    assert isinstance(codec, MixedOrdersCodec)
    encoded = codec.encode(x.long())
    assert torch.equal(codec.decode(encoded.words, 300), x.long())
    exact = -float(model.log_prob(x).sum())
    assert encoded.content_nats == pytest.approx(exact)
    bits, content = bits_of(encoded)
    first = -float(model.log_prob_orders(x).sum(1).max()) / math.log(2)
    assert bits < max(content * 1.02, first) + 64
    if batch_size == 40:
        assert bits < first


def text_model(network):
    head = site_head(Categorical((network.num_sites,), 5), network.num_sites)
    return roughened(AutoregressiveModel(network, head, (network.num_sites,)))


NETWORKS = {
    "recurrent": lambda: RecurrentCausal(10, 5, OneHot(5), hidden_size=8),
    "dilated": lambda: DilatedConvolutional(
        10, 5, OneHot(5), dilations=(1, 2), channels=4, skip_channels=4
    ),
    "linear": lambda: LinearCausal(10, 5, OneHot(5)),
}


@pytest.mark.parametrize("name", NETWORKS)
@pytest.mark.parametrize(
    ("number", "lanes"), [(1, 1), (9, 4), (10, 1), (137, 1), (137, 8), (3, 9)]
)
def test_sequences_of_any_length_come_back(name, number, lanes):
    model = text_model(NETWORKS[name]())
    assert takes_running(model)
    symbols = torch.randint(5, (number,))
    codec = RunningCodec(model, CodingOptions(lanes))
    encoded = codec.encode(symbols)
    assert torch.equal(codec.decode(encoded.words, number), symbols)


def test_a_lane_remembers_all_that_came_before():
    """A recurrent state goes on beyond the windows of training, as in one long window."""
    network = RecurrentCausal(10, 5, OneHot(5), hidden_size=8)
    model = text_model(network)
    long = text_model(RecurrentCausal(60, 5, OneHot(5), hidden_size=8))
    long.network.load_state_dict(
        {k: v for k, v in network.state_dict().items() if k != "order"}, strict=False
    )
    symbols = torch.randint(5, (120,))
    encoded = RunningCodec(model, CodingOptions(2)).encode(symbols)
    exact = -float(long.log_prob(symbols.reshape(2, 60).to(torch.float64)).sum())
    assert encoded.content_nats == pytest.approx(exact)


def test_windows_of_other_networks_overlap_by_half():
    from ancestral.models.autoregressive import log_prob_running

    model = text_model(NETWORKS["linear"]())
    symbols = torch.randint(5, (57,))
    encoded = RunningCodec(model, CodingOptions(1)).encode(symbols)
    exact = -float(log_prob_running(model, symbols.double()).sum())
    assert encoded.content_nats == pytest.approx(exact)


def test_lanes_are_few_and_long():
    assert [sensible_lanes(n) for n in (0, 1, 5000, 10**5, 10**8)] == [1, 1, 1, 24, 64]


def test_words_of_other_rows_are_refused():
    model = binary()
    x = model.sample(50).long()
    codec = AutoregressiveCodec(model, Grids(), CodingOptions(20))
    words = codec.encode(x).words
    with pytest.raises(CorruptWords, match="end with the last row"):
        codec.decode(words, 49)


def test_no_rows_at_once_are_refused():
    with pytest.raises(OptionError, match="batch_size of at least 1"):
        CodingOptions(0)


def test_a_model_without_log_p_is_refused():
    with pytest.raises(NotExact, match="expected a model with log p"):
        codec_for(torch.nn.Linear(2, 2), None, REALS)
