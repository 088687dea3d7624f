"""Recurrent networks, transformers, and sequences with an end."""

from functools import partial

import torch
from case import Case

from ancestral.distributions import Bernoulli, Categorical, Normal, site_head
from ancestral.models.autoregressive import AutoregressiveModel
from ancestral.networks.causal import (
    CausalTransformer,
    Cell,
    OneHot,
    Plain,
    RecurrentCausal,
    SiteRoles,
    UntilEnd,
)

ORDER = [3, 0, 5, 1, 4, 2]


def _recurrent(cell: Cell, layers: int, **options) -> AutoregressiveModel:
    network = RecurrentCausal(
        5,
        3,
        OneHot(3),
        cell=cell,
        hidden_size=6,
        num_layers=layers,
        embedding_size=4,
        dropout=0.1,
        **options,
    )
    return AutoregressiveModel(network, site_head(Categorical((5,), 3), 5), (5,))


def _binary(cell: Cell) -> AutoregressiveModel:
    network = RecurrentCausal(
        6,
        1,
        Plain(),
        cell=cell,
        hidden_size=12,
        embedding_size=4,
        context_size=2,
        roles=SiteRoles.OWN,
        order=ORDER,
    )
    return AutoregressiveModel(network, site_head(Bernoulli((2, 3)), 6), (2, 3))


def _pairs() -> AutoregressiveModel:
    network = RecurrentCausal(
        3, 4, OneHot(2, 2), hidden_size=5, embedding_size=3, width=2, num_layers=2
    )
    return AutoregressiveModel(network, site_head(Categorical((3, 2), 2), 3, 2), (3, 2))


def _real() -> AutoregressiveModel:
    network = RecurrentCausal(5, 2, Plain(), hidden_size=6, embedding_size=3)
    return AutoregressiveModel(network, site_head(Normal((5,)), 5), (5,))


def _transformer(**options) -> AutoregressiveModel:
    network = CausalTransformer(
        5, 3, OneHot(3), hidden_size=8, num_layers=2, num_heads=2, dropout=0.1, **options
    )
    return AutoregressiveModel(network, site_head(Categorical((5,), 3), 5), (5,))


def _transformer_binary() -> AutoregressiveModel:
    network = CausalTransformer(
        6,
        1,
        Plain(),
        hidden_size=12,
        num_layers=1,
        num_heads=2,
        context_size=2,
        roles=SiteRoles.OWN,
        order=ORDER,
    )
    return AutoregressiveModel(network, site_head(Bernoulli((2, 3)), 6), (2, 3))


def _no_end(model: AutoregressiveModel) -> dict:
    weight = model.network.network.embedding.weight
    unused = torch.zeros_like(weight, dtype=torch.bool)
    unused[model.network.end_code] = True  # nothing is asked about sites after an end
    return {"network.network.embedding.weight": unused}


def _ended(transformer: bool) -> AutoregressiveModel:
    if transformer:
        inner = CausalTransformer(5, 3, OneHot(3), hidden_size=8, num_layers=1, num_heads=2)
    else:
        inner = RecurrentCausal(5, 3, OneHot(3), hidden_size=6, embedding_size=4, context_size=2)
    head = site_head(Categorical((5,), 3), 5)
    return AutoregressiveModel(UntilEnd(inner, end_code=1), head, (5,))


CASES = [
    *(
        Case(f"{cell}, {layers} layers", partial(_recurrent, cell, layers), num_codes=3)
        for cell, layers in ((Cell.TANH, 2), (Cell.GRU, 2), (Cell.LSTM, 3))
    ),
    Case("lstm, context", partial(_recurrent, Cell.LSTM, 1, context_size=2), num_codes=3),
    *(
        Case(f"{cell}, binary, order and context", partial(_binary, cell), learns_copy=False)
        for cell in (Cell.GRU, Cell.LSTM)
    ),
    Case("lstm, sites of two codes", _pairs),
    Case("lstm, reals", _real, num_codes=None, enumerable=False),
    Case("transformer", _transformer, num_codes=3),
    Case("transformer, context", partial(_transformer, context_size=2), num_codes=3),
    Case("transformer, binary, order and context", _transformer_binary, learns_copy=False),
    Case("lstm, ends", partial(_ended, False), num_codes=3, unused=_no_end),
    Case("transformer, ends", partial(_ended, True), num_codes=3, unused=_no_end),
]
