"""The one sequential loop: sampling, coding, imputation and search are choices made in it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Protocol

import torch
from torch import Tensor

from ancestral.core import IncompatibleChoices
from ancestral.distributions import Site, SiteHead
from ancestral.models.autoregressive.truncation import Truncation, quantile
from ancestral.networks.causal import CausalNetwork

__all__ = ["Choice", "decode", "draw_site", "step_threads"]

_WIDE = 200_000_000  # products of a step from which on a second thread pays: some milliseconds


class Choice(Protocol):
    """Decides what the next site is."""

    def __call__(self, t: int, index: int, site: Site, features: Tensor) -> Tensor:
        """The value of a site.

        Args:
            t: number of the step.
            index: of the site, as stored: order[t].
            site: its family.
            features: [batch, P].

        Returns:
            [batch, W].
        """
        ...


@torch.no_grad()
def decode(
    network: CausalNetwork,
    head: SiteHead,
    batch_size: int,
    choose: Choice,
    context: Tensor | None = None,
) -> Tensor:
    """Go through the sites in order, and let `choose` say what each is, given those before.

    Args:
        network: in evaluation mode.
        head: of its features.
        batch_size: sequences at a time.
        choose: what the value of a site is.
        context: [batch, context_size] or None.

    Returns:
        [batch, T, W], as stored.
    """
    refuse_training(network)
    order = network.order.tolist()
    x = torch.zeros(
        batch_size, network.num_sites, network.width, dtype=network.dtype, device=network.device
    )
    state = network.init_state(batch_size, context)
    prev = None
    for t, index in enumerate(order):
        features, state = network.step(state, t, prev)
        # one type for all: noise and given values may come in another, features in an autocast's
        chosen = choose(t, index, head.site(index), features.to(x.dtype))
        prev = chosen.to(x.dtype)
        x[:, index] = prev
    return x


def draw_site(
    site: Site, features: Tensor, uniforms: Tensor, truncation: Truncation | None = None
) -> Tensor:
    """One site as a function of its noise.

    Args:
        site: its family.
        features: [..., P].
        uniforms: [..., num_uniforms].
        truncation: temperature, top-k and top-p; for sites of finitely many codes only.

    Returns:
        [..., W].
    """
    if truncation is None:
        return site.draw(features, uniforms[..., : site.num_uniforms])
    if site.num_codes is None:
        raise IncompatibleChoices(
            "temperature, top-k and top-p need sites of finitely many codes",
            hint="leave them out: this likelihood is of real numbers or counts",
        )
    value = features.new_empty(*features.shape[:-1], 0)
    for c in range(site.width):
        table = truncation(site.table(features, value))
        value = torch.cat((value, quantile(table, uniforms[..., c]).unsqueeze(-1)), -1)
    return value


def refuse_training(network: CausalNetwork) -> None:
    """Steps with dropout would not be those of the likelihood."""
    if network.training:
        raise IncompatibleChoices(
            "expected a model in evaluation mode to draw from, got one in training mode",
            hint="call `model.eval()` first",
        )


@contextmanager
def step_threads(network: CausalNetwork, batch_size: int) -> Iterator[None]:
    """Inside, small steps on the CPU run on one thread, which is faster for them."""
    before = torch.get_num_threads()
    is_wide = network.step_products * batch_size > _WIDE
    if network.device.type != "cpu" or before == 1 or is_wide:
        yield
        return
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)
