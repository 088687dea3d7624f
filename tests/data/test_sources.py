from __future__ import annotations

import numpy as np
import psutil
import pytest
import torch

from ancestral.core import DataError, Kind, OptionError, ShapeError, Specification
from ancestral.data import (
    Dequantized,
    DynamicallyBinarized,
    MemmapSource,
    ParquetSource,
    Source,
    TensorSource,
    load_dataset,
    statically_binarized,
)
from ancestral.data import streaming as streaming_module

NUM_ROWS = 1003
SHAPE = (5, 4)
LEVELS = Specification(Kind.LEVELS, SHAPE, num_levels=256)


def _levels():
    return np.random.default_rng(0).integers(0, 256, (NUM_ROWS, *SHAPE), dtype=np.uint8)


def _tensor(folder, monkeypatch):
    return TensorSource(_levels(), LEVELS)


def _memmap(folder, monkeypatch):
    # blocks of 13 rows and windows of 3 blocks, so that rows straddle every boundary
    monkeypatch.setattr("ancestral.data.memmap._BLOCK_BYTES", 13 * 20)
    monkeypatch.setattr(streaming_module, "_WINDOW_BYTES", 3 * 13 * 20)
    np.save(folder / "x.npy", _levels())
    return MemmapSource(folder / "x.npy", LEVELS)


def _parquet(folder, monkeypatch):
    import pandas as pd

    monkeypatch.setattr(streaming_module, "_WINDOW_BYTES", 3 * 50 * 8 * 20)
    frame = pd.DataFrame(_levels().reshape(NUM_ROWS, -1)).rename(columns=lambda k: f"c{k}")
    frame.to_parquet(folder / "x.parquet", row_group_size=50)
    return ParquetSource(folder / "x.parquet", kind=Kind.LEVELS)


def _dynamic(folder, monkeypatch):
    return DynamicallyBinarized(_tensor(folder, monkeypatch))


def _dynamic_streamed(folder, monkeypatch):
    return DynamicallyBinarized(_memmap(folder, monkeypatch))


def _dequantized(folder, monkeypatch):
    return Dequantized(_tensor(folder, monkeypatch))


MAKERS = [_tensor, _memmap, _parquet, _dynamic, _dynamic_streamed, _dequantized]


@pytest.fixture(params=MAKERS, ids=lambda maker: maker.__name__.strip("_"))
def source(request, tmp_path, monkeypatch) -> Source:
    return request.param(tmp_path, monkeypatch)


def _equal(a, b):
    return torch.equal(a.x, b.x) and torch.equal(a.index, b.index)


def test_every_source_keeps_the_protocol(source):
    assert isinstance(source, Source)
    assert len(source) == NUM_ROWS
    assert source.rows(slice(0, 2)).x.shape == (2, *source.spec.shape)


