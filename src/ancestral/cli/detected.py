"""What `detect` found, as a table of rows, a file, or a picture."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ancestral.applications.detection import Detector, Statistics
from ancestral.cli.contents import Content, array_of, save_arrays, write_csv
from ancestral.cli.opened import OpenedRun
from ancestral.data import Source, as_given, mu_law_inverse
from ancestral.estimator.detecting import Ties, shaped
from ancestral.estimator.received import in_double

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["Found", "is_pictured", "picture_of", "write_found"]

_PICTURED, _COLUMNS = 15, 3
_SOUNDS = 5
_SYMBOLS = 700  # of text in a picture
_AROUND = 8  # symbols shown on either side of an odd one


@dataclass(frozen=True)
class Found:
    """Scores and p-values of rows, and what in them is odd.

    Args:
        opened: the run.
        detector: calibrated.
        source: the rows.
        numbers: [rows], of each row among those that were asked for.
        statistics: of the rows.
        score: the one that rows are sorted by.
        rate: of false discoveries, to flag by; None flags nothing.
        ties: what p-values make of calibration rows of the same score.
    """

    opened: OpenedRun
    detector: Detector
    source: Source
    numbers: np.ndarray
    statistics: Statistics
    score: str
    rate: float | None = None
    ties: Ties | str = Ties.COUNTED

    @cached_property
    def scores(self) -> dict[str, np.ndarray]:
        """[rows] of each score."""
        return {n: self.detector.score(self.statistics, n) for n in self.detector.scores}

    @cached_property
    def p_values(self) -> np.ndarray:
        """[rows], of the chosen score."""
        if Ties(self.ties) is Ties.RANDOM:
            return self.smoothed_p_values
        return self.detector.p_values(self.statistics, self.score)

    @cached_property
    def smoothed_p_values(self) -> np.ndarray:
        """[rows], with ties broken at random."""
        return self.detector.smoothed_p_values(self.statistics, self.score)

    @cached_property
    def tail_p_values(self) -> np.ndarray:
        """[rows], a bound where a row is odder than all calibration rows."""
        return self.detector.tail_p_values(self.statistics, self.score)

    @cached_property
    def flags(self) -> np.ndarray | None:
        """[rows] bool, where a rate was given."""
        if self.rate is None:
            return None
        return self.detector.flagged(self.statistics, self.rate, self.score)

    @property
    def is_extrapolated(self) -> bool:
        """Whether rows are flagged by more than ranks."""
        rate = self.rate
        return rate is not None and not self.detector.ranks_suffice(len(self.source), rate)

    @cached_property
    def order(self) -> np.ndarray:
        """[rows], places of the rows in `source`, the oddest first."""
        ranks = self.detector.p_values(self.statistics, self.score)
        return np.lexsort((-self.scores[self.score], ranks))

    @property
    def head(self) -> tuple[str, ...]:
        """Names of what `row` tells."""
        tail = ("tail_p_value",) if self.is_extrapolated else ()
        flag = () if self.rate is None else (*tail, "flagged")
        cell = ("odd_cell", "odd_value", "excess_nats") if "odd_cell" in self.statistics else ()
        others = tuple(name for name in self.scores if name != self.score)
        return ("row", "p_value", *flag, self.score, *others, "log_p", *cell)

    def row(self, number: int) -> dict[str, Any]:
        """What is known of one row; numbers may be infinite."""
        found: dict[str, Any] = {
            "row": int(self.numbers[number]),
            "p_value": float(self.p_values[number]),
        }
        if self.is_extrapolated:
            found["tail_p_value"] = float(self.tail_p_values[number])
        if self.flags is not None:
            found["flagged"] = bool(self.flags[number])
        found |= {name: float(values[number]) for name, values in self.scores.items()}
        found["log_p"] = float(self.statistics["log_prob"][number])
        if "odd_cell" in self.statistics:
            cell = int(self.statistics["odd_cell"][number])
            name, value = self._cell(number, cell)
            found |= {"odd_cell": name, "odd_value": value}
            found["excess_nats"] = float(self.statistics["largest_excess"][number])
        return {name: found[name] for name in self.head}

    @cached_property
    def _array(self) -> np.ndarray:
        array = array_of(as_given(self.source))
        if self.opened.config.spec.columns is None:
            return array
        # numbers of tables as they are: in the model's precision 1e300 is infinite
        return np.where(np.isnan(array), np.nan, in_double(as_given(self.source)))

    def _cell(self, number: int, cell: int) -> tuple[str, str]:
        """Name and value of a cell, in the user's words."""
        spec, x = self.opened.config.spec, self._array[number]
        vocabulary = self.opened.text.vocabulary
        if spec.columns is not None:
            column, value = spec.columns[cell], float(x[cell])
            if column.categories is not None and not np.isnan(value):
                return column.name, column.categories[int(value)]
            return column.name, f"{value:.7g}"
        if spec.image_shape is not None:
            width = spec.image_shape[1]
            sites = len(self.statistics.usual)  # type: ignore[arg-type]
            channels = max(1, sites // (spec.image_shape[0] * width))
            line, column = divmod(cell // channels, width)
            value = np.atleast_1d(x[line, column])
            return f"({line}, {column})", " ".join(f"{v:.7g}" for v in value)
        value = x.ravel()[cell]
        if vocabulary is not None:
            codes = x.ravel().astype(int)
            around = codes[max(0, cell - _AROUND) : cell + 1]
            text = vocabulary.decode(around.tolist())
            return f"symbol {cell}", repr(text)
        return f"cell {cell}", f"{value:.7g}"


def write_found(found: Found, path: Path) -> None:
    """All rows: a .csv, the oddest first; a .npz, in their order, with the surprise of cells."""
    suffix = path.suffix.lower()
    if suffix == ".csv":
        rows = [list(found.row(int(i)).values()) for i in found.order]
        write_csv(path, found.head, [[_written(cell) for cell in row] for row in rows])
    elif suffix == ".png":
        from ancestral.plots import save

        save(picture_of(found), path)
    else:
        arrays = {
            "row": found.numbers,
            "data": found._array,
            "p_value": found.p_values,
            **found.scores,
        }
        arrays |= {"log_p": found.statistics["log_prob"]}
        if found.is_extrapolated:
            arrays["tail_p_value"] = found.tail_p_values
        if found.flags is not None:
            arrays["flagged"] = found.flags
        spec = found.opened.config.spec
        if found.statistics.usual is not None:
            arrays["surprise"] = found.opened.estimator.surprise(found.source).astype(np.float32)
            arrays["usual_surprise"] = shaped(found.statistics.usual[None], spec)[0]
        save_arrays(path, arrays)


def is_pictured(opened: OpenedRun) -> bool:
    """Whether there is a picture of odd rows: of images, text and sound."""
    text = opened.text
    shown = text.vocabulary is not None or text.sample_rate is not None
    return opened.config.spec.image_shape is not None or shown


def picture_of(found: Found) -> Figure:
    """The oddest images, texts or sounds with the surprise of each cell."""
    from ancestral.plots import odd_images

    spec = found.opened.config.spec
    chosen = found.order[:_PICTURED]
    rows = found.source.subset(chosen)
    surprise = np.nan_to_num(found.opened.estimator.surprise(rows).clip(0.0), nan=0.0)
    bits = surprise / np.log(2)
    if found.opened.text.sample_rate is not None:
        return _sounding(found, rows, bits)
    if spec.image_shape is None:
        return _coloured(found, rows, bits)
    highest = max(1.0, float(np.quantile(bits, 0.995)))
    what = "pixel" if spec.image_shape[2] == 1 else "pixel, its colours together"
    captions = [f"row {found.numbers[i]}: p = {found.p_values[i]:.2g}" for i in chosen]
    return odd_images(
        Content(spec).pixels(array_of(rows)),
        bits,
        captions,
        num_columns=min(_COLUMNS, len(chosen)),
        quantity=f"surprise of each {what}, bits",
        highest=highest,
    )


def _sounding(found: Found, rows: Source, bits: np.ndarray) -> Figure:
    """The oddest sounds, and their surprise along time."""
    from ancestral.plots import odd_series

    rate = found.opened.text.sample_rate
    assert rate is not None
    chosen = found.order[:_SOUNDS]
    waves = mu_law_inverse(array_of(rows))[:_SOUNDS]
    return odd_series(
        list(waves.reshape(len(waves), -1)),
        list(bits[:_SOUNDS].reshape(len(waves), -1)),
        [f"row {found.numbers[i]}: p = {found.p_values[i]:.2g}" for i in chosen],
        seconds=1 / rate,
        quantity="surprise, bits a sample",
    )


def _coloured(found: Found, rows: Source, bits: np.ndarray) -> Figure:
    """The oddest pieces of text, each symbol on a ground that tells its surprise."""
    from ancestral.plots import coloured_text

    vocabulary = found.opened.text.vocabulary
    assert vocabulary is not None
    end = found.opened.config.spec.end_code
    symbols: list[str] = []
    values: list[float] = []
    for codes, costs in zip(array_of(rows).astype(int), bits, strict=True):
        ends = np.flatnonzero(codes == end)
        size = len(codes) if len(ends) == 0 else int(ends[0])
        gap = vocabulary.separator
        symbols += [vocabulary.decode([code]) + gap for code in codes[:size].tolist()] + ["\n"]
        values += [*costs[:size].tolist(), 0.0]
        if len(symbols) > _SYMBOLS:
            break
    quantity = "bits of surprise, -log2 p; the oddest rows first"
    return coloured_text(symbols[:_SYMBOLS], np.array(values[:_SYMBOLS]), quantity=quantity)


def _written(cell: Any) -> str:
    return f"{cell:.6g}" if isinstance(cell, float) else str(cell)
