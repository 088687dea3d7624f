"""What every autoregressive model must hold, whatever its network."""

from __future__ import annotations

import importlib
import math
import pkgutil

import cases
import pytest
import torch
from case import Case, all_states
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode

from ancestral.core import AncestralError, IncompatibleChoices, ShapeError
from ancestral.core.pytrees import clone, select
from ancestral.models.autoregressive import (
    AutoregressiveModel,
    SamplingMethod,
    Truncation,
    decode,
)
from ancestral.networks.causal import Blockwise

CASES: list[Case] = [
    case
    for module in pkgutil.iter_modules(cases.__path__)
    for case in importlib.import_module(f"cases.{module.name}").CASES
]
ENUMERABLE = [case for case in CASES if case.enumerable]
BINARY = [case for case in ENUMERABLE if case.num_codes == 2]


def named(cases: list[Case]) -> pytest.MarkDecorator:
    return pytest.mark.parametrize("case", cases, ids=lambda case: case.name)


def enumerated(case: Case, model: AutoregressiveModel) -> tuple[Tensor, Tensor, Tensor | None]:
    """All states [S, *shape], their exact log-masses [S], and the one context [1, size]."""
    states = all_states(case.num_codes, model.shape)
    context = case.context(model, 1)
    given = None if context is None else context.expand(len(states), *context.shape[1:])
    with torch.no_grad():
        return states, model.log_prob(states, given), context


@named(CASES)
def test_features_depend_on_the_sites_before_and_on_no_others(case):
    """The Jacobian's pattern, by exact differences: it also holds for one-hot inputs."""
    model = case.model()
    network = model.network
    rows = 24
    x = model.to_sites(case.values(model, rows))
    context = case.context(model, rows)
    rank = network.order.argsort()
    with torch.no_grad():
        before = network(x, context)
        found = torch.zeros(network.num_sites, network.num_sites, dtype=torch.bool)
        for site in range(network.num_sites):
            other = x.clone()
            if case.num_codes is None:
                other[:, site] += torch.randn(rows, network.width)
            else:
                shift = torch.randint(1, case.num_codes, (rows, network.width)).to(x.dtype)
                other[:, site] = (x[:, site] + shift) % case.num_codes
            changed = (network(other, context) != before).any(-1).any(0)  # [T] as stored
            found[rank[changed], rank[site]] = True
    assert torch.equal(found, case.expected(network.num_sites)), found.int()


@named([case for case in CASES if case.build().network.context_size])
def test_the_context_reaches_every_site(case):
    model = case.model()
    x = model.to_sites(case.values(model, 16))
    with torch.no_grad():
        one = model.network(x, case.context(model, 16))
        other = model.network(x, case.context(model, 16))
    assert (one != other).any(-1).any(0).all()
    with pytest.raises(ShapeError):
        model.network(x, None)


@named(ENUMERABLE)
def test_total_mass_is_one(case):
    model = case.model()
    _, log_prob, _ = enumerated(case, model)
    assert abs(float(log_prob.logsumexp(0))) < 1e-10


@named(CASES)
def test_log_prob_is_the_sum_over_steps_under_teacher_forcing(case):
    model = case.model()
    rows = 5
    x = case.values(model, rows)
    context = case.context(model, rows)
    sites = model.to_sites(x)
    terms = torch.zeros(rows, model.network.num_sites)

    def choose(t, index, site, features):
        terms[:, index] = site.log_prob(features, sites[:, index])
        return sites[:, index]

    decoded = decode(model.network, model.head, rows, choose, context)
    assert torch.equal(decoded, sites)
    with torch.no_grad():
        parallel = model.log_prob_sites(x, context)
    torch.testing.assert_close(terms, parallel, rtol=1e-9, atol=1e-9)
    torch.testing.assert_close(terms.sum(-1), model.log_prob(x, context), rtol=1e-9, atol=1e-9)


@named(CASES)
def test_all_samplers_give_the_same_samples(case):
    model = case.model()
    rows = 7
    uniforms = model.uniforms(rows)
    context = case.context(model, rows)
    naive = model.draw(uniforms, context, method=SamplingMethod.NAIVE)
    blockwise = isinstance(model.network, Blockwise)
    for method in SamplingMethod:
        if method is SamplingMethod.ROW_JACOBI and not blockwise:
            with pytest.raises(IncompatibleChoices, match=r"row by row.*\n\nhint: method='jac"):
                model.draw(uniforms, context, method=method)
            continue
        drawn = model.draw(uniforms, context, method=method)
        torch.testing.assert_close(drawn.x, naive.x, rtol=1e-9, atol=1e-9)
    jacobi = model.draw(uniforms, context, method=SamplingMethod.JACOBI)
    assert 1 <= jacobi.num_passes <= model.network.num_sites + 1
    assert (case.num_codes is None) or torch.equal(jacobi.x, naive.x)
    if blockwise:
        rows = model.draw(uniforms, context, method=SamplingMethod.ROW_JACOBI)
        num_blocks = model.network.num_blocks
        assert num_blocks <= rows.num_passes <= model.network.num_sites + num_blocks


