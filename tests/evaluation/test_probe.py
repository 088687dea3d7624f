"""Scores of codes against labels, on codes whose scores are known."""

from __future__ import annotations

import json
import math

import numpy as np
import pytest

from ancestral.core import DataError
from ancestral.evaluation import Probe, ProbeRows, probe

RNG = np.random.default_rng(0)


def rows(num, codes_of, raw_of=None, num_classes=3, seed=0):
    rng = np.random.default_rng(seed)
    labels = rng.integers(0, num_classes, num)
    return ProbeRows(
        codes_of(labels, rng), None if raw_of is None else raw_of(labels, rng), labels
    )


def apart(labels, rng):
    return 5 * np.eye(3)[labels] + 0.1 * rng.normal(size=(len(labels), 3))


def noise(labels, rng):
    return rng.normal(size=(len(labels), 3))


def test_classes_that_lie_apart_are_told_and_noise_is_not():
    found = probe(rows(300, apart, noise), rows(200, apart, noise, seed=1), seed=0)
    assert found.linear.value == found.neighbours.value == 1.0
    assert found.linear.std_error == 0.0
    assert found.clusters.adjusted_rand == pytest.approx(1)
    assert found.clusters.mutual_information == pytest.approx(1)
    assert found.clusters.silhouette > 0.9
    # chance is 1/3 here: four standard errors of 200 rows
    assert abs(found.linear_raw.value - 1 / 3) < 4 * math.sqrt(2 / 9 / 200)
    assert abs(found.clusters_raw.adjusted_rand) < 0.1
    assert found.gain.value == pytest.approx(1 - found.linear_raw.value)
    assert found.gain.std_error == pytest.approx(found.linear_raw.std_error, rel=0.01)
    assert (found.num_train, found.num_test) == (240, 200)  # a fifth chose the penalty


def test_the_majority_is_that_of_the_training_rows():
    train = ProbeRows(RNG.normal(size=(90, 2)), None, np.repeat([0, 1], [60, 30]))
    test = ProbeRows(RNG.normal(size=(50, 2)), None, np.repeat([0, 1], [10, 40]))
    found = probe(train, test)
    assert found.majority.value == pytest.approx(0.2)
    assert found.majority.std_error == pytest.approx(math.sqrt(0.2 * 0.8 / 50))
    assert found.linear_raw is found.gain is found.clusters_raw is None


def test_scale_and_idle_columns_do_not_matter_to_the_linear_probe():
    def stretched(labels, rng):
        codes = apart(labels, rng)
        idle = np.full((len(labels), 1), 7.0)
        return np.hstack([codes * [1e4, 1e-4, 1.0] + 50, idle])

    assert probe(rows(200, stretched), rows(90, stretched, seed=1)).linear.value == 1.0


def test_validation_rows_choose_the_penalty():
    """Few rows and many noisy columns: a strong penalty wins, and validation must see it."""

    def wide(labels, rng):
        signal = np.eye(3)[labels] @ np.ones((3, 3)) * 0 + np.eye(3)[labels]
        return np.hstack([np.repeat(signal, 4, 1), rng.normal(size=(len(labels), 200))])

    train, test = rows(90, wide), rows(400, wide, seed=1)
    found = probe(train, test, rows(200, wide, seed=2))
    assert found.num_train == 90
    assert found.linear.value > 0.55  # 1/3 by chance


def test_classes_that_training_does_not_know_are_errors():
    train, test = rows(100, apart, num_classes=2), rows(90, apart, seed=1)
    found = probe(train, test)
    assert found.linear.value == pytest.approx(np.mean(test.labels < 2))


def test_it_repeats_itself_and_survives_json():
    train, test = rows(60, noise, apart), rows(30, noise, apart, seed=1)
    found = probe(train, test, seed=4)
    assert found == probe(train, test, seed=4)
    assert Probe.from_dict(json.loads(json.dumps(found.to_dict()))) == found
    assert [len(line) for line in found.table()] == [3] * 6
    assert "3 classes that the model has not seen" in found.in_words()


@pytest.mark.parametrize(
    ("labels", "words"), [(np.zeros(20, int), "got 1"), (np.arange(300), "got 300")]
)
def test_too_few_and_too_many_classes(labels, words):
    some = ProbeRows(RNG.normal(size=(len(labels), 2)), None, labels)
    with pytest.raises(DataError, match=words) as refusal:
        probe(some, some)
    assert refusal.value.hint


def test_codes_that_are_not_finite():
    bad = ProbeRows(np.full((20, 2), np.nan), None, np.arange(20) % 2)
    with pytest.raises(DataError, match="expected finite codes"):
        probe(bad, bad)


def test_one_class_among_the_test_rows_has_no_silhouette():
    train = rows(60, apart)
    test = train.rows(np.flatnonzero(train.labels == 1))
    assert probe(train, test).clusters.silhouette is None
