"""Parts of recipes for sequences of symbols."""

from __future__ import annotations

from ancestral.core import Kind, Specification
from ancestral.networks.causal import CausalNetwork, SiteRoles, UntilEnd

__all__ = ["num_symbols", "site_roles", "with_end"]


def site_roles(spec: Specification) -> SiteRoles:
    """All sites of a sequence of codes are alike; pixels and columns differ."""
    is_sequence = spec.kind is Kind.CATEGORICAL and len(spec.shape) == 1 and spec.columns is None
    return SiteRoles.SAME if is_sequence else SiteRoles.OWN


def with_end(spec: Specification, network: CausalNetwork) -> CausalNetwork:
    """The network, certain of the end after the first end symbol, where the data have one."""
    return network if spec.end_code is None else UntilEnd(network, spec.end_code)


def num_symbols(spec: Specification, num_rows: int) -> int:
    """Cells of all rows."""
    return num_rows * spec.num_dims
