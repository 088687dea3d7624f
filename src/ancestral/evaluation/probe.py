"""What codes say of labels that no model has seen: linear probe, neighbours, clusters."""

from __future__ import annotations

import math
import warnings
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from ancestral.core import DataError

__all__ = ["Accuracy", "Clusters", "Probe", "ProbeRows", "probe"]

# inverse penalties C, one of which validation rows choose
_STRENGTHS = (1e-3, 1e-2, 1e-1, 1.0, 10.0)
_ITERATIONS, _TOLERANCE = 500, 1e-4
_NEIGHBOURS = 5
_STARTS = 10  # of k-means
_SILHOUETTE_ROWS = 2000  # whose distances are all computed
_MOST_CLASSES = 200
_HELD_OUT = 5  # every so many rows, where nothing else validates


@dataclass(frozen=True)
class ProbeRows:
    """Rows with labels.

    Args:
        codes: [rows, D].
        raw: [rows, P], x itself as numbers; None for no baseline.
        labels: [rows] class codes.
    """

    codes: np.ndarray
    raw: np.ndarray | None
    labels: np.ndarray

    def rows(self, chosen: np.ndarray) -> ProbeRows:
        """Some of the rows."""
        raw = None if self.raw is None else self.raw[chosen]
        return ProbeRows(self.codes[chosen], raw, self.labels[chosen])


@dataclass(frozen=True)
class Accuracy:
    """A share of rows that are told right.

    Args:
        value: from 0 to 1.
        std_error: of it, over the rows.
    """

    value: float
    std_error: float

    @staticmethod
    def of(right: np.ndarray) -> Accuracy:
        """From [rows] bool."""
        share = float(right.mean())
        return Accuracy(share, math.sqrt(share * (1 - share) / len(right)))


@dataclass(frozen=True)
class Clusters:
    """How far labels and distances agree.

    Args:
        adjusted_rand: of k-means with as many clusters as classes: 1 for the labels themselves, 0
            for clusters by chance (Hubert & Arabie, 1985).
        mutual_information: of the same, normalised to lie between 0 and 1.
        silhouette: of the labels, -1 to 1: above 0 where rows are nearer to those of their own
            class than to those of the next one (Rousseeuw, 1987).
    """

    adjusted_rand: float
    mutual_information: float
    silhouette: float | None


@dataclass(frozen=True)
class Probe:
    """Scores of codes, beside those of x itself.

    Args:
        num_train: rows that classifiers were trained on.
        num_test: rows that they were tested on.
        num_classes: of the training rows.
        num_codes: D.
        linear: accuracy of multinomial logistic regression on standardised codes.
        linear_raw: the same on x; None where x was not given.
        gain: `linear` less `linear_raw`, with the standard error of differences in pairs.
        majority: accuracy of always guessing the most frequent class of the training rows.
        neighbours: accuracy of the 5 nearest training rows.
        neighbours_raw: the same on x.
        clusters: of the codes.
        clusters_raw: of x.
    """

    num_train: int
    num_test: int
    num_classes: int
    num_codes: int
    linear: Accuracy
    linear_raw: Accuracy | None
    gain: Accuracy | None
    majority: Accuracy
    neighbours: Accuracy
    neighbours_raw: Accuracy | None
    clusters: Clusters
    clusters_raw: Clusters | None

    def to_dict(self) -> dict[str, Any]:
        """For JSON."""
        return asdict(self)

    @staticmethod
    def from_dict(d: Mapping[str, Any]) -> Probe:
        """Undo `to_dict`."""
        found = dict(d)
        for name, kind in (("clusters", Clusters), ("clusters_raw", Clusters)):
            found[name] = None if d[name] is None else kind(**d[name])
        for name in ("linear", "linear_raw", "gain", "majority", "neighbours", "neighbours_raw"):
            found[name] = None if d[name] is None else Accuracy(**d[name])
        return Probe(**found)

    def table(self) -> list[tuple[str, str, str]]:
        """Rows (measure, of the codes, of x), for people."""
        raw, clusters_raw = self.linear_raw, self.clusters_raw
        lines = [
            ("linear probe, accuracy", _percent(self.linear), _percent(raw)),
            (
                f"{_NEIGHBOURS} nearest neighbours, accuracy",
                _percent(self.neighbours),
                _percent(self.neighbours_raw),
            ),
            ("most frequent class, accuracy", *(2 * [_percent(self.majority)])),
        ]
        for name, label in (
            ("adjusted_rand", "k-means, adjusted Rand index"),
            ("mutual_information", "k-means, normalised mutual information"),
            ("silhouette", "silhouette of the labels"),
        ):
            other = None if clusters_raw is None else getattr(clusters_raw, name)
            lines.append((label, _number(getattr(self.clusters, name)), _number(other)))
        return lines

    def in_words(self) -> str:
        """How it was done."""
        return (
            f"{self.num_classes} classes that the model has not seen; classifiers trained on "
            f"{self.num_train:,} rows, tested on {self.num_test:,}, ± standard errors; codes of "
            f"{self.num_codes:,} numbers"
        )


