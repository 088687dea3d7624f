"""Projection along the order of an autoregressive model: PixelDefend's greedy search."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from ancestral.applications.purification.ball import Ball
from ancestral.applications.purification.search import (
    code_within,
    drawn_within,
    likeliest_within,
)
from ancestral.distributions import Site
from ancestral.models import AutoregressiveModel, OrderEnsemble
from ancestral.models.autoregressive.decoding import decode, step_threads

__all__ = ["project_in_order"]

_ROWS = 500  # that go through the steps together


@torch.no_grad()
def project_in_order(
    model: AutoregressiveModel | OrderEnsemble,
    y: Tensor,
    ball: Ball,
    context: Tensor | None = None,
    *,
    boldness: float = 0.0,
    uniforms: Tensor | None = None,
) -> Tensor:
    r"""Rows of the ball, cell after cell, each likely given those before it.

    .. math:: x'_t = \arg\max_{low_t \le v \le high_t}
              \log p(v \mid x'_{<t}) + b \, |v - y_t| / \epsilon_t

    or a draw by these weights. With b = 0 that is the paper's. But whoever wants to fool a
    classifier moves most cells as far as they may go: given the true x, y does not lie anywhere
    in the ball with equal chances, but mostly at its rim. b is by how many nats a cell at the
    rim is likelier than one at the centre: the search goes by the posterior of x given y under
    that prior, instead of one that is even.

    Greedy: it need not find the best row of the ball. An ensemble is projected under each of its
    orders, and of the rows found the one of greatest p is taken. Cells of several coupled numbers
    (colours) are decided number by number.

    Args:
        model: in evaluation mode.
        y: [rows, *shape], the centres, in the data's units.
        ball: what each cell may be.
        context: [rows, context_size] or None.
        boldness: b, in nats.
        uniforms: [rows, T, W], noise in (0, 1) to draw by, sites as stored; None for the greedy
            choice.

    Returns:
        [rows, *shape] in the data's units.

    References:
        | PixelDefend (Song et al., 2018), algorithm 1; https://arxiv.org/abs/1710.10766
    """
    found = []
    for first in range(0, len(ball), _ROWS):
        part = slice(first, first + _ROWS)
        given = None if context is None else context[part]
        noise = None if uniforms is None else uniforms[part]
        search = _Search(boldness, given, noise)
        found.append(_some(model, y[part], ball.rows(part), search))
    return torch.cat(found)


@dataclass(frozen=True, eq=False)
class _Search:
    """How some rows are gone through."""

    boldness: float
    context: Tensor | None
    uniforms: Tensor | None


def _some(
    model: AutoregressiveModel | OrderEnsemble, y: Tensor, ball: Ball, search: _Search
) -> Tensor:
    if isinstance(model, AutoregressiveModel):
        return _under_one_order(model, y, ball, search)
    candidates = torch.stack(
        [
            _under_one_order(model.model.with_order(order), y, ball, search)
            for order in model.orders
        ]
    )
    log_prob = torch.stack([model.log_prob(x, search.context) for x in candidates])
    best = log_prob.argmax(0).reshape(1, -1, *[1] * (candidates.ndim - 2))
    return candidates.take_along_dim(best, 0).squeeze(0)


def _under_one_order(model: AutoregressiveModel, y: Tensor, ball: Ball, search: _Search) -> Tensor:
    network = model.network
    centre, low, high = (model.to_sites(x) for x in (y, ball.low, ball.high))
    scale = 1.0 if model.units is None else model.units.scale
    reach, whole = (
        x.reshape(network.num_sites, network.width) for x in (ball.reach / scale, ball.whole)
    )
    # nats for each unit that a cell moves; cells without reach do not
    slope = search.boldness / reach.where(reach > 0, torch.inf)
    decided = (low == high).flatten(2).all(2).all(0).tolist()

    def choose(t: int, index: int, site: Site, features: Tensor) -> Tensor:
        del t
        if decided[index]:
            return low[:, index]
        interval = _Interval(low[:, index], high[:, index], centre[:, index], slope[index])
        noise = None if search.uniforms is None else search.uniforms[:, index]
        if site.num_codes is not None:
            return _codes(site, features, interval, noise)
        return _numbers(site, features, interval, whole[index], noise)

    with step_threads(network, len(ball)):
        sites = decode(network, model.head, len(ball), choose, search.context)
    return ball.clamp(model.from_sites(sites))


@dataclass(frozen=True, eq=False)
class _Interval:
    """Of one site: [rows, W], and the slope [W]."""

    low: Tensor
    high: Tensor
    centre: Tensor
    slope: Tensor


def _codes(site: Site, features: Tensor, interval: _Interval, uniforms: Tensor | None) -> Tensor:
    # in double precision masses of e^-700 are still told apart: the ball may hold none larger
    precise = features.double()
    value = precise.new_empty(len(precise), 0)
    for c in range(site.width):
        table = site.table(precise, value)
        codes = torch.arange(table.shape[-1], device=table.device)
        distance = (codes - interval.centre[:, c, None]).abs()
        weights = table * (interval.slope[c] * distance).exp()
        noise = None if uniforms is None else uniforms[:, c]
        chosen = code_within(weights, interval.low[:, c], interval.high[:, c], noise)
        value = torch.cat((value, chosen.unsqueeze(1)), 1)
    return value


def _numbers(
    site: Site, features: Tensor, interval: _Interval, whole: Tensor, uniforms: Tensor | None
) -> Tensor:
    assert site.width == 1  # only codes are coupled

    def log_density(values: Tensor) -> Tensor:
        distance = (values - interval.centre).abs()
        return site.log_prob(features, values).unsqueeze(-1) + interval.slope * distance

    if uniforms is None:
        return likeliest_within(log_density, interval.low, interval.high, whole)
    return drawn_within(log_density, interval.low, interval.high, whole, uniforms)
