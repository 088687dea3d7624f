"""Messages name the cause."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from torch import nn

import ancestral
from ancestral.core import Batch, NonFiniteLoss
from ancestral.inference.objectives import Loss
from ancestral.training import TrainingConfig
from ancestral.training.guard import FiniteGuard

BAD, GOOD = torch.tensor(math.inf), torch.tensor(-3.0)


def _message(terms, x=None, weight=0.1, **config):
    module = nn.Linear(2, 2)
    with torch.no_grad():
        module.weight.fill_(weight)
    guard = FiniteGuard(TrainingConfig(**config), torch.device("cpu"))
    batch = Batch(torch.zeros(3, 2) if x is None else x, index=torch.tensor([7, 8, 9]))
    return str(guard.error(module, batch, Loss(BAD, terms), 12))


def test_step_and_rows_come_first():
    assert _message({"bound": BAD}).startswith(
        "the loss is not finite at step 12 (rows 7, 8, 9): "
    )


def test_a_huge_cell_is_named():
    x = torch.zeros(3, 2)
    x[1, 1] = -1e12
    text = _message({"reconstruction": BAD}, x)
    assert "the term 'reconstruction' overflowed" in text
    assert "column 1 (counted from 0) of row 8 holds -1e+12" in text
    assert "divide that column by a constant" in text


def test_weights_that_have_grown_accuse_the_learning_rate():
    text = _message({"kl": BAD}, weight=3e7, learning_rate=10.0)
    assert "the weights weight have grown to 3e+07: training diverged" in text
    assert "lower --learning-rate (10)" in text


def test_weights_that_are_not_finite_do_too():
    text = _message({"kl": BAD}, weight=math.nan, learning_rate=0.5)
    assert "the weights weight are not finite after an earlier step that was too long" in text
    assert "(0.5)" in text


def test_weight_decay_beyond_one_is_named():
    text = _message({"bound": BAD}, weight_decay=1e5, learning_rate=1e-3)
    assert "weight decay 100000 times learning rate 0.001 is above 1" in text
    assert "lower --weight-decay" in text


def test_weights_of_terms_are_named():
    assert "such as beta" in _message({"bound": GOOD, "kl": GOOD})
    assert "while the bound is finite" in _message({"objective": BAD, "bound": GOOD})


def test_rows_that_are_not_finite_are_named():
    x = torch.full((3, 2), math.nan)
    assert "the rows themselves hold numbers" in _message({"bound": BAD}, x)


@pytest.mark.parametrize(
    ("rate", "words"), [(1e-3, "0.001 may be too high"), (10.0, "10 is too high for nearly any")]
)
def test_else_the_learning_rate(rate, words):
    assert words in _message({"bound": BAD}, learning_rate=rate)


@pytest.mark.parametrize("precision", ["bf16", "float32"])
def test_bf16_is_a_suspect_only_where_it_is_in_use(precision):
    text = _message({"bound": BAD}, precision=precision)
    assert ("--precision float32" in text) is (precision == "bf16")


def test_divergence_is_told_from_noise():
    guard = FiniteGuard(TrainingConfig(learning_rate=10.0), torch.device("cpu"))
    assert guard.divergence(-1e9, "bound") == ""  # nothing to compare with
    guard.began(Loss(GOOD, {"bound": torch.tensor(-40.0)}), "bound")
    guard.began(Loss(GOOD, {"bound": torch.tensor(-9e9)}), "bound")  # too late
    assert guard.divergence(-400.0, "bound") == ""
    assert guard.divergence(-30.0, "bound") == ""
    text = guard.divergence(-1.2e6, "bound")
    assert "fell from -40 at the first step to -1.2e+06" in text
    assert "the learning rate 10 is too high" in text


class _Heard:
    def __init__(self):
        self.said = []

    def say(self, sentence):
        self.said.append(sentence)

    def progress(self, position, means):
        pass

    def epoch(self, record):
        pass

    def close(self):
        pass


def test_a_finite_run_that_diverges_says_so_once(single_precision):
    rows = (np.random.default_rng(0).random((200, 20)) < 0.3).astype(np.uint8)
    options = {"hidden_size": 8, "num_blocks": 1, "latent_size": 2, "epochs": 4, "seed": 0}
    heard = _Heard()
    ancestral.build("vae", **options, learning_rate=10.0).fit(rows, reporter=heard)
    warnings = [s for s in heard.said if "training diverges" in s]
    assert len(warnings) == 1
    calm = _Heard()
    ancestral.build("vae", **options).fit(rows, reporter=calm)
    assert not any("diverges" in s for s in calm.said)


def test_an_outlier_that_overflows_is_named_by_a_real_run(single_precision):
    rows = np.random.default_rng(0).normal(size=(200, 4)) * 1e30
    with pytest.raises(NonFiniteLoss, match=r"column \d \(counted from 0\) of row \d+ holds"):
        ancestral.build("vae", hidden_size=8, num_blocks=1, latent_size=2, epochs=1).fit(rows)
