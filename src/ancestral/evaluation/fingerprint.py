"""`Fingerprint`: which rows a number is of, whatever they are called."""

from __future__ import annotations

import hashlib
from array import array
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np

from ancestral.core import Batch, IncompatibleChoices, Kind, Specification
from ancestral.core.hashing import row_hashes
from ancestral.data import Source

__all__ = ["Fingerprint", "RowHashes", "fingerprint", "refuse_other_rows"]

_ROWS = 1000  # that are hashed at once
_NAMES = {"mass": "probabilities of whole numbers", "density": "densities of real numbers"}


@dataclass(frozen=True)
class Fingerprint:
    """Hashes of rows as models see them: cells in their units, gaps, and what they are given.

    Of integers with noise it is the integers that count: a log-density of theirs is a bound on
    the log-probability of the integers, and stands beside such a number in one unit.

    Args:
        num_rows: how many.
        shape: of a row.
        rows: hash of the rows in their order.
        any_order: hash of the rows in whatever order.
        measure: "mass" or "density" of each cell, since one cannot be compared with the other;
            one letter a cell, or a single one if all are alike.
        given: names of what the rows come with, where log p is conditional on that.
        binarization: how grey values became 0 and 1, in words.
    """

    num_rows: int
    shape: tuple[int, ...]
    rows: str
    any_order: str
    measure: str
    given: tuple[str, ...] = ()
    binarization: str = ""

    def to_dict(self) -> dict[str, Any]:
        """For JSON."""
        return asdict(self) | {"shape": list(self.shape), "given": list(self.given)}

    @staticmethod
    def from_dict(d: Mapping[str, Any]) -> Fingerprint:
        """Undo `to_dict`."""
        return Fingerprint(**{**d, "shape": tuple(d["shape"]), "given": tuple(d["given"])})


def fingerprint(source: Source) -> Fingerprint:
    """The fingerprint of all rows of a source, in one pass.

    Cells are taken in single precision, so that a table and an array of the same numbers agree.

    Example:
        >>> from ancestral.core import Kind, Specification
        >>> from ancestral.data import TensorSource
        >>> source = TensorSource(np.eye(3, dtype=np.uint8), Specification(Kind.BINARY, (3,)))
        >>> one, other = fingerprint(source), fingerprint(source.subset([1, 0, 2]))
        >>> one.rows == other.rows, one.any_order == other.any_order
        (False, True)
    """
    hashes = RowHashes(source)
    for batch in source.ordered(_ROWS):
        hashes.add(batch)
    return hashes.fingerprint()


class RowHashes:
    """Hashes of a source's rows, which are looked at in their order, batch by batch.

    Args:
        source: of the rows.
    """

    def __init__(self, source: Source) -> None:
        self._source = source
        self._rows = array("q")

    def add(self, batch: Batch) -> None:
        """The next rows."""
        if _is_dequantized(self._source):
            batch = replace(batch, x=batch.x.floor())
        self._rows.extend(row_hashes(batch).tolist())

    def fingerprint(self) -> Fingerprint:
        """Of the rows so far."""
        source, spec = self._source, self._source.spec
        in_order = np.asarray(self._rows, dtype="<i8")
        return Fingerprint(
            len(in_order),
            spec.shape,
            _digest(in_order),
            _digest(np.sort(in_order)),
            "mass" if _is_dequantized(source) else _measure(spec),
            spec.context,
            spec.binarization,
        )


def refuse_other_rows(found: Mapping[str, Fingerprint]) -> None:
    """Refuse to compare numbers that are of different rows, or of different quantities.

    Args:
        found: fingerprints by name of the run.

    Raises:
        IncompatibleChoices: rows, their order, binarisation, units or conditions differ.
    """
    (first_name, first), *others = found.items()
    for name, other in others:
        reason = _difference(first, other)
        if reason is not None:
            what, a, b, hint = reason
            raise IncompatibleChoices(
                f"expected runs evaluated on the same rows, got {what}: {a} for {first_name}, "
                f"{b} for {name}",
                hint=hint,
            )


def _difference(a: Fingerprint, b: Fingerprint) -> tuple[str, str, str, str] | None:
    """What differs, both values, and a way out; None if nothing does."""
    one = "evaluate all of them on one split of one data set"
    if a.given != b.given:
        hint = "log p of rows given their class is another number than log p of rows; compare like"
        return "rows given something else", _given(a), _given(b), f"{hint} with like"
    if a.binarization != b.binarization:
        return "another binarization", repr(a.binarization), repr(b.binarization), one
    if a.shape != b.shape:
        return "another shape", str(list(a.shape)), str(list(b.shape)), one
    if a.measure != b.measure:
        hint = "take the cells for the same kind (--kind) in all runs"
        measures = [_NAMES.get(part.measure, "some cells of each") for part in (a, b)]
        return "numbers that cannot be compared", measures[0], measures[1], hint
    if a.num_rows != b.num_rows:
        return "another number of data", str(a.num_rows), str(b.num_rows), one
    if a.rows == b.rows:
        return None
    if a.any_order == b.any_order:
        hint = "give both the rows in one order: differences are of pairs"
        return "the same rows in another order", a.rows[:8], b.rows[:8], hint
    hint = (
        "the files hold other values, or were split, binarised or preprocessed in another way; "
        f"{one}, such as `compare RUN RUN --data FILE`"
    )
    return "other rows (by their hashes)", a.rows[:8], b.rows[:8], hint


def _given(found: Fingerprint) -> str:
    return f"given {', '.join(found.given)}" if found.given else "given nothing"


def _is_dequantized(source: Source) -> bool:
    return source.log_prob_kind != "exact"


def _measure(spec: Specification) -> str:
    kinds = [c.kind for c in spec.columns] if spec.columns is not None else [spec.kind]
    names = ["mass" if Kind(kind).is_discrete else "density" for kind in kinds if kind is not None]
    return names[0] if len(set(names)) == 1 else "".join(name[0] for name in names)


def _digest(hashes: np.ndarray) -> str:
    return hashlib.blake2b(hashes.tobytes(), digest_size=16).hexdigest()
