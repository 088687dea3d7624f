"""`Perturbed`: rows that somebody may have moved, in whatever units they come."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import ArrayLike
from torch import Tensor

from ancestral.applications.purification.ball import Ball
from ancestral.core import DataError, IncompatibleChoices, Kind, OptionError, Specification

__all__ = ["Perturbed", "full_scale_of", "is_scaled"]

_TOLERANCE = 1e-6  # of full scale: what single precision makes of x + epsilon
_WHOLE = 1e-9  # what double precision makes of it, in columns of whole numbers
_BYTE = 255.0
_NEARLY_UNIT = 2.0


def is_scaled(spec: Specification) -> bool:
    """Whether rows can come on another scale than the data's, as pictures from 0 to 1 do."""
    return spec.columns is None and spec.kind in (Kind.BINARY, Kind.LEVELS, Kind.UNIT)


def full_scale_of(values: np.ndarray, spec: Specification) -> float:
    """The number that stands for the highest level in rows that do not say so: for white.

    That of the data, if the numbers are whole and fit; else 1, if all lie from 0 to 1; else that
    of the data, if they fit it; else 255.

    Args:
        values: [rows, ...].
        spec: of the model's data, for which `is_scaled`.

    Raises:
        DataError: they fit neither, or a number hardly above 1 leaves it open which is meant.

    Example:
        >>> grey = Specification(Kind.LEVELS, (8, 8), num_levels=17)
        >>> [full_scale_of(np.array(x), grey) for x in ([0, 1], [0.0, 0.9], [3.5, 16.0], [254])]
        [16.0, 1.0, 16.0, 255.0]
    """
    top = float((spec.num_levels or 2) - 1)
    low, high = float(values.min()), float(values.max())
    if low < -_TOLERANCE * max(1.0, high):
        raise DataError(
            f"expected values of at least 0, got {low:g}",
            hint="clip attacked images, and undo what a classifier's own scaling did to them",
        )
    if values.dtype.kind != "f":
        if high <= top:
            return top
    elif high <= 1 + _TOLERANCE:
        return 1.0
    elif high < _NEARLY_UNIT < top and bool((values != np.round(values)).any()):
        raise DataError(
            f"expected values from 0 to 1 or from 0 to {top:g}, got some a little above 1: "
            f"{high:g}",
            hint="clip them to [0, 1], or say what white is: full_scale=1",
        )
    if high <= top * (1 + _TOLERANCE):
        return top
    if high <= _BYTE * (1 + _TOLERANCE):
        return _BYTE
    raise DataError(
        f"expected values from 0 to 1, to {top:g} or to 255, got some up to {high:g}",
        hint="say what white is: full_scale=...",
    )


