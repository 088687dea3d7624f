"""Sequences: those that end, those that are longer than a model's windows; cells against torch."""

import math

import pytest
import torch
from case import all_states, randomized
from torch import nn

from ancestral.core import IncompatibleChoices, OptionError
from ancestral.core.native import compiled
from ancestral.core.products import Product
from ancestral.distributions import Categorical, native_draw, site_head
from ancestral.models.autoregressive import (
    AutoregressiveModel,
    SamplingMethod,
    continue_running,
    log_prob_running,
)
from ancestral.networks.causal import (
    CausalTransformer,
    Cell,
    Conditioning,
    DilatedConvolutional,
    OneHot,
    RecurrentCausal,
    UntilEnd,
)
from ancestral.networks.causal.native_lstm import lstm_gates

END = 0


def _recurrent(num_sites=5, num_codes=3, **options) -> RecurrentCausal:
    sizes = {"hidden_size": 6, "embedding_size": 4} | options
    return RecurrentCausal(num_sites, num_codes, OneHot(num_codes), **sizes)


def _model(network, num_codes=3) -> AutoregressiveModel:
    sites = network.num_sites
    head = site_head(Categorical((sites,), num_codes), sites)
    return randomized(AutoregressiveModel(network, head, (sites,))).eval()


# ------------------------------------------------------------------ recurrent cells


@pytest.mark.parametrize("cell", list(Cell))
def test_steps_are_those_of_torch_s_own_cells(cell):
    """The oracle is the cell of torch, which is other code than its fused layers."""
    network = _model(_recurrent(cell=cell, num_layers=1)).network
    reference = {Cell.TANH: nn.RNNCell, Cell.GRU: nn.GRUCell, Cell.LSTM: nn.LSTMCell}[cell](4, 6)
    reference.load_state_dict(
        {k.removesuffix("_l0"): v for k, v in network.recurrence.state_dict().items()}
    )
    x = torch.randint(3, (7, 5, 1)).double()
    state, hidden, prev = network.init_state(7), None, None
    with torch.no_grad():
        for t in range(5):
            features, state = network.step(state, t, prev)
            read = network.start.expand(7, -1) if prev is None else network.embedding(prev)
            hidden = reference(read, hidden)
            shown = hidden[0] if cell is Cell.LSTM else hidden
            expected = network.output(shown) + network.output_bias
            torch.testing.assert_close(features, expected, rtol=1e-12, atol=1e-12)
            prev = x[:, t]


def test_forget_gates_start_open_and_recurrent_weights_orthogonal():
    network = _recurrent(hidden_size=6)
    assert torch.equal(network.recurrence.bias_ih_l0[6:12], torch.ones(6))
    assert not network.recurrence.bias_ih_l0[:6].any()
    weight = network.recurrence.weight_hh_l0
    torch.testing.assert_close(weight.T @ weight, torch.eye(6), rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize(
    ("option", "value"),
    [("hidden_size", 0), ("num_layers", 0), ("embedding_size", 0), ("dropout", 1.0)],
)
def test_sizes_that_cannot_be_are_refused(option, value):
    with pytest.raises(OptionError, match=option):
        _recurrent(**{option: value})
    with pytest.raises(OptionError, match="cell"):
        Cell.of("lstn")
    with pytest.raises(OptionError, match="multiple of 2 num_heads"):
        CausalTransformer(5, 3, OneHot(3), hidden_size=10, num_heads=4)


def test_native_gates_are_those_of_torch(single_precision):
    gates = torch.cat((torch.randn(9, 4 * 33) * 6, torch.full((1, 4 * 33), 100.0)))
    memory, hidden = torch.randn(10, 33), torch.empty(10, 33)
    taken, kept, shown, candidate = gates.double().chunk(4, 1)
    expected = kept.sigmoid() * memory.double() + taken.sigmoid() * candidate.tanh()
    lstm_gates(gates.clone(), memory, hidden)
    torch.testing.assert_close(memory.double(), expected, rtol=1e-6, atol=1e-6)
    shown = shown.sigmoid() * expected.tanh()
    torch.testing.assert_close(hidden.double(), shown, rtol=1e-6, atol=1e-6)


def test_native_gates_pass_nan_on(single_precision):
    gates, memory, hidden = torch.zeros(2, 8), torch.zeros(2, 2), torch.zeros(2, 2)
    gates[1, 0] = torch.nan
    lstm_gates(gates, memory, hidden)
    assert memory[1, 0].isnan()
    assert memory[0].isfinite().all()


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float64])
def test_packed_products_are_products(dtype):
    weight, x = torch.randn(40, 30), torch.randn(7, 40)
    product = Product(weight.to(dtype), 7)
    expected = x.to(dtype).double() @ weight.to(dtype).double()
    tolerance = {torch.float32: 1e-5, torch.bfloat16: 0.05, torch.float64: 1e-12}[dtype]
    torch.testing.assert_close(product(x).double(), expected, rtol=tolerance, atol=tolerance)
    total = torch.ones(7, 30, dtype=torch.float32 if dtype != torch.float64 else dtype)
    found = product.added_to(total, x.to(total.dtype))
    torch.testing.assert_close(found.double(), expected + 1, rtol=tolerance, atol=tolerance)
    assert Product(weight.to(dtype), 1)(x[:3]).shape == (3, 30)


