"""Which head fits which data, if nobody says."""

from __future__ import annotations

from ancestral.core.specification import Kind, Specification
from ancestral.distributions.categorical import Categorical
from ancestral.distributions.discretized_logistic import DiscretizedLogistic
from ancestral.distributions.head import Head
from ancestral.distributions.names import LIKELIHOODS
from ancestral.distributions.product import Product

__all__ = ["MOST_CATEGORIES", "default_head"]

MOST_CATEGORIES = 16
"""Ordered levels up to this number are a `Categorical`'s, which assumes nothing of the order."""

_NAMES = {
    Kind.BINARY: "bernoulli",
    Kind.COUNT: "negative-binomial",
    Kind.REAL: "normal",
    Kind.POSITIVE: "log-normal",
    Kind.UNIT: "continuous-bernoulli",
}


def default_head(spec: Specification) -> Head:
    """The head that suits the kind of data.

    Binary: Bernoulli. Categorical: Categorical. Levels: Categorical up to 16 of them, else
    DiscretizedLogistic. Counts: NegativeBinomial. Real: Normal with predicted scale. Positive:
    LogNormal, whose `check` refuses zeros. Unit interval: ContinuousBernoulli, since grey values
    are not chances of a binary pixel. Tables: a Product, columns of one kind sharing a head.

    Example:
        >>> default_head(Specification(Kind.LEVELS, (4, 4), num_levels=256))
        DiscretizedLogistic(event_shape=(4, 4), num_levels=256, min_log_scale=-7.0)
    """
    if spec.kind is not None:
        return _head(spec.kind, spec.shape, spec.num_levels)
    groups: dict[tuple[Kind, int | None], list[int]] = {}
    columns = spec.columns or ()
    for index, column in enumerate(columns):
        groups.setdefault((column.kind, column.num_levels), []).append(index)
    parts = tuple(
        (tuple(indices), _head(kind, (len(indices),), num_levels))
        for (kind, num_levels), indices in groups.items()
    )
    return Product(parts, tuple(column.name for column in columns))


def _head(kind: Kind, shape: tuple[int, ...], num_levels: int | None) -> Head:
    if kind not in _NAMES:
        assert num_levels is not None  # the specification sees to it
        if kind is Kind.CATEGORICAL or num_levels <= MOST_CATEGORIES:
            return Categorical(shape, num_levels, kind)
        return DiscretizedLogistic(shape, num_levels)
    return LIKELIHOODS[_NAMES[kind]].build(shape, 0)
