"""Bayesian networks of tables: every exact answer against enumeration."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
import torch
from scipy.sparse.csgraph import breadth_first_order, minimum_spanning_tree
from scipy.stats import chi2

from ancestral.applications import ParticleFilter, impute
from ancestral.core import Batch, DataError, IncompatibleChoices, NotExact, OptionError
from ancestral.distributions import Categorical, Product, SiteHead, site_head
from ancestral.models import BayesNet, ChowLiuTree, HillClimbing
from ancestral.models.bayes_net.counting import leave_one_out_smoothing, mutual_information
from ancestral.models.bayes_net.elimination import plan_elimination
from ancestral.models.bayes_net.hill_climbing import bic
from ancestral.models.bayes_net.structure import spanning_tree
from ancestral.networks.causal import TabularCausal
from ancestral.networks.causal.tabular import topological_order

SIZES = [2, 3, 2, 4, 2, 3]
TREE = [(), (0,), (1,), (1,), (0,), (4,)]
LOOPS = [(), (0,), (0, 1), (1, 2), (3, 0), (2,)]
FOREST = [(), (0,), (), (2,), (), ()]


def columns(sizes: list[int]) -> SiteHead:
    groups: dict[int, list[int]] = {}
    for index, size in enumerate(sizes):
        groups.setdefault(size, []).append(index)
    parts = tuple((tuple(its), Categorical((len(its),), size)) for size, its in groups.items())
    return site_head(Product(parts), len(sizes))


def a_net(graph, sizes=SIZES, **options) -> BayesNet:
    network = TabularCausal(sizes, graph)
    with torch.no_grad():
        network.table.normal_(0, 1.5)
    return BayesNet(network, columns(sizes), (len(sizes),), **options).eval()


def states_of(sizes) -> torch.Tensor:
    return torch.tensor(list(itertools.product(*map(range, sizes)))).double()


@pytest.mark.parametrize("graph", [TREE, LOOPS, FOREST], ids=["tree", "loops", "forest"])
@pytest.mark.parametrize("alone", [True, False], ids=["pattern by pattern", "together"])
def test_sums_agree_with_enumeration(graph, alone, monkeypatch):
    """log p with gaps, marginals and draws (chi-square; fails by chance once in 10,000)."""
    if alone:  # rows of one pattern at a time, whose known cells make the tables smaller
        monkeypatch.setattr("ancestral.models.bayes_net.model._EASY_CELLS", 0)
    net = a_net(graph)
    states = states_of(SIZES)
    with torch.no_grad():
        log_prob = net.log_prob(states)
        assert abs(float(log_prob.logsumexp(0))) < 1e-12
        rows = 12
        x, seen = net.sample(rows), torch.rand(rows, 6) < 0.5
        seen[0], seen[1] = True, False
        value, marginals = net.log_prob(x, observed=seen), net.marginals(x, seen)
        draws = net.posterior_samples(x, seen, torch.rand(rows, 3000, 6))
    base = torch.tensor([1, *SIZES[:0:-1]]).cumprod(0).flip(0)
    for row in range(rows):
        agrees = ((states == x[row]) | ~seen[row]).all(1)
        total = log_prob[agrees].logsumexp(0)
        torch.testing.assert_close(value[row], total, rtol=1e-12, atol=1e-12)
        mass = torch.where(agrees, (log_prob - total).exp(), 0.0)
        for site, size in enumerate(SIZES):
            expected = [float(mass[states[:, site] == k].sum()) for k in range(size)]
            assert marginals[row, site, :size].tolist() == pytest.approx(expected, abs=1e-12)
            assert float(marginals[row, site, size:].sum()) == 0.0
        count = torch.bincount((draws[row].long() * base).sum(1), minlength=len(states))
        assert int(count[~agrees].sum()) == 0
        expected = mass * 3000
        common = expected > 5
        cells = [(count[common].double(), expected[common])]
        cells.append((count[~common].sum()[None].double(), expected[~common].sum()[None]))
        statistic = sum(float(((c - e).square() / e.clamp_min(1e-9)).sum()) for c, e in cells)
        if expected[~common].sum() > 5:
            assert statistic < chi2.isf(1e-4 / rows, int(common.sum()))


def test_many_children_do_not_vanish():
    """A thousand small numbers, whose product no floating-point number holds."""
    num = 1000
    net = a_net([(), *[(0,)] * (num - 1)], [2] * num)
    with torch.no_grad():
        net.network.table[1:] = torch.tensor([[6.0, -6.0], [-6.0, 6.0]]).repeat(num - 1, 1)
    x = torch.ones(1, num)
    x[0, 1:500] = 0.0
    seen = torch.ones(1, num, dtype=torch.bool)
    seen[0, 0] = False
    with torch.no_grad():
        both = torch.cat([x, x])
        both[:, 0] = torch.tensor([0.0, 1.0])
        expected = net.log_prob(both).logsumexp(0)
        assert float(net.log_prob(x, observed=seen)) == pytest.approx(float(expected))
        assert float(expected) < -5000


def test_gradients_of_marginalised_log_p():
    net = a_net(LOOPS, [2] * 6)
    x, seen = torch.randint(2, (3, 6)).double(), torch.rand(3, 6) < 0.5
    net.log_prob(x, observed=seen).sum().backward()
    found = net.network.table.grad.clone()
    net.network.table.grad = None
    states = states_of([2] * 6)
    total = torch.zeros(())
    for row in range(3):
        agrees = ((states == x[row]) | ~seen[row]).all(1)
        total = total + net.log_prob(states[agrees]).logsumexp(0)
    total.backward()
    torch.testing.assert_close(found, net.network.table.grad)


def test_dense_graphs_are_refused_with_a_hint_and_imputed_by_particles():
    net, num = a_dense_net()
    x = net.sample(2)
    seen = torch.ones(2, x.shape[1], dtype=torch.bool)
    seen[:, :num] = False
    with pytest.raises(NotExact, match=r"the graph is too dense\n\nhint: .*chow_liu"):
        net.log_prob(x, observed=seen)
    assert "sequential Monte Carlo" in impute(net, Batch(x, seen), 5).method


def a_dense_net() -> tuple[BayesNet, int]:
    """Bits, and a child of each pair of them: known, it ties all together."""
    num = 26
    pairs = list(itertools.combinations(range(num), 2))
    return a_net([()] * num + pairs, [2] * (num + len(pairs))), num


def test_only_the_patterns_that_are_too_dense_take_particles():
    net, num = a_dense_net()
    x = net.sample(4)
    seen = torch.ones(4, x.shape[1], dtype=torch.bool)
    seen[0, :num] = False  # all parents below known children
    seen[1, num:] = False  # the known come first
    seen[2, :3] = False
    seen[3, 1:] = False  # nothing is below what is missing
    found = impute(net, Batch(x, seen), 20, particles=ParticleFilter(30, num_moves=2))
    exactly = [method.startswith("exactly") for method in found.methods]
    assert exactly == [False, True, True, True]
    with torch.no_grad():
        terms = net.log_prob_sites(x)
    assert float(found.log_evidence.value[1]) == pytest.approx(float(terms[1, :num].sum()))
    assert float(found.log_evidence.value[3]) == pytest.approx(float(terms[3, 0]))
    given = seen.unsqueeze(1).expand_as(found.samples)
    assert torch.equal(found.samples[given], x.unsqueeze(1).expand_as(found.samples)[given])


def test_what_nothing_known_lies_below_needs_no_sums(monkeypatch):
    """Chi-square of the draws against enumeration; fails by chance once in 10,000."""
    net = a_net(LOOPS)
    x = net.sample(1)
    seen = torch.tensor([[False, False, True, False, False, False]])
    states = states_of(SIZES)
    with torch.no_grad():
        log_prob = net.log_prob(states)
        expected = net.log_prob(x, observed=seen)
    # the sums over 0 and 1 remain: 6 terms; those over the loop 1, 2, 3 would be more
    monkeypatch.setattr("ancestral.models.bayes_net.model._EASY_CELLS", 0)
    monkeypatch.setattr("ancestral.models.bayes_net.model._MOST_CELLS", 6)
    torch.testing.assert_close(net.log_prob(x, observed=seen), expected)
    with pytest.raises(NotExact, match="too dense"):
        net.marginals(x, seen)
    num = 6000
    found = impute(net, Batch(x, seen), num, seed=1)
    assert found.method.startswith("exactly, by sums")
    torch.testing.assert_close(found.log_evidence.value, expected.detach())
    agrees = states[:, 2] == x[0, 2]
    mass = torch.where(agrees, (log_prob - log_prob[agrees].logsumexp(0)).exp(), 0.0) * num
    base = torch.tensor([1, *SIZES[:0:-1]]).cumprod(0).flip(0)
    count = torch.bincount((found.samples[0].long() * base).sum(1), minlength=len(states))
    common = mass > 5
    assert int(count[~agrees].sum()) == 0
    statistic = float(((count - mass).square() / mass)[common].sum())
    assert statistic < chi2.isf(1e-4, int(common.sum()))


def test_no_rows_have_no_log_p():
    net = a_net(TREE)
    none = torch.zeros(0, 6)
    assert net.log_prob(none, observed=none.bool()).shape == (0,)


def test_the_sums_of_one_row_are_bounded_together(monkeypatch):
    net = a_net(TREE)
    x, seen = net.sample(1), torch.zeros(1, 6, dtype=torch.bool)
    monkeypatch.setattr("ancestral.models.bayes_net.model._MOST_IN_ALL", 20)
    with pytest.raises(NotExact, match="in all"):
        net.marginals(x, seen)


@pytest.mark.parametrize("wrong", [3.0, 7.0, -1.0, 0.5, float("nan")])
def test_codes_that_no_table_has_are_refused_where_they_are_observed(wrong):
    net = a_net(TREE)
    x = net.sample(2)
    x[1, 1] = wrong
    seen = torch.ones(2, 6, dtype=torch.bool)
    message = r"expected codes from 0 to 2 in column 1, got .*\n\nhint: .*missing"
    for ask in (
        lambda: net.log_prob(x),
        lambda: net.log_prob(x, observed=seen),
        lambda: net.marginals(x, seen),
        lambda: impute(net, Batch(x, seen), 3),
        lambda: net.fit_batches(lambda: [Batch(x)]),
    ):
        with pytest.raises(DataError, match=message):
            ask()
    seen[1, 1] = False
    assert net.log_prob(x, observed=seen).isfinite().all()
    assert impute(net, Batch(x, seen), 3).log_evidence.kind == "exact"


def test_the_tree_is_the_one_of_scipy():
    rng = np.random.default_rng(0)
    weights = rng.random((30, 30))
    weights = weights + weights.T
    ours = spanning_tree(weights, root=7)
    tree = minimum_spanning_tree(-weights).toarray()
    _, before = breadth_first_order(tree, 7, directed=False)
    theirs = [() if p < 0 else (int(p),) for p in before]
    assert ours == theirs
    assert ours[7] == ()


def test_mutual_information_against_its_definition():
    rng = np.random.default_rng(1)
    codes = torch.tensor(np.stack([rng.integers(0, k, 200) for k in SIZES], 1))
    codes[:, 2] = codes[:, 0]
    for smoothing in (0.0, 0.5):
        found = mutual_information(lambda: codes.split(60), SIZES, smoothing)
        for i, j in itertools.permutations(range(6), 2):
            joint = np.full((SIZES[i], SIZES[j]), smoothing)
            np.add.at(joint, (codes[:, i].numpy(), codes[:, j].numpy()), 1.0)
            joint /= joint.sum()
            product = joint.sum(1, keepdims=True) * joint.sum(0)
            kept = joint > 0
            expected = (joint[kept] * np.log(joint[kept] / product[kept])).sum()
            assert float(found[i, j]) == pytest.approx(expected, abs=1e-12)
    assert torch.equal(found.diagonal(), torch.zeros(6))


def test_blocks_of_sites_give_the_same_information(monkeypatch):
    codes = torch.randint(2, (50, 6))
    at_once = mutual_information(lambda: [codes], [2] * 6, 0.1)
    monkeypatch.setattr("ancestral.models.bayes_net.counting._BLOCK_CELLS", 30)
    torch.testing.assert_close(mutual_information(lambda: [codes], [2] * 6, 0.1), at_once)


@torch.no_grad()
def test_chow_liu_is_the_best_tree():
    """Of all directed trees by enumeration, at the counts' own frequencies."""
    true = a_net([(), (0,), (1,), (1,)], [2, 3, 2, 2])
    x = true.sample(400)
    net = BayesNet(
        TabularCausal([2, 3, 2, 2]), columns([2, 3, 2, 2]), (4,), ChowLiuTree(), smoothing=1e-9
    )
    said = net.fit_batches(lambda: [Batch(part) for part in x.split(90)])
    assert said.startswith("counts of 400 rows over the best tree of 4 columns")
    best = float(net.log_prob(x).mean())
    for parents in itertools.product(range(4), repeat=3):
        graph = [(), *[(p,) for p in parents]]
        try:
            topological_order(graph)
        except IncompatibleChoices:
            continue
        other = BayesNet(TabularCausal([2, 3, 2, 2], graph), net.head, (4,), smoothing=1e-9)
        other.fit_batches(lambda: [Batch(x)])
        assert float(other.log_prob(x).mean()) <= best + 1e-9
    rooted = BayesNet(net.network, net.head, (4,), ChowLiuTree(root=3), smoothing=1e-9)
    rooted.fit_batches(lambda: [Batch(x)])
    assert rooted.network.graph[3] == ()
    assert float(rooted.log_prob(x).mean()) == pytest.approx(best)


