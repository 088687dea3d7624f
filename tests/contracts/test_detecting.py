"""Every recipe tells odd rows from usual ones, or refuses in words."""

from __future__ import annotations

import numpy as np
import pytest
from test_recipes import NUM_ROWS, ROWS, SOURCES

import ancestral
from ancestral.core import NotExact
from ancestral.inference.evidence import has_proposal
from ancestral.models import ExactLogProb, LatentVariableModel


def _fitted(name, data):
    settings = dict(ROWS[name].small) | {"epochs": 2, "batch_size": 25, "seed": 4}
    return ancestral.build(name, **settings).fit(SOURCES[data]())


@pytest.mark.parametrize("name", list(ancestral.REGISTRY))
def test_scores_p_values_and_surprise(name, single_precision):
    data = ROWS[name].data
    source = SOURCES[data]()
    estimator = _fitted(name, data)
    model = estimator.model_
    latent = isinstance(model, LatentVariableModel) and has_proposal(estimator.posterior_)
    if not (latent or isinstance(model, ExactLogProb)):
        for method in (estimator.anomaly_score, estimator.p_values, estimator.surprise):
            with pytest.raises(NotExact, match=r"expected a model with a log p") as caught:
                method(source, **({} if method == estimator.surprise else {"calibration": source}))
            assert caught.value.hint
        return
    few = source.subset(slice(0, 12))
    detector = estimator.detector(source)
    found = estimator.statistics(few, like=detector)
    assert found.kind in ("exact", "lower_bound")
    for score in detector.scores:
        values = detector.score(found, score)
        assert values.shape == (12,)
        assert np.isfinite(values).all()
        p = detector.p_values(found, score)
        assert ((p >= 1 / (NUM_ROWS + 1)) & (p <= 1)).all()
    # a function of the row: the same in other company, and at every call
    again = estimator.anomaly_score(source.subset(slice(5, 8)), calibration=detector)
    np.testing.assert_allclose(again, detector.score(found)[5:8], rtol=2e-2, atol=2e-2)
    surprise = estimator.surprise(few)
    shape = source.spec.shape
    assert surprise.shape == (12, *(shape[:2] if len(shape) == 3 else shape))
    assert np.isfinite(surprise).all()
    total = surprise.reshape(12, -1).sum(1)
    explained = -found["log_prob"] if found.kind == "exact" and not latent else None
    if explained is not None and getattr(model, "num_orders", 1) == 1:
        np.testing.assert_allclose(total, explained, rtol=1e-4, atol=1e-3)


@pytest.mark.parametrize(
    ("name", "data"), [("vae", "table"), ("vae", "gaps"), ("vae", "colour"), ("ppca", "gaps")]
)
def test_tables_gaps_and_colours(name, data, single_precision):
    estimator, source = _fitted(name, data), SOURCES[data]()
    score = estimator.anomaly_score(source, calibration=source)
    assert np.isfinite(score).all()
    assert len(np.unique(score)) > NUM_ROWS // 2


def test_classes_are_given(single_precision):
    from test_recipes import _labelled

    source = _labelled("binary")
    settings = dict(ROWS["made"].small) | {"epochs": 2, "batch_size": 25}
    estimator = ancestral.build("made", **settings).fit(source)
    plain = source.rows(slice(None)).x.numpy()
    p = estimator.p_values(plain, calibration=source, context=source.context)
    assert np.array_equal(p, estimator.p_values(source, calibration=source))
