"""Tables over a graph."""

import torch
from case import Case

from ancestral.distributions import Categorical, site_head
from ancestral.models import BayesNet
from ancestral.models.autoregressive import AutoregressiveModel
from ancestral.networks.causal import TabularCausal

CHAIN = [(), (0,), (1,), (2,), (3,), (4,)]
# an arrow against the order of storage, a site with two parents, one without any
GRAPH = [(3,), (), (0, 1), (), (2, 3)]


def _categorical(shape, num_levels):
    cells = int(torch.Size(shape).numel())
    return site_head(Categorical(shape, num_levels), cells)


def _chain() -> AutoregressiveModel:
    return BayesNet(TabularCausal([2] * 6, CHAIN), _categorical((2, 3), 2), (2, 3))


def _graph() -> AutoregressiveModel:
    return BayesNet(TabularCausal([3] * 5, GRAPH), _categorical((5,), 3), (5,))


def _pattern() -> torch.Tensor:
    order = [1, 3, 0, 2, 4]
    found = torch.zeros(5, 5, dtype=torch.bool)
    for site, parents in enumerate(GRAPH):
        for parent in parents:
            found[order.index(site), order.index(parent)] = True
    return found


def _reordered() -> AutoregressiveModel:
    network = TabularCausal([2] * 5, [(1,), (4,), (0, 1), (2,), ()], order=[4, 1, 0, 2, 3])
    return AutoregressiveModel(network, _categorical((5,), 2), (5,))


def _reordered_pattern() -> torch.Tensor:
    found = torch.zeros(5, 5, dtype=torch.bool)
    for step, parents in enumerate([(), (0,), (1,), (1, 2), (3,)]):
        found[step, list(parents)] = True
    return found


CASES = [
    Case("chain of tables", _chain, sees=lambda lag: lag == 1),
    Case("tables over a graph", _graph, num_codes=3, pattern=_pattern, learns_copy=False),
    Case("tables, order", _reordered, pattern=_reordered_pattern),
]
