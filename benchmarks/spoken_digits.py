"""Bits per sample of spoken digits: WaveNet, a linear predictor, and code frequencies.

    ANCESTRAL_DATA=... python benchmarks/spoken_digits.py --minutes 10 --wav digits.wav

Prints a Markdown table. Each frame of 1,024 samples is scored by itself: its first samples are
predicted from few others or none, and count as all the others do. What is fitted is chosen on the
validation split (recording 14 of each speaker and digit); the test split (recordings 0 to 4, the
data's own rule) is scored once.
"""

from __future__ import annotations

import argparse
import copy
import math
import time
import wave
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

import ancestral
from ancestral.data import Dataset, mu_law_inverse
from ancestral.models import AutoregressiveModel

CODES = 256
SECONDS_PER_SOUND, NUM_SOUNDS = 1.0, 4


class LinearPredictor(nn.Module):
    """Softmax of a sum of one row for each of the last codes: order-`lags` logistic regression."""

    def __init__(self, lags: int) -> None:
        super().__init__()
        self.lags = lags
        # the last row of each lag stands for "before the start"
        self.rows = nn.Parameter(torch.zeros(lags * (CODES + 1), CODES))
        self.bias = nn.Parameter(torch.zeros(CODES))

    def forward(self, x: Tensor) -> Tensor:
        """Log p of each code, [batch, T]."""
        past = F.pad(x.long(), (self.lags, 0), value=CODES)[:, :-1].unfold(1, self.lags, 1)
        index = past + torch.arange(self.lags) * (CODES + 1)
        logits = F.embedding_bag(index.flatten(0, 1), self.rows, mode="sum") + self.bias
        return -F.cross_entropy(logits, x.long().flatten(), reduction="none").view(x.shape)


def rows_of(data: Dataset, split: str) -> Tensor:
    """Codes [frames, T]."""
    return data.splits[split].rows(slice(None)).x


def frequencies(data: Dataset) -> Callable[[Tensor], Tensor]:
    """Codes drawn independently, each as often as in training and half a time more."""
    count = torch.bincount(rows_of(data, "train").long().flatten(), minlength=CODES) + 0.5
    log_prob = (count / count.sum()).log()
    return lambda x: log_prob[x.long()]


def linear(data: Dataset, lags: int, epochs: int) -> Callable[[Tensor], Tensor]:
    """The linear predictor of the epoch that is best on the validation split."""
    torch.manual_seed(0)
    model, best, kept = LinearPredictor(lags), math.inf, None
    optimizer = torch.optim.Adam(model.parameters(), lr=2e-3)
    train, valid = rows_of(data, "train"), rows_of(data, "valid")
    for _ in range(epochs):
        for index in torch.randperm(len(train)).split(4):
            loss = -model(train[index]).mean()
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
        with torch.no_grad():
            value = -float(model(valid).mean())
        if value >= best:
            break
        best, kept = value, copy.deepcopy(model)
    assert kept is not None
    return kept


def in_bits(log_prob: Tensor) -> tuple[float, float]:
    """Bits per sample and its standard error over frames, of log p [frames, T]."""
    bits = -log_prob.double().mean(1) / math.log(2)
    return float(bits.mean()), float(bits.std()) / len(bits) ** 0.5


def write_sounds(model: AutoregressiveModel, rate: int, path: Path) -> float:
    """Sounds of another length than the frames, one after the other; seconds a sound took."""
    torch.manual_seed(0)
    start = time.perf_counter()
    codes = model.with_length(round(SECONDS_PER_SOUND * rate)).sample(NUM_SOUNDS)
    seconds = (time.perf_counter() - start) / NUM_SOUNDS
    samples = np.pad(mu_law_inverse(codes.numpy()), ((0, 0), (0, rate // 4))).ravel()
    with wave.open(str(path), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(rate)
        file.writeframes((samples * 32767).round().astype("<i2").tobytes())
    return seconds


def main() -> None:
    """Fit, score, print, write."""
    parser = argparse.ArgumentParser(description="bits per sample of spoken digits")
    parser.add_argument("--minutes", type=float, default=10.0, help="for fitting WaveNet")
    parser.add_argument("--lags", type=int, default=16, help="of the linear predictor")
    parser.add_argument("--epochs", type=int, default=15, help="of the linear predictor, at most")
    parser.add_argument("--wav", type=Path, help="file for sounds of the model")
    choices = parser.parse_args()

    data = ancestral.load_dataset("fsdd")
    scorers = {
        "code frequencies (order 0)": frequencies(data),
        f"linear softmax, {choices.lags} lags": linear(data, choices.lags, choices.epochs),
    }
    estimator = ancestral.build("wavenet", max_minutes=choices.minutes)
    estimator.fit(data.train, validation=data.valid)
    model = estimator.model_
    assert isinstance(model, AutoregressiveModel)
    scorers[f"wavenet, {choices.minutes:g} minutes"] = lambda x: torch.cat(
        [model.log_prob_sites(part) for part in x.split(20)]
    )
    print("| model | valid, bits/sample | test, bits/sample |\n| --- | --- | --- |")
    with torch.no_grad():
        for name, scorer in scorers.items():
            cells = [in_bits(scorer(rows_of(data, split))) for split in ("valid", "test")]
            print(f"| {name} | " + " | ".join(f"{m:.3f} ± {e:.3f}" for m, e in cells) + " |")
    if choices.wav is not None:
        seconds = write_sounds(model, data.sample_rate or 0, choices.wav)
        print(f"\n{choices.wav}: {seconds:.2f} s of computing for a second of sound")


if __name__ == "__main__":
    main()