@dataclass(frozen=True, eq=False)
class Perturbed:
    """Rows y that may lie up to epsilon from what they were, and how the model writes rows.

    Code k of a model of K levels means the value k F / (K - 1), with F the full scale. A cell may
    become any code whose value is in its ball; where that is none, since y lies between two levels
    and epsilon is small, the nearest. What comes back is the code's value, moved into the ball
    in the latter case: so the result is never farther than epsilon from what was given, whatever
    the number of levels. Where all the given numbers are whole, and fine enough to tell the
    levels apart, the result is whole numbers too.

    Attributes:
        values: [rows, *shape] in double precision, as given.
        spec: of the model's data.
        epsilon: largest change of a cell, in units of full scale for binary data, levels and
            values from 0 to 1, and else in the cell's own units; broadcast against *shape.
        full_scale: the number that stands for the highest level; 1 for data in their own units.
        on_grid: whether only whole numbers are values, as in 8-bit pictures.
    """

    values: Tensor
    spec: Specification
    epsilon: Tensor
    full_scale: float
    on_grid: bool

    @staticmethod
    def of(
        values: np.ndarray,
        spec: Specification,
        epsilon: ArrayLike,
        full_scale: float | None = None,
    ) -> Perturbed:
        """Rows in some units.

        Args:
            values: [rows, *shape], complete and finite. Tables, counts and real numbers are in
                the data's own units.
            spec: of the model's data.
            epsilon: a number for all cells, or one for each, [*shape].
            full_scale: the number that stands for the highest level, where data have levels;
                None: found from the values.

        Raises:
            OptionError: epsilon is negative or of a wrong shape, or there is no full scale.
            IncompatibleChoices: all cells are categories, between which there is no distance.
        """
        if spec.kinds == {Kind.CATEGORICAL}:
            raise IncompatibleChoices(
                "expected numbers to move by at most epsilon, got categories only: there is no "
                "distance between them",
                hint="`impute` replaces symbols that are marked as missing",
            )
        radius = _radius(epsilon, spec)
        scaled = is_scaled(spec)
        if full_scale is not None and not scaled:
            raise OptionError(
                "expected no full scale for data in their own units, got one",
                hint="it is for pictures of levels; epsilon is in each column's own units here",
            )
        if full_scale is not None and not 0 < full_scale < np.inf:
            raise OptionError(f"expected a full scale above 0, got {full_scale:g}")
        full = 1.0 if full_scale is None else full_scale
        if full_scale is None and scaled:
            full = full_scale_of(values, spec)
        top = (spec.num_levels or 2) - 1
        whole = bool((values == np.round(values)).all())
        on_grid = scaled and spec.kind is not Kind.UNIT and whole and full >= top
        given = torch.as_tensor(values, dtype=torch.float64)
        return Perturbed(given, spec, radius, full, on_grid)

    def ball(self, dtype: torch.dtype) -> Ball:
        """What each cell may be, as the model writes it."""
        low, high = self._interval()
        ratio, whole = self._ratio, self._whole
        if is_scaled(self.spec):
            slack, top = _TOLERANCE * self.full_scale, ratio * self.full_scale
            from_code = ((low - slack) * ratio).ceil()
            to_code = ((high + slack) * ratio).floor()
            nearest, none = (self.values * ratio).round(), from_code > to_code
            from_code = torch.where(none, nearest, from_code).clamp(0, top)
            to_code = torch.where(none, nearest, to_code).clamp(0, top)
        else:
            from_code, to_code = (low - _WHOLE).ceil(), (high + _WHOLE).floor()
        low = torch.where(whole, from_code, low * ratio)
        high = torch.where(whole, to_code, high * ratio)
        return Ball(low.to(dtype), high.to(dtype), whole, (self.reach * ratio).to(dtype))

    def codes(self, dtype: torch.dtype) -> Tensor:
        """The rows as the model writes them: rounded to its levels, where it has such."""
        scaled = self.values * self._ratio
        if not is_scaled(self.spec):
            return scaled.to(dtype)
        rounded = scaled.round() if bool(self._whole.all()) else scaled
        return rounded.clamp(0, self._ratio * self.full_scale).to(dtype)

    def restored(self, codes: Tensor) -> Tensor:
        """Rows that the model wrote, in the units and on the grid of the given ones.

        Args:
            codes: [rows, *shape] from `ball`.

        Returns:
            [rows, *shape] in double precision, at most epsilon from `values`.
        """
        low, high = self._interval()
        nearest = (codes.to(torch.float64) / self._ratio).maximum(low).minimum(high)
        if self.on_grid:
            return nearest.round()
        if is_scaled(self.spec):
            return nearest
        # a cell that the model left alone keeps digits that the model's precision has not
        return torch.where(codes == self.codes(codes.dtype), self.values, nearest)

    def distances(self, found: Tensor) -> Tensor:
        """How far rows have moved, each cell in shares of epsilon, summed: [rows].

        Args:
            found: [rows, *shape] from `restored`.
        """
        reach = self.reach
        shares = (found - self.values).abs() / reach.where(reach > 0, torch.inf)
        return shares.flatten(1).sum(1)

    def rows(self, selection: slice | Tensor) -> Perturbed:
        """Some of the rows."""
        return Perturbed(
            self.values[selection], self.spec, self.epsilon, self.full_scale, self.on_grid
        )

    @property
    def reach(self) -> Tensor:
        """[*shape], epsilon in the given units."""
        return (self.epsilon * self.full_scale).expand(self.spec.shape)

    @property
    def _ratio(self) -> float:
        """The model's units for one of the given."""
        if not is_scaled(self.spec):
            return 1.0
        top = 1.0 if self.spec.kind is Kind.UNIT else (self.spec.num_levels or 2) - 1.0
        return top / self.full_scale

    @property
    def _whole(self) -> Tensor:
        """[*shape] bool: cells that hold codes or counts."""
        return _cells(self.spec, lambda kind: kind.is_discrete)

    def _interval(self) -> tuple[Tensor, Tensor]:
        """Ends of what the cells may be, in the given units."""
        spec, reach = self.spec, self.reach
        floor, ceiling = _limits(spec, self.full_scale)
        inside = self.values.maximum(floor).minimum(ceiling)
        low = (self.values - reach).maximum(floor).minimum(inside)
        high = (self.values + reach).minimum(ceiling).maximum(inside)
        if self.on_grid:
            slack = _TOLERANCE * self.full_scale
            low, high = (low - slack).ceil(), (high + slack).floor()
        fixed = _cells(spec, lambda kind: kind is Kind.CATEGORICAL)
        return torch.where(fixed, self.values, low), torch.where(fixed, self.values, high)


def _radius(epsilon: ArrayLike, spec: Specification) -> Tensor:
    radius = np.asarray(epsilon, dtype=np.float64)
    if radius.ndim and radius.shape != spec.shape:
        raise OptionError(
            f"expected one epsilon, or one for each cell, {list(spec.shape)}, got an array of "
            f"shape {list(radius.shape)}"
        )
    if not (np.isfinite(radius).all() and (radius >= 0).all()):
        raise OptionError(
            f"expected epsilon of at least 0, got {float(np.min(radius)):g}",
            hint="it is the largest change of a cell; 0.3 of white, for pictures",
        )
    return torch.as_tensor(radius)


def _cells(spec: Specification, holds) -> Tensor:  # noqa: ANN001
    kinds = [spec.kind] * spec.num_dims if spec.columns is None else [c.kind for c in spec.columns]
    return torch.tensor([holds(kind) for kind in kinds]).reshape(spec.shape)


def _limits(spec: Specification, full_scale: float) -> tuple[Tensor, Tensor]:
    """[*shape] each: the least and the greatest value of a cell, in the given units."""
    floors, ceilings = [], []
    for cell in spec.columns or ():
        codes = cell.kind in (Kind.CATEGORICAL, Kind.LEVELS)
        top = float(cell.num_levels or 2) - 1 if codes else 1.0
        bounded = codes or cell.kind in (Kind.BINARY, Kind.UNIT)
        floors.append(-torch.inf if cell.kind is Kind.REAL else 0.0)
        ceilings.append(top if bounded else torch.inf)
    if spec.columns is None:
        floors = [-torch.inf if spec.kind is Kind.REAL else 0.0] * spec.num_dims
        ceilings = [full_scale if is_scaled(spec) else torch.inf] * spec.num_dims
    return (
        torch.tensor(floors, dtype=torch.float64).reshape(spec.shape),
        torch.tensor(ceilings, dtype=torch.float64).reshape(spec.shape),
    )
