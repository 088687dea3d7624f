"""Seconds to draw 64 x 1,000 characters from three LSTM layers of 512, against a plain step loop.

The plain loop is what a user writes with `nn.LSTM`: one step, softmax, draw. Weights are random:
times do not depend on them. bfloat16 is a choice: its samples are not those of float32.

    python benchmarks/text_sampling.py [--sites 1000] [--threads 1] [--rounds 3]
"""

from __future__ import annotations

import argparse

import torch
from alternating import measure, table
from torch import nn

from ancestral.distributions import Categorical, site_head
from ancestral.models import AutoregressiveModel
from ancestral.networks.causal import OneHot, RecurrentCausal

ROWS, SIZE, CODES = 64, 512, 65


class Plain(nn.Module):
    """Embedding, three layers, logits, one step after the other."""

    def __init__(self) -> None:
        super().__init__()
        self.embedding = nn.Embedding(CODES, SIZE)
        self.recurrence = nn.LSTM(SIZE, SIZE, 3, batch_first=True)
        self.output = nn.Linear(SIZE, CODES)

    def forward(self, num_sites: int) -> None:
        code, state = torch.zeros(ROWS, 1, dtype=torch.int64), None
        for _ in range(num_sites):
            hidden, state = self.recurrence(self.embedding(code), state)
            code = torch.multinomial(self.output(hidden[:, 0]).softmax(-1), 1)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--sites", type=int, default=1000)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--rounds", type=int, default=3)
    asked = parser.parse_args()
    torch.set_num_threads(asked.threads)
    sites = asked.sites
    network = RecurrentCausal(sites, CODES, OneHot(CODES), num_layers=3, embedding_size=SIZE)
    head = site_head(Categorical((sites,), CODES), sites)
    model = AutoregressiveModel(network, head, (sites,)).eval()
    plain = Plain()

    def without_gradients() -> None:
        with torch.no_grad():
            plain(sites)

    def in_bfloat16() -> None:
        with torch.autocast("cpu", torch.bfloat16):
            model.sample(ROWS)

    variants = {
        "plain loop": lambda: plain(sites),
        "plain loop, no gradients": without_gradients,
        "ancestral, float32": lambda: model.sample(ROWS),
        "ancestral, bfloat16 products": in_bfloat16,
    }
    timings = measure(variants, "plain loop", asked.rounds)
    print(table(timings, ROWS * sites, "characters"))


if __name__ == "__main__":
    main()
