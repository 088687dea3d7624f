"""What the numbers of an array are: the evidence, then the verdict with its reason."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np

from ancestral.core.errors import DataError
from ancestral.core.specification import Kind, Specification

__all__ = ["NumberSummary", "Verdict"]

_MOST_SMALL_LEVELS = 32
_NUM_BYTES = 256


@dataclass(frozen=True)
class Verdict:
    """A kind, the number of its levels where it has any, and why."""

    kind: Kind
    num_levels: int | None
    reason: str


@dataclass(frozen=True)
class NumberSummary:
    """What has been seen of some numbers; made block by block.

    Args:
        dtype: as the numbers came.
        low: the least, NaN if there is none.
        high: the greatest, NaN if there is none.
        all_integers: whether each is a whole number.
        has_missing: whether NaN occurs.
    """

    dtype: np.dtype
    low: float
    high: float
    all_integers: bool
    has_missing: bool

    @staticmethod
    def empty(dtype: np.dtype) -> NumberSummary:
        """Before any number is seen."""
        if dtype.kind not in "biuf":
            raise DataError(
                f"expected an array of numbers, got type {dtype}",
                hint="object arrays are never read; convert to float32 or an integer type",
            )
        return NumberSummary(dtype, math.nan, math.nan, all_integers=True, has_missing=False)

    def updated(self, values: np.ndarray, what: str = "the data") -> NumberSummary:
        """After some more numbers.

        Raises:
            DataError: one is infinite.
        """
        if values.size == 0:
            return self
        low, high = values.min(), values.max()
        has_missing = bool(np.isnan(low)) if values.dtype.kind == "f" else False
        if has_missing:
            finite = values[~np.isnan(values)]
            if finite.size == 0:
                return replace(self, has_missing=True)
            return replace(self.updated(finite, what), has_missing=True)
        if not (np.isfinite(low) and np.isfinite(high)):
            raise DataError(
                f"expected finite numbers in {what}, got {high if np.isinf(high) else low}",
                hint="replace infinities, or use NaN for missing cells",
            )
        whole = values.dtype.kind != "f" or (
            self.all_integers and bool((values == np.floor(values)).all())
        )
        return replace(
            self,
            low=float(np.fmin(self.low, low)),
            high=float(np.fmax(self.high, high)),
            all_integers=self.all_integers and whole,
        )

    def verdict(self, *, is_image: bool, is_column: bool = False) -> Verdict:
        """The kind that fits.

        Args:
            is_image: whether a row can be looked at.
            is_column: whether these are one column of a table, where fractions are real.
        """
        name, low, high = self.dtype.name, self.low, self.high
        seen = f"{name} from {low:g} to {high:g}"
        if math.isnan(low):
            return Verdict(Kind.REAL, None, f"{name} without a single value: real")
        if self.all_integers and low >= 0 and high <= 1:
            both = "2 values, 0 and 1" if low < high else f"1 value, {low:g}"
            return Verdict(Kind.BINARY, None, f"{name} with {both}: binary")
        if not self.all_integers:
            if low >= 0 and high <= 1 and not is_column:
                return Verdict(Kind.UNIT, None, f"{seen}: unit interval")
            return Verdict(Kind.REAL, None, f"{seen}: real")
        if low < 0:
            return Verdict(Kind.REAL, None, f"whole numbers, some negative, {seen}: real")
        is_bytes = high < _NUM_BYTES and (self.dtype == np.uint8 or is_image)
        if is_bytes and not is_column:
            small = high < _MOST_SMALL_LEVELS
            num_levels = int(high) + 1 if small else _NUM_BYTES
            return Verdict(Kind.LEVELS, num_levels, f"{seen}: {num_levels} levels")
        return Verdict(Kind.COUNT, None, f"whole numbers, {seen}: counts")

    def specification(self, shape: tuple[int, ...]) -> Specification:
        """Of an array whose rows have this shape."""
        is_image = Specification(Kind.REAL, shape).image_shape is not None
        verdict = self.verdict(is_image=is_image)
        return Specification(
            verdict.kind,
            shape,
            num_levels=verdict.num_levels,
            missing=self.has_missing,
            reason=verdict.reason,
        )

    def asked(self, kind: Kind, num_levels: int | None, what: str) -> Verdict:
        """The kind a person asks for, if the numbers allow it.

        Raises:
            DataError: they do not.
        """
        if math.isnan(self.low):
            return Verdict(kind, num_levels or (2 if _has_levels(kind) else None), "as asked")
        allowed = {
            Kind.BINARY: self.all_integers and self.low >= 0 and self.high <= 1,
            Kind.CATEGORICAL: self.all_integers and self.low >= 0,
            Kind.LEVELS: self.all_integers and self.low >= 0,
            Kind.COUNT: self.all_integers and self.low >= 0,
            Kind.REAL: True,
            Kind.POSITIVE: self.low > 0,
            Kind.UNIT: self.low >= 0 and self.high <= 1,
        }[kind]
        got = f"{'whole ' if self.all_integers else ''}numbers from {self.low:g} to {self.high:g}"
        if not allowed:
            raise DataError(f"expected {kind} values in {what}, got {got}", hint=_WANTED.get(kind))
        if _has_levels(kind):
            num_levels = num_levels or max(2, int(self.high) + 1)
            if self.high >= num_levels:
                raise DataError(
                    f"expected codes 0 to {num_levels - 1} in {what}, got {self.high:g}"
                )
        return Verdict(kind, num_levels if _has_levels(kind) else None, f"{got}: {kind}, as asked")


_WANTED = {
    Kind.BINARY: "binary data are 0 and 1; binarization='static' draws them from grey values",
    Kind.CATEGORICAL: "codes are whole numbers from 0",
    Kind.LEVELS: "levels are whole numbers from 0",
    Kind.COUNT: "counts are whole numbers from 0; kind='real' takes any number",
    Kind.POSITIVE: "positive values are greater than 0; kind='real' takes any number",
    Kind.UNIT: "values of the unit interval lie from 0 to 1; divide by the largest",
}


def _has_levels(kind: Kind) -> bool:
    return kind in (Kind.CATEGORICAL, Kind.LEVELS)
