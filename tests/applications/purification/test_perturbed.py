"""Balls around rows on any scale, and the way back."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from ancestral.applications.purification import Perturbed, full_scale_of
from ancestral.core import (
    Column,
    DataError,
    IncompatibleChoices,
    Kind,
    OptionError,
    Specification,
)

GREY = Specification(Kind.LEVELS, (4,), num_levels=256)
FEW = Specification(Kind.LEVELS, (4,), num_levels=4)
BLACK_WHITE = Specification(Kind.BINARY, (4,))
TABLE = Specification(
    None,
    (5,),
    columns=(
        Column("sick", Kind.BINARY),
        Column("colour", Kind.CATEGORICAL, 3, ("a", "b", "c")),
        Column("visits", Kind.COUNT),
        Column("height", Kind.REAL),
        Column("share", Kind.UNIT),
    ),
)


@pytest.mark.parametrize(
    ("values", "spec", "expected"),
    [
        (np.array([[0, 3, 200, 255]], dtype=np.uint8), GREY, 255),
        (np.array([[0, 0.2, 0.9, 1]]), GREY, 1),
        (np.array([[0, 51.3, 254.0, 255]]), GREY, 255),
        (np.array([[0, 1, 2, 3]]), FEW, 3),
        (np.array([[0, 1.5, 2.2, 3]]), FEW, 3),
        (np.array([[0, 80, 2, 3]]), FEW, 255),
        (np.array([[0, 76.5, 2, 3]]), FEW, 255),
        (np.array([[0, 1, 1, 0]]), FEW, 3),
        (np.array([[0, 1.0, 1, 0]]), FEW, 1),
        (np.array([[0, 1, 1, 0]]), BLACK_WHITE, 1),
        (np.array([[0, 0.3, 1, 0]]), BLACK_WHITE, 1),
        (np.array([[0, 255, 255, 0]], dtype=np.uint8), BLACK_WHITE, 255),
    ],
)
def test_the_scale_is_found(values, spec, expected):
    assert full_scale_of(values, spec) == expected


@pytest.mark.parametrize(
    ("values", "hint"),
    [([-0.3, 0.0, 0.5, 1.0], "clip"), ([0.0, 0.2, 1.0, 1.3], "clip"), ([0, 1, 2, 400.0], "white")],
)
def test_a_scale_that_cannot_be_told_is_refused(values, hint):
    with pytest.raises(DataError) as caught:
        full_scale_of(np.array([values]), GREY)
    assert hint in str(caught.value.hint)


@pytest.mark.parametrize("spec", [GREY, FEW, BLACK_WHITE])
@pytest.mark.parametrize("top", [1.0, 255.0])
@pytest.mark.parametrize("epsilon", [0.0, 0.05, 0.3, 1.0])
def test_nothing_leaves_the_ball_whatever_the_codes(spec, top, epsilon):
    values = np.random.default_rng(0).uniform(0, top, (50, 4))
    found = Perturbed.of(values, spec, epsilon, full_scale=top)
    ball = found.ball(torch.float32)
    assert bool((ball.low <= ball.high).all())
    for codes in (ball.low, ball.high, found.codes(torch.float32)):
        back = found.restored(codes).numpy()
        assert np.abs(back - values).max() <= epsilon * top + 1e-9
        assert back.min() >= 0
        assert back.max() <= top


def test_codes_in_the_ball_are_those_whose_value_is():
    found = Perturbed.of(np.array([[0.0, 0.3, 0.7, 0.5]]), FEW, 0.3)
    ball = found.ball(torch.float64)
    # 0, 1/3, 2/3 and 1 within 0.3 of 0, 0.3, 0.7 and 0.5
    assert ball.low.tolist() == [[0, 0, 2, 1]]
    assert ball.high.tolist() == [[0, 1, 3, 2]]


def test_where_no_code_is_in_the_ball_the_nearest_stands_for_it():
    found = Perturbed.of(np.array([[0.5, 0.1, 0.45, 0.9]]), BLACK_WHITE, 0.05)
    ball = found.ball(torch.float64)
    assert ball.low.tolist() == ball.high.tolist() == [[0, 0, 0, 1]]
    assert found.restored(ball.low).tolist() == pytest.approx(
        torch.tensor([[0.45, 0.05, 0.4, 0.95]])
    )


def test_what_was_added_in_single_precision_can_be_taken_off():
    x = np.array([[0.1, 0.2, 0.7, 0.0]], dtype=np.float32)
    attacked = x + np.float32(0.3)
    found = Perturbed.of(attacked, Specification(Kind.LEVELS, (4,), num_levels=11), 0.3)
    assert found.ball(torch.float64).low.tolist() == [[1, 2, 7, 0]]


def test_whole_numbers_stay_whole():
    values = np.array([[0, 77, 130, 255]], dtype=np.uint8)
    found = Perturbed.of(values, GREY, 0.3)
    ball = found.ball(torch.float64)
    assert ball.low.tolist() == [[0, 1, 54, 179]]
    assert ball.high.tolist() == [[76, 153, 206, 255]]
    few = Perturbed.of(values, FEW, 0.3)
    back = few.restored(few.ball(torch.float64).low)
    assert torch.equal(back, back.round())


def test_binary_data_only_flip_from_epsilon_1_on():
    values = np.array([[0, 1, 1, 0]])
    for epsilon, low in ((0.99, [[0, 1, 1, 0]]), (1.0, [[0, 0, 0, 0]])):
        assert Perturbed.of(values, BLACK_WHITE, epsilon).ball(torch.float64).low.tolist() == low


def test_columns_have_their_own_units_and_limits():
    values = np.array([[1.0, 2.0, 1.0, 170.0, 0.9]])
    found = Perturbed.of(values, TABLE, np.array([1.0, 5.0, 2.5, 3.0, 0.3]))
    ball = found.ball(torch.float64)
    assert ball.low.tolist()[0] == pytest.approx([0, 2, 0, 167, 0.6])
    assert ball.high.tolist()[0] == pytest.approx([1, 2, 3, 173, 1.0])
    assert ball.whole.tolist() == [True, True, True, False, False]
    assert found.restored(ball.high).tolist()[0] == pytest.approx([1, 2, 3, 173, 1.0])


def test_what_makes_no_sense_is_refused():
    text = Specification(Kind.CATEGORICAL, (4,), num_levels=65)
    with pytest.raises(IncompatibleChoices, match="no distance"):
        Perturbed.of(np.zeros((1, 4)), text, 0.3)
    with pytest.raises(OptionError, match="at least 0"):
        Perturbed.of(np.zeros((1, 4)), GREY, -0.1)
    with pytest.raises(OptionError, match="one for each cell"):
        Perturbed.of(np.zeros((1, 4)), GREY, np.zeros(3))
    with pytest.raises(OptionError, match="full scale"):
        Perturbed.of(np.zeros((1, 5)), TABLE, 0.1, full_scale=255)
    with pytest.raises(OptionError, match="above 0"):
        Perturbed.of(np.zeros((1, 4)), GREY, 0.1, full_scale=0.0)
