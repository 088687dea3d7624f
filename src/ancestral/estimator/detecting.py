"""`Detecting`: how odd rows are to a fitted estimator, and what in them is odd."""

from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING, Any

import numpy as np
from torch import nn

from ancestral.applications.detection import (
    Detector,
    Statistics,
    as_seen,
    check_examined,
    examine,
    statistics_of,
)
from ancestral.core import DataError, IncompatibleChoices, NotExact, OptionError, Specification
from ancestral.data import Source
from ancestral.inference.posteriors import Posterior

if TYPE_CHECKING:
    from collections.abc import Callable

    from ancestral.estimator.estimator import DensityEstimator

__all__ = ["Detecting", "Ties", "check_background", "shaped"]

_ROWS = 250  # that are examined at once


class Ties(StrEnum):
    """What p-values make of normal rows that score the same as a row."""

    COUNTED = "counted"  # they count as being as odd: p-values are safe, and may be too large
    RANDOM = "random"  # the row takes a random place among them: p-values are uniform


class Detecting:
    """The part of `DensityEstimator` that tells odd rows from usual ones.

    Attributes:
        held_out_: rows that training kept for validation, if it kept any; those that scores are
            calibrated on, unless others are given.
    """

    spec_: Specification
    model_: nn.Module
    posterior_: Posterior | None
    held_out_: Source | None

    if TYPE_CHECKING:

        def _require_fitted(self) -> None: ...

        def _source(self, X: Any, context: Any = None) -> Source: ...

    def anomaly_score(
        self,
        X: Any,
        score: str = "corrected",
        *,
        calibration: Any = None,
        background: DensityEstimator | None = None,
        context: Any = None,
    ) -> np.ndarray:
        """How odd each row is, [rows]; higher is odder.

        Plain log p ranks simple outliers, such as constant images, above the data; the corrected
        score weighs it against the complexity of the row.

        Args:
            X: rows.
            score: one of `ancestral.applications.detection.SCORES`.
            calibration: rows that the model was not trained on, or a `Detector`; None: those
                that `fit` kept for validation.
            background: of likelihood ratios, an estimator of rows that were mutated.
            context: [rows, size] of X for a conditional model, if X is an array.

        Raises:
            NotExact: the model has neither log p nor a bound on it.
            OptionError: the score is unknown, or there are no rows to calibrate on.

        Example:
            >>> import ancestral
            >>> data = ancestral.load_dataset("digits")
            >>> model = ancestral.build("made", epochs=3).fit(data.train, validation=data.valid)
            >>> odd, usual = np.zeros((1, 8, 8)), data.test.rows(slice(0, 1)).x
            >>> bool(model.anomaly_score(odd) > model.anomaly_score(usual))
            True
        """
        detector = self.detector(calibration, background=background)
        detector.check(score)
        found = self.statistics(X, like=detector, background=background, context=context)
        return detector.score(found, score)

    def p_values(
        self,
        X: Any,
        score: str = "corrected",
        *,
        calibration: Any = None,
        background: DensityEstimator | None = None,
        context: Any = None,
        ties: Ties | str = Ties.COUNTED,
    ) -> np.ndarray:
        """The share of normal rows that are as odd as each row, or odder, [rows].

        Uniform for rows like those of the calibration, of which n allow for nothing below
        1 / (n + 1). Of data with few different rows scores repeat, and p-values are larger than
        uniform ones; with `ties="random"` they are uniform there too: a row takes a place among
        its equals by a hash of what it holds, the same at every call.

        See `anomaly_score` for the other arguments.
        """
        chosen = Ties(ties)
        detector = self.detector(calibration, background=background)
        detector.check(score)
        found = self.statistics(X, like=detector, background=background, context=context)
        if chosen is Ties.RANDOM:
            return detector.smoothed_p_values(found, score)
        return detector.p_values(found, score)

    def detector(
        self, calibration: Any = None, *, background: DensityEstimator | None = None
    ) -> Detector:
        """Scores and p-values calibrated on some rows, for many questions.

        Args:
            calibration: rows that the model was not trained on (conditional models: a source
                that has their context); None: those that `fit` kept for validation.
            background: of likelihood ratios.

        Raises:
            OptionError: nothing was kept.
            IncompatibleChoices: the background is of other data.
        """
        self._require_fitted()
        check_examined(self.model_, self.posterior_)
        if isinstance(calibration, Detector):
            return calibration
        if calibration is not None:
            return Detector(self.statistics(calibration, background=background), self.spec_)
        kept = getattr(self, "held_out_", None)
        if kept is None:
            raise OptionError(
                "expected rows to calibrate on: this estimator kept none from training",
                hint="calibration=rows that it was not trained on",
            )
        known = getattr(self, "_calibrated", None)
        if known is None or known[0] is not self.model_ or known[1] is not background:
            found = Detector(self.statistics(kept, background=background), self.spec_)
            known = self._calibrated = (self.model_, background, found)
        return known[2]

    def statistics(
        self,
        X: Any,
        *,
        like: Detector | None = None,
        background: DensityEstimator | None = None,
        context: Any = None,
        num_samples: int = 16,
        seed: int = 0,
        on_rows: Callable[[float], None] | None = None,
    ) -> Statistics:
        """What scores are made of: log p, complexity, largest surprise, and so on, of each row.

        Args:
            X: rows.
            like: a detector whose calibration rows tell what is usual of a cell; None: X does.
            background: of likelihood ratios.
            context: [rows, size] for a conditional model, if X is an array.
            num_samples: of q for each row, where log p is a bound.
            seed: of the samples.
            on_rows: is told of rows that are done.
        """
        if not isinstance(X, Source) and np.shape(X)[:1] == (0,):
            raise DataError(f"expected rows, got 0 samples: an array of shape {[*np.shape(X)]}")
        source = self._source(X, context)
        beside = None
        if background is not None:
            background._require_fitted()
            check_background(self.spec_, background.spec_)
            check_examined(background.model_, background.posterior_)
            beside = background.model_, background.posterior_
        return statistics_of(
            self.model_,
            self.posterior_,
            source.ordered(_ROWS),
            self.spec_,
            usual=None if like is None else like.reference.usual,
            background=beside,
            num_samples=num_samples,
            seed=seed,
            on_rows=on_rows,
        )

    def surprise(
        self, X: Any, *, context: Any = None, num_samples: int = 16, seed: int = 0
    ) -> np.ndarray:
        """What each cell adds to -log p, in nats: [rows, *shape], colours of a pixel together.

        -log p(x_t | x_<t) of autoregressive models, which sum to -log p(x); -E_q log p(x_i | z)
        of latent-variable models.

        Args:
            X: rows.
            context: [rows, size] for a conditional model, if X is an array.
            num_samples: of q for each row.
            seed: of the samples.

        Raises:
            NotExact: the model has no log p, or its cells cannot be told apart.
        """
        parts = []
        for batch in self._source(X, context).ordered(_ROWS):
            seen = as_seen(batch, self.spec_)
            found = examine(self.model_, self.posterior_, seen, num_samples=num_samples, seed=seed)
            if found.surprise is None:
                raise NotExact(
                    f"the log p of {type(self.model_).__name__} with this likelihood is no sum "
                    "over cells, so no cell has a surprise of its own",
                    hint="fit with a likelihood of separate cells",
                )
            parts.append(found.surprise.cpu().numpy())
        return shaped(np.concatenate(parts), self.spec_)