def test_products_in_bfloat16_are_a_choice_and_close(single_precision):
    """Only inside an autocast; samples then differ where a uniform is on an edge."""
    network = _recurrent(20, 8, hidden_size=64, num_layers=2)
    model = _model(network, 8)
    uniforms = model.uniforms(200)
    plain = model.draw(uniforms, method=SamplingMethod.CACHED).x
    with torch.autocast("cpu", torch.bfloat16):
        fast = model.draw(uniforms, method=SamplingMethod.CACHED).x
        state = network.init_state(2)
    assert state.layers[0].hidden.dtype is torch.float32
    assert torch.equal(model.draw(uniforms, method=SamplingMethod.CACHED).x, plain)
    assert not torch.equal(fast, plain)
    assert float((fast[:, 0] == plain[:, 0]).double().mean()) > 0.97
    # the same distribution: mean log p of each, apart by less than four standard errors
    with torch.no_grad():
        values = torch.stack((model.log_prob(plain), model.log_prob(fast))).double()
    gap = values[1] - values[0]
    assert abs(float(gap.mean())) < 4 * float(gap.std()) / len(gap) ** 0.5 + 1e-6


# ------------------------------------------------------------------ sequences that end


def _ended(transformer: bool = False) -> AutoregressiveModel:
    inner = (
        CausalTransformer(4, 3, OneHot(3), hidden_size=8, num_layers=1, num_heads=2)
        if transformer
        else _recurrent(4)
    )
    return _model(UntilEnd(inner, END))


@pytest.mark.parametrize("transformer", [False, True])
def test_log_p_of_a_padded_row_is_that_of_the_sequence_with_its_end(transformer):
    model = _ended(transformer)
    inner = AutoregressiveModel(model.network.network, model.head, model.shape)
    row = torch.tensor([[2.0, 1.0, END, END]])
    terms = model.log_prob_sites(row)
    assert torch.equal(terms[:, 3], torch.zeros(1))
    assert torch.equal(terms[:, :3], inner.log_prob_sites(row)[:, :3])


@pytest.mark.parametrize("transformer", [False, True])
def test_padded_rows_have_all_the_mass(transformer):
    model = _ended(transformer)
    states = all_states(3, (4,))
    with torch.no_grad():
        mass = model.log_prob(states).exp()
    ended = (states == END).cummax(1).values
    is_padded = (states.masked_fill(~ended, 9) == 9).logical_or(states == END).all(1)
    assert abs(float(mass[is_padded].sum()) - 1) < 1e-12
    assert int(is_padded.sum()) == 1 + 2 + 4 + 8 + 16
    assert not mass[~is_padded].any()


@pytest.mark.parametrize("method", ["naive", "cached", "jacobi"])
def test_what_follows_an_end_is_drawn_as_ends(method):
    model = _ended()
    drawn = model.draw(model.uniforms(300), method=SamplingMethod(method)).x
    ended = (drawn == END).cummax(1).values
    assert torch.equal(drawn == END, ended)
    assert 20 < int(ended[:, 1].sum()) < 280  # some end early, and some do not


def test_a_sequence_may_be_one_symbol():
    model = _model(UntilEnd(_recurrent(1), END))
    with torch.no_grad():
        mass = model.log_prob(all_states(3, (1,))).exp().sum()
    assert abs(float(mass) - 1) < 1e-12


def _ended_wavenet(num_sites=4, **options) -> UntilEnd:
    network = DilatedConvolutional(
        num_sites, 3, OneHot(3), dilations=(1, 2), channels=4, skip_channels=5, **options
    )
    return UntilEnd(network, END)


@pytest.mark.skipif(compiled("int one(void) { return 1; }") is None, reason="needs a C compiler")
def test_whole_sequences_of_one_kernel_end_as_those_of_steps():
    model = _model(_ended_wavenet())
    uniforms = model.uniforms(300)
    rule = native_draw(model.head)
    assert rule is not None
    drawn = model.network.generate(rule, uniforms)
    expected = model.draw(uniforms, method=SamplingMethod.NAIVE).x
    assert torch.equal(drawn.squeeze(-1), expected)
    assert 20 < int((expected[:, 0] == END).sum()) < 280
    assert _ended().network.generate(rule, uniforms) is None


