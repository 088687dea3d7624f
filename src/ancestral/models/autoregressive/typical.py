"""What stands for p(x | c) in a picture or a table, for sites that depend on each other."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from ancestral.core import Kind, seeded
from ancestral.distributions import Categorical, CellSite, Site, SiteHead, UniformSites
from ancestral.models.autoregressive.model import AutoregressiveModel

__all__ = ["mean_of_draws", "typical_of_draws"]

_NUMBERS = 1 << 24  # of the contexts of the draws made at once: 64 MB


@torch.no_grad()
def mean_of_draws(model: AutoregressiveModel, context: Tensor, num_draws: int) -> Tensor:
    r"""An estimate of E[x | c] that is the same at each call, [batch, *shape].

    .. math:: E[x_t | c] = E_{x_{<t}} E[x_t | x_{<t}, c],

    the outer mean over draws, whose noise is the same for all contexts; the inner one by formula
    where the site has one, else by the draw.

    Args:
        model: in evaluation mode.
        context: [batch, *context_shape].
        num_draws: of x for each context.
    """
    return _over_draws(model, context, num_draws, _never)


@torch.no_grad()
def typical_of_draws(model: AutoregressiveModel, context: Tensor, num_draws: int) -> Tensor:
    """The same, but for codes without order the code that is likeliest by itself."""
    return _over_draws(model, context, num_draws, _has_no_order)


def _over_draws(
    model: AutoregressiveModel,
    context: Tensor,
    num_draws: int,
    by_likeliest: Callable[[Site], bool],
) -> Tensor:
    head = model.head
    with seeded(0):
        # on the CPU, so that what is shown is the same on every device
        noise = torch.rand(num_draws, head.num_sites, head.num_uniforms)
    groups = _groups(head)
    sums = [torch.zeros((), dtype=context.dtype, device=context.device) for _ in groups]
    # a step costs little more for many rows than for one, as long as their contexts fit
    at_once = max(1, _NUMBERS // context.numel())
    for some in noise.to(context).split(at_once):
        repeated = context.repeat(len(some), *[1] * (context.ndim - 1))
        x = model.draw(some.repeat_interleave(len(context), 0), repeated).x
        features, sites = model.features(x, repeated), model.to_sites(x)
        for number, (where, site) in enumerate(groups):
            term = (_masses if by_likeliest(site) else _mean)(
                site, features[:, where], sites[:, where]
            )
            sums[number] = sums[number] + term.unflatten(0, (len(some), -1)).sum(0)
    parts = [
        total.argmax(-1, keepdim=True).to(context.dtype)
        if by_likeliest(site)
        else total / num_draws
        for total, (_, site) in zip(sums, groups, strict=True)
    ]
    return model.from_sites(torch.cat(parts, 1))


def _never(site: Site) -> bool:
    del site
    return False


def _has_no_order(site: Site) -> bool:
    """Whether codes are names: a mean of grey levels says something, one of names does not."""
    head = site.head if isinstance(site, CellSite) else None
    return isinstance(head, Categorical) and head.kind is not Kind.LEVELS


def _groups(head: SiteHead) -> list[tuple[slice, Site]]:
    """Sites of one family, in the order of storage."""
    if isinstance(head, UniformSites):
        return [(slice(None), head.conditional)]
    return [(slice(t, t + 1), head.site(t)) for t in range(head.num_sites)]


def _masses(site: Site, features: Tensor, x: Tensor) -> Tensor:
    """[batch, sites, K], of the first sub-symbol."""
    return site.table(features, x[..., :0])


def _mean(site: Site, features: Tensor, x: Tensor) -> Tensor:
    """[batch, sites, W]."""
    try:
        return site.mean(features)
    except NotImplementedError:
        return x
