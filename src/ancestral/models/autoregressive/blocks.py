"""Sampling block by block, such as row by row of an image: the fixed point of each in turn."""

from __future__ import annotations

import torch
from torch import Tensor

from ancestral.core import IncompatibleChoices
from ancestral.core.pytrees import select
from ancestral.distributions import SiteHead
from ancestral.models.autoregressive.decoding import draw_site
from ancestral.models.autoregressive.truncation import Truncation
from ancestral.networks.causal import Blockwise, CausalNetwork

__all__ = ["draw_blocks"]


def draw_blocks(
    network: CausalNetwork,
    head: SiteHead,
    uniforms: Tensor,
    context: Tensor | None,
    truncation: Truncation | None,
) -> tuple[Tensor, int]:
    """Gauss-Seidel over blocks, Jacobi within: the sample of the sequential loop.

    What a block has from those before it is computed once. Within a block of S sites the
    iteration x <- draw(features(x), u) is final after S + 1 passes over the block at most, and
    stops when a pass changes nothing; rows of the batch that are final are passed over no more.

    Returns:
        [batch, T, W] as stored, and how many passes over a block there were, all blocks together.

    Raises:
        IncompatibleChoices: the network has no blocks.

    References:
        | Accelerating Feedforward Computation via Parallel Nonlinear Equation Solving (Song et
        | al., 2021), algorithm 3; https://arxiv.org/abs/2002.03629
    """
    if not isinstance(network, Blockwise):
        raise IncompatibleChoices(
            f"row_jacobi needs a network that goes through images row by row, "
            f"and {type(network).__name__} does not",
            hint="method='jacobi' works for every network, and 'cached' is exact as well",
        )
    num_rows = len(uniforms)
    x = uniforms.new_zeros(num_rows, network.num_sites, network.width)
    blocks = network.order.reshape(network.num_blocks, -1)
    state = network.init_blocks(num_rows, context)
    prev, num_passes = None, 0
    for block, sites in enumerate(blocks):
        given, state = network.enter_block(state, block, prev)
        prev = x[:, sites]
        going = torch.arange(num_rows, device=x.device)
        noise = uniforms[:, sites]
        for _ in range(len(sites) + 1):
            guess = prev[going]
            features = network.block_features(given, block, guess.nan_to_num())
            drawn = _draw(head, sites, features.to(x.dtype), noise[going], truncation)
            new = drawn.to(x.dtype)
            num_passes += 1
            prev[going] = new
            changed = (new != guess).flatten(1).any(1)
            if not bool(changed.all()):
                going = going[changed]
                if len(going) == 0:
                    break
                given = select(given, changed.nonzero().squeeze(1))
        x[:, sites] = prev
    return x, num_passes


def _draw(
    head: SiteHead,
    sites: Tensor,
    features: Tensor,
    uniforms: Tensor,
    truncation: Truncation | None,
) -> Tensor:
    """The sites of a block, all at once where they are of one family."""
    families = [head.site(site) for site in sites.tolist()]
    if all(family is families[0] for family in families):
        return draw_site(families[0], features, uniforms, truncation)
    drawn = [
        draw_site(family, features[:, i], uniforms[:, i], truncation)
        for i, family in enumerate(families)
    ]
    return torch.stack(drawn, 1)
