"""MADE: a dense network, masked so that one pass gives every cell's conditional."""

from __future__ import annotations

from typing import Any

from ancestral.core import OptionError, Specification
from ancestral.estimator import Assembly
from ancestral.inference.objectives import OrderCycle
from ancestral.models import AutoregressiveModel, OrderEnsemble, random_orders
from ancestral.networks.causal import MaskedDense, encoding_for
from ancestral.recipes.site_parts import MEDIUM_ROWS, autoregressive, cell_sites, penalized

__all__ = ["made", "resolved_made"]


def made(
    spec: Specification,
    *,
    num_orders: int = 1,
    num_masks: int = 1,
    hidden_size: int = 500,
    num_layers: int = 1,
    dropout: float | None = None,
    l2: float | None = None,
    likelihood: str = "auto",
    components: int | None = None,
    order_seed: int = 0,
) -> Assembly:
    """Each cell's conditional from a dense network that is masked to see the cells before it.

    Args:
        spec: what the data are; no cell may be missing.
        num_orders: of the cells; 1 is the order of storage. Several random ones are trained in
            turn, and p(x) is the mean of their p(x), which costs as many passes.
        num_masks: assignments of degrees to hidden units, one for each order in turn.
        hidden_size: units of a hidden layer.
        num_layers: hidden layers.
        dropout: chance that a hidden unit is left out; None: from the number of training rows.
        l2: strength of a penalty on squared weights, in nats per row; None: from the number of
            training rows.
        likelihood: of a cell; auto takes the one that fits the data.
        components: of a mixture in each cell of real or positive numbers; None: from the number
            of training rows.
        order_seed: of random orders.
    """
    given = {
        "dropout": dropout,
        "l2": l2,
        "components": components,
        "num_orders": num_orders,
    }
    options = resolved_made(spec, MEDIUM_ROWS, given)
    _check(num_orders, num_masks, num_layers)
    head = cell_sites(spec, likelihood, options["components"])
    orders = random_orders(head.num_sites, num_orders, order_seed) if num_orders > 1 else None
    network = MaskedDense(
        head.num_sites,
        [head.num_site_features(site) for site in range(head.num_sites)],
        encoding_for(spec),
        hidden_sizes=[hidden_size] * num_layers,
        dropout=options["dropout"],
        context_size=len(spec.context),
        orders=orders,
        num_connectivities=num_masks,
    )
    single = autoregressive(spec, network, head, l2=options["l2"])
    if orders is None:
        return single
    assert isinstance(single.model, AutoregressiveModel)
    return Assembly(OrderEnsemble(single.model, orders), penalized(OrderCycle(), options["l2"]))


def resolved_made(spec: Specification, num_rows: int, options: dict[str, Any]) -> dict[str, Any]:
    """Options that follow from the size of the data.

    The fewer rows there are for each cell, the more units are dropped, and the narrower is the
    Gaussian prior over weights that the penalty stands for; its share falls as 1 / rows. Several
    orders, whose weights are the same, leave each of them less to overfit with.
    """
    rows_per_cell = num_rows / spec.num_dims
    few, many = rows_per_cell < 20, rows_per_cell >= 200
    narrow = few and options["num_orders"] == 1
    values = {
        "dropout": 0.5 if few else 0.2 if many else 0.4,
        "l2": (15.0 if narrow else 3.0) / num_rows,
        "components": min(10, 1 + num_rows // 500),
    }
    return options | {name: v for name, v in values.items() if options[name] is None}


def _check(num_orders: int, num_masks: int, num_layers: int) -> None:
    if num_layers < 1:
        raise OptionError(
            f"expected num_layers of at least 1, got {num_layers}",
            hint="1 is enough for many data",
        )
    if num_orders < 1:
        raise OptionError(
            f"expected num_orders of at least 1, got {num_orders}",
            hint="1 is the order of storage",
        )
    if not 1 <= num_masks <= num_orders:
        raise OptionError(
            f"expected num_masks from 1 to num_orders = {num_orders}, got {num_masks}",
            hint="each order goes with one mask",
        )
