"""NADE, RNADE and order-agnostic NADE."""

import torch
from case import Case
from torch import Tensor

from ancestral.distributions import Bernoulli, Categorical, Laplace, Normal, SiteMixture, site_head
from ancestral.models.autoregressive import AutoregressiveModel
from ancestral.networks.causal import (
    NADE,
    RNADE,
    Activation,
    DirectOrderAgnosticNADE,
    OneHot,
    OrderAgnosticNADE,
    Plain,
    TiedNADE,
)

ORDER = [3, 0, 5, 1, 4, 2]


def _last_input(model: AutoregressiveModel) -> dict[str, Tensor]:
    """Nothing depends on the last site."""
    network = model.network
    unused = torch.zeros_like(network.weight, dtype=torch.bool)
    unused[network.order[-1]] = True
    return {"network.weight": unused}


def _binary() -> AutoregressiveModel:
    network = NADE(7, 1, Plain(), 9)
    return AutoregressiveModel(network, site_head(Bernoulli((7,)), 7), (7,))


def _reordered() -> AutoregressiveModel:
    network = NADE(6, 1, Plain(), 8, order=ORDER, context_size=3, activation=Activation.TANH)
    return AutoregressiveModel(network, site_head(Bernoulli((2, 3)), 6), (2, 3))


def _tied() -> AutoregressiveModel:
    network = TiedNADE(4, 3, OneHot(3), 7, order=[2, 0, 3, 1])
    return AutoregressiveModel(network, site_head(Categorical((4,), 3), 4), (4,))


def _categorical() -> AutoregressiveModel:
    network = NADE(4, 3, OneHot(3), 7, context_size=1)
    return AutoregressiveModel(network, site_head(Categorical((4,), 3), 4), (4,))


def _wide() -> AutoregressiveModel:
    network = NADE(3, 2, Plain(2), 6, width=2)
    return AutoregressiveModel(network, site_head(Bernoulli((3, 2)), 3, 2), (3, 2))


def _real(component: type, order: list[int] | None) -> AutoregressiveModel:
    head = site_head(SiteMixture(component((5,)), 2), 5)
    network = RNADE(5, head.num_features, Plain(), 6, order=order)
    return AutoregressiveModel(network, head, (5,))


def _agnostic(hidden_sizes: list[int], context_size: int) -> AutoregressiveModel:
    network = OrderAgnosticNADE(
        6,
        1,
        Plain(),
        hidden_sizes,
        order=ORDER,
        context_size=context_size,
        activation=Activation.TANH,
    )
    return AutoregressiveModel(network, site_head(Bernoulli((6,)), 6), (6,))


def _direct() -> AutoregressiveModel:
    agnostic = _agnostic([7], 2)
    network = DirectOrderAgnosticNADE(agnostic.network)
    return AutoregressiveModel(network, agnostic.head, (6,))


def _backward_connections(model: AutoregressiveModel) -> dict[str, Tensor]:
    """Nothing depends on the last site, and no site on itself or on later ones."""
    network = model.network
    rank = network.order.argsort()
    backward = (rank.unsqueeze(1) >= rank)[:, None, :, None]
    last = torch.zeros_like(network.network.weight, dtype=torch.bool)
    last[network.order[-1]] = True
    return {
        "network.direct": backward.expand_as(network.direct),
        "network.network.weight": last,
    }


CASES = [
    Case("nade", _binary, unused=_last_input),
    Case("nade, order and context", _reordered, unused=_last_input, learns_copy=False),
    Case("nade, tied, categorical", _tied, num_codes=3),
    Case("nade, categorical", _categorical, num_codes=3, unused=_last_input),
    Case("nade, wide", _wide, unused=_last_input, learns_copy=False),
    Case(
        "rnade",
        lambda: _real(Normal, None),
        num_codes=None,
        enumerable=False,
        unused=_last_input,
    ),
    Case(
        "rnade, laplace, order",
        lambda: _real(Laplace, [4, 1, 0, 3, 2]),
        num_codes=None,
        enumerable=False,
        unused=_last_input,
    ),
    Case("eonade", lambda: _agnostic([8], 2), unused=_last_input, learns_copy=False),
    Case("eonade, direct", _direct, unused=_backward_connections, learns_copy=False),
    Case("eonade, deep", lambda: _agnostic([7, 5, 6], 0), unused=_last_input),
]
