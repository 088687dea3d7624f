"""Counts of codes and of pairs of codes, and what follows from them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence

import torch
from torch import Tensor

from ancestral.core import DataError

__all__ = [
    "CodeBatches",
    "indicators",
    "leave_one_out_smoothing",
    "mutual_information",
    "refuse_many_codes",
    "sum_by_site",
]

CodeBatches = Callable[[], Iterable[Tensor]]
"""Gives the rows anew at each call, in batches of codes [batch, T] int64."""

_BLOCK_CELLS = 1 << 23  # pair counts held at once: 64 MB in float64
_MOST_PAIRS = 1 << 28


def indicators(codes: Tensor, cardinalities: Sequence[int]) -> Tensor:
    """Codes [batch, T] as zeros and ones, [batch, sum of K].

    Example:
        >>> indicators(torch.tensor([[1, 2]]), [2, 3])
        tensor([[0., 1., 0., 0., 1.]])
    """
    starts = torch.tensor([0, *cardinalities[:-1]], device=codes.device).cumsum(0)
    found = torch.zeros(len(codes), sum(cardinalities), device=codes.device)
    return found.scatter_(1, codes + starts, 1.0)


def sum_by_site(values: Tensor, cardinalities: Sequence[int]) -> Tensor:
    """Sums over the codes of each site: [..., sum of K] -> [..., T]."""
    sites = torch.arange(len(cardinalities), device=values.device)
    site = sites.repeat_interleave(torch.tensor(cardinalities, device=values.device))
    found = values.new_zeros(*values.shape[:-1], len(cardinalities))
    return found.index_add_(-1, site, values)


def mutual_information(
    batches: CodeBatches, cardinalities: Sequence[int], smoothing: float
) -> Tensor:
    r"""Mutual information of each pair of sites in nats, [T, T] float64; zero with itself.

    Of the pair's smoothed frequencies, (n_ab + a) / (N + a K_1 K_2), and the margins of these,
    so that it is never negative. One matrix product for each batch; memory is bounded by taking
    blocks of sites in as many passes as needed.

    Args:
        batches: the rows.
        cardinalities: K of each site.
        smoothing: a, added to each count of a pair.

    Raises:
        DataError: the pairs have so many codes that their tables would take hours.
    """
    refuse_many_codes(cardinalities)
    total = sum(cardinalities)
    found = []
    for first, last in _blocks(cardinalities, max(1, _BLOCK_CELLS // total)):
        start, size = sum(cardinalities[:first]), sum(cardinalities[first:last])
        counts, num_rows = torch.zeros((), dtype=torch.float64), 0
        for codes in batches():
            ones = indicators(codes, cardinalities)
            counts = (ones[:, start : start + size].T @ ones).double() + counts.to(ones.device)
            num_rows += len(codes)
        found.append(_information(counts, num_rows, cardinalities, (first, last), smoothing))
    information = torch.cat(found)
    information.fill_diagonal_(0.0)
    return (information + information.T) / 2


def refuse_many_codes(cardinalities: Sequence[int]) -> None:
    """Refuse data whose tables of pairs would take hours.

    Raises:
        DataError: the columns have too many codes together.
    """
    total = sum(cardinalities)
    if total * total > _MOST_PAIRS:
        raise DataError(
            f"expected columns of at most {_MOST_PAIRS**0.5:,.0f} values together for a table of "
            f"each pair, got {total:,}",
            hint="take fewer levels, by a binarisation or bins, or a network such as `fvsbn`",
        )


def leave_one_out_smoothing(counts: Tensor, sizes: Tensor) -> float:
    r"""The pseudo-count under which the other rows predict each row best.

    The likelihood of each row under tables made of all others is a function of the counts alone,

    .. math:: \sum n_{rk} \log \frac{n_{rk} - 1 + a}{n_r - 1 + a K_r},

    so that the choice costs no second look at the data, and none at held-out ones.

    Args:
        counts: [rows of the tables, P].
        sizes: [rows of the tables], codes of the site that a row is of.

    Returns:
        The best of 43 values from 0.0001 to 1000, seven to a decade.
    """
    row, column = counts.nonzero(as_tuple=True)
    number = counts[row, column].double()
    others, codes = counts.sum(1)[row].double() - 1, sizes[row].double()

    def score(smoothing: float) -> float:
        chance = (number - 1 + smoothing) / (others + smoothing * codes)
        return float((number * chance.log()).sum())

    return max((10 ** (i / 6) for i in range(-24, 19)), key=score)


def _blocks(cardinalities: Sequence[int], most: int) -> Iterator[tuple[int, int]]:
    """Ranges of sites with at most so many codes together, or one site."""
    first, size = 0, 0
    for site, codes in enumerate(cardinalities):
        if size and size + codes > most:
            yield first, site
            first, size = site, 0
        size += codes
    yield first, len(cardinalities)


def _information(
    counts: Tensor,
    num_rows: int,
    cardinalities: Sequence[int],
    block: tuple[int, int],
    smoothing: float,
) -> Tensor:
    """[sites of the block, T] from the counts of pairs, [codes of the block, sum of K]."""
    first, last = block
    own = cardinalities[first:last]
    sizes = torch.tensor(cardinalities, dtype=torch.float64, device=counts.device)
    pairs = sizes[first:last].unsqueeze(1) * sizes  # K_1 K_2, [block, T]
    total = num_rows + smoothing * pairs
    by_code = total.repeat_interleave(torch.tensor(own, device=counts.device), 0)
    by_pair = by_code.repeat_interleave(torch.tensor(cardinalities, device=counts.device), 1)
    joint = (counts + smoothing) / by_pair
    left = sum_by_site(joint, cardinalities)  # [codes of the block, T]
    right = sum_by_site(joint.T, own).T  # [block, sum of K]
    joint = sum_by_site(torch.xlogy(joint, joint), cardinalities)
    return (
        sum_by_site((joint - torch.xlogy(left, left)).T, own).T
        - sum_by_site(torch.xlogy(right, right), cardinalities)
    ).clamp_min(0.0)
