"""Estimates, batches, specifications and shapes."""

from __future__ import annotations

import json
import math

import numpy as np
import pytest
import torch

from ancestral.core import (
    Batch,
    Column,
    Conditional,
    DataError,
    Estimate,
    Kind,
    Precision,
    ShapeError,
    Specification,
    as_batch,
    matrix_products,
)
from ancestral.core.estimate import weakest
from ancestral.core.shapes import at_least_float32, expect_event, numel, sum_event


def test_mean_and_its_standard_error():
    value = torch.randn(30)
    estimate = Estimate(value, "exact")
    assert estimate.mean == pytest.approx(value.mean().item())
    assert estimate.std_error_of_mean == pytest.approx(value.std().item() / math.sqrt(30))
    assert len(estimate) == 30
    assert math.isnan(Estimate(value[:1], "exact").std_error_of_mean)
    assert estimate.bits_per_dim(784) == pytest.approx(-value.mean().item() / 784 / math.log(2))


def test_mean_is_taken_in_double_precision():
    value = torch.full((100_000,), -89.123456, dtype=torch.float32)
    assert Estimate(value, "exact").mean == pytest.approx(value[0].double().item(), abs=1e-9)


@pytest.mark.parametrize(
    ("num_samples", "threshold"),
    [(None, None), (1, None), (100, 0.5), (1000, 2 / 3), (2200, 0.7), (100_000, 0.7)],
)
def test_khat_threshold(num_samples, threshold):
    found = Estimate(torch.zeros(1), "lower_bound", num_samples).khat_threshold
    assert found == (None if threshold is None else pytest.approx(threshold, abs=1e-3))


def test_parts_of_another_shape_are_refused():
    with pytest.raises(ShapeError, match=r"expected khat of shape \(2,\), got \(3,\)"):
        Estimate(torch.zeros(2), "lower_bound", 10, khat=torch.zeros(3))


def test_concatenate():
    parts = [
        Estimate(torch.randn(n), "lower_bound", 10, torch.rand(n), torch.rand(n), torch.rand(n))
        for n in (2, 3)
    ]
    whole = Estimate.concatenate(parts)
    assert (whole.kind, whole.num_samples, len(whole)) == ("lower_bound", 10, 5)
    for name in ("value", "std_error", "ess", "khat"):
        expected = torch.cat([getattr(p, name) for p in parts])
        assert torch.equal(getattr(whole, name), expected)
    exact = Estimate.concatenate([Estimate(torch.zeros(2), "exact")] * 2)
    assert exact.std_error is None
    assert exact.khat is None


def test_weakest():
    assert weakest("exact", "exact") == "exact"
    assert weakest("lower_bound", "exact") == "lower_bound"
    assert weakest("exact", "unbiased") == "unbiased"


def test_as_batch_marks_missing_cells():
    x = torch.tensor([[1.0, math.nan], [math.nan, 4.0], [5.0, 6.0]])
    batch = as_batch(x)
    assert batch.x.tolist() == [[1, 0], [0, 4], [5, 6]]
    assert batch.observed.tolist() == [[True, False], [False, True], [True, True]]
    assert batch.index is None
    assert math.isnan(float(x[0, 1]))  # what was given is as it was
    assert as_batch(batch) is batch
    assert as_batch(x[2:]).observed is None


def test_as_batch_of_integers_has_the_default_precision():
    batch = as_batch(torch.tensor([[1, 2]]))
    assert batch.x.dtype == torch.get_default_dtype()


@pytest.mark.parametrize("num_rows", [0, 1, 2, 3, 4])
def test_batch_counts_rows(num_rows):
    # 3 rows are as many as the fields, which once was a trap
    batch = Batch(torch.randn(num_rows, 2), torch.ones(num_rows, 2) > 0, torch.arange(num_rows))
    assert len(batch) == num_rows
    moved = batch.to("cpu").with_index(torch.arange(num_rows) + 7)
    assert moved.index.tolist() == [7 + i for i in range(num_rows)]
    assert torch.equal(moved.observed, batch.observed)
    assert len(moved.rows(slice(0, 1))) == min(num_rows, 1)


def test_rows_of_a_batch():
    batch = Batch(torch.randn(5, 2), None, torch.arange(5))
    some = batch.rows(torch.tensor([4, 0]))
    assert torch.equal(some.x, batch.x[[4, 0]])
    assert some.observed is None
    assert some.index.tolist() == [4, 0]


