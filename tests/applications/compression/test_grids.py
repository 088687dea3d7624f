"""Numbers on grids, counted."""

import numpy as np
import pytest
import torch

from ancestral.applications.compression.grids import Floats, Fractions, Grids, Whole, grid_of
from ancestral.core import DataError


@pytest.mark.parametrize(
    ("values", "kind"),
    [
        (np.array([3, -7, 0]), Whole),
        (np.array([3.0, -7.0, 0.0]), Whole),
        (np.array([0.1, 0.25, -7.5]), Fractions),
        (np.array([1 / 255, 17 / 255, 1.0]), Fractions),
        (np.array([1 / 255, 17 / 255, 1.0], dtype=np.float32), Fractions),
        (np.array([np.pi, -1e-300, 1e300]), Floats),
        (np.array([np.pi, -1e-30, 1e30], dtype=np.float32), Floats),
        (np.array([0.1, 1e9 + 0.123456789]), Floats),
        (np.array([-0.0, 0.0, 1.0]), Floats),
        (np.array([1.5, 2.25], dtype=np.float16), Fractions),
    ],
)
def test_numbers_come_back_bit_for_bit(values, kind):
    grid, symbols = grid_of(values)
    assert isinstance(grid, kind)
    assert grid.low == symbols.min()
    assert grid.high == symbols.max()
    assert grid.number(symbols).astype(values.dtype).tobytes() == values.tobytes()


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("places", [0, 1, 4, 9])
def test_decimals_are_read_as_python_reads_them(seed, places):
    rng = np.random.default_rng(seed)
    texts = [f"{x:.{places}f}" for x in rng.normal(0, 1000, 50)]
    values = np.array([float(text) for text in texts]) + 0.0
    grid, symbols = grid_of(values)
    assert not isinstance(grid, Floats)
    assert (grid.number(symbols) == values).all()


def test_floats_are_counted_in_their_order():
    values = np.array([-np.inf, -1e300, -1.0, -5e-324, -0.0, 0.0, 5e-324, 1.0, 1e300, np.inf])
    symbols = Floats.symbols_of(values)
    assert (np.diff(symbols) > 0).all()
    assert symbols[4] + 1 == symbols[5]
    assert symbols[5] == 0


@pytest.mark.parametrize(
    "grid",
    [Whole(0, 9), Whole(0, 9, dequantized=True), Fractions(-3, 9, 100), Floats(0, 2**60)],
)
def test_intervals_meet_and_hold_their_number(grid):
    symbols = np.arange(0, 9, dtype=np.int64) + (2**59 if isinstance(grid, Floats) else 0)
    edges = grid.edge(np.append(symbols, symbols[-1] + 1))
    numbers = grid.number(symbols)
    assert (edges[:-1] <= numbers).all()
    assert (numbers < edges[1:]).all()


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_what_is_no_number_is_refused(bad):
    with pytest.raises(DataError, match="finite numbers"):
        grid_of(np.array([1.0, bad]))


def test_grids_go_through_json():
    grids = Grids((None, Whole(0, 3), Whole(0, 3, dequantized=True), Fractions(1, 2, 10)))
    assert Grids.from_json(grids.to_json()) == grids
    symbols = torch.tensor([[2, 1, 1, 2]])
    assert grids.numbers(symbols).tolist() == [[2.0, 1.0, 1.5, 0.2]]
    assert Grids().numbers(symbols).tolist() == [[2.0, 1.0, 1.0, 2.0]]
    assert Grids((Whole(0, 3),)).numbers(symbols).dtype == torch.float64
