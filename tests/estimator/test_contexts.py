"""What rows are given: what can be said, and what is missing, wrong or of other rows."""

from __future__ import annotations

import numpy as np
import pytest
import torch

import ancestral
from ancestral.core import DataError, Kind, OptionError, ShapeError, Specification
from ancestral.data import Conditioned, TensorSource, as_source, given_labels
from ancestral.estimator.contexts import as_contexts

SPEC = Specification(Kind.BINARY, (3,))
CPU = torch.device("cpu")
pytestmark = pytest.mark.usefixtures("single_precision")


def rows(num_rows=40):
    values = np.random.default_rng(0).integers(0, 2, (num_rows, 3)).astype(np.uint8)
    return TensorSource(values, SPEC, labels=np.arange(num_rows) % 2)


@pytest.fixture(scope="module")
def fitted():
    source = given_labels(rows(), ("a", "b"))
    return ancestral.build("fvsbn", epochs=1).fit(source, validation=source)


def test_numbers_of_any_kind_become_contexts():
    expected = torch.tensor([[1.0, 0.0]] * 2)
    for given in ([1, 0], [[1, 0]] * 2, np.array([True, False]), expected.clone()):
        assert torch.equal(as_contexts(given, 2, 2, CPU), expected)
    learnt = as_contexts(expected.clone().requires_grad_(), 2, 2, CPU)
    assert torch.equal(learnt, expected)
    assert not learnt.requires_grad


@pytest.mark.parametrize(
    "given", ["a", ["a", "b"], [1.0, float("nan")], torch.tensor([1, torch.inf]), [[1], [1, 2]]]
)
def test_other_contexts_are_refused(given):
    with pytest.raises(OptionError, match=r"expected a? ?context"):
        as_contexts(given, 2, 2, CPU)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
def test_contexts_may_lie_on_a_gpu():
    found = as_contexts(torch.ones(2, device="cuda"), 3, 2, CPU)
    assert found.device == CPU


def test_missing_contexts_are_named_with_the_number_of_rows(fitted):
    x = rows(600).x.numpy()
    for ask in (fitted.score_samples, fitted.impute):
        for data in (x, rows(600)):
            with pytest.raises(ShapeError, match=r"shape \[600, 2\], got none"):
                ask(data)


def test_validation_without_contexts_is_refused_before_anything_is_written(tmp_path):
    source = given_labels(rows(), ("a", "b"))
    for validation in (rows(7).x.numpy(), rows(7)):
        with pytest.raises(ShapeError, match=r"shape \[7, 2\], got none"):
            ancestral.build("fvsbn", epochs=1).fit(
                source, validation=validation, folder=tmp_path / "run"
            )
    assert not (tmp_path / "run").exists()


def test_rows_given_something_else_are_refused(fitted):
    other = Conditioned(rows(), torch.zeros(40, 2), ("b", "a"))
    with pytest.raises(DataError, match="expected rows given a, b, got rows given b, a"):
        fitted.score_samples(other)
    with pytest.raises(DataError, match="expected rows given nothing, got rows given b, a"):
        as_source(other, SPEC)


def test_rows_of_other_codes_are_refused():
    four, three = (Specification(Kind.LEVELS, (2,), levels) for levels in (4, 3))
    source = TensorSource(np.zeros((5, 2), np.uint8), three)
    with pytest.raises(DataError, match="levels from 0 to 3, got levels from 0 to 2"):
        as_source(source, four)
    assert as_source(source, three) is source
