"""The best or a random value of a cell within an interval, under a table or a density."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from ancestral.core import OptionError
from ancestral.models.autoregressive.truncation import quantile

__all__ = ["code_within", "drawn_within", "likeliest_within"]

LogDensity = Callable[[Tensor], Tensor]
"""[values, *cells] -> log p of each value in each cell, the same shape."""

_POINTS = 65  # of a grid; each round looks at a thirty-second of the interval before
_ROUNDS = 4
_CELLS = 512  # into which an interval is cut to draw from it
_MOST_CODES = 100_000


def code_within(table: Tensor, low: Tensor, high: Tensor, uniforms: Tensor | None) -> Tensor:
    """The likeliest code from `low` to `high`, or one drawn from p restricted to them.

    Where the table gives none of them any mass, the draw is uniform.

    Args:
        table: [..., K] masses.
        low: [...].
        high: [...].
        uniforms: [...], noise in (0, 1) to draw by; None for the likeliest code.

    Example:
        >>> table = torch.tensor([0.1, 0.2, 0.3, 0.4])
        >>> code_within(table, torch.tensor(0), torch.tensor(2), None)
        tensor(2.)
        >>> code_within(table, torch.tensor(1), torch.tensor(2), torch.tensor(0.39))
        tensor(1.)
    """
    codes = torch.arange(table.shape[-1], device=table.device)
    allowed = (codes >= low.unsqueeze(-1)) & (codes <= high.unsqueeze(-1))
    if uniforms is None:
        return table.where(allowed, -1.0).argmax(-1).to(table.dtype)
    masses = table.where(allowed, 0.0)
    has_mass = masses.sum(-1, keepdim=True) > 0
    return quantile(masses.where(has_mass, allowed.to(table.dtype)), uniforms.to(table.dtype))


def likeliest_within(log_density: LogDensity, low: Tensor, high: Tensor, whole: Tensor) -> Tensor:
    """Where each cell's log density is greatest between `low` and `high`.

    Whole numbers are all tried. Real ones are searched for on a grid of 65 points, and around
    the best of them three times more: found to within the interval / 60,000, but for modes
    narrower than a sixty-fourth of it.

    Args:
        log_density: of candidates.
        low: [*cells].
        high: [*cells].
        whole: bool, broadcast against the cells: where only whole numbers count.
    """
    if bool(whole.all()):
        return _best_whole(log_density, low, high)
    if bool(whole.any()):
        found = likeliest_within(log_density, low, high, ~whole & whole)
        return torch.where(whole, _best_whole(log_density, low, high), found)
    first, last, best = low, high, low
    steps = torch.linspace(0, 1, _POINTS, dtype=low.dtype, device=low.device)
    steps = steps.reshape(-1, *[1] * low.ndim)
    for _ in range(_ROUNDS):
        best = _best(log_density, first + (last - first) * steps)
        gap = (last - first) / (_POINTS - 1)
        first, last = torch.maximum(low, best - gap), torch.minimum(high, best + gap)
    return best


def drawn_within(
    log_density: LogDensity, low: Tensor, high: Tensor, whole: Tensor, uniforms: Tensor
) -> Tensor:
    """A draw from p restricted to [low, high]; of real numbers, as if p were even in 512 parts.

    Args:
        log_density: of candidates.
        low: [*cells].
        high: [*cells].
        whole: bool, of all cells or of none.
        uniforms: [*cells], noise in (0, 1).
    """
    if bool(whole.all()):
        steps = _whole_steps(low, high)
        values = low + steps
        scores = log_density(torch.minimum(values, high)).masked_fill(values > high, -torch.inf)
        masses = scores.softmax(0).nan_to_num(0.0).movedim(0, -1)
        return low + quantile(masses, uniforms)
    cells = torch.arange(_CELLS, dtype=low.dtype, device=low.device)
    cells = cells.reshape(-1, *[1] * low.ndim)
    width = (high - low) / _CELLS
    scores = _finite(log_density(low + (cells + 0.5) * width))
    masses = scores.softmax(0).movedim(0, -1)
    cell = quantile(masses, uniforms)
    number = cell.long().unsqueeze(-1)
    before = (masses.cumsum(-1) - masses).gather(-1, number).squeeze(-1)
    own = masses.gather(-1, number).squeeze(-1)
    return low + (cell + ((uniforms - before) / own).nan_to_num(0.5).clamp(0, 1)) * width


def _best_whole(log_density: LogDensity, low: Tensor, high: Tensor) -> Tensor:
    return _best(log_density, torch.minimum(low + _whole_steps(low, high), high))


def _whole_steps(low: Tensor, high: Tensor) -> Tensor:
    """0, 1, ..., as many as the widest interval holds: [count, 1, ...]."""
    count = int((high - low).max()) + 1
    if count > _MOST_CODES:
        raise OptionError(
            f"expected an epsilon that leaves at most {_MOST_CODES:,} whole numbers in a cell, "
            f"got {count:,}",
            hint="it is in each column's own units",
        )
    return torch.arange(count, dtype=low.dtype, device=low.device).reshape(-1, *[1] * low.ndim)


def _best(log_density: LogDensity, values: Tensor) -> Tensor:
    number = _finite(log_density(values)).argmax(0, keepdim=True)
    return values.gather(0, number).squeeze(0)


def _finite(scores: Tensor) -> Tensor:
    """Infinite densities at the ends of a support, as a beta's at 0, count for nothing."""
    lowest = torch.finfo(scores.dtype).min
    return scores.nan_to_num(nan=lowest, posinf=lowest, neginf=lowest)
