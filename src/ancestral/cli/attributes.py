"""`Attribute`: what a person types to say which rows are meant."""

from __future__ import annotations

import operator
import re
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from ancestral.core import OptionError, Specification
from ancestral.core.registry import nearest
from ancestral.data import Source

__all__ = ["Attribute"]

_COMPARISONS: dict[str, Callable[[np.ndarray, float], np.ndarray]] = {
    "=": operator.eq,
    "!=": operator.ne,
    "<": operator.lt,
    ">": operator.gt,
    "<=": operator.le,
    ">=": operator.ge,
}
_FORM = re.compile(r"^\s*(.+?)\s*(<=|>=|!=|=|<|>)\s*(.+?)\s*$")
_LABELS = ("label", "labels")
_EXAMPLES = "--add label=3, or for a column of a table --add colour=red or --add 'height>170'"
_ROWS = 1000


@dataclass(frozen=True)
class Attribute:
    """A condition on a label or on a column of a table.

    Args:
        name: "label", or of a column.
        comparison: one of = != < > <= >=.
        value: a class, a category or a number, as typed.
    """

    name: str
    comparison: str
    value: str

    @staticmethod
    def parse(text: str) -> Attribute:
        """Such as `label=3`, `colour=red` or `height>170`.

        Raises:
            OptionError: it is of another form.
        """
        found = _FORM.match(text)
        if found is None:
            raise OptionError(
                f"expected an attribute NAME=VALUE, NAME<VALUE or NAME>VALUE, got {text!r}",
                hint=_EXAMPLES,
            )
        return Attribute(*found.groups())

    def __str__(self) -> str:
        return f"{self.name}{self.comparison}{self.value}"

    def holds(
        self, source: Source, label_names: tuple[str, ...] | None
    ) -> tuple[np.ndarray, np.ndarray]:
        """Which rows have the attribute, and of which it is known: [rows] bool each.

        Raises:
            OptionError: there is no such label, column, category or number.
        """
        columns = [] if source.spec.columns is None else [c.name for c in source.spec.columns]
        if self.name in columns:
            return self._in_column(source, columns.index(self.name))
        if self.name in _LABELS:
            return self._of_labels(source, label_names)
        known = [*columns, "label"] if source.labels is not None else columns
        raise OptionError(
            f"expected an attribute of {', '.join(known) or 'labels, columns'}, got {self.name!r}",
            hint=nearest(self.name, known) if known else "the data have neither of them",
        )

    def _of_labels(
        self, source: Source, names: tuple[str, ...] | None
    ) -> tuple[np.ndarray, np.ndarray]:
        if source.labels is None:
            raise OptionError(
                f"expected labels for {str(self)!r}, and the data have none",
                hint="--label COLUMN says which column of a table holds them",
            )
        labels = np.asarray(source.labels)
        texts = np.array([names[c] if names is not None else str(c) for c in labels.tolist()])
        known = sorted({*texts.tolist(), *(names or ())})
        if self.comparison in ("=", "!="):
            if self.value not in known:
                shown = ", ".join(known[:10]) + (", ..." if len(known) > 10 else "")
                raise OptionError(
                    f"no row has the label {self.value!r}", hint=f"there are: {shown}"
                )
            same = texts == self.value
            return (same if self.comparison == "=" else ~same), np.ones(len(labels), dtype=bool)
        if names is not None:
            raise OptionError(
                f"expected = or != for labels in words, got {str(self)!r}", hint=_EXAMPLES
            )
        return _COMPARISONS[self.comparison](labels, self._number()), np.ones(len(labels), bool)

    def _in_column(self, source: Source, index: int) -> tuple[np.ndarray, np.ndarray]:
        parts, masks = [], []
        for batch in source.ordered(_ROWS):
            parts.append(batch.x[:, index].cpu().numpy())
            seen = None if batch.observed is None else batch.observed[:, index].cpu().numpy()
            masks.append(np.ones(len(batch), dtype=bool) if seen is None else seen)
        values, known = np.concatenate(parts), np.concatenate(masks)
        number = self._code(source.spec, index)
        return _COMPARISONS[self.comparison](values, number) & known, known

    def _code(self, spec: Specification, index: int) -> float:
        """The number that a cell of the column is compared with."""
        assert spec.columns is not None
        categories = spec.columns[index].categories
        if categories is None:
            return self._number()
        if self.comparison not in ("=", "!="):
            raise OptionError(
                f"expected = or != for categories, got {str(self)!r}", hint=_EXAMPLES
            )
        if self.value not in categories:
            raise OptionError(
                f"expected {self.name} to be one of {', '.join(categories)}, got {self.value!r}",
                hint=nearest(self.value, list(categories)),
            )
        return float(categories.index(self.value))

    def _number(self) -> float:
        try:
            return float(self.value)
        except ValueError:
            raise OptionError(
                f"expected a number to compare {self.name} with, got {self.value!r}",
                hint=_EXAMPLES,
            ) from None
