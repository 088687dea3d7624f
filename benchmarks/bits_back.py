"""Bits-back: rate against the ELBO, rows a second both ways, and the lossy message.

A run is given; rows of its data are compressed at several batch sizes, decompressed, and compared
bit for bit. The ELBO is estimated from draws of its own.

    ancestral fit vae binarized-mnist --max-minutes 10 --out runs/vae
    python benchmarks/bits_back.py runs/vae [--split test] [--num 10000] [--batches 100 500 2000]
        [--threads 1] [--draws 5]
"""

from __future__ import annotations

import argparse
import bz2
import json
import math
import time
from pathlib import Path

import numpy as np
import torch

import ancestral
from ancestral.applications.compression import CodingOptions, lossy_file
from ancestral.applications.compression.bits_back import BitsBackCodec
from ancestral.core import Batch
from ancestral.estimator.compressing import document_of_source


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("run", type=Path)
    parser.add_argument("--split", default="test")
    parser.add_argument("--num", type=int, default=10_000)
    parser.add_argument("--batches", type=int, nargs="+", default=[100, 500, 2000])
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--draws", type=int, default=5)
    asked = parser.parse_args()
    torch.set_num_threads(asked.threads)
    estimator = ancestral.load(asked.run)
    name = json.loads((asked.run / "config.json").read_text())["data"]["name"]
    source = getattr(ancestral.load_dataset(name), asked.split)
    document = document_of_source(source, estimator.spec_)
    symbols, grids = document.symbols[: asked.num], document.grids
    cells = symbols.numel()
    bound = minus_elbo(estimator, grids.numbers(symbols), asked.draws) / cells
    print(f"{name}, {asked.split}: {len(symbols):,} rows, {asked.threads} threads")
    print(f"-ELBO, {asked.draws} draws  {bound:.5f} bits a cell")
    plain = document.content if document.rival is None else document.rival
    print(f"bz2               {8 * len(bz2.compress(plain, 9)) / document.symbols.numel():.5f}")
    print("batch      rate   to -ELBO  rows/s to words  back  (cpu seconds: to words  back)")
    for size in asked.batches:
        codec = BitsBackCodec(
            estimator.model_,
            estimator.posterior_,
            estimator.spec_,
            grids,
            CodingOptions(batch_size=size),
        )
        encoded, there = timed(lambda c=codec: c.encode(symbols))
        decoded, back = timed(lambda c=codec, e=encoded: c.decode(e.words, len(symbols)))
        assert torch.equal(decoded, symbols), "the rows that came back are others"
        rate = 32 * len(encoded.words) / cells
        speeds = [f"{len(symbols) / wall:8,.0f}" for wall, _ in (there, back)]
        processor = [f"{seconds:6.2f}" for _, seconds in (there, back)]
        print(f"{size:5}  {rate:.5f}  {rate / bound:8.5f}  {'  '.join((*speeds, *processor))}")
    if asked.num >= len(document.symbols):
        found = lossy_file(estimator.coder(), document)
        rows = found.num_rows
        print(
            f"lossy: {found.message_bits / rows:.2f} bits a row (KL {found.kl_bits / rows:.2f}), "
            f"mean squared error {found.squared_error:.6g}, "
            f"-log p(x|z) {found.distortion_nats / rows:.2f} nats a row"
        )


def minus_elbo(estimator, numbers: torch.Tensor, num_draws: int) -> float:
    """Bits of all rows."""
    total = 0.0
    like = next(estimator.model_.parameters())
    with torch.no_grad(), ancestral.core.seeded(1):
        for rows in numbers.to(like).split(500):
            batch = Batch(rows)
            z, log_q = estimator.posterior_.draw(estimator.model_, batch, num_draws)
            terms = estimator.model_.log_joint(batch.x, z) - log_q
            total -= float(terms.mean(0).double().sum())
    return total / math.log(2)


def timed(function):
    wall, processor = time.perf_counter(), time.process_time()
    found = function()
    return found, (time.perf_counter() - wall, time.process_time() - processor)


if __name__ == "__main__":
    np.seterr(all="raise", under="ignore")
    main()
