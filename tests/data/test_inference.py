from __future__ import annotations

import subprocess
import sys

import numpy as np
import pandas as pd
import pytest

from ancestral.core import DataError, Kind, Specification
from ancestral.data import encode_table, infer_specification, infer_table

NAN = np.nan


@pytest.mark.parametrize(
    ("x", "kind", "num_levels", "reason"),
    [
        (np.eye(4, dtype=np.uint8), Kind.BINARY, None, "uint8 with 2 values, 0 and 1: binary"),
        (np.eye(4, dtype=bool), Kind.BINARY, None, "bool with 2 values, 0 and 1: binary"),
        (np.zeros((4, 2)), Kind.BINARY, None, "float64 with 1 value, 0: binary"),
        (np.uint8([[0, 16]]), Kind.LEVELS, 17, "uint8 from 0 to 16: 17 levels"),
        (np.uint8([[8, 238]]), Kind.LEVELS, 256, "uint8 from 8 to 238: 256 levels"),
        (np.full((2, 5, 5), 90), Kind.LEVELS, 256, "int64 from 90 to 90: 256 levels"),
        (np.array([[0, 7]]), Kind.COUNT, None, "whole numbers, int64 from 0 to 7: counts"),
        (np.array([[0.0, 7.0]]), Kind.COUNT, None, "whole numbers, float64 from 0 to 7: counts"),
        (np.array([[-2, 7]]), Kind.REAL, None, "whole numbers, some negative"),
        (np.array([[0.5, 1.0]]), Kind.UNIT, None, "float64 from 0.5 to 1: unit interval"),
        (np.float32([[0.5, 1.5]]), Kind.REAL, None, "float32 from 0.5 to 1.5: real"),
    ],
)
def test_kinds_of_arrays(x, kind, num_levels, reason):
    spec = infer_specification(x)
    assert (spec.kind, spec.num_levels) == (kind, num_levels)
    assert reason in spec.reason
    assert spec.shape == x.shape[1:]
    assert not spec.missing


def test_missing_cells_do_not_hide_the_kind():
    spec = infer_specification(np.array([[NAN, 1.0], [0.0, 1.0]]))
    assert (spec.kind, spec.missing) == (Kind.BINARY, True)
    assert infer_specification(np.full((2, 2), NAN)).kind == Kind.REAL


def test_several_parts_are_judged_together():
    spec = infer_specification([np.zeros((2, 2)), np.full((2, 2), 5.0)])
    assert spec.kind == Kind.COUNT


def test_override():
    spec = infer_specification(np.array([[1, 7]]), kind=Kind.CATEGORICAL)
    assert (spec.kind, spec.num_levels) == (Kind.CATEGORICAL, 8)
    assert "as asked" in spec.reason
    with pytest.raises(DataError, match="expected binary values in the data, got whole numbers"):
        infer_specification(np.array([[0, 7]]), kind=Kind.BINARY)
    with pytest.raises(DataError, match="expected positive values in the data"):
        infer_specification(np.array([[0.0, 0.7]]), kind=Kind.POSITIVE)


def test_table_of_one_kind_has_that_kind():
    frame = pd.DataFrame({"a": [0.5, 1.5, NAN], "b": [1.5, -2.0, 3.25]})
    spec = infer_table(frame)
    assert (spec.kind, spec.missing, len(spec.columns)) == (Kind.REAL, True, 2)
    answers = pd.DataFrame({"p": ["y", "n", "n"], "q": ["a", "b", "c"]})
    assert infer_table(answers).kind is None
    assert infer_table(answers[["p"]]).num_levels == 2


def test_table_kinds_by_name_and_types():
    frame = pd.DataFrame(
        {
            "flag": pd.array([True, None, False], dtype="boolean"),
            "whole": pd.array([3, None, 9], dtype="Int64"),
            "word": pd.array(["x", None, "y"], dtype="string"),
            "zero": [0, 0, 0],
        }
    )
    spec = infer_table(frame)
    assert [c.kind for c in spec.columns] == [
        Kind.BINARY,
        Kind.COUNT,
        Kind.CATEGORICAL,
        Kind.BINARY,
    ]
    x = encode_table(frame, spec.columns)
    np.testing.assert_array_equal(x, [[1, 3, 0, 0], [NAN, NAN, NAN, 0], [0, 9, 1, 0]])
    assert infer_table(frame, {"whole": Kind.REAL}).columns[1].kind == Kind.REAL
    assert Specification.from_dict(spec.to_dict()) == spec


def test_importing_data_is_cheap():
    code = (
        "import sys, ancestral.data; "
        "print([m for m in ('pandas', 'pyarrow', 'anndata', 'PIL', 'sklearn', 'scipy', "
        "'matplotlib', 'h5py') if m in sys.modules])"
    )
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert out.stdout.strip() == "[]"