def test_shapes():
    assert numel(()) == 1
    x = torch.randn(2, 3, 4)
    assert torch.equal(sum_event(x, 0), x)
    torch.testing.assert_close(sum_event(x, 2), x.sum((1, 2)))
    expect_event(x, (3, 4), "data")
    with pytest.raises(ShapeError) as error:
        expect_event(x, (4, 3), "data")
    assert error.value.message == "expected data of shape [batch, 4, 3], got [2, 3, 4]"
    assert at_least_float32(x).dtype == torch.float64
    assert at_least_float32(x.half()).dtype == torch.float32


@pytest.mark.parametrize(
    "spec",
    [
        Specification(Kind.REAL, (3,), missing=True, reason="decimals"),
        Specification(Kind.LEVELS, (4, 4, 3), num_levels=256, binarization="none"),
        Specification(
            None,
            (2,),
            columns=(
                Column("a", Kind.REAL),
                Column("b", Kind.CATEGORICAL, 2, ("no", "yes")),
            ),
        ),
    ],
)
def test_specifications_survive_json(spec):
    assert Specification.from_dict(json.loads(json.dumps(spec.to_dict()))) == spec


@pytest.mark.parametrize(
    ("shape", "image_shape"),
    [
        ((28, 20), (28, 20, 1)),
        ((32, 32, 3), (32, 32, 3)),
        ((28, 28, 1), (28, 28, 1)),
        ((2, 10), None),
        ((8, 8, 2), None),
        ((784,), None),
    ],
)
def test_what_can_be_looked_at(shape, image_shape):
    assert Specification(Kind.REAL, shape).image_shape == image_shape


def test_kinds():
    columns = (Column("a", Kind.REAL), Column("b", Kind.COUNT))
    assert Specification(None, (2,), columns=columns).kinds == {Kind.REAL, Kind.COUNT}
    assert Specification(Kind.UNIT, (2,)).kinds == {Kind.UNIT}
    discrete = {kind for kind in Kind if kind.is_discrete}
    assert discrete == {Kind.BINARY, Kind.CATEGORICAL, Kind.LEVELS, Kind.COUNT}


@pytest.mark.parametrize(
    "call",
    [
        lambda: Specification(None, (2,)),
        lambda: Specification(None, (3,), columns=(Column("a", Kind.REAL),)),
        lambda: Specification(Kind.LEVELS, (2,)),
        lambda: Column("a", Kind.CATEGORICAL, 1),
    ],
)
def test_impossible_specifications_are_refused(call):
    with pytest.raises(DataError, match="expected"):
        call()


def test_conditionals_refuse_gaps_they_cannot_integrate_out():
    class Constant(Conditional):
        def forward(self, context=None):
            return torch.distributions.Normal(torch.zeros(()), torch.ones(()))

    assert Constant().log_prob(torch.zeros(3)).shape == (3,)
    with pytest.raises(TypeError, match="Constant cannot integrate out missing cells"):
        Constant().log_prob(torch.zeros(3), observed=torch.ones(3) > 0)


def test_rows_of_an_estimate_and_its_array():
    parts = [torch.randn(4) for _ in range(4)]
    estimate = Estimate(parts[0], "lower_bound", 10, *parts[1:])
    some = estimate[1:3]
    assert (some.kind, some.num_samples, some.shape) == ("lower_bound", 10, (2,))
    assert torch.equal(some.khat, parts[3][1:3])
    assert Estimate(parts[0], "exact")[:2].khat is None
    assert np.array_equal(np.asarray(estimate), parts[0].numpy())


def test_automatic_precision_keeps_double_precision():
    cpu = torch.device("cpu")
    assert Precision.AUTO.resolved(cpu, torch.float64) is Precision.FLOAT32
    assert Precision.BF16.resolved(cpu, torch.float64) is Precision.BF16
    layer = torch.nn.Linear(3, 3).float()
    x = torch.randn(2, 3).float()
    with matrix_products(Precision.BF16, layer.weight):
        assert layer(x).dtype == torch.bfloat16
    with matrix_products(Precision.FLOAT32, layer.weight):
        assert layer(x).dtype == torch.float32
    assert layer(x).dtype == torch.float32