def probe(
    train: ProbeRows, test: ProbeRows, validation: ProbeRows | None = None, *, seed: int = 0
) -> Probe:
    """Scores of codes against labels.

    The linear probe is a multinomial logistic regression on codes standardised by the training
    rows; its penalty is chosen on validation rows, for codes and for x alike. Neighbours and
    clusters go by the codes' own distances: standardised, idle latent variables would count
    as much as busy ones.

    Args:
        train: rows to train on.
        test: rows to test on, and to cluster.
        validation: rows that choose the penalty; None takes a fifth of the training rows for it.
        seed: of k-means and of the rows for silhouettes.

    Raises:
        DataError: there are not 2 classes, or more than 200, or a number is not finite.

    Example:
        >>> rng = np.random.default_rng(0)
        >>> labels = rng.integers(0, 3, 300)
        >>> codes = np.eye(3)[labels] + 0.1 * rng.normal(size=(300, 3))
        >>> rows = ProbeRows(codes, rng.normal(size=(300, 2)), labels)
        >>> first, last = np.arange(200), np.arange(200, 300)
        >>> found = probe(rows.rows(first), rows.rows(last))
        >>> found.linear.value, found.clusters.adjusted_rand
        (1.0, 1.0)
    """
    classes, counts = np.unique(train.labels, return_counts=True)
    if not 2 <= len(classes) <= _MOST_CLASSES:
        raise DataError(
            f"expected labels of 2 to {_MOST_CLASSES} classes among the training rows, got "
            f"{len(classes)}",
            hint="name the column of classes with --label when fitting; codes themselves need no "
            "labels",
        )
    if len(test.labels) == 0:
        raise DataError("expected rows to test codes on, got none")
    if not (np.isfinite(train.codes).all() and np.isfinite(test.codes).all()):
        raise DataError(
            "expected finite codes, got NaN or infinity", hint="was the training stopped by one?"
        )
    if validation is None or len(validation.labels) == 0:
        held_out = np.arange(len(train.labels)) % _HELD_OUT == 0
        train, validation = train.rows(~held_out), train.rows(held_out)
    of_codes = _Space(train.codes, validation.codes, test.codes)
    right = _linear(of_codes, train.labels, validation.labels) == test.labels
    has_raw = train.raw is not None and validation.raw is not None and test.raw is not None
    linear_raw = gain = neighbours_raw = clusters_raw = None
    if has_raw:
        assert train.raw is not None
        assert validation.raw is not None
        assert test.raw is not None
        of_raw = _Space(train.raw, validation.raw, test.raw)
        right_raw = _linear(of_raw, train.labels, validation.labels) == test.labels
        linear_raw = Accuracy.of(right_raw)
        difference = right.astype(float) - right_raw
        spread = float(difference.std(ddof=1)) if len(difference) > 1 else math.nan
        gain = Accuracy(float(difference.mean()), spread / math.sqrt(len(difference)))
        neighbours_raw = _neighbours(of_raw, train.labels, test.labels)
        clusters_raw = _clusters(test.raw, test.labels, seed)
    return Probe(
        len(train.labels),
        len(test.labels),
        len(classes),
        train.codes.shape[1],
        Accuracy.of(right),
        linear_raw,
        gain,
        Accuracy.of(test.labels == classes[counts.argmax()]),
        _neighbours(of_codes, train.labels, test.labels),
        neighbours_raw,
        _clusters(test.codes, test.labels, seed),
        clusters_raw,
    )


