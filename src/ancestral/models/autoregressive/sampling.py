"""Samplers: one step after the other, or all sites at once until nothing changes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

import torch
from torch import Tensor

from ancestral.distributions import Site, SiteHead, native_draw
from ancestral.models.autoregressive.blocks import draw_blocks
from ancestral.models.autoregressive.decoding import (
    decode,
    draw_site,
    refuse_training,
    step_threads,
)
from ancestral.models.autoregressive.truncation import Truncation
from ancestral.networks.causal import CausalNetwork
from ancestral.networks.causal.network import Prefix

__all__ = ["Drawn", "SamplingMethod", "as_noise", "draw", "open_uniforms"]


class SamplingMethod(StrEnum):
    """How samples are drawn; which samples does not depend on it."""

    AUTO = "auto"  # cached
    NAIVE = "naive"  # one pass of the network for each site
    CACHED = "cached"  # one step for each site, which reuses what earlier steps computed
    JACOBI = "jacobi"  # passes over all sites until none changes
    ROW_JACOBI = "row_jacobi"  # the same for one row of an image after the other


@dataclass(frozen=True)
class Drawn:
    """Samples, and what they cost.

    Attributes:
        x: the samples.
        num_passes: passes of the whole network, or for row_jacobi over a row; 0 for the cached
            sampler, which makes none.
        method: that drew them.
    """

    x: Tensor
    num_passes: int
    method: SamplingMethod


def draw(
    network: CausalNetwork,
    head: SiteHead,
    uniforms: Tensor,
    context: Tensor | None = None,
    *,
    method: SamplingMethod = SamplingMethod.AUTO,
    truncation: Truncation | None = None,
) -> Drawn:
    """Samples of all sites as a function of their noise.

    Args:
        network: in evaluation mode.
        head: of its features.
        uniforms: [batch, T, num_uniforms], in (0, 1), as stored.
        context: [batch, context_size] or None.
        method: how.
        truncation: temperature, top-k and top-p.
    """
    method = SamplingMethod(method)
    if method is SamplingMethod.AUTO:
        method = SamplingMethod.CACHED
    refuse_training(network)
    uniforms = as_noise(uniforms, network.dtype)
    if method is SamplingMethod.CACHED and truncation is None:
        found = _at_once(network, head, uniforms, context)
        if found is not None:
            return Drawn(found, 0, method)

    def choose(t: int, index: int, site: Site, features: Tensor) -> Tensor:
        del t
        return draw_site(site, features, uniforms[:, index], truncation)

    with torch.no_grad():
        if method is SamplingMethod.JACOBI:
            x, passes = _jacobi(network, head, uniforms, context, truncation)
            return Drawn(x, passes, method)
        if method is SamplingMethod.NAIVE:
            x = decode(_Uncached(network), head, len(uniforms), choose, context)
            return Drawn(x, network.num_sites, method)
        with step_threads(network, len(uniforms)):
            if method is SamplingMethod.ROW_JACOBI:
                x, passes = draw_blocks(network, head, uniforms, context, truncation)
                return Drawn(x, passes, method)
            return Drawn(decode(network, head, len(uniforms), choose, context), 0, method)


def open_uniforms(
    shape: tuple[int, ...], dtype: torch.dtype, device: torch.device | str
) -> Tensor:
    """Uniform noise strictly between 0 and 1."""
    return as_noise(torch.rand(shape, dtype=dtype, device=device), dtype)


def as_noise(uniforms: Tensor, dtype: torch.dtype) -> Tensor:
    """Uniforms in another type, and in that type still between 0 and 1."""
    epsilon = torch.finfo(dtype).eps / 2
    return uniforms.to(dtype).clamp(epsilon, 1 - epsilon)


@torch.no_grad()
def _at_once(
    network: CausalNetwork, head: SiteHead, uniforms: Tensor, context: Tensor | None
) -> Tensor | None:
    """All steps in one native kernel, if the network has one and the head can be drawn in it."""
    rule = native_draw(head)
    return None if rule is None else network.generate(rule, uniforms, context)


def _jacobi(
    network: CausalNetwork,
    head: SiteHead,
    uniforms: Tensor,
    context: Tensor | None,
    truncation: Truncation | None,
) -> tuple[Tensor, int]:
    """The fixed point of x <- draw(features(x), u), which is the sample of the sequential loop.

    After pass k the first k sites in order are final, so that T + 1 passes always suffice; it
    stops when a pass changes nothing. Rows that are final are passed over no more.

    References:
        | Accelerating Feedforward Computation via Parallel Nonlinear Equation Solving (Song et
        | al., 2021), algorithm 1; https://arxiv.org/abs/2002.03629
    """
    num_rows, num_sites = uniforms.shape[:2]
    shape = (num_rows, num_sites, network.width)
    x = torch.zeros(shape, dtype=network.dtype, device=network.device)
    going = torch.arange(num_rows, device=network.device)
    for num_passes in range(1, num_sites + 2):
        given = None if context is None else context[going]
        # a guess may overflow, and zero weights of what comes later do not make an infinity zero
        features = network(x[going].nan_to_num(), given).to(x.dtype)
        new = _draw_all(head, features, uniforms[going], truncation).to(x.dtype)
        changed = (new != x[going]).flatten(1).any(1)
        x[going] = new
        going = going[changed]
        if len(going) == 0:
            return x, num_passes
    return x, num_sites + 1


def _draw_all(
    head: SiteHead, features: Tensor, uniforms: Tensor, truncation: Truncation | None
) -> Tensor:
    if truncation is None:
        return head.draw(features, uniforms)
    sites = [
        draw_site(head.site(t), features[:, t], uniforms[:, t], truncation)
        for t in range(head.num_sites)
    ]
    return torch.stack(sites, 1)


class _Uncached(CausalNetwork):
    """A network whose steps are passes."""

    def __init__(self, network: CausalNetwork) -> None:
        super().__init__(
            network.num_sites,
            network.num_features,
            width=network.width,
            context_size=network.context_size,
            order=network.order,
        )
        self.network = network
        self.order = network.order
        self.train(network.training)

    def forward(self, x: Tensor, context: Tensor | None = None) -> Tensor:
        return self.network(x, context)

    def init_state(self, batch_size: int, context: Tensor | None = None) -> Prefix:
        return Prefix.empty(self.network, batch_size, context)

    def with_order(self, order: Sequence[int] | Tensor) -> CausalNetwork:
        return _Uncached(self.network.with_order(order))
