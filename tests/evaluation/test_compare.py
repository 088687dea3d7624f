"""One table, one unit, and refusals."""

from __future__ import annotations

import json
import math
from dataclasses import replace

import numpy as np
import pytest

from ancestral.core import IncompatibleChoices, OptionError
from ancestral.evaluation import (
    Cost,
    Evaluation,
    Number,
    Setting,
    compare,
    comparison_page,
    comparison_picture,
)
from ancestral.evaluation.comparison_page import cells_of

BASE = np.random.default_rng(0).normal(-90, 10, 200)
JITTER = np.random.default_rng(2).normal(0, 0.5, 200)


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


@pytest.mark.parametrize(
    ("best", "other", "kind", "words"),
    [
        ("exact", "exact", "exact", "certainly worse (more than 4 standard errors)"),
        ("exact", "lower_bound", "at_most", "or better: its number is a bound"),
        ("lower_bound", "exact", "at_least", "certainly worse, by this or more"),
        ("lower_bound", "lower_bound", "of_two_bounds", "not certain: a difference of two bounds"),
        ("exact", "consistent", "estimate", "probably worse: an estimate"),
        ("upper_bound", "exact", "at_most", "its number is a bound"),
        ("upper_bound", "upper_bound", "of_two_bounds", "not certain"),
    ],
)
def test_what_a_difference_says_depends_on_both_kinds(best, other, kind, words):
    rows = compare(
        {"a": _evaluation(BASE, kind=best), "b": _evaluation(BASE - 3 + JITTER, kind=other)}
    )
    assert rows[1].difference_kind == kind
    assert words in rows[1].verdict
    assert rows[0].verdict == "the highest number"


def test_a_bound_above_an_exact_number_is_certain_below_it_is_not():
    """log p >= bound > exact: the order is known; exact > bound: it is not."""
    above = compare(
        {"exact": _evaluation(BASE, kind="exact"), "bound": _evaluation(BASE + 2 + JITTER)}
    )
    assert [row.name for row in above] == ["bound", "exact"]
    assert above[1].difference_kind == "at_least"
    below = compare(
        {"exact": _evaluation(BASE, kind="exact"), "bound": _evaluation(BASE - 2 + JITTER)}
    )
    assert below[1].difference_kind == "at_most"
    assert "certainly" not in below[1].verdict


def test_two_standard_errors_are_clear_and_not_certain():
    noise = np.tile([1.0, -1.0], 50) * 0.5  # of 100 differences: a standard error of 0.05025
    values = np.linspace(-90, -80, 100)
    for gap, words in ((0.15, "clearly worse (more than 2 standard errors)"), (0.25, "certainly")):
        rows = compare(
            {
                "a": _evaluation(values, kind="exact"),
                "b": _evaluation(values - gap + noise, kind="exact"),
            }
        )
        assert rows[1].verdict.startswith(words)


def test_one_row_has_no_spread():
    rows = compare(
        {
            name: replace(_evaluation(BASE - k, kind="exact"), n=1, values=BASE[:1] - k)
            for k, name in enumerate("ab")
        }
    )
    assert rows[1].verdict == "not known: one row has no spread"
    assert [row.std_error for row in rows] == [None, None]
    assert not any("nan" in cell for row in rows for cell in cells_of(row))


def test_small_differences_are_not_clear():
    rows = compare(
        {
            "a": _evaluation(BASE, kind="exact"),
            "b": _evaluation(BASE - 0.01 + JITTER, kind="exact"),
        }
    )
    assert rows[1].verdict == "no clear difference"


def test_costs_and_json():
    cost = Cost(12_345, 60.0, 1.5)
    blank = Evaluation(Setting("autoencoder", "digits", "test", "static"), 200)
    rows = compare({"vae": _evaluation(BASE), "ae": blank}, {"vae": cost})
    found = [row.to_dict() for row in rows]
    json.dumps(found, allow_nan=False)
    assert found[0]["num_parameters"] == 12_345
    assert (found[0]["training_seconds"], found[0]["scoring_seconds"]) == (60.0, 1.5)
    assert found[1]["num_parameters"] is None
    assert cells_of(rows[0])[6:9] == ("12,345", "60 s", "1.5 s")
    assert cells_of(rows[1])[5] == "no likelihood"


def test_the_page_and_the_picture():
    rows = compare(
        {"a & b": _evaluation(BASE, kind="exact"), "x" * 90: _evaluation(BASE - 2 + JITTER)}
    )
    page = comparison_page(rows, "Runs compared", "200 data.")
    assert "a &amp; b" in page
    assert page.count("<tr>") == 3
    assert "<svg" in page
    assert comparison_picture(compare({"a": replace(_evaluation(BASE), log_prob=None)})) is None
