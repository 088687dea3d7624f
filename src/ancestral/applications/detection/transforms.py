"""Outliers by name: what becomes of normal rows, or stands where they stood."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np

from ancestral.core import DataError, IncompatibleChoices, Kind, OptionError, Specification
from ancestral.core.registry import nearest

__all__ = ["OUTLIERS", "Outlier", "outliers"]

_BLUR = 1 / 14  # of the height, the standard deviation of the blur
_THICK = 1 / 9  # of the height, by which bright parts grow on each side
_TILES = 4  # along each side


@dataclass(frozen=True)
class Outlier:
    """A way to make outliers of normal rows.

    Args:
        summary: one line.
        make: ([rows, *shape], specification, generator) -> [rows, *shape].
        fits: whether it makes sense of such rows.
        takes_gaps: whether rows may have missing cells, which stay missing.
    """

    summary: str
    make: Callable[[np.ndarray, Specification, np.random.Generator], np.ndarray]
    fits: Callable[[Specification], bool]
    takes_gaps: bool = False


def outliers(name: str, x: np.ndarray, spec: Specification, *, seed: int = 0) -> np.ndarray:
    """As many outliers as there are rows, of the rows' own kind and shape, with the same gaps.

    Args:
        name: one of `OUTLIERS`.
        x: [rows, *shape], normal rows; NaN where a cell is missing.
        spec: what they are.
        seed: of what is random in it.

    Raises:
        OptionError: there is no such name.
        IncompatibleChoices: it makes no sense of such rows, as a rotation of tables.
        DataError: it needs complete rows.

    Example:
        >>> spec = Specification(Kind.LEVELS, (4, 4), num_levels=16)
        >>> float(outliers("inverted", np.zeros((1, 4, 4)), spec).max())
        15.0
    """
    if name not in OUTLIERS:
        raise OptionError(f"unknown outliers {name!r}", hint=nearest(name, list(OUTLIERS)))
    outlier = OUTLIERS[name]
    if not outlier.fits(spec):
        raise IncompatibleChoices(
            f"{name!r} ({outlier.summary}) makes no sense of rows of "
            f"{spec.kind or 'mixed columns'}, shape {list(spec.shape)}",
            hint="these do: " + ", ".join(n for n, o in OUTLIERS.items() if o.fits(spec)),
        )
    missing = np.isnan(x) if x.dtype.kind == "f" else np.zeros(x.shape, dtype=bool)
    if missing.any() and not outlier.takes_gaps:
        able = [n for n, o in OUTLIERS.items() if o.takes_gaps and o.fits(spec)]
        raise DataError(
            f"expected complete rows to make outliers of the kind {name!r} of, got rows with gaps",
            hint="these leave gaps where they are: " + ", ".join(able),
        )
    made = outlier.make(x, spec, np.random.default_rng(seed)).astype(x.dtype)
    return np.where(missing, np.nan, made).astype(x.dtype) if missing.any() else made


# ---------------------------------------------------------------------- for rows of any kind


def _noise(x: np.ndarray, spec: Specification, rng: np.random.Generator) -> np.ndarray:
    if spec.num_levels is not None or spec.kind is Kind.BINARY:
        return rng.integers(0, spec.num_levels or 2, x.shape).astype(float)
    finite = np.where(np.isfinite(x), x, np.nan).astype(np.float64)
    low, high = np.nanmin(finite, 0), np.nanmax(finite, 0)
    drawn = rng.uniform(low, high, x.shape)
    whole = np.all((x == np.round(x)) | np.isnan(x), 0)
    return np.where(whole, np.floor(low + rng.random(x.shape) * (high - low + 1)), drawn)


def _constant(x: np.ndarray, spec: Specification, rng: np.random.Generator) -> np.ndarray:
    if spec.num_levels is not None or spec.kind is Kind.BINARY:
        codes = np.arange(len(x)) % (spec.num_levels or 2)
    else:
        codes = np.linspace(np.nanmin(x), np.nanmax(x), len(x))
    return np.broadcast_to(codes.reshape(-1, *[1] * (x.ndim - 1)), x.shape).astype(float)


def _blank(x: np.ndarray, spec: Specification, rng: np.random.Generator) -> np.ndarray:
    values, counts = np.unique(x[~np.isnan(x)], return_counts=True)
    return np.full_like(x, values[counts.argmax()])


def _shuffled(x: np.ndarray, spec: Specification, rng: np.random.Generator) -> np.ndarray:
    flat = x.reshape(len(x), int(np.prod(x.shape[1:3])), -1) if _is_image(spec) else x
    return np.stack([rng.permutation(row) for row in flat]).reshape(x.shape)


def _independent(x: np.ndarray, spec: Specification, rng: np.random.Generator) -> np.ndarray:
    if not np.isnan(x).any():
        return rng.permuted(x, axis=0)
    made = x.reshape(len(x), -1).copy()
    for cells in made.T:
        known = ~np.isnan(cells)
        cells[known] = rng.permutation(cells[known])
    return made.reshape(x.shape)


# ---------------------------------------------------------------------- for images


def _inverted(x: np.ndarray, spec: Specification, rng: np.random.Generator) -> np.ndarray:
    return _highest(x, spec) - x


def _contrast(x: np.ndarray, spec: Specification, rng: np.random.Generator) -> np.ndarray:
    return _as_kind(0.4 * x, spec, rng)


def _blurred(x: np.ndarray, spec: Specification, rng: np.random.Generator) -> np.ndarray:
    sigma = max(0.7, _BLUR * x.shape[1])
    return _as_kind(_smooth(_smooth(x.astype(float), 1, sigma), 2, sigma), spec, rng)


def _thickened(x: np.ndarray, spec: Specification, rng: np.random.Generator) -> np.ndarray:
    reach = max(1, round(_THICK * x.shape[1]))
    for axis in (1, 2):
        padding = [(reach, reach) if a == axis else (0, 0) for a in range(x.ndim)]
        padded, size = np.pad(x, padding, mode="edge"), x.shape[axis]
        x = np.max([padded.take(np.arange(i, i + size), axis) for i in range(2 * reach + 1)], 0)
    return x


def _tiled(x: np.ndarray, spec: Specification, rng: np.random.Generator) -> np.ndarray:
    height, width = (size // _TILES for size in x.shape[1:3])
    found = x.copy()
    for row in found:
        tiles = [
            (slice(i * height, (i + 1) * height), slice(j * width, (j + 1) * width))
            for i in range(_TILES)
            for j in range(_TILES)
        ]
        pieces = [row[tile].copy() for tile in tiles]
        for tile, number in zip(tiles, rng.permutation(len(tiles)), strict=True):
            row[tile] = pieces[number]
    return found


def _spliced(x: np.ndarray, spec: Specification, rng: np.random.Generator) -> np.ndarray:
    half = x.shape[2] // 2
    other = np.roll(x, 1, axis=0)
    return np.concatenate((x[:, :, :half], other[:, :, half:]), 2)


def _rotated(x: np.ndarray, spec: Specification, rng: np.random.Generator) -> np.ndarray:
    return np.rot90(x, axes=(1, 2))


def _upside_down(x: np.ndarray, spec: Specification, rng: np.random.Generator) -> np.ndarray:
    return x[:, ::-1, ::-1]


def _mirrored(x: np.ndarray, spec: Specification, rng: np.random.Generator) -> np.ndarray:
    return x[:, :, ::-1]


def _smooth(x: np.ndarray, axis: int, sigma: float) -> np.ndarray:
    reach = int(np.ceil(3 * sigma))
    weights = np.exp(-0.5 * (np.arange(-reach, reach + 1) / sigma) ** 2)
    weights /= weights.sum()
    padding = [(reach, reach) if a == axis else (0, 0) for a in range(x.ndim)]
    padded = np.pad(x, padding, mode="edge")
    size = x.shape[axis]
    parts = (w * padded.take(np.arange(i, i + size), axis) for i, w in enumerate(weights))
    return np.sum(list(parts), axis=0)


def _highest(x: np.ndarray, spec: Specification) -> float:
    return float((spec.num_levels or 2) - 1) if _is_coded(spec) else float(np.nanmax(x))


def _as_kind(x: np.ndarray, spec: Specification, rng: np.random.Generator) -> np.ndarray:
    """Grey values as the rows have them: black and white are drawn, as binarisation does."""
    if spec.kind is Kind.BINARY:
        return (rng.random(x.shape) < x).astype(float)
    return np.round(x) if _is_coded(spec) else x


def _is_coded(spec: Specification) -> bool:
    return spec.kind in (Kind.BINARY, Kind.LEVELS)


def _is_image(spec: Specification) -> bool:
    return spec.image_shape is not None


def _is_square(spec: Specification) -> bool:
    return _is_image(spec) and spec.shape[0] == spec.shape[1]


def _is_invertible(spec: Specification) -> bool:
    return _is_coded(spec) or _is_image(spec)


def _is_sequence(spec: Specification) -> bool:
    return spec.columns is None


def _is_any(spec: Specification) -> bool:
    return True


def _has_one_range(spec: Specification) -> bool:
    return spec.kind is not None


OUTLIERS: Mapping[str, Outlier] = {
    "noise": Outlier("each cell uniform on its range", _noise, _is_any, takes_gaps=True),
    "constant": Outlier(
        "all cells of a row the same, all values in turn",
        _constant,
        _has_one_range,
        takes_gaps=True,
    ),
    "blank": Outlier(
        "all cells the commonest value of all", _blank, _has_one_range, takes_gaps=True
    ),
    "shuffled": Outlier("the cells of each row in random order", _shuffled, _is_sequence),
    "independent": Outlier("each cell from another row", _independent, _is_any, takes_gaps=True),
    "inverted": Outlier("dark for bright", _inverted, _is_invertible),
    "contrast": Outlier("two fifths of the contrast", _contrast, _is_image),
    "blurred": Outlier("blurred by a fourteenth of the height", _blurred, _is_image),
    "thickened": Outlier("bright parts grown into blobs", _thickened, _is_image),
    "tiled": Outlier("sixteen tiles in random order", _tiled, _is_image),
    "spliced": Outlier("the left half of one, the right half of another", _spliced, _is_image),
    "rotated": Outlier("rotated by 90 degrees", _rotated, _is_square),
    "upside-down": Outlier("rotated by 180 degrees", _upside_down, _is_image),
    "mirrored": Outlier("left for right", _mirrored, _is_image),
}
"""Names of ways to make outliers, for `detect --against`."""
