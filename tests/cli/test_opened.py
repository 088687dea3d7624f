"""Which rows a report looks at."""

from __future__ import annotations

import numpy as np
import pytest

from ancestral.cli.opened import random_rows
from ancestral.data import as_source, load_dataset


def test_rows_of_a_sorted_split_are_a_fair_sample():
    source = as_source(np.repeat(np.arange(10.0) + 0.5, 200).reshape(-1, 1))
    drawn = random_rows(source, 500).rows(slice(None)).x.flatten().numpy()
    counts = np.unique(drawn, return_counts=True)[1]
    # 500 of 2,000 without replacement: 50 of each, standard deviation under 6; seed fixed
    assert len(drawn) == 500
    assert (np.abs(counts - 50) < 24).all()
    assert len(counts) == 10
    again = random_rows(source, 500).rows(slice(None)).x.flatten().numpy()
    assert np.array_equal(drawn, again)
    assert random_rows(source, 5000) is source


@pytest.mark.parametrize("kind", [None, "real"])
def test_streamed_rows_can_be_drawn_too(tmp_path, kind):
    rows = np.random.default_rng(0).integers(0, 50, (4000, 30)).astype(np.uint8)
    np.save(tmp_path / "rows.npy", rows)
    dataset = load_dataset(tmp_path / "rows.npy", kind=kind, max_memory=1000)
    drawn = random_rows(dataset.train, 100)
    assert drawn.rows(slice(None)).x.shape == (100, 30)
