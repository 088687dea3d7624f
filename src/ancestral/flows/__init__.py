"""Invertible maps with a known Jacobian, and the distributions they make."""

from ancestral.flows.autoregressive import InverseAutoregressive, MaskedAutoregressive
from ancestral.flows.conditional import FlowConditional
from ancestral.flows.coupling import AffineCoupling
from ancestral.flows.distribution import FlowDistribution
from ancestral.flows.elementwise import Affine, Permutation, Reversal
from ancestral.flows.flow import Composed, Flow, Inverted
from ancestral.flows.planar import Planar
from ancestral.flows.radial import Radial
from ancestral.flows.zuko_flow import ZukoConditional, ZukoFlow, load_zuko

__all__ = [
    "Affine",
    "AffineCoupling",
    "Composed",
    "Flow",
    "FlowConditional",
    "FlowDistribution",
    "InverseAutoregressive",
    "Inverted",
    "MaskedAutoregressive",
    "Permutation",
    "Planar",
    "Radial",
    "Reversal",
    "ZukoConditional",
    "ZukoFlow",
    "load_zuko",
]