@named([case for case in CASES if case.num_codes is not None])
def test_truncated_samplers_agree_and_the_likeliest_code_is_taken(case):
    model = case.model()
    uniforms = model.uniforms(4)
    context = case.context(model, 4)
    truncation = Truncation(temperature=0.7, top_k=2)
    cached = model.draw(uniforms, context, truncation=truncation)
    jacobi = model.draw(uniforms, context, truncation=truncation, method=SamplingMethod.JACOBI)
    assert torch.equal(cached.x, jacobi.x)
    greedy = Truncation(top_k=1)
    one = model.draw(uniforms, context, truncation=greedy)
    other = model.draw(1 - uniforms, context, truncation=greedy)
    assert torch.equal(one.x, other.x)


@named(ENUMERABLE)
def test_sample_frequencies(case):
    """Chi-square against the enumerated masses; fails by chance once in 10,000 for each case."""
    from scipy.stats import chi2

    model = case.model()
    states, log_prob, context = enumerated(case, model)
    num = 4000
    samples = model.sample(
        num, None if context is None else context.expand(num, *context.shape[1:])
    )
    base = case.num_codes ** torch.arange(math.prod(model.shape)).flip(0)
    index = (samples.flatten(1).long() * base).sum(-1)
    count = torch.bincount(index, minlength=len(states)).double()
    expected = log_prob.exp() * num
    common = expected > 5
    pooled_count = torch.cat((count[common], count[~common].sum().reshape(1)))
    pooled = torch.cat((expected[common], expected[~common].sum().reshape(1))).clamp_min(1e-12)
    statistic = float(((pooled_count - pooled).square() / pooled).sum())
    assert statistic < chi2.isf(1e-4, max(1, len(pooled) - 1))


@named(CASES)
def test_gradients_reach_every_weight_in_use_and_no_other(case):
    model = case.model()
    rows = 64
    x = model.to_sites(case.values(model, rows))
    context = case.context(model, rows)
    features = model.network(x, context)
    used = torch.zeros_like(features[0])
    for t in range(model.head.num_sites):
        used[t, : model.head.num_site_features(t)] = 1
    (features * used * torch.randn_like(features)).sum().backward()
    unused = {} if case.unused is None else case.unused(model)
    for name, parameter in model.named_parameters():
        assert parameter.grad is not None, name
        reached = parameter.grad != 0
        expected = ~unused[name] if name in unused else torch.ones_like(reached)
        assert torch.equal(reached, expected), name


@named(CASES)
def test_states_can_be_selected_and_branched(case):
    model = case.model()
    network = model.network
    rows = 6
    x = model.to_sites(case.values(model, rows))
    context = case.context(model, rows)
    half = network.num_sites // 2
    order = network.order.tolist()

    def run(state, x, first, prev):
        found = []
        with torch.no_grad():
            for t in range(first, network.num_sites):
                features, state = network.step(state, t, prev)
                found.append(features.clone())
                prev = x[:, order[t]]
        return torch.stack(found)

    with torch.no_grad():
        state, prev = network.init_state(rows, context), None
        for t in range(half):
            _, state = network.step(state, t, prev)
            prev = x[:, order[t]]
    index = torch.tensor([4, 4, 0, 5])
    branch = clone(state)
    picked = run(select(state, index), x[index], half, None if prev is None else prev[index])
    straight = run(branch, x, half, prev)
    again = run(state, x, half, prev)
    torch.testing.assert_close(picked, straight[:, index], rtol=1e-9, atol=1e-9)
    assert torch.equal(straight, again)


@named(CASES)
def test_steps_know_new_weights(case):
    """Nothing prepared for steps outlives the weights it was made of."""
    model = case.model()
    uniforms = model.uniforms(3)
    context = case.context(model, 3)
    model.draw(uniforms, context)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.mul_(-0.5)
    naive = model.draw(uniforms, context, method=SamplingMethod.NAIVE)
    torch.testing.assert_close(model.draw(uniforms, context).x, naive.x, rtol=1e-9, atol=1e-9)


@named(CASES)
def test_training_mode_is_refused(case):
    model = case.model().train()
    with pytest.raises(IncompatibleChoices, match="eval"):
        model.sample(2, case.context(model, 2))


@named(CASES)
def test_a_batch_may_have_no_rows(case):
    model = case.model()
    x, context = case.values(model, 0), case.context(model, 0)
    features = model.network(model.to_sites(x), context)
    assert features.shape == (0, model.network.num_sites, model.network.num_features)
    log_prob = model.log_prob(x, context)
    assert log_prob.shape == (0,)
    log_prob.sum().backward()
    assert all(p.grad is None or not p.grad.any() for p in model.parameters())


