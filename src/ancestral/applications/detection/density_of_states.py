"""How usual a row's statistics are, all together: the corrected score."""

from __future__ import annotations

import warnings
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from ancestral.applications.detection.p_values import Calibration
from ancestral.core import DataError

if TYPE_CHECKING:
    from sklearn.mixture import GaussianMixture

__all__ = ["DensityOfStates"]

_FEWEST = 10  # rows
_FOLDS = 5
_ROWS, _COMPONENTS = 300, 5  # different rows for each Gaussian, and Gaussians at most
_DIGITS = 3  # decimals by which rows are told apart
_RIDGE = 1e-3  # of the covariances of standardised statistics
_SEED = 43


@dataclass(frozen=True)
class DensityOfStates:
    r"""A density q of the statistics T(x) of normal rows; the score of a row is -log q(T(x)).

    It is large for whatever does not look like a normal row, on either side: too improbable, too
    probable, or too probable for as complex as it is. Each statistic t enters as
    sign(t) log(1 + |t|), standardised; q is a mixture of Gaussians with full covariances, one
    for every 300 different rows, five at most. Outside the data -log q goes on rising with the
    squared distance, where kernels would be flat.

    q is fitted five times, each time without a fifth of the rows. The score is the mean over the
    five. For the p-value each q compares the new row with the fifth that it was fitted without,
    which is fair whatever q is; the five comparisons are counted together:

        p = (1 + \sum_f #{i in fifth f : s_f(i) >= s_f(x)}) / (rows + 1)

    Which statistics, and how many Gaussians, was chosen on outliers other than those that
    results are reported on: `docs/detection.md`.

    Sources: Morningstar et al., *Density of states estimation for out-of-distribution
    detection*, 2021, sec. 3, where q is a product of kernel densities; Vovk, *Cross-conformal
    predictors*, 2015, eq. 8.

    Attributes:
        folds: the five fits.

    Example:
        >>> normal = np.random.default_rng(0).normal(100.0, 5.0, size=(200, 2))
        >>> density = DensityOfStates.fit(normal)
        >>> usual, odd = np.array([[100.0, 100.0]]), np.array([[100.0, 160.0]])
        >>> bool(density.score(odd) > density.score(usual))
        True
        >>> density.p_values(odd).round(4).tolist()
        [0.005]
    """

    folds: tuple[_Fold, ...]

    @staticmethod
    def fit(statistics: np.ndarray) -> DensityOfStates:
        """From the statistics of normal rows, [rows, statistics].

        Rows with infinite numbers, which the model finds impossible, are as odd as can be: q is
        fitted to the others, and among those to be ranked they come first.

        Raises:
            DataError: there are too few rows, or too few of them are possible.
        """
        num_rows, num_finite = len(statistics), int(np.isfinite(statistics).all(1).sum())
        if num_rows < _FEWEST:
            raise DataError(
                f"expected at least {_FEWEST} calibration rows, got {num_rows}",
                hint="name more rows that the model was not trained on",
            )
        if 2 * num_finite < num_rows or num_finite < _FEWEST:
            raise DataError(
                f"expected finite statistics of the calibration rows, got infinity for "
                f"{num_rows - num_finite} of {num_rows}",
                hint="these rows are impossible under the model: train it on more rows",
            )
        fifths = np.random.default_rng(_SEED).permutation(num_rows) % _FOLDS
        # few different rows are fitted in many ways, and five folds would rank them in five
        num_distinct = len(np.unique(np.round(statistics, _DIGITS), axis=0))
        components = min(_COMPONENTS, 1 + num_distinct // _ROWS)
        return DensityOfStates(
            tuple(
                _Fold.fit(statistics[fifths != f], statistics[fifths == f], components)
                for f in range(_FOLDS)
            )
        )

    @property
    def left_out(self) -> np.ndarray:
        """Score of each calibration row by the q that was fitted without it; in no order."""
        return np.concatenate([fold.left_out.scores for fold in self.folds])

    def score(self, statistics: np.ndarray) -> np.ndarray:
        """-log q of each row, [rows], of its [rows, statistics]; infinite if one of them is."""
        return self._scores(statistics).mean(0)

    def p_values(self, statistics: np.ndarray) -> np.ndarray:
        """The share of normal rows that are as odd as each row, or odder, [rows]."""
        pairs = zip(self.folds, self._scores(statistics), strict=True)
        counts = np.sum([fold.left_out.at_least(scores) for fold, scores in pairs], 0)
        return (1 + counts) / (len(self.left_out) + 1)

    def smoothed_p_values(self, statistics: np.ndarray, uniforms: np.ndarray) -> np.ndarray:
        """The same with ties broken at random: see `Calibration.smoothed`.

        Each row is ranked in one of the folds, by chance, and uniformity is exact there. Counted
        together, the ranks of five q's that differ, as they do where there are few different
        rows, would crowd around a half.

        Args:
            statistics: [rows, statistics].
            uniforms: [rows] in (0, 1), which decide on fold and place.
        """
        numbers = np.minimum((uniforms * _FOLDS).astype(int), _FOLDS - 1)
        places = uniforms * _FOLDS - numbers
        found = np.empty(len(statistics))
        for number, fold in enumerate(self.folds):
            own = numbers == number
            found[own] = fold.left_out.smoothed(fold.score(statistics[own]), places[own])
        return found

    def _scores(self, statistics: np.ndarray) -> np.ndarray:
        """[folds, rows]."""
        return np.stack([fold.score(statistics) for fold in self.folds])


@dataclass(frozen=True)
class _Fold:
    """One q, and the scores of the rows that it was fitted without."""

    mean: np.ndarray
    scale: np.ndarray
    mixture: GaussianMixture
    left_out: Calibration

    @staticmethod
    def fit(rows: np.ndarray, others: np.ndarray, components: int) -> _Fold:
        """Fit q to some rows, and score the others."""
        # here, so that importing the library does not import scikit-learn
        from sklearn.exceptions import ConvergenceWarning
        from sklearn.mixture import GaussianMixture

        values = _transformed(rows[np.isfinite(rows).all(1)])
        mean, scale = values.mean(0), values.std(0)
        # one that never changes, such as the file length of short rows, counts in its own unit
        scale = np.where(scale > 1e-9 * np.maximum(1.0, np.abs(mean)), scale, 1.0)
        mixture = GaussianMixture(components, reg_covar=_RIDGE, random_state=_SEED)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ConvergenceWarning)  # p-values hold for any q
            mixture.fit((values - mean) / scale)
        fold = _Fold(mean, scale, mixture, Calibration(np.empty(0)))
        return replace(fold, left_out=Calibration.of(fold.score(others)))

    def score(self, statistics: np.ndarray) -> np.ndarray:
        """-log q of each row; infinite if one of its statistics is."""
        finite = np.isfinite(statistics).all(1)
        found = np.full(len(statistics), np.inf)
        if finite.any():
            standardised = (_transformed(statistics[finite]) - self.mean) / self.scale
            found[finite] = -self.mixture.score_samples(standardised)
        return found


def _transformed(statistics: np.ndarray) -> np.ndarray:
    return np.sign(statistics) * np.log1p(np.abs(statistics))
