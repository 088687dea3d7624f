"""Rows that come with a context keep it, in whatever order they are read."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from ancestral.core import DataError, Kind, ShapeError, Specification
from ancestral.data import Conditioned, TensorSource, given_labels


def rows(num_rows=10, labels=None):
    values = np.arange(2 * num_rows).reshape(num_rows, 2).astype(np.uint8)
    return TensorSource(values, Specification(Kind.LEVELS, (2,), 256), labels=labels)


def conditioned():
    context = torch.arange(10.0).unsqueeze(1)
    return Conditioned(rows(), context, ("number",))


def belongs(batch):
    """Row i holds 2 i and 2 i + 1, and is given i."""
    return torch.equal(batch.x[:, 0], 2 * batch.context[:, 0])


def test_every_way_to_read_rows_keeps_their_context():
    source = conditioned()
    batches = list(source.batches(3, seed=1, epoch=0))
    assert sum(map(len, batches)) == 10
    assert all(map(belongs, batches))
    assert all(map(belongs, source.ordered(4)))
    assert belongs(source.rows([7, 2]))
    assert belongs(source.sample_rows(5, 3))
    part = source.subset(np.array([8, 1, 3]))
    assert belongs(part.rows(slice(0, 3)))
    assert part.rows([0]).context.item() == 8
    assert belongs(next(part.subset(slice(1, 3)).batches(2, seed=0, epoch=1)))
    assert source.spec.context == ("number",)
    assert belongs(source.to("cpu").rows(slice(2, 5)).rows(torch.tensor([1])))


def test_labels_become_one_number_for_each_class():
    source = given_labels(rows(3, np.array([2, 0, 2])), ("a", "b", "c"))
    expected = torch.tensor([[0.0, 0, 1], [1, 0, 0], [0, 0, 1]])
    assert torch.equal(source.rows(slice(None)).context, expected)


def test_what_does_not_fit_is_refused():
    with pytest.raises(ShapeError, match=r"expected a context of shape \[10, 1\], got \[9, 1\]"):
        Conditioned(rows(), torch.zeros(9, 1), ("number",))
    with pytest.raises(DataError, match="data without labels"):
        given_labels(rows(), ("a",))
    for wrong in (2, -1):
        with pytest.raises(DataError, match=f"classes a, b, got '{wrong}'\n\nhint"):
            given_labels(rows(2, np.array([0, wrong])), ("a", "b"))


def test_classes_are_matched_by_name():
    source = rows(3, np.array([0, 1, 0]))
    expected = torch.tensor([[0.0, 1], [1, 0], [0, 1]])
    assert torch.equal(given_labels(source, ("a", "b"), ("b", "a")).context, expected)
    assert torch.equal(given_labels(source, ("1", "0"), ()).context, expected)
    with pytest.raises(DataError, match="got 'c'"):
        given_labels(source, ("a", "b"), ("a", "c"))


def test_the_specification_keeps_the_names():
    spec = conditioned().spec
    assert Specification.from_dict(spec.to_dict()) == spec