@named(CASES)
def test_noise_and_values_of_another_type_change_nothing(case):
    """Double noise and double values for a model in single precision."""
    model = case.model().float()
    uniforms = model.uniforms(4)
    context = case.context(model, 4)
    context = None if context is None else context.float()
    values = model.to_sites(case.values(model, 4).float())
    truncation = None if case.num_codes is None else Truncation(top_k=2)
    for method in SamplingMethod:
        if method is SamplingMethod.ROW_JACOBI and not isinstance(model.network, Blockwise):
            continue
        for given in (None, truncation):
            one, other = (
                model.draw(noise, context, method=method, truncation=given)
                for noise in (uniforms, uniforms.double())
            )
            assert other.x.dtype is torch.float32
            assert torch.equal(one.x, other.x)
            assert one.num_passes == other.num_passes

    def forced(values):
        terms = []

        def choose(t, index, site, features):
            terms.append(site.log_prob(features, values[:, index].float()))
            return values[:, index]

        decode(model.network, model.head, 4, choose, context)
        return torch.stack(terms)

    assert torch.equal(forced(values), forced(values.double()))


@named(CASES)
@pytest.mark.parametrize("native", ["0", "1"])
def test_passes_steps_and_draws_inside_an_autocast(case, native, monkeypatch):
    """bfloat16 has 8 bits: features agree to a few hundredths of the largest."""
    monkeypatch.setenv("ANCESTRAL_NATIVE", native)
    model = case.model().float()
    network, rows = model.network, 5
    x = model.to_sites(case.values(model, rows).float())
    context = case.context(model, rows)
    context = None if context is None else context.float()
    with torch.no_grad():
        exact = network(x, context)
        # an end makes features certain, which is far from the others
        scale = float(exact[exact.abs() < 1000].abs().max())
        with torch.autocast("cpu", torch.bfloat16):
            parallel = network(x, context).float()
            state, prev = network.init_state(rows, context), None
            stepped = torch.zeros_like(exact)
            for t, index in enumerate(network.order.tolist()):
                features, state = network.step(state, t, prev)
                stepped[:, index], prev = features, x[:, index]
            for method in SamplingMethod:
                if method is SamplingMethod.ROW_JACOBI and not isinstance(network, Blockwise):
                    continue
                drawn = model.draw(model.uniforms(rows), context, method=method)
                assert drawn.x.dtype is torch.float32
                assert drawn.x.isfinite().all()
    torch.testing.assert_close(parallel, exact, rtol=0.05, atol=0.05 * scale)
    torch.testing.assert_close(stepped, exact, rtol=0.05, atol=0.05 * scale)


@named(CASES)
def test_weights_of_another_order_are_refused_unless_they_bring_it(case):
    model = case.model()
    x, context = case.values(model, 3), case.context(model, 3)
    before = model.log_prob_sites(x, context)
    model.load_state_dict(model.state_dict())
    assert torch.equal(model.log_prob_sites(x, context), before)
    state = model.state_dict()
    state["network.order"] = state["network.order"].roll(1)
    try:
        model.load_state_dict(state)
    except AncestralError:
        return
    assert torch.equal(model.network.order, state["network.order"])
    expected = model.with_order(state["network.order"]).log_prob_sites(x, context)
    assert torch.equal(model.log_prob_sites(x, context), expected)
    assert not torch.equal(expected, before)


class _NoComparison(TorchDispatchMode):
    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        assert func is not torch.ops.aten.equal.default
        return func(*args, **(kwargs or {}))


@named(CASES)
def test_a_pass_does_not_wait_to_compare_orders(case):
    model = case.model()
    x = model.to_sites(case.values(model, 3))
    context = case.context(model, 3)
    with _NoComparison():
        model.network(x, context)


def _trained(case: Case, rows_of, num_steps: int) -> AutoregressiveModel:
    torch.manual_seed(1)
    model = case.build().train()
    optimizer = torch.optim.Adam(model.parameters(), lr=0.03)
    for _ in range(num_steps):
        context = case.context(model, 64)
        loss = -model.log_prob(rows_of(64, model), context).mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    return model.eval()


@named(BINARY)
def test_independent_bits_cannot_be_predicted(case):
    """A leak of a site into its own features would show as more than -n ln 2 nats."""

    def coins(num_rows, model):
        return torch.randint(2, (num_rows, *model.shape)).to(torch.get_default_dtype())

    model = _trained(case, coins, 40)
    with torch.no_grad():
        context = case.context(model, 4000)
        values = model.log_prob(coins(4000, model), context)
    bits = math.prod(model.shape)
    # four standard errors: by chance once in 30,000
    error = float(values.std()) / len(values) ** 0.5
    assert float(values.mean()) < -bits * math.log(2) + 4 * error + 1e-9


@named([case for case in BINARY if case.learns_copy])
def test_copies_can_be_learnt(case):
    """Rows whose sites are all equal have one bit; an input that comes too late costs more."""

    def copies(num_rows, model):
        bit = torch.randint(2, (num_rows, *[1] * len(model.shape)))
        return bit.expand(num_rows, *model.shape).to(torch.get_default_dtype())

    model = _trained(case, copies, 150)
    with torch.no_grad():
        value = model.log_prob(copies(500, model), case.context(model, 500)).mean()
    # ln 2 at best; without the copies it would be all bits times ln 2
    assert -1.6 < float(value) < -0.6
