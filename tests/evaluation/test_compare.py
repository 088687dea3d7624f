"""One table, one unit, and refusals."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest

from ancestral.core import IncompatibleChoices, OptionError
from ancestral.evaluation import Evaluation, Number, Setting, compare

BASE = np.random.default_rng(0).normal(-90, 10, 200)


def _evaluation(values, recipe="vae", kind="lower_bound"):
    error = values.std(ddof=1) / math.sqrt(len(values))
    number = Number(float(values.mean()), error, kind, None if kind == "exact" else 1000)
    setting = Setting(recipe, "digits", "test", "static")
    return Evaluation(setting, len(values), log_prob=number, bits_per_dim=1.0, values=values)


def test_best_first_with_paired_differences():
    noise = np.random.default_rng(1).normal(0, 0.5, 200)
    table = compare(
        {"worse": _evaluation(BASE - 1 + noise), "better": _evaluation(BASE, "ppca", "exact")}
    )
    assert [row.name for row in table] == ["better", "worse"]
    best, other = table
    assert (best.below_best, best.below_best_std_error) == (0.0, 0.0)
    assert (best.kind, best.samples, other.kind, other.samples) == (
        "exact",
        None,
        "lower_bound",
        1000,
    )
    assert other.below_best == pytest.approx(1 - noise.mean())
    assert other.below_best_std_error == pytest.approx(noise.std(ddof=1) / math.sqrt(200))
    assert other.below_best_std_error < 0.1 * other.std_error


def test_without_values_of_each_datum_there_is_no_paired_error():
    rows = compare({"a": _evaluation(BASE), "b": replace(_evaluation(BASE - 2), values=None)})
    assert rows[1].below_best == pytest.approx(2)
    assert rows[1].below_best_std_error is None


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"setting": Setting("vae", "mnist", "test", "static")}, "data: 'digits' for a, 'mnist'"),
        ({"setting": Setting("vae", "digits", "valid", "static")}, "split: 'test' for a, 'valid'"),
        ({"setting": Setting("vae", "digits", "test", "")}, "binarization: 'static' for a, ''"),
        ({"n": 100}, "number of data: 200 for a, 100 for b"),
    ],
)
def test_runs_on_other_data_are_refused(change, words):
    with pytest.raises(IncompatibleChoices, match=words) as refusal:
        compare({"a": _evaluation(BASE), "b": replace(_evaluation(BASE), **change)})
    assert refusal.value.hint


def test_autoencoders_come_last_without_numbers():
    blank = Evaluation(Setting("autoencoder", "digits", "test", "static"), 200)
    last = compare({"ae": blank, "vae": _evaluation(BASE)})[-1]
    assert (last.name, last.log_prob, last.below_best, last.kind) == ("ae", None, None, "none")


def test_a_broken_run_is_not_the_best():
    broken = replace(
        _evaluation(BASE), log_prob=Number(math.nan, math.nan, "exact", None), values=None
    )
    assert [r.name for r in compare({"nan": broken, "vae": _evaluation(BASE)})] == ["vae", "nan"]


def test_nothing_to_compare():
    with pytest.raises(OptionError, match="expected runs to compare, got none"):
        compare({})