def test_counts_are_frequencies_with_pseudo_counts():
    x = torch.tensor([[0.0, 0], [0, 1], [0, 1], [1, 1]])
    net = BayesNet(TabularCausal([2, 2], [(), (0,)]), columns([2, 2]), (2,), smoothing=0.5)
    net.fit_batches(lambda: [Batch(x[:1]), Batch(x[1:])])
    expected = torch.tensor([[3.5 / 5, 1.5 / 5], [1.5 / 4, 2.5 / 4], [0.5 / 2, 1.5 / 2]])
    torch.testing.assert_close(net.network.table.exp().detach(), expected)
    gaps = Batch(x, torch.tensor([[True, False]] * 4))
    with pytest.raises(NotExact, match="expected complete rows to count"):
        net.fit_batches(lambda: [gaps])
    with pytest.raises(OptionError, match="smoothing greater than 0"):
        a_net(TREE, smoothing=0.0)


def test_leave_one_out_smoothing_is_what_leaving_out_gives():
    x = torch.randint(3, (25, 1))
    x[0] = 2
    counts = torch.bincount(x[:, 0], minlength=3).unsqueeze(0)
    chosen = leave_one_out_smoothing(counts, torch.tensor([3]))

    def score(smoothing):
        total = 0.0
        for i in range(25):
            others = torch.cat((x[:i], x[i + 1 :]))[:, 0]
            number = float((others == x[i]).sum())
            total += np.log((number + smoothing) / (24 + 3 * smoothing))
        return total

    grid = [10 ** (i / 6) for i in range(-24, 19)]
    assert chosen == max(grid, key=score)


