"""Trains in a folder, slowly, until it is done or killed: `python run_until_killed.py FOLDER`."""

from __future__ import annotations

import sys
import time
from pathlib import Path

import torch

sys.path.insert(0, str(Path(__file__).parent))
import problems

from ancestral.training import TrainingConfig, mean_terms, train

CONFIG = TrainingConfig(
    epochs=6,
    batch_size=20,
    learning_rate=0.01,
    schedule="cosine",
    lr_warmup_steps=5,
    weight_decay=1e-3,
    clip_norm=5.0,
    averaging=0.9,
    checkpoint_seconds=0.0,
    seed=3,
)


def run(folder: Path | None, pause: float = 0.0) -> dict[str, torch.Tensor]:
    torch.set_num_threads(1)
    module = problems.module(warm_up=40)
    source = problems.source()

    def validate() -> dict[str, float]:
        time.sleep(pause)
        return mean_terms(
            module.objective, module.model, module.posterior, source.ordered(50), seed=1
        )

    train(module, source, CONFIG, validate=validate, folder=folder)
    return module.state_dict()


if __name__ == "__main__":
    run(Path(sys.argv[1]), pause=0.02)
