"""Input features of data of every kind."""

from __future__ import annotations

import pytest
import torch

from ancestral.core import Column, Kind, Specification, as_batch
from ancestral.networks import InputFeatures

NAN = float("nan")
NUM_ROWS = 40


def rows(kind: Kind, shape: tuple[int, ...], num_levels: int = 5) -> torch.Tensor:
    u = torch.rand(NUM_ROWS, *shape)
    return {
        Kind.BINARY: (u > 0.7).to(u.dtype),
        Kind.CATEGORICAL: (u * num_levels).floor(),
        Kind.LEVELS: (u * num_levels).floor(),
        Kind.COUNT: (-10 * u.log()).floor(),
        Kind.REAL: 3 * u - 50,
        Kind.POSITIVE: 0.1 / u,
        Kind.UNIT: u,
    }[kind]


def spec_of(kind: Kind, shape: tuple[int, ...], *, missing: bool = False) -> Specification:
    levels = 5 if kind in (Kind.CATEGORICAL, Kind.LEVELS) else None
    return Specification(kind, shape, num_levels=levels, missing=missing)


MIXED = Specification(
    None,
    (5,),
    columns=(
        Column("age", Kind.REAL),
        Column("town", Kind.CATEGORICAL, 3),
        Column("visits", Kind.COUNT),
        Column("member", Kind.BINARY),
        Column("income", Kind.POSITIVE),
    ),
    missing=True,
)


def mixed_rows() -> torch.Tensor:
    columns = [
        rows(Kind.REAL, ()),
        rows(Kind.CATEGORICAL, (), 3),
        rows(Kind.COUNT, ()),
        rows(Kind.BINARY, ()),
        rows(Kind.POSITIVE, ()),
    ]
    return torch.stack(columns, -1)


@pytest.mark.parametrize("kind", [k for k in Kind if k is not Kind.CATEGORICAL])
@pytest.mark.parametrize("shape", [(3,), (4, 5), (4, 4, 3)])
def test_features_are_centred_and_scaled(kind, shape):
    x = rows(kind, shape)
    inputs = InputFeatures(spec_of(kind, shape))
    inputs.initialize(x)
    y = inputs(x)
    assert y.shape == x.shape
    assert inputs.output_shape == shape
    torch.testing.assert_close(y.mean(0), torch.zeros(shape), rtol=0, atol=1e-12)
    if kind is Kind.BINARY:
        torch.testing.assert_close(y, x - x.mean(0))
    elif len(shape) == 1:
        torch.testing.assert_close(y.std(0, correction=0), torch.ones(shape))
    else:  # one scale for a whole image
        torch.testing.assert_close(y.square().mean(), torch.ones(()))
        assert len(set(inputs.scale.tolist())) == 1


def test_counts_and_positive_numbers_go_through_the_logarithm():
    for kind, transform in ((Kind.COUNT, torch.log1p), (Kind.POSITIVE, torch.log)):
        x = rows(kind, (2,))
        inputs = InputFeatures(spec_of(kind, (2,)))
        inputs.initialize(x)
        t = transform(x)
        torch.testing.assert_close(inputs(x), (t - t.mean(0)) / t.std(0, correction=0))


@pytest.mark.parametrize("shape", [(3,), (4, 5)])
def test_categories_are_one_hot_and_centred(shape):
    x = rows(Kind.CATEGORICAL, shape)
    inputs = InputFeatures(spec_of(Kind.CATEGORICAL, shape))
    inputs.initialize(x)
    hot = torch.nn.functional.one_hot(x.flatten(1).long(), 5).flatten(1).to(x.dtype)
    torch.testing.assert_close(inputs(x), hot - hot.mean(0))
    assert inputs.num_outputs == hot.shape[1]


