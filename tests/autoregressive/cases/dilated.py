"""Dilated convolutions."""

from __future__ import annotations

import torch
from case import Case
from torch import Tensor

from ancestral.distributions import (
    Bernoulli,
    Categorical,
    DiscretizedLogistic,
    Normal,
    SiteMixture,
    site_head,
)
from ancestral.models.autoregressive import AutoregressiveModel
from ancestral.networks.causal import (
    Conditioning,
    DilatedConvolutional,
    OneHot,
    Plain,
    doubling,
)

SMALL = {"channels": 5, "skip_channels": 4}


def _dead(model: AutoregressiveModel) -> dict[str, Tensor]:
    """Entries of weights that only lead through rectified units that are never on together."""
    network, seen = model.network, []
    handle = network.hidden.register_forward_hook(
        lambda layer, inputs, output: seen.append((inputs[0] > 0, output > 0))
    )
    rows = torch.randn(5000, network.num_sites, network.width)
    if isinstance(network.encoding, OneHot):
        rows = torch.randint(network.encoding.num_levels, rows.shape).double()
    elif isinstance(model.head.cell, Bernoulli):
        rows = (rows > 0).double()
    context = torch.randn(len(rows), *network.context_shape) if network.context_size else None
    with torch.no_grad():
        network(rows, context)
    handle.remove()
    total, hidden = (on.flatten(0, -2).double() for on in seen[0])
    never = hidden.T @ total == 0
    from_total, from_hidden = never.all(0), hidden.sum(0) == 0
    return {
        "network.skip_weight": from_total.expand_as(network.skip_weight),
        "network.skip_bias": from_total,
        "network.hidden.weight": never,
        "network.hidden.bias": from_hidden,
        "network.output_weight": from_hidden.unsqueeze(1).expand_as(network.output_weight),
    }


def _binary() -> AutoregressiveModel:
    network = DilatedConvolutional(8, 1, Plain(), dilations=doubling(2, 2), **SMALL)
    return AutoregressiveModel(network, site_head(Bernoulli((8,)), 8), (8,))


def _short_sighted() -> AutoregressiveModel:
    network = DilatedConvolutional(8, 1, OneHot(2), dilations=(1, 2), **SMALL)
    return AutoregressiveModel(network, site_head(Bernoulli((8,)), 8), (8,))


def _gaps() -> AutoregressiveModel:
    """Three taps of dilation 3, and one of 1: some lags are out of sight."""
    network = DilatedConvolutional(12, 1, OneHot(2), dilations=(3,), kernel_size=3, **SMALL)
    return AutoregressiveModel(network, site_head(Bernoulli((12,)), 12), (12,))


def _categorical() -> AutoregressiveModel:
    network = DilatedConvolutional(5, 3, OneHot(3), dilations=(1, 2, 1), **SMALL)
    return AutoregressiveModel(network, site_head(Categorical((5,), 3), 5), (5,))


def _global_context() -> AutoregressiveModel:
    network = DilatedConvolutional(
        6, 1, Plain(), dilations=(1, 2, 2), context_size=3, order=[3, 0, 5, 1, 4, 2], **SMALL
    )
    return AutoregressiveModel(network, site_head(Bernoulli((2, 3)), 6), (2, 3))


def _local_context() -> AutoregressiveModel:
    network = DilatedConvolutional(
        6,
        4,
        OneHot(4),
        dilations=(1, 2, 2),
        kernel_size=2,
        context_size=2,
        conditioning=Conditioning.LOCAL,
        **SMALL,
    )
    return AutoregressiveModel(network, site_head(Categorical((6,), 4), 6), (6,))


def _wide() -> AutoregressiveModel:
    network = DilatedConvolutional(4, 4, OneHot(2, 2), width=2, dilations=(1, 2), **SMALL)
    return AutoregressiveModel(network, site_head(Categorical((4, 2), 2), 4, 2), (4, 2))


def _logistics() -> AutoregressiveModel:
    head = SiteMixture(DiscretizedLogistic((5,), 6), 2)
    network = DilatedConvolutional(5, 6, OneHot(6), dilations=(1, 2, 1), **SMALL)
    return AutoregressiveModel(network, site_head(head, 5), (5,))


def _real() -> AutoregressiveModel:
    network = DilatedConvolutional(5, 2, Plain(), dilations=(1, 2, 1), **SMALL)
    return AutoregressiveModel(network, site_head(Normal((5,)), 5), (5,))


CASES = [
    Case("wavenet", _binary, unused=_dead),
    Case("wavenet, short-sighted", _short_sighted, sees=lambda lag: lag <= 4, unused=_dead),
    Case(
        "wavenet, gaps", _gaps, sees=lambda lag: lag in (1, 4, 7), learns_copy=False, unused=_dead
    ),
    Case("wavenet, categorical", _categorical, num_codes=3, unused=_dead),
    Case("wavenet, context and order", _global_context, learns_copy=False, unused=_dead),
    Case("wavenet, local context", _local_context, num_codes=4, enumerable=False, unused=_dead),
    Case("wavenet, wide", _wide, unused=_dead),
    Case("wavenet, mixture of logistics", _logistics, num_codes=6, enumerable=False, unused=_dead),
    Case("wavenet, real", _real, num_codes=None, enumerable=False, unused=_dead),
]