def test_what_an_ended_network_can_do_is_what_its_inner_one_can():
    network = _ended_wavenet(context_size=2, conditioning=Conditioning.LOCAL).eval()
    assert network.context_shape == (4, 2)
    assert network.step_products == network.network.step_products
    short = _recurrent(4)
    assert UntilEnd(short, END).step_products == short.step_products
    longer = _model(_ended_wavenet()).with_length(6)
    assert longer.network.num_sites == 6
    assert longer.network.end_code == END
    drawn = longer.sample(50)
    assert torch.equal(drawn == END, (drawn == END).cummax(1).values)
    with pytest.raises(IncompatibleChoices, match="made for sequences of 4 sites"):
        UntilEnd(short, END).with_length(6)


def test_ends_need_the_order_of_storage():
    with pytest.raises(IncompatibleChoices, match="order of storage"):
        UntilEnd(_recurrent(4, order=[1, 0, 2, 3]), END)


def test_the_weights_of_certain_sites_get_no_gradient():
    model = _ended()
    model.log_prob(torch.tensor([[END, END, END, END]] * 3).double()).sum().backward()
    one = [p.grad.clone() for p in model.parameters() if p.grad is not None]
    model.zero_grad()
    model.log_prob_sites(torch.tensor([[END, END, END, END]] * 3).double())[:, 0].sum().backward()
    two = [p.grad for p in model.parameters() if p.grad is not None]
    assert all(torch.equal(a, b) for a, b in zip(one, two, strict=True))


# ------------------------------------------------------------------ longer than a window


def _directly(model: AutoregressiveModel, text: torch.Tensor, overlap: int) -> torch.Tensor:
    """Each symbol from a window of its own, cut by hand."""
    sites, values = model.network.num_sites, []
    for i in range(len(text)):
        k = 0 if i < sites else math.ceil((i - sites + 1) / (sites - overlap))
        start = k * (sites - overlap)
        window = torch.zeros(1, sites)
        seen = text[start : min(start + sites, len(text))]
        window[0, : len(seen)] = seen
        values.append(model.log_prob_sites(window)[0, i - start])
    return torch.stack(values)


@pytest.mark.parametrize("overlap", [0, 2, 4])
@pytest.mark.parametrize("length", [3, 5, 7, 14])
def test_long_sequences_are_scored_window_by_window(overlap, length):
    model = _model(_recurrent(5))
    text = torch.randint(3, (length,)).double()
    found = log_prob_running(model, text, overlap=overlap, batch_size=2)
    with torch.no_grad():
        expected = _directly(model, text, overlap)
    torch.testing.assert_close(found, expected, rtol=1e-9, atol=1e-9)


def test_long_sequences_have_total_mass_one():
    model = _model(_recurrent(4, 2), 2)
    with torch.no_grad():
        for length in (3, 6, 7):
            values = [
                log_prob_running(model, text, overlap=2).sum() for text in all_states(2, (length,))
            ]
            assert abs(float(torch.stack(values).logsumexp(0))) < 1e-10


def test_what_follows_a_prefix_is_drawn_from_the_distribution_that_is_scored():
    """Frequencies of all continuations against their masses, by chi-square."""
    model = _model(_recurrent(4, 2), 2)
    prefix = torch.tensor([[1.0, 0.0, 1.0]])
    num = 4000
    uniforms = torch.rand(num, 3, 1)
    drawn = continue_running(model, prefix.expand(num, -1), uniforms, overlap=2)
    assert torch.equal(drawn[:, :3], prefix.expand(num, -1))
    states = torch.cat((prefix.expand(8, -1), all_states(2, (3,))), 1)
    with torch.no_grad():
        joint = torch.stack([log_prob_running(model, s, overlap=2).sum() for s in states])
    mass = joint.softmax(0)
    codes = (drawn[:, 3:] @ torch.tensor([4.0, 2.0, 1.0])).long()
    counts = torch.bincount(codes, minlength=8)
    chi_square = float(((counts - num * mass) ** 2 / (num * mass)).sum())
    assert chi_square < 24.3  # 7 degrees of freedom: by chance once in a thousand


def test_without_a_prefix_and_within_a_window_it_is_the_sampler():
    model = _model(_recurrent(5))
    uniforms = model.uniforms(6)
    found = continue_running(model, torch.zeros(6, 0), uniforms)
    assert torch.equal(found, model.draw(uniforms).x)


def test_noise_and_prefixes_of_another_type_change_nothing():
    model = _model(_recurrent(5)).float()
    prefix = torch.randint(3, (6, 4)).double()
    uniforms = torch.rand(6, 11, model.head.num_uniforms, dtype=torch.float32)
    one = continue_running(model, prefix.float(), uniforms)
    other = continue_running(model, prefix, uniforms.double())
    assert one.dtype is other.dtype is torch.float32
    assert torch.equal(one, other)


def test_overlaps_that_cannot_be_are_refused():
    model = _model(_recurrent(5))
    with pytest.raises(OptionError, match="from 0 to 4"):
        log_prob_running(model, torch.zeros(9), overlap=5)
    with pytest.raises(IncompatibleChoices, match="order of storage"):
        log_prob_running(_model(_recurrent(3, order=[1, 0, 2])), torch.zeros(9))
