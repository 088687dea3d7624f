"""`Support`: where a density lives, in a form that can be tested and said."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from ancestral.core.errors import DataError
from ancestral.core.shapes import expect_event

__all__ = [
    "COUNTS",
    "NON_NEGATIVE",
    "OPEN_UNIT",
    "POSITIVE",
    "REAL",
    "UNIT",
    "ZERO_ONE",
    "Support",
    "check_support",
    "codes",
]


@dataclass(frozen=True)
class Support:
    """A set of numbers.

    Args:
        description: the set in words; completes "a Bernoulli likelihood needs ...".
        contains: x -> bool of the same shape; NaN is never inside.
        hint: what to do with data that are outside.
        num_codes: K, if the set is 0 .. K - 1.
        is_discrete: whether it has gaps, so that there are masses and no density.
    """

    description: str
    contains: Callable[[Tensor], Tensor]
    hint: str
    num_codes: int | None = None
    is_discrete: bool = False


def check_support(
    likelihood: str,
    support: Support,
    event_shape: tuple[int, ...],
    x: Tensor,
    observed: Tensor | None,
) -> None:
    """Refuse rows that are not in the support.

    Args:
        likelihood: its name, for the message.
        support: where each observed cell must be.
        event_shape: of one row.
        x: [rows, *event_shape].
        observed: [rows, *event_shape] bool, or None.

    Raises:
        ShapeError: the rows have another shape.
        DataError: names the first cell that is outside.
    """
    expect_event(x, event_shape, "data")
    outside = ~support.contains(x)
    if observed is not None:
        outside = outside & observed
    if not bool(outside.any()):
        return
    row, *cell = (int(i) for i in outside.nonzero()[0])
    value = float(x[outside][0])
    where = f"row {row}" + (f", cell ({', '.join(map(str, cell))})" if cell else "")
    hint = support.hint
    if value != value:
        hint = "mark missing cells as missing, or leave out their rows"
    raise DataError(
        f"expected {support.description} for the {likelihood} likelihood, "
        f"got {value:g} in {where}",
        hint=hint,
    )


def codes(num_levels: int) -> Support:
    """The integers 0 .. num_levels - 1."""
    return Support(
        f"whole numbers from 0 to {num_levels - 1}",
        lambda x: (x >= 0) & (x <= num_levels - 1) & (x == x.round()),
        "check the number of levels; real numbers need a continuous likelihood",
        num_levels,
        is_discrete=True,
    )


REAL = Support("finite numbers", torch.isfinite, "remove or replace infinite values")
ZERO_ONE = Support(
    "values that are 0 or 1",
    lambda x: (x == 0) | (x == 1),
    "binarise the data, or use a continuous-bernoulli likelihood for values from 0 to 1",
    2,
    is_discrete=True,
)
UNIT = Support(
    "values from 0 to 1",
    lambda x: (x >= 0) & (x <= 1),
    "divide the data by their largest value, or use a normal likelihood",
)
OPEN_UNIT = Support(
    "values between 0 and 1, neither 0 nor 1",
    lambda x: (x > 0) & (x < 1),
    "use a continuous-bernoulli likelihood, whose density is finite at 0 and 1",
)
POSITIVE = Support(
    "values greater than 0",
    lambda x: (x > 0) & (x < torch.inf),
    "shift the data, or use an exponential or normal likelihood",
)
NON_NEGATIVE = Support(
    "values of at least 0",
    lambda x: (x >= 0) & (x < torch.inf),
    "use a normal or laplace likelihood",
)
COUNTS = Support(
    "whole numbers of at least 0",
    lambda x: (x >= 0) & (x < torch.inf) & (x == x.round()),
    "use raw counts, not normalised ones; real numbers need a continuous likelihood",
    is_discrete=True,
)