@dataclass(frozen=True)
class _Space:
    """[rows, D] of three splits."""

    train: np.ndarray
    validation: np.ndarray
    test: np.ndarray

    def standardized(self) -> _Space:
        """By the training rows; constant columns become zero."""
        loc, scale = self.train.mean(0, dtype=np.float64), self.train.std(0, dtype=np.float64)
        known = scale > 1e-12 * np.maximum(1.0, np.abs(loc))
        factor = np.where(known, 1 / np.where(known, scale, 1.0), 0.0)
        return _Space(*((part - loc) * factor for part in vars(self).values()))


def _linear(space: _Space, labels: np.ndarray, validation_labels: np.ndarray) -> np.ndarray:
    """Classes of the test rows."""
    from sklearn.exceptions import ConvergenceWarning
    from sklearn.linear_model import LogisticRegression

    found = space.standardized()
    best, best_share = np.array([]), -1.0
    model = LogisticRegression(max_iter=_ITERATIONS, tol=_TOLERANCE, warm_start=True)
    for strength in _STRENGTHS:  # from strong penalties to weak ones, each from the last
        model.set_params(C=strength)
        with warnings.catch_warnings():
            # stopped early is another regularisation, and validation rows judge it
            warnings.simplefilter("ignore", ConvergenceWarning)
            model.fit(found.train, labels)
        share = float(np.mean(np.asarray(model.predict(found.validation)) == validation_labels))
        if share > best_share:
            best, best_share = np.asarray(model.predict(found.test)), share
    return best


def _neighbours(space: _Space, labels: np.ndarray, test_labels: np.ndarray) -> Accuracy:
    from sklearn.neighbors import KNeighborsClassifier

    model = KNeighborsClassifier(min(_NEIGHBOURS, len(labels))).fit(space.train, labels)
    return Accuracy.of(model.predict(space.test) == test_labels)


def _clusters(points: np.ndarray, labels: np.ndarray, seed: int) -> Clusters:
    from sklearn.cluster import KMeans
    from sklearn.exceptions import ConvergenceWarning
    from sklearn.metrics import (
        adjusted_rand_score,
        normalized_mutual_info_score,
        silhouette_score,
    )

    num_classes = len(np.unique(labels))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)  # fewer distinct points than clusters
        means = KMeans(
            num_classes,
            n_init=_STARTS,  # pyright: ignore[reportArgumentType]
            random_state=seed,
        ).fit_predict(points)
    chosen = np.random.default_rng(seed).permutation(len(points))[:_SILHOUETTE_ROWS]
    some = labels[chosen]
    separable = 2 <= len(np.unique(some)) < len(some)
    return Clusters(
        float(adjusted_rand_score(labels, means)),
        float(normalized_mutual_info_score(labels, means)),
        float(silhouette_score(points[chosen], some)) if separable else None,
    )


def _percent(found: Accuracy | None) -> str:
    if found is None:
        return ""
    return f"{100 * found.value:.1f} ± {100 * found.std_error:.1f} %"


def _number(value: float | None) -> str:
    return "" if value is None else f"{value:.3f}"
