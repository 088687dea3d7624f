"""Networks whose output for a site depends on the sites before it; they know no probability."""

from ancestral.networks.causal.encodings import (
    OneHot,
    Plain,
    SiteEncoding,
    Standardized,
    encoding_for,
)
from ancestral.networks.causal.linear import LinearCausal
from ancestral.networks.causal.network import CausalNetwork, State

__all__ = [
    "CausalNetwork",
    "LinearCausal",
    "OneHot",
    "Plain",
    "SiteEncoding",
    "Standardized",
    "State",
    "encoding_for",
]