def check_background(own: Specification, other: Specification) -> None:
    """Refuse a background model of rows that are written in another way.

    Raises:
        IncompatibleChoices: naming the first difference.
    """
    ours, others = _traits(own), _traits(other)
    for what in {**ours, **others}:
        mine, theirs = ours.get(what, "none"), others.get(what, "none")
        if mine != theirs:
            raise IncompatibleChoices(
                f"expected a background model of the same data, {what}: {mine}, got {theirs}",
                hint="--train-background makes one, of the run's own data with cells replaced",
            )


def _traits(spec: Specification) -> dict[str, str]:
    """How rows are written, in words."""
    found = {
        "kind of cells": str(spec.kind or "mixed"),
        "shape of rows": str(list(spec.shape)),
        "levels": str(spec.num_levels),
        "binarisation": spec.binarization or "none",
        "given with each row": ", ".join(spec.context) or "nothing",
        "code of the end": str(spec.end_code),
        "noise on integers": "none" if spec.integers is None else "uniform",
    }
    for number, column in enumerate(spec.columns or (), 1):
        levels = "" if column.num_levels is None else f" of {column.num_levels} levels"
        values = "" if column.categories is None else f": {', '.join(column.categories)}"
        found[f"column {number}"] = f"{column.name}, {column.kind}{levels}{values}"
    return found


def shaped(surprise: np.ndarray, spec: Specification) -> np.ndarray:
    """[rows, cells] as the rows are shaped, the colours of a pixel together."""
    if spec.image_shape is None:
        return surprise.reshape(len(surprise), *spec.shape)
    height, width, _ = spec.image_shape
    return surprise.reshape(len(surprise), height, width, -1).sum(-1)
