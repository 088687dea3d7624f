"""AUROC, its standard error and FPR at 95 % TPR."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.metrics import roc_auc_score, roc_curve

from ancestral.applications.detection import separation
from ancestral.core import DataError


def test_against_scikit_learn_with_ties():
    rng = np.random.default_rng(0)
    normal, odd = rng.integers(0, 30, 300).astype(float), rng.integers(10, 45, 200).astype(float)
    found = separation(normal, odd)
    truth = np.r_[np.zeros(300), np.ones(200)]
    assert found.auroc == pytest.approx(roc_auc_score(truth, np.r_[normal, odd]))
    fpr, tpr, _ = roc_curve(truth, np.r_[normal, odd], drop_intermediate=False)
    assert found.fpr_at_95_tpr == pytest.approx(fpr[tpr >= 0.95].min())
    assert (found.num_normal, found.num_anomalous) == (300, 200)


def test_the_standard_error_is_the_spread_over_repetitions():
    # 3,000 repetitions: the spread of a spread is 1.3 %; 10 % of room
    rng = np.random.default_rng(1)
    found = [separation(rng.normal(size=40), rng.normal(1.0, 2.0, 25)) for _ in range(3000)]
    spread = np.std([one.auroc for one in found])
    assert np.sqrt(np.mean([one.std_error**2 for one in found])) == pytest.approx(spread, rel=0.1)


def test_extremes():
    apart = separation([0.0, 1.0], [2.0, np.inf])
    assert (apart.auroc, apart.std_error, apart.fpr_at_95_tpr) == (1.0, 0.0, 0.0)
    same = separation([1.0, 1.0], [1.0])
    assert (same.auroc, same.fpr_at_95_tpr) == (0.5, 1.0)
    with pytest.raises(DataError, match="got 0 and 2"):
        separation([], [1.0, 2.0])
    with pytest.raises(DataError, match="got NaN"):
        separation([np.nan], [1.0, 2.0])