def test_search_finds_the_graph_that_made_the_data():
    """Its skeleton and its collider, which no tree has."""
    torch.manual_seed(5)
    true = a_net([(), (), (0, 1), (2,)], [2] * 4)
    with torch.no_grad():
        true.network.table.zero_()
        true.network.table[:2] = 0.0
        xor = torch.tensor([[2.0, 0], [0, 2.0], [0, 2.0], [2.0, 0]])
        true.network.table[2:6] = xor + torch.tensor([[0.5, 0.0], [0, 0], [0, 0.5], [0, 0]])
        true.network.table[6:8] = torch.tensor([[2.0, 0], [0, 2.0]])
    codes = true.sample(5000).long()
    found = HillClimbing(3).learn(lambda: codes.split(700), [2] * 4, None)
    edges = {frozenset((p, c)) for c, its in enumerate(found) for p in its}
    assert frozenset((2, 3)) in edges
    score = sum(bic(codes, [2] * 4, c, its) for c, its in enumerate(found))
    truth = sum(bic(codes, [2] * 4, c, its) for c, its in enumerate([(), (), (0, 1), (2,)]))
    assert score >= truth - 1e-6


@pytest.mark.parametrize("seed", range(4))
def test_search_stops_where_no_single_arrow_helps(seed):
    torch.manual_seed(seed)
    sizes = [2, 3, 2, 2, 2]
    codes = a_net([(), (0,), (0, 1), (2,), (2, 3)], sizes).sample(800).long()
    found = HillClimbing(2).learn(lambda: [codes], sizes, None)
    topological_order(found)  # no cycle
    assert max(map(len, found)) <= 2
    best = sum(bic(codes, sizes, c, its) for c, its in enumerate(found))
    for parent, child in itertools.permutations(range(5), 2):
        other = [set(its) for its in found]
        if parent in other[child]:
            other[child].discard(parent)
        elif child in other[parent]:
            other[parent].discard(child)
            other[child].add(parent)
        else:
            other[child].add(parent)
        if max(map(len, other)) > 2:
            continue
        try:
            topological_order([sorted(its) for its in other])
        except IncompatibleChoices:
            continue
        score = sum(bic(codes, sizes, c, sorted(its)) for c, its in enumerate(other))
        assert score <= best + 1e-5


