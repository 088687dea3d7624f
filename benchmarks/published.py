"""Published numbers beside ours, from the command line a user would type.

    python benchmarks/published.py [--only NAME ...] [--runs FOLDER] [--minutes-scale 1.0]

Each row fits with the recipe's defaults, within its budget, and evaluates on the test split. The
table is printed as Markdown. Settings were chosen on validation splits only; seed 1 throughout.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Row:
    """One line of the table."""

    name: str
    fit: tuple[str, ...]
    minutes: float
    samples: int
    published: str


ROWS = (
    Row(
        "vae-binarized-mnist-10",
        ("vae", "binarized-mnist"),
        10,
        1000,
        "-89.9, diagonal Gaussian (Rezende & Mohamed 2015, bound)",
    ),
    Row("vae-binarized-mnist-20", ("vae", "binarized-mnist"), 20, 1000, ""),
    Row(
        "iwae-binarized-mnist-20",
        ("iwae", "binarized-mnist"),
        20,
        1000,
        "-87.1, k = 50 (Burda et al. 2016)",
    ),
    Row("conv_vae-binarized-mnist-20", ("conv_vae", "binarized-mnist"), 20, 1000, ""),
    Row(
        "vae-silhouettes",
        ("vae", "silhouettes"),
        5,
        5000,
        "-119.7, k = 5 (Li & Turner 2016)",
    ),
    Row("vae-omniglot", ("vae", "omniglot"), 5, 1000, "another subset than the papers'"),
    Row("vae-freyfaces", ("vae", "freyfaces"), 3, 1000, "4.40 bits/dim (Berg et al. 2018)"),
    Row("ppca-freyfaces", ("ppca", "freyfaces", "--dequantize"), 1, 1, ""),
    Row("vae-digits", ("vae", "digits"), 2, 1000, ""),
)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--only", nargs="+", default=None)
    parser.add_argument("--runs", type=Path, default=Path("runs/published"))
    parser.add_argument("--minutes-scale", type=float, default=1.0)
    options = parser.parse_args()
    print("| run | log p, nats | kind | samples | bits/dim | minutes | published |")
    print("| --- | ---: | --- | ---: | ---: | ---: | --- |")
    for row in ROWS:
        if options.only is not None and row.name not in options.only:
            continue
        folder = options.runs / row.name
        minutes = row.minutes * options.minutes_scale
        recipe, data, *rest = row.fit
        command = ["fit", recipe, data, "--out", str(folder), "--seed", "1", "--no-report", *rest]
        if recipe != "ppca":
            command += ["--max-minutes", str(minutes)]
        ancestral(*command, "--overwrite")
        answer = ancestral("evaluate", str(folder), "--json", "--samples", str(row.samples))
        result = json.loads(answer)
        log_p = result["log_prob"]
        print(
            f"| {recipe}, {data} | {log_p['value']:.2f} ± {log_p['std_error']:.2f} "
            f"| {log_p['kind'].replace('_', ' ')} | {log_p.get('samples') or ''} "
            f"| {result['bits_per_dim']:.3f} | {minutes:g} | {row.published} |",
            flush=True,
        )


def ancestral(*words: str) -> str:
    """Run one command; its progress goes to standard error."""
    command = [sys.executable, "-m", "ancestral", *words]
    return subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout


if __name__ == "__main__":
    main()