def test_mixed_table_with_gaps():
    x = mixed_rows()
    x[torch.rand_like(x) < 0.3] = NAN
    batch = as_batch(x)
    inputs = InputFeatures(MIXED)
    inputs.initialize(batch.x, batch.observed)
    y = inputs(batch.x, batch.observed)
    assert y.shape == (NUM_ROWS, 3 + 4 + 5)  # one-hot, other columns, mask
    assert inputs.output_shape == (12,)
    torch.testing.assert_close(y[:, 7:], batch.observed.to(y.dtype))
    # features in the order of the columns: age, town (3), visits, member, income
    for column, feature, transform in (
        (0, 0, lambda t: t),
        (2, 4, torch.log1p),
        (4, 6, torch.log),
    ):
        seen = batch.observed[:, column]
        t = transform(batch.x[seen, column])
        torch.testing.assert_close(y[seen, feature], (t - t.mean()) / t.std(correction=0))
        assert bool((y[~seen, feature] == 0).all())
    seen = batch.observed[:, 1]
    hot = torch.nn.functional.one_hot(batch.x[seen, 1].long(), 3).to(y.dtype)
    torch.testing.assert_close(y[seen, 1:4], hot - hot.mean(0))
    assert bool((y[~seen, 1:4] == 0).all())
    member = batch.observed[:, 3]
    torch.testing.assert_close(y[member, 5], batch.x[member, 3] - batch.x[member, 3].mean())


@pytest.mark.parametrize("kind", list(Kind))
@pytest.mark.parametrize("shape", [(3,), (4, 5)])
def test_missing_cells_do_not_count(kind, shape):
    x = rows(kind, shape)
    gaps = torch.rand_like(x) < 0.3
    batch = as_batch(x.masked_fill(gaps, NAN))
    inputs, other = (InputFeatures(spec_of(kind, shape, missing=True)) for _ in range(2))
    inputs.initialize(batch.x, batch.observed)
    # whatever stands at a missing cell, statistics and features are the same
    filled = torch.where(gaps, x.flip(0), batch.x)
    other.initialize(filled, batch.observed)
    torch.testing.assert_close(inputs.loc, other.loc)
    torch.testing.assert_close(inputs.scale, other.scale)
    y = inputs(batch.x, batch.observed)
    torch.testing.assert_close(y, other(filled, batch.observed))
    assert y.shape == (NUM_ROWS, inputs.num_outputs)
    assert bool(y.isfinite().all())
    # complete rows of a data set with gaps have a mask of ones
    complete = inputs(x)
    assert bool((complete[:, -x[0].numel() :] == 1).all())


def test_gaps_in_data_that_had_none_are_average():
    inputs = InputFeatures(spec_of(Kind.REAL, (3,)))
    x = rows(Kind.REAL, (3,))
    inputs.initialize(x)
    y = inputs(x, torch.zeros(NUM_ROWS, 3, dtype=torch.bool))
    assert bool((y == 0).all())


@pytest.mark.parametrize("kind", list(Kind))
def test_leading_axes(kind):
    inputs = InputFeatures(spec_of(kind, (4, 5), missing=True))
    x = rows(kind, (4, 5))
    inputs.initialize(x)
    observed = torch.rand_like(x) > 0.3
    y = inputs(x.unflatten(0, (4, 10)), observed.unflatten(0, (4, 10)))
    torch.testing.assert_close(y.flatten(0, 1), inputs(x, observed))
    assert inputs(x[0], observed[0]).shape == inputs.output_shape


def test_statistics_far_from_zero_in_float32():
    x = (1e6 + torch.randn(20_000, 2)).float()
    inputs = InputFeatures(spec_of(Kind.REAL, (2,))).float()
    inputs.initialize(x)
    exact = x.double()
    # the mean is stored in float32, whose spacing there is 0.0625
    torch.testing.assert_close(inputs.loc.double(), exact.mean(0), rtol=0, atol=0.04)
    torch.testing.assert_close(
        inputs.scale.double(), exact.std(0, correction=0), rtol=5e-3, atol=0
    )


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_constant_columns_keep_their_scale(dtype):
    x = torch.full((1001, 3), 0.1, dtype=dtype)
    x[:, 1] = 1e7 / 3
    x[:, 2] = torch.randn(1001) * 1e-9  # tiny, but not constant
    inputs = InputFeatures(spec_of(Kind.REAL, (3,))).to(dtype)
    inputs.initialize(x)
    assert inputs.scale[:2].tolist() == [1, 1]
    assert float(inputs(x)[:, :2].abs().max()) < 1e-6
    assert float(inputs(x)[:, 2].std()) == pytest.approx(1, rel=1e-2)


def test_a_column_never_seen_is_harmless():
    x = rows(Kind.REAL, (3,))
    x[:, 1] = NAN
    batch = as_batch(x)
    inputs = InputFeatures(spec_of(Kind.REAL, (3,), missing=True))
    inputs.initialize(batch.x, batch.observed)
    assert bool(inputs(batch.x, batch.observed).isfinite().all())
    assert float(inputs.scale[1]) == 1
