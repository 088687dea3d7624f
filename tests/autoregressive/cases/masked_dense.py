"""Masked dense networks (MADE)."""

import torch
from case import Case
from torch import nn

from ancestral.core import Column, Kind
from ancestral.distributions import (
    Bernoulli,
    Categorical,
    ColumnSites,
    Normal,
    Product,
    SiteMixture,
    site_head,
)
from ancestral.models.autoregressive import AutoregressiveModel
from ancestral.networks.causal import MaskedDense, OneHot, Plain
from ancestral.networks.causal.encodings import column_encoding

ORDERS = [[3, 0, 5, 1, 4, 2], [0, 1, 2, 3, 4, 5], [5, 4, 3, 2, 1, 0]]


def _unused(model: AutoregressiveModel) -> dict:
    """Masked weights, and the biases of features that a narrower site does not have."""
    network = model.network
    names = [f"network.weights.{i}" for i in range(len(network.hidden_sizes))]
    masks = network.wiring.masks(network.direct)
    names = [*names, "network.output", "network.direct"]
    unused = {name: mask == 0 for name, mask in zip(names, masks, strict=True)}
    padding = network.output_bias.new_ones(network.output_bias.shape)
    for site in range(network.num_sites):
        padding[site, : model.head.num_site_features(site)] = 0
    for i, mask in enumerate(network.wiring.site_masks(network.direct)[: len(network.seen)]):
        unused[f"network.seen.{i}"] = mask == 0
    return unused | {"network.output_bias": padding.bool()}


def _awake(network: MaskedDense) -> MaskedDense:
    """With biases at which rectified units are seldom zero for all rows."""
    with torch.no_grad():
        for bias in network.biases:
            bias.fill_(6.0)
    return network


def _binary() -> AutoregressiveModel:
    network = MaskedDense(8, 1, Plain(), hidden_sizes=(20,))
    return AutoregressiveModel(_awake(network), site_head(Bernoulli((8,)), 8), (8,))


def _deep() -> AutoregressiveModel:
    """Fewer units than sites in one layer; an order, and a context."""
    network = MaskedDense(
        6, 1, Plain(), hidden_sizes=(11, 4, 7), context_size=3, orders=ORDERS[:1]
    )
    return AutoregressiveModel(_awake(network), site_head(Bernoulli((2, 3)), 6), (2, 3))


def _agnostic() -> AutoregressiveModel:
    network = MaskedDense(
        6,
        1,
        Plain(),
        hidden_sizes=(12, 12),
        activation=nn.Tanh,
        orders=ORDERS,
        num_connectivities=2,
    )
    other = network.with_order(ORDERS[1])
    return AutoregressiveModel(other, site_head(Bernoulli((6,)), 6), (6,))


def _categorical() -> AutoregressiveModel:
    network = MaskedDense(5, 3, OneHot(3), hidden_sizes=(12,), orders=[[4, 2, 0, 1, 3]])
    return AutoregressiveModel(_awake(network), site_head(Categorical((5,), 3), 5), (5,))


def _mixture() -> AutoregressiveModel:
    head = site_head(SiteMixture(Normal((4,)), 2), 4)
    network = MaskedDense(4, head.num_features, Plain(), hidden_sizes=(9, 6), activation=nn.Tanh)
    return AutoregressiveModel(network, head, (4,))


def _table() -> AutoregressiveModel:
    """Binary columns under heads of one and of two features, with one and two inputs."""
    kinds = [Kind.BINARY, Kind.CATEGORICAL, Kind.BINARY, Kind.CATEGORICAL]
    columns = tuple(Column(kind, kind, 2) for kind in kinds)
    head = ColumnSites(Product((((0, 2), Bernoulli((2,))), ((1, 3), Categorical((2,), 2)))))
    sizes = [head.num_site_features(site) for site in range(4)]
    network = MaskedDense(
        4, sizes, column_encoding(columns), hidden_sizes=(9,), orders=[[1, 3, 2, 0]]
    )
    return AutoregressiveModel(_awake(network), head, (4,))


CASES = [
    Case("made", _binary, unused=_unused),
    Case("made, deep, order and context", _deep, unused=_unused, learns_copy=False),
    Case("made, several orders", _agnostic, unused=_unused),
    Case("made, categorical", _categorical, num_codes=3, unused=_unused),
    Case("made, mixture of Gaussians", _mixture, None, enumerable=False, unused=_unused),
    Case("made, columns", _table, unused=_unused),
]
