"""How far log p of a row moves with what should not matter: batch, company, order, threads.

For each run folder, log p of the first rows of its test split, as one batch on one thread, against
the same rows in other batches, one by one, in another order and on two threads; and the codes.

    python benchmarks/reproducibility.py RUN [RUN ...] [--rows 100] [--samples 100]
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
import torch

from ancestral.cli.opened import first_rows, open_run
from ancestral.core import AncestralError, Estimate
from ancestral.data import Source, TensorSource
from ancestral.evaluation import Setting, evaluate
from ancestral.inference.evidence import default_method


def moved(values: torch.Tensor, reference: torch.Tensor) -> tuple[float, float]:
    """Largest difference in nats, and relative to |log p|."""
    difference = (values - reference).abs()
    return float(difference.max()), float((difference / reference.abs().clamp_min(1)).max())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("runs", nargs="+", type=Path)
    parser.add_argument("--rows", type=int, default=100)
    parser.add_argument("--samples", type=int, default=100)
    options = parser.parse_args()
    torch.set_num_threads(1)
    print("| run | log p | batches of 7 | alone | another order | two threads | codes |")
    print("| --- | ---: | ---: | ---: | ---: | ---: | ---: |")
    for run in options.runs:
        print(line(run, options.rows, options.samples), flush=True)


def line(run: Path, num_rows: int, num_samples: int) -> str:
    opened = open_run(run)
    model = opened.estimator
    source = first_rows(opened.data(None, None).test, num_rows)
    if source.log_prob_kind != "exact":  # noise that made reals of integers goes with the place
        source = TensorSource(source.rows(slice(None)).x, source.spec)
    method = default_method(model.model_, num_samples)

    def scores(rows: Source) -> Estimate:
        return model.score_samples(rows, method)

    whole = scores(source).value
    order = np.random.default_rng(0).permutation(len(source))
    setting = Setting(run.name, "", "test")
    parts = (model.model_, model.posterior_, source)
    sevens = evaluate(*parts, setting=setting, method=method, batch_size=7).values
    alone = [scores(source.subset(slice(i, i + 1))).value for i in range(0, len(source), 10)]
    shuffled = scores(source.subset(order)).value
    torch.set_num_threads(2)
    two = scores(source).value
    torch.set_num_threads(1)
    found = [
        moved(torch.as_tensor(sevens), whole),
        moved(torch.cat(alone), whole[::10]),
        moved(shuffled, whole[order]),
        moved(two, whole),
    ]
    cells = [f"{absolute:.1e} ({relative:.0e})" for absolute, relative in found]
    try:
        codes = model.encode(source)
        other = np.concatenate([model.encode(source.subset([i])) for i in range(0, num_rows, 10)])
        cells.append(f"{np.abs(other - codes[::10]).max() / np.abs(codes).max():.0e}")
    except AncestralError:
        cells.append("none")
    return f"| {run.name} | {float(whole.mean()):.2f} | {' | '.join(cells)} |"


if __name__ == "__main__":
    main()
