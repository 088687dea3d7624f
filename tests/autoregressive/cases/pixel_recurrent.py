"""PixelRNNs."""

from __future__ import annotations

from functools import partial
from itertools import product

import torch
from case import Case
from torch import Tensor
from torch.nn.functional import silu

from ancestral.distributions import Bernoulli, Categorical, site_head
from ancestral.models.autoregressive import AutoregressiveModel
from ancestral.networks.causal import OneHot, Plain
from ancestral.networks.causal.image_lstm import DiagonalBiLstm, RowLstm
from ancestral.networks.causal.pixel_recurrent import PixelRecurrent


def _model(layer, shape, *, levels=2, hidden_size=3, **options) -> AutoregressiveModel:
    height, width, channels = shape
    cells = height * width * channels
    binary = levels == 2
    head = Bernoulli(shape) if binary else Categorical(shape, levels)
    network = PixelRecurrent(
        shape,
        1 if binary else levels,
        Plain() if binary else OneHot(levels),
        layer,
        hidden_size=hidden_size,
        output_size=6 * channels,
        kernel_size=3,
        activation=silu,  # the zeros of a ReLU hide dependences
        **options,
    )
    return AutoregressiveModel(network, site_head(head, cells), shape)


def _unused(model: AutoregressiveModel) -> dict[str, Tensor]:
    network = model.network
    found = {"network.first.weight": network.first.mask == 0}
    for name in ("hidden", "output"):
        mask = getattr(network, name).mask
        if mask is not None:
            found[f"network.{name}.weight"] = mask == 0
    for i, layer in enumerate(network.layers):
        unused = torch.zeros(layer.weight.shape, dtype=torch.bool)
        if layer.mask is not None:
            unused |= layer.mask == 0
            found[f"network.layers.{i}.output.weight"] = layer.output.mask == 0
        if isinstance(layer, DiagonalBiLstm) and network.image_shape[0] == 2:
            # the last row of the other direction is for no pixel, and the first has none above
            unused[1, -layer.hidden_size :] = True
        found[f"network.layers.{i}.weight"] = unused
    return found


def _pattern(layer, shape, num_layers=1, reach=1) -> Tensor:
    """Who sees whom, by following the definition cell by cell."""
    height, width, channels = shape
    rows, columns, every = range(height), range(width), range(channels)
    none: set = set()

    def union(maps, i, j, groups):
        return set().union(*(maps.get((i, j, g), none) for g in groups))

    seen = {}
    for i, j, c in product(rows, columns, every):
        near = range(max(0, j - reach), min(width, j + reach + 1))
        seen[i, j, c] = (
            {(a, b, g) for a in range(max(0, i - reach), i) for b in near for g in every}
            | {(i, b, g) for b in near if b < j for g in every}
            | {(i, j, g) for g in range(c)}
        )
    for _ in range(num_layers):
        one, other, after = {}, {}, {}
        for i, j, c in product(rows, columns, every):
            one[i, j, c] = union(seen, i, j, range(c + 1))
            if layer is RowLstm:
                one[i, j, c] |= union(seen, i, j - 1, every)
                sources = [(i - 1, j - 1), (i - 1, j), (i - 1, j + 1)]
            else:
                sources = [(i, j - 1), (i - 1, j)]
            for a, b in sources:
                one[i, j, c] |= union(one, a, b, every)
        for i, j, c in product(rows, reversed(columns), every):
            other[i, j, c] = union(seen, i, j, range(c + 1))
            other[i, j, c] |= union(other, i, j + 1, every) | union(other, i - 1, j, every)
        for i, j, c in product(rows, columns, every):
            after[i, j, c] = seen[i, j, c] | union(one, i, j, range(c + 1))
            if layer is DiagonalBiLstm:
                after[i, j, c] |= union(other, i - 1, j, range(c + 1))
        seen = after
    cells = list(product(rows, columns, every))
    return torch.tensor([[source in seen[cell] for source in cells] for cell in cells])


def _case(name, layer, shape, *, small=True, **options) -> Case:
    levels = options.get("levels", 2)
    return Case(
        f"pixel_rnn, {name}",
        partial(_model, layer, shape, **options),
        num_codes=levels,
        enumerable=small,
        pattern=partial(_pattern, layer, shape, options.get("num_layers", 1)),
        unused=_unused,
    )


CASES = [
    _case("diagonal", DiagonalBiLstm, (3, 2, 1)),
    _case("diagonal, deep, context", DiagonalBiLstm, (3, 2, 1), num_layers=2, context_size=2),
    _case("diagonal, wide", DiagonalBiLstm, (3, 5, 1), small=False),
    _case("diagonal, colours", DiagonalBiLstm, (2, 2, 3), hidden_size=6),
    _case("row", RowLstm, (3, 2, 1)),
    _case("row, deep, context", RowLstm, (3, 2, 1), num_layers=2, context_size=2),
    _case("row, wide", RowLstm, (4, 7, 1), small=False),
    _case("row, colours", RowLstm, (2, 2, 3), levels=3, hidden_size=6, small=False),
]
