"""Parts that recipes of autoregressive models assemble in the same way."""

from __future__ import annotations

from ancestral.core import DataError, OptionError, Specification
from ancestral.distributions import (
    Head,
    Laplace,
    Logistic,
    LogNormal,
    Normal,
    Product,
    SiteHead,
    SiteMixture,
    StudentT,
    site_head,
)
from ancestral.estimator import Assembly
from ancestral.inference.objectives import MaximumLikelihood, Objective, Penalized
from ancestral.models import AutoregressiveModel, Units
from ancestral.networks.causal import CausalNetwork
from ancestral.recipes.parts import head_for

__all__ = ["MEDIUM_ROWS", "autoregressive", "cell_sites", "penalized", "require_complete"]

MEDIUM_ROWS = 10_000
"""Training rows that a recipe assumes where nobody says how many there are."""


def require_complete(spec: Specification) -> None:
    """Refuse data with missing cells.

    Raises:
        DataError: cells may be missing.
    """
    if spec.missing:
        raise DataError(
            "expected complete data for an autoregressive model, got missing cells",
            hint="`vae` and `ppca` take gaps; or fill them in, or leave out their rows",
        )


def cell_sites(spec: Specification, likelihood: str = "auto", components: int = 1) -> SiteHead:
    """Every cell of a complete datum as a site, under the head that an option names.

    Args:
        spec: what the data are.
        likelihood: name of the head.
        components: of a mixture of that likelihood in each cell whose likelihood is a density of
            real or positive numbers; 1 for none.

    Raises:
        DataError: cells may be missing.
        OptionError: there is but one cell, and nothing that it could depend on.
    """
    require_complete(spec)
    if spec.num_dims < 2:
        raise OptionError(
            f"expected at least 2 cells to model one after the other, got {spec.num_dims}",
            hint="a single column needs no autoregressive model",
        )
    return site_head(_mixed(head_for(spec, likelihood), components), spec.num_dims)


def _mixed(head: Head, components: int) -> Head:
    """With mixtures instead of single densities, column by column."""
    if components == 1:
        return head
    if isinstance(head, Product):
        parts = tuple((columns, _mixed(part, components)) for columns, part in head.parts)
        return Product(parts, head.names)
    if isinstance(head, Normal | LogNormal | Laplace | Logistic | StudentT):
        return SiteMixture(head, components)
    return head


def autoregressive(
    spec: Specification, network: CausalNetwork, head: SiteHead, *, l2: float = 0.0
) -> Assembly:
    """A causal network and a head, trained by maximum likelihood.

    Args:
        spec: what the data are.
        network: features of each site.
        head: of the features.
        l2: strength of a penalty on squared weights, in nats per row; 0 for none.
    """
    model = AutoregressiveModel(network, head, spec.shape, Units(spec))
    return Assembly(model, penalized(MaximumLikelihood(), l2))


def penalized(objective: Objective, l2: float) -> Objective:
    """With a penalty on squared weights, unless its strength is 0.

    Raises:
        OptionError: it is negative.
    """
    if l2 < 0:
        raise OptionError(f"expected l2 of at least 0, got {l2}")
    return Penalized(objective, l2) if l2 else objective