def test_an_epoch_visits_each_row_once_and_keeps_the_last_partial_batch(source):
    batches = list(source.batches(64, seed=3, epoch=1))
    assert [len(b) for b in batches] == [64] * (NUM_ROWS // 64) + [NUM_ROWS % 64]
    index = torch.cat([b.index for b in batches])
    assert torch.equal(index.sort().values, torch.arange(NUM_ROWS))
    assert batches[0].x.dtype == torch.get_default_dtype()


def test_the_order_is_a_function_of_seed_and_epoch_alone(source):
    first = list(source.batches(64, seed=3, epoch=1))
    torch.rand(7)
    np.random.default_rng().random()
    again = list(source.batches(64, seed=3, epoch=1))
    assert all(_equal(a, b) for a, b in zip(first, again, strict=True))
    for seed, epoch in ((3, 2), (4, 1), (1, 3)):
        other = next(iter(source.batches(64, seed=seed, epoch=epoch)))
        assert not torch.equal(first[0].index, other.index)


@pytest.mark.parametrize("start", [1, 2, 7, 15, 16, 40])
def test_start_resumes_bit_for_bit(source, start):
    whole = list(source.batches(64, seed=5, epoch=2))
    rest = list(source.batches(64, seed=5, epoch=2, start=start))
    assert len(rest) == max(0, len(whole) - start)
    assert all(_equal(a, b) for a, b in zip(whole[start:], rest, strict=True))


def test_the_global_generator_is_left_alone(source):
    torch.manual_seed(0)
    before = torch.get_rng_state()
    list(source.batches(100, seed=0, epoch=0))
    source.sample_rows(10, seed=0)
    assert torch.equal(before, torch.get_rng_state())


def test_ordered_and_rows_agree_and_repeat(source):
    ordered = list(source.ordered(77))
    index = torch.cat([b.index for b in ordered])
    x = torch.cat([b.x for b in ordered])
    assert torch.equal(index, torch.arange(NUM_ROWS))
    chosen = np.array([700, 3, 3, 1002, 0])
    assert torch.equal(source.rows(chosen).x, x[torch.from_numpy(chosen)])
    assert torch.equal(source.rows(torch.from_numpy(chosen)).x, x[torch.from_numpy(chosen)])
    assert torch.equal(source.rows(slice(10, 30, 3)).x, x[10:30:3])
    assert len(source.rows(np.array([], dtype=np.int64)).x) == 0


def test_sample_rows_are_distinct_and_seeded(source):
    rows = source.sample_rows(50, seed=1)
    assert len(rows.index.unique()) == 50
    assert _equal(rows, source.sample_rows(50, seed=1))
    assert not torch.equal(rows.index, source.sample_rows(50, seed=2).index)
    assert len(source.sample_rows(10 * NUM_ROWS, seed=1)) == NUM_ROWS


@pytest.mark.parametrize(
    "selection", [slice(100, 357), np.arange(5, 1000, 7), np.arange(NUM_ROWS) % 2 == 0]
)
def test_a_subset_is_numbered_anew(tmp_path, monkeypatch, selection):
    for maker in (_tensor, _memmap, _parquet):
        part = maker(tmp_path, monkeypatch).subset(selection)
        expected = torch.from_numpy(_levels()[selection]).reshape(-1, 20).double()
        seen = torch.full_like(expected, -1)
        for batch in part.batches(31, seed=0, epoch=0):
            seen[batch.index] = batch.x.flatten(1).double()
        assert torch.equal(seen, expected), maker
        ordered = torch.cat([b.x.flatten(1) for b in part.ordered(40)])
        assert torch.equal(ordered.double(), expected), maker


def test_streamed_rows_are_mixed_across_blocks(tmp_path, monkeypatch):
    source = _memmap(tmp_path, monkeypatch)
    index = torch.cat([b.index for b in source.batches(39, seed=0, epoch=0)])
    blocks_per_batch = [len((b // 13).unique()) for b in index.split(39)[:-1]]
    assert min(blocks_per_batch) >= 3
    assert not torch.equal(index[:13].sort().values, index[:13])


def test_values_are_kept_small_and_cast_in_batches():
    source = TensorSource(_levels().astype(np.int64), LEVELS)
    assert source.x.dtype == torch.uint8
    assert TensorSource(torch.tensor([[300]]), Specification(Kind.COUNT, (1,))).x.dtype == (
        torch.int16
    )


def test_missing_cells_become_a_mask():
    spec = Specification(Kind.REAL, (2,), missing=True)
    source = TensorSource(np.array([[1.0, np.nan], [2.5, 3.0]]), spec)
    batch = source.rows(slice(0, 2))
    assert batch.observed.tolist() == [[True, False], [True, True]]
    assert batch.x.tolist() == [[1.0, 0.0], [2.5, 3.0]]
    with pytest.raises(DataError, match="expected complete rows, got missing cells"):
        TensorSource(np.array([[np.nan]]), Specification(Kind.REAL, (1,)))


def test_wrong_shape_and_sizes_are_refused():
    with pytest.raises(ShapeError, match=r"expected rows of shape \[5, 4\], got \[4, 5\]"):
        TensorSource(np.zeros((3, 4, 5)), LEVELS)
    source = TensorSource(_levels(), LEVELS)
    with pytest.raises(OptionError, match="expected a batch size of at least 1, got 0"):
        list(source.batches(0, seed=0, epoch=0))


def test_dynamic_draws_are_fresh_binary_and_have_the_right_mean():
    grey = np.tile(np.array([0, 51, 128, 255], dtype=np.uint8), (20_000, 1))
    source = DynamicallyBinarized(
        TensorSource(grey, Specification(Kind.LEVELS, (4,), num_levels=256))
    )
    assert source.spec.kind == Kind.BINARY
    assert "one fixed draw (seed 0)" in source.spec.binarization
    x = torch.cat([b.x for b in source.batches(1000, seed=0, epoch=0)])
    fixed = source.rows(slice(0, 20_000)).x
    assert set(x.unique().tolist()) == {0.0, 1.0}
    for draw in (x, fixed):
        mean = draw.mean(0)
        assert mean[0] == 0
        assert mean[3] == 1
        # 5 standard errors of 20,000 draws: fails once in a million seeds, and the seed is fixed
        assert abs(mean[1] - 0.2) < 5 * (0.16 / 20_000) ** 0.5
        assert abs(mean[2] - 128 / 255) < 5 * (0.25 / 20_000) ** 0.5
    one, two = (
        torch.cat([b.x[b.index.argsort()] for b in source.batches(20_000, seed=0, epoch=e)])
        for e in (0, 1)
    )
    assert 0.4 < (one != two)[:, 2].double().mean() < 0.6
    assert not torch.equal(one, fixed)


def test_static_binarisation_is_the_fixed_draw_of_the_dynamic_one():
    source = TensorSource(_levels(), LEVELS, labels=np.arange(NUM_ROWS))
    static = statically_binarized(source, seed=7)
    assert torch.equal(
        static.rows(slice(None)).x, DynamicallyBinarized(source, 7).rows(slice(None)).x
    )
    assert static.spec.binarization.startswith("static")
    assert "(seed 7)" in static.spec.binarization
    assert np.array_equal(static.labels, source.labels)
    assert not torch.equal(static.x, statically_binarized(source, seed=8).x)
    assert not torch.equal(static.x, statically_binarized(source, seed=7, stream=1).x)


def test_fractions_can_be_binarised_and_real_numbers_cannot():
    unit = TensorSource(np.full((5000, 1), 0.25), Specification(Kind.UNIT, (1,)))
    mean = DynamicallyBinarized(unit).rows(slice(None)).x.mean()
    assert abs(mean - 0.25) < 5 * (0.1875 / 5000) ** 0.5
    with pytest.raises(DataError, match="expected grey values to binarise, got real data"):
        DynamicallyBinarized(TensorSource(np.zeros((2, 1)), Specification(Kind.REAL, (1,))))


def test_dequantised_cells_stay_in_their_cell_and_say_what_log_p_is():
    source = Dequantized(TensorSource(_levels(), LEVELS))
    assert source.spec.kind == Kind.REAL
    assert source.log_prob_kind == "lower_bound"
    assert "lower bound" in source.spec.reason
    for batch in source.batches(200, seed=0, epoch=0):
        expected = torch.from_numpy(_levels()).to(batch.x.dtype)[batch.index]
        assert torch.equal(batch.x.floor(), expected)
    noise = source.rows(slice(None)).x - torch.from_numpy(_levels()).double()
    assert abs(noise.mean() - 0.5) < 5 * (1 / 12 / noise.numel()) ** 0.5
    with pytest.raises(DataError, match="expected integers to dequantise, got real"):
        Dequantized(source)


def test_dequantised_large_counts_do_not_round_up_in_single_precision():
    counts = np.full((2000, 1), 2**20, dtype=np.int32)
    source = Dequantized(TensorSource(counts, Specification(Kind.COUNT, (1,))))
    torch.set_default_dtype(torch.float32)
    try:
        x = source.rows(slice(None)).x
    finally:
        torch.set_default_dtype(torch.float64)
    assert x.dtype == torch.float32
    assert bool((x < 2**20 + 1).all())


def test_resident_memory_does_not_grow_with_the_file(tmp_path):
    num_rows, chunk = 800_000, 20_000  # 627 MB
    path = tmp_path / "large.npy"
    header = {"descr": "|u1", "fortran_order": False, "shape": (num_rows, 784)}
    block = np.random.default_rng(0).integers(0, 256, (chunk, 784), dtype=np.uint8).tobytes()
    with path.open("wb") as file:
        np.lib.format.write_array_header_1_0(file, header)
        for _ in range(num_rows // chunk):
            file.write(block)
    del block
    process = psutil.Process()
    try:
        before, peak = process.memory_info().rss, 0
        dataset = load_dataset(path)
        for number, _ in enumerate(dataset.train.batches(500, seed=0, epoch=0)):
            if number % 50 == 0:
                peak = max(peak, process.memory_info().rss)
        dataset.train.sample_rows(2000, seed=0)
        peak = max(peak, process.memory_info().rss)
    finally:
        path.unlink()
    assert "streamed" in dataset.provenance
    assert sum(len(s) for s in dataset.splits.values()) == num_rows
    assert peak - before < 400 << 20
