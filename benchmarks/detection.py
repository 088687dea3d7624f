"""How well trained runs tell their data from outliers: AUROC of every score, and p-values.

    python benchmarks/detection.py runs/vae-mnist runs/vae-binarized-mnist [--num 2000]

For each run: the test split of its data against OMNIGLOT, silhouettes and every made outlier;
and Kolmogorov and Smirnov's distance of the test rows' p-values from uniform. Needs the data sets
in $ANCESTRAL_DATA. The runs are only read, but for `detection.npz`, which remembers calibration.
"""

from __future__ import annotations

import argparse
import contextlib
import io
import json
import time

from ancestral.cli import main

SETS = "omniglot,silhouettes,all"


def told(*words: str) -> dict:
    out = io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(io.StringIO()) as err:
        code = main(["detect", *words, "--json"])
    if code:
        raise SystemExit(err.getvalue())
    return json.loads(out.getvalue())


def measure(run: str, num: int, rows: int | None) -> None:
    began = time.perf_counter()
    found = told(run, "--against", SETS, "--num", str(num))
    seconds = time.perf_counter() - began
    scores = list(found["scores"])
    print(
        f"\n{found['recipe']} on {found['data']}: AUROC ({found['n']:,} normal rows, "
        f"{seconds:.0f} s)\n"
    )
    print("| outliers | " + " | ".join(scores) + " |")
    print("| --- |" + " ---: |" * len(scores))
    for name, row in found["against"].items():
        cells = [f"{row[s]['auroc']:.3f} ± {row[s]['std_error']:.3f}" for s in scores]
        print(f"| {name} | " + " | ".join(cells) + " |")
    for score in scores:
        words = [] if rows is None else ["--num", str(rows)]
        one = told(run, "--score", score, "--top", "0", *words)
        uniform = one["uniformity"]
        print(
            f"p-values of {score}, {one['n']:,} test rows: distance from uniform "
            f"{uniform['distance']:.4f}, p = {uniform['p_value']:.2g}"
        )


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("runs", nargs="+")
    parser.add_argument("--num", type=int, default=2000, help="rows of each set")
    parser.add_argument("--rows", type=int, help="test rows for the p-values; all by default")
    given = parser.parse_args()
    for run in given.runs:
        measure(run, given.num, given.rows)
