"""Flows of every kind, small, and with random parameters."""

from __future__ import annotations

import torch

from ancestral.flows import (
    Affine,
    AffineCoupling,
    Composed,
    Flow,
    InverseAutoregressive,
    Inverted,
    MaskedAutoregressive,
    Permutation,
    Planar,
    Radial,
    Reversal,
)

CONTEXT_SIZE = 3

MAKERS = {
    "affine": lambda d, c: Affine(d, context_size=c),
    "planar": lambda d, c: Planar(d, 4, context_size=c),
    "radial": lambda d, c: Radial(d, 3, context_size=c),
    "coupling": lambda d, c: AffineCoupling(d, 3, hidden_size=8, context_size=c),
    "iaf": lambda d, c: InverseAutoregressive(d, 3, hidden_sizes=(9, 8), context_size=c),
    "maf": lambda d, c: MaskedAutoregressive(d, 2, hidden_sizes=(9,), context_size=c),
    "inverted": lambda d, c: Inverted(Planar(d, 2, context_size=c)),
    "composed": lambda d, c: Composed(
        [
            Radial(d, context_size=c),
            Reversal(d),
            Planar(d, 2, context_size=c),
            Affine(d),
        ]
    ),
}
WITHOUT_CONTEXT = {
    "permutation": lambda d, c: Permutation(torch.randperm(d)),
    "reversal": lambda d, c: Reversal(d),
}


def randomized(flow: Flow, scale: float) -> Flow:
    """The flow with `scale` times normal noise added to every parameter."""
    with torch.no_grad():
        for parameter in flow.parameters():
            parameter.add_(scale * torch.randn_like(parameter))
    return flow


def a_flow(name: str, num_dims: int, context_size: int = 0, scale: float = 0.5) -> Flow:
    """One of `MAKERS` with random parameters."""
    return randomized({**MAKERS, **WITHOUT_CONTEXT}[name](num_dims, context_size), scale)


def a_context(context_size: int, *leading: int):
    """Random, or None for flows without one."""
    return torch.randn(*leading, context_size) if context_size else None
