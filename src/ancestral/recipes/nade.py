"""NADE and its relatives: for one order, for real numbers, for any order."""

from __future__ import annotations

from typing import Any

from ancestral.core import Kind, OptionError, Specification
from ancestral.distributions import CellHead, SiteHead, SiteMixture, named_head, site_head
from ancestral.estimator import Assembly
from ancestral.inference.objectives import OrderAgnostic
from ancestral.models import AutoregressiveModel, OrderEnsemble, Units, random_orders
from ancestral.networks.causal import (
    NADE,
    RNADE,
    Activation,
    DirectOrderAgnosticNADE,
    OrderAgnosticNADE,
    TiedNADE,
    encoding_for,
)
from ancestral.recipes.site_parts import autoregressive, cell_sites, require_complete

__all__ = ["eonade", "nade", "resolve_nade", "resolve_rnade", "rnade"]

_DENSITIES = frozenset({Kind.REAL, Kind.POSITIVE, Kind.UNIT})


def nade(
    spec: Specification,
    *,
    hidden_size: int | None = None,
    activation: str = "relu",
    weights: str = "untied",
    dropout: float | None = None,
    likelihood: str = "auto",
) -> Assembly:
    """Each cell from hidden units that all cells share, and that see one cell more at each step.

    Args:
        spec: what the data are; no cell may be missing.
        hidden_size: units of the hidden layer; None: from the number of training rows.
        activation: relu, or sigmoid as in the paper, or tanh.
        weights: untied, or tied: the same from a cell to the hidden units and back.
        dropout: chance that a hidden unit is left out; None: from the number of training rows.
        likelihood: of a cell; auto takes the one that fits the data.
    """
    kinds = {"untied": NADE, "tied": TiedNADE}
    if weights not in kinds:
        raise OptionError(f"expected weights to be 'untied' or 'tied', got {weights!r}")
    head = cell_sites(spec, likelihood)
    network = kinds[weights](
        head.num_sites,
        head.num_features,
        encoding_for(spec),
        _HIDDEN if hidden_size is None else hidden_size,
        context_size=len(spec.context),
        activation=_activation(activation),
        dropout=_DROPOUT if dropout is None else dropout,
    )
    return autoregressive(spec, network, head)


def rnade(
    spec: Specification,
    *,
    hidden_size: int | None = None,
    components: int | None = None,
    likelihood: str = "normal",
    activation: str = "relu",
    dropout: float | None = None,
) -> Assembly:
    """NADE for real numbers: each cell is a mixture whose parameters depend on the cells before.

    Args:
        spec: what the data are: real numbers, without missing cells.
        hidden_size: units of the hidden layer; None: from the number of training rows.
        components: of each cell's mixture; None: from the number of training rows.
        likelihood: family of a component: normal, laplace, logistic, student-t.
        activation: relu, sigmoid or tanh.
        dropout: chance that a hidden unit is left out; None: from the number of training rows.
    """
    head = _mixture_sites(spec, likelihood, _COMPONENTS if components is None else components)
    network = RNADE(
        head.num_sites,
        head.num_features,
        encoding_for(spec),
        _HIDDEN if hidden_size is None else hidden_size,
        context_size=len(spec.context),
        activation=_activation(activation),
        dropout=_DROPOUT if dropout is None else dropout,
    )
    return autoregressive(spec, network, head)


def eonade(
    spec: Specification,
    *,
    hidden_size: int | None = None,
    num_layers: int = 1,
    num_orders: int = 8,
    activation: str = "relu",
    dropout: float | None = None,
    likelihood: str = "auto",
    components: int = 1,
    connections: str | None = None,
    order_seed: int = 0,
) -> Assembly:
    """One network for all orders of the cells; p(x) is the mean of its p(x) under several.

    Args:
        spec: what the data are; no cell may be missing.
        hidden_size: units of a hidden layer; None: from the number of training rows.
        num_layers: hidden layers.
        num_orders: random orders in the mixture; log p costs as many passes.
        activation: relu, sigmoid or tanh.
        dropout: chance that a hidden unit is left out; None: from the number of training rows.
        likelihood: of a cell; auto takes the one that fits the data.
        components: of a mixture of that likelihood in each cell; 1 for none.
        connections: direct, from each cell to each other beside the hidden units, or hidden for
            none; None: direct, unless there would be very many.
        order_seed: of the orders.
    """
    if num_layers < 1:
        raise OptionError(f"expected at least 1 hidden layer, got {num_layers}")
    if components == 1:
        head = cell_sites(spec, likelihood)
    else:
        family = "normal" if likelihood == "auto" else likelihood
        head = _mixture_sites(spec, family, components)
    network = OrderAgnosticNADE(
        head.num_sites,
        head.num_features,
        encoding_for(spec),
        [_HIDDEN if hidden_size is None else hidden_size] * num_layers,
        context_size=len(spec.context),
        activation=_activation(activation),
        dropout=_DROPOUT if dropout is None else dropout,
    )
    if connections is None:
        pairs = head.num_sites**2 * head.num_features * network.num_inputs
        connections = "direct" if pairs <= _MOST_CONNECTIONS else "hidden"
    if connections not in ("direct", "hidden"):
        raise OptionError(f"expected connections to be 'direct' or 'hidden', got {connections!r}")
    either = DirectOrderAgnosticNADE(network) if connections == "direct" else network
    model = AutoregressiveModel(either, head, spec.shape, Units(spec))
    orders = random_orders(head.num_sites, num_orders, order_seed)
    return Assembly(OrderEnsemble(model, orders), OrderAgnostic())


def resolve_nade(spec: Specification, num_rows: int, options: dict[str, Any]) -> dict[str, Any]:
    """Few rows: fewer hidden units, and dropout."""
    del spec
    return _with_defaults(options, num_rows)


def resolve_rnade(spec: Specification, num_rows: int, options: dict[str, Any]) -> dict[str, Any]:
    """As `resolve_nade`; a narrow component needs a few rows to rest on."""
    del spec
    completed = _with_defaults(options, num_rows)
    if completed["components"] is None:
        completed["components"] = min(_COMPONENTS, max(2, num_rows // 50))
    return completed


def _with_defaults(options: dict[str, Any], num_rows: int) -> dict[str, Any]:
    completed = dict(options)
    if completed["hidden_size"] is None:
        completed["hidden_size"] = _HIDDEN if num_rows < _MANY else 500
    if completed["dropout"] is None:
        completed["dropout"] = _DROPOUT if num_rows < _MANY else 0.0
    return completed


_HIDDEN, _COMPONENTS, _DROPOUT = 200, 10, 0.5
_MOST_CONNECTIONS = 2_000_000
_MANY = 10_000  # rows from which on stopping early is regularisation enough


def _activation(name: str) -> Activation:
    if name not in list(Activation):
        names = ", ".join(repr(str(activation)) for activation in Activation)
        raise OptionError(f"expected activation to be one of {names}, got {name!r}")
    return Activation(name)


def _mixture_sites(spec: Specification, family: str, components: int) -> SiteHead:
    """Every cell as a site whose density is a mixture.

    Raises:
        OptionError: the family is none of single cells.
        IncompatibleChoices: the data have no density.
    """
    require_complete(spec)
    component = named_head(family, spec)
    if not isinstance(component, CellHead):
        raise OptionError(
            f"expected a likelihood of separate cells, got {family!r}",
            hint="normal, laplace, logistic and student-t are some",
        )
    return site_head(SiteMixture(component, components), spec.num_dims)