def test_plans_of_trees_sum_over_pairs_only():
    rng = np.random.default_rng(2)
    graph = ((), *[(int(rng.integers(i)),) for i in range(1, 300)])
    plan = plan_elimination(graph, (3,) * 300, frozenset(range(300)))
    assert plan.most_cells == 9
    assert sorted(bucket.site for bucket in plan.buckets) == list(range(300))


def test_weights_bring_their_graph():
    net, other = a_net(LOOPS), BayesNet(TabularCausal(SIZES), columns(SIZES), (6,))
    other.load_state_dict(net.state_dict())
    x = net.sample(20)
    assert torch.equal(net.log_prob(x), other.eval().log_prob(x))
    assert other.network.graph == net.network.graph


def test_graphs_that_cannot_be():
    with pytest.raises(IncompatibleChoices, match=r"cycle.* 0 -> 1 -> 2 -> 0"):
        TabularCausal([2] * 3, [(2,), (0,), (1,)])
    with pytest.raises(IncompatibleChoices, match="site 1 before its parent 0"):
        TabularCausal([2] * 2, [(), (0,)], order=[1, 0])
    with pytest.raises(OptionError, match="different parents from 0 to 1"):
        TabularCausal([2] * 2, [(), (4,)])
    with pytest.raises(OptionError, match=r"expected tables of at most .* column 39"):
        TabularCausal([2] * 40, [()] * 39 + [tuple(range(39))])
    with pytest.raises(DataError, match="for a table of each pair"):
        mutual_information(list, [256] * 200, 0.1)
    with pytest.raises(OptionError, match="a root from 0 to 1"):
        ChowLiuTree(5).learn(lambda: [torch.zeros(1, 2).long()], [2, 2], 0.1)


@pytest.mark.data
@pytest.mark.parametrize(
    ("name", "published"), [("nltcs", -6.76), ("dna", -87.66), ("accidents", -33.19)]
)
def test_published_trees(name, published, data_dir, single_precision):
    import ancestral

    data = ancestral.load_dataset(name, data_dir=data_dir)
    model = ancestral.build("chow_liu").fit(data.train, validation=data.valid)
    assert model.score(data.test) == pytest.approx(published, abs=0.1)
