"""`Product`: one row of a table, whose columns are of different kinds."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.distributions import Distribution

from ancestral.core.errors import DataError, ShapeError
from ancestral.core.shapes import expect_event
from ancestral.distributions.cells import CellHead
from ancestral.distributions.head import Head
from ancestral.distributions.wrapper import HeadDistribution

__all__ = ["Product"]


@dataclass(frozen=True)
class Product(Head):
    """p(x) = product over groups of columns of p(x_group), each group under its own head.

    Columns of one kind belong in one group: the cost is that of one head for each group.
    Features are flat, `(F,)`: those of the first group, of the second, and so on.

    Args:
        parts: pairs of column numbers and a head, whose event shape is `(len(columns),)`.
            Together they hold each of the D columns once.
        names: of the columns, for messages; column numbers if empty.

    Raises:
        ShapeError: a column is left out or comes twice, or a head has another event shape.

    Example:
        >>> from ancestral.distributions.bernoulli import Bernoulli
        >>> from ancestral.distributions.normal import Normal
        >>> head = Product((((0, 2), Normal((2,))), ((1,), Bernoulli((1,)))))
        >>> head.event_shape, head.feature_shape
        ((3,), (5,))
    """

    parts: tuple[tuple[tuple[int, ...], Head], ...]
    names: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        columns = sorted(column for group, _ in self.parts for column in group)
        if columns != list(range(len(columns))):
            raise ShapeError(
                f"expected each column from 0 to {len(columns) - 1} once, got {columns}"
            )
        for group, head in self.parts:
            if head.event_shape != (len(group),):
                raise ShapeError(
                    f"expected a head of event shape ({len(group)},) for columns {group}, "
                    f"got {head.event_shape}"
                )

    @property
    def event_shape(self) -> tuple[int, ...]:  # pyright: ignore[reportIncompatibleVariableOverride]
        """(D,)."""
        return (sum(len(group) for group, _ in self.parts),)

    @property
    def feature_shape(self) -> tuple[int, ...]:
        """(F,), the sum over the groups."""
        return (sum(head.num_features for _, head in self.parts),)

    @property
    def is_discrete(self) -> bool:
        """Whether a group is."""
        return any(head.is_discrete for _, head in self.parts)

    def log_prob(self, features: Tensor, x: Tensor, observed: Tensor | None = None) -> Tensor:
        """Sum of the groups' log-densities, [...]."""
        return torch.stack(
            [
                head.log_prob(part, _pick(x, group), _pick_mask(observed, group))
                for group, head, part in self._split(features)
            ]
        ).sum(0)

    def log_prob_cells(
        self, features: Tensor, x: Tensor, observed: Tensor | None = None
    ) -> Tensor:
        """Log p of each column, [..., D].

        Raises:
            TypeError: the columns of a group are not independent.
        """
        cells = []
        for group, head, part in self._split(features):
            if not isinstance(head, CellHead):
                raise TypeError(f"the columns of a {type(head).__name__} are not independent")
            cells.append(head.log_prob_cells(part, _pick(x, group), _pick_mask(observed, group)))
        return self._assemble(cells)

    def __call__(self, features: Tensor) -> Distribution:
        """The distribution; see `HeadDistribution`."""
        return HeadDistribution(self, features)

    def mean(self, features: Tensor) -> Tensor:
        """The groups' means, [..., D]."""
        return self._assemble([head.mean(part) for _, head, part in self._split(features)])

    def representative(self, features: Tensor) -> Tensor:
        """The groups' representatives: means of numbers, the likeliest codes of categories."""
        return self._assemble(
            [head.representative(part) for _, head, part in self._split(features)]
        )

    def sample(self, features: Tensor) -> Tensor:
        """One draw of each group."""
        return self._assemble([head.sample(part) for _, head, part in self._split(features)])

    def initial_features(self, x: Tensor, observed: Tensor | None = None) -> Tensor:
        """Those of each group."""
        return torch.cat(
            [
                head.initial_features(_pick(x, group), _pick_mask(observed, group)).flatten()
                for group, head in self.parts
            ]
        )

    def check(self, x: Tensor, observed: Tensor | None = None) -> None:
        """Refuse a column outside the support of its head; the message says which columns."""
        expect_event(x, self.event_shape, "data")
        for group, head in self.parts:
            try:
                head.check(_pick(x, group), _pick_mask(observed, group))
            except DataError as error:
                names = [self.names[c] if self.names else str(c) for c in group]
                raise DataError(
                    f"{error.message}, of the columns {', '.join(names)}", hint=error.hint
                ) from None

    def _split(self, features: Tensor) -> Iterator[tuple[tuple[int, ...], Head, Tensor]]:
        parts = features.split([head.num_features for _, head in self.parts], dim=-1)
        for (group, head), part in zip(self.parts, parts, strict=True):
            yield group, head, part.unflatten(-1, head.feature_shape)

    def _assemble(self, groups: list[Tensor]) -> Tensor:
        joined = torch.cat(groups, dim=-1)
        order = [column for group, _ in self.parts for column in group]
        if order == sorted(order):
            return joined
        back = torch.tensor(order, device=joined.device).argsort()
        return joined.index_select(-1, back)


def _pick(x: Tensor, columns: tuple[int, ...]) -> Tensor:
    first, last = columns[0], columns[-1]
    if columns == tuple(range(first, last + 1)):
        return x.narrow(-1, first, len(columns))
    return x.index_select(-1, torch.tensor(columns, device=x.device))


def _pick_mask(observed: Tensor | None, columns: tuple[int, ...]) -> Tensor | None:
    return None if observed is None else _pick(observed, columns)
