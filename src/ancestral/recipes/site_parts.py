"""Parts that recipes of autoregressive models assemble in the same way."""

from __future__ import annotations

from ancestral.core import DataError, OptionError, Specification
from ancestral.distributions import SiteHead, site_head
from ancestral.estimator import Assembly
from ancestral.inference.objectives import MaximumLikelihood
from ancestral.models import AutoregressiveModel, Units
from ancestral.networks.causal import CausalNetwork
from ancestral.recipes.parts import head_for

__all__ = ["autoregressive", "cell_sites", "require_complete"]


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


def cell_sites(spec: Specification, likelihood: str = "auto") -> SiteHead:
    """Every cell of a complete datum as a site, under the head that an option names.

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
    return site_head(head_for(spec, likelihood), spec.num_dims)


def autoregressive(spec: Specification, network: CausalNetwork, head: SiteHead) -> Assembly:
    """A causal network and a head, trained by maximum likelihood."""
    model = AutoregressiveModel(network, head, spec.shape, Units(spec))
    return Assembly(model, MaximumLikelihood())
