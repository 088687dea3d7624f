"""`Specification`: what one datum is."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from ancestral.core.errors import DataError
from ancestral.core.shapes import numel

__all__ = ["Column", "Kind", "Specification"]


class Kind(StrEnum):
    """What the values of a cell are; it decides which likelihoods make sense."""

    BINARY = "binary"  # 0 or 1
    CATEGORICAL = "categorical"  # codes 0 .. num_levels - 1, without order
    LEVELS = "levels"  # integers 0 .. num_levels - 1, ordered, such as grey values
    COUNT = "count"  # 0, 1, 2, ...
    REAL = "real"  # any number
    POSITIVE = "positive"  # greater than 0
    UNIT = "unit"  # from 0 to 1

    @property
    def is_discrete(self) -> bool:
        """Whether p(x) is a probability mass rather than a density."""
        return self in (Kind.BINARY, Kind.CATEGORICAL, Kind.LEVELS, Kind.COUNT)


@dataclass(frozen=True)
class Column:
    """One column of a table.

    Args:
        name: as in the file's header.
        kind: what its cells are.
        num_levels: number of codes, for categorical columns and levels.
        categories: the text of each code, in order, for columns that held text.
    """

    name: str
    kind: Kind
    num_levels: int | None = None
    categories: tuple[str, ...] | None = None

    def __post_init__(self) -> None:
        _check_levels(self.kind, self.num_levels, f"column {self.name!r}")


@dataclass(frozen=True)
class Specification:
    """What x is: the kind of its cells, its shape, and whether cells may be missing.

    Args:
        kind: of every cell, or None for a table whose columns differ (`columns` then says).
        shape: of one datum, such as (28, 28), (32, 32, 3) or (11,).
        num_levels: number of codes, for categorical data and levels.
        columns: one for each column of a table; None for images and arrays.
        missing: whether cells may be missing (NaN in arrays, empty in files).
        reason: how the kind was found, in words.
        binarization: how grey values became 0 and 1, in words; "" if they did not.
        context: names of the numbers that each row comes with and that p(x | c) is conditional
            on, such as its classes, one number for each; () if there are none.
        end_code: of sequences that end: the code of the end symbol, which also fills the cells
            after it; None for data of one length.
        integers: what the data were before noise made real numbers of integers; None for data
            that are as given.

    Example:
        >>> Specification(Kind.BINARY, (28, 28)).num_dims
        784
    """

    kind: Kind | None
    shape: tuple[int, ...]
    num_levels: int | None = None
    columns: tuple[Column, ...] | None = None
    missing: bool = False
    reason: str = ""
    binarization: str = ""
    context: tuple[str, ...] = ()
    end_code: int | None = None
    integers: Specification | None = None

    def __post_init__(self) -> None:
        if self.kind is None and self.columns is None:
            raise DataError("expected a kind or columns with kinds, got neither")
        if self.columns is not None and self.shape != (len(self.columns),):
            raise DataError(f"expected shape ({len(self.columns)},), got {self.shape}")
        if self.kind is not None:
            _check_levels(self.kind, self.num_levels, "the data")
        if self.end_code is not None and not 0 <= self.end_code < (self.num_levels or 0):
            raise DataError(f"expected an end symbol among the codes, got {self.end_code}")

    @property
    def num_dims(self) -> int:
        """Cells of one datum."""
        return numel(self.shape)

    @property
    def kinds(self) -> frozenset[Kind]:
        """The kinds that occur."""
        if self.kind is not None:
            return frozenset({self.kind})
        assert self.columns is not None
        return frozenset(column.kind for column in self.columns)

    @property
    def image_shape(self) -> tuple[int, int, int] | None:
        """(height, width, channels) if a datum can be looked at, else None."""
        if len(self.shape) == 2 and min(self.shape) >= 4:
            return (*self.shape, 1)
        if len(self.shape) == 3 and self.shape[2] in (1, 3):
            return self.shape
        return None

    def to_dict(self) -> dict[str, Any]:
        """For JSON; `from_dict` undoes it."""
        return {
            "kind": None if self.kind is None else str(self.kind),
            "shape": list(self.shape),
            "num_levels": self.num_levels,
            "columns": None
            if self.columns is None
            else [
                {
                    "name": c.name,
                    "kind": str(c.kind),
                    "num_levels": c.num_levels,
                    "categories": None if c.categories is None else list(c.categories),
                }
                for c in self.columns
            ],
            "missing": self.missing,
            "reason": self.reason,
            "binarization": self.binarization,
            "context": list(self.context),
            "end_code": self.end_code,
            "integers": None if self.integers is None else self.integers.to_dict(),
        }

    @staticmethod
    def from_dict(d: Mapping[str, Any]) -> Specification:
        """Undo `to_dict`.

        Example:
            >>> spec = Specification(Kind.LEVELS, (28, 20), num_levels=256)
            >>> Specification.from_dict(spec.to_dict()) == spec
            True
        """
        columns, integers = d["columns"], d.get("integers")
        return Specification(
            kind=None if d["kind"] is None else Kind(d["kind"]),
            shape=tuple(d["shape"]),
            num_levels=d["num_levels"],
            columns=None
            if columns is None
            else tuple(
                Column(
                    c["name"],
                    Kind(c["kind"]),
                    c["num_levels"],
                    None if c["categories"] is None else tuple(c["categories"]),
                )
                for c in columns
            ),
            missing=d["missing"],
            reason=d["reason"],
            binarization=d["binarization"],
            context=tuple(d.get("context", ())),
            end_code=d.get("end_code"),
            integers=None if integers is None else Specification.from_dict(integers),
        )


def _check_levels(kind: Kind, num_levels: int | None, what: str) -> None:
    needs = kind in (Kind.CATEGORICAL, Kind.LEVELS)
    if needs and (num_levels is None or num_levels < 2):
        raise DataError(f"expected {what} to have at least 2 {kind} values, got {num_levels}")
