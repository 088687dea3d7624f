"""Published numbers beside ours, from the command line a user would type.

    python benchmarks/published.py [--only NAME ...] [--runs FOLDER] [--minutes-scale 1.0]

Each row fits with the recipe's defaults, within its budget, and evaluates on the test split; the
validation split, by which settings and weights were chosen, stands beside it. The table is
printed as Markdown. Seed 1 throughout.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import time
from pathlib import Path

from published_rows import AUTOREGRESSIVE, LATENT, SOLVED, Row

ROWS = (*LATENT, *AUTOREGRESSIVE)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--only", nargs="+", default=None, help="names of runs, or of recipes")
    parser.add_argument("--runs", type=Path, default=Path("runs/published"))
    parser.add_argument("--minutes-scale", type=float, default=1.0)
    options = parser.parse_args()
    print("| run | log p, nats | validation | kind | samples | bits/dim | minutes | published |")
    print("| --- | ---: | ---: | --- | ---: | ---: | ---: | --- |")
    for row in ROWS:
        wanted = options.only is None or {row.run, row.fit[0]} & set(options.only)
        if wanted:
            print(line(row, options.runs / row.run, options.minutes_scale), flush=True)


def line(row: Row, folder: Path, minutes_scale: float) -> str:
    recipe, data, *rest = row.fit
    command = ["fit", recipe, data, "--out", str(folder), "--seed", "1", "--no-report", *rest]
    if recipe not in SOLVED:
        command += ["--max-minutes", str(row.minutes * minutes_scale)]
    started = time.monotonic()
    ancestral(*command, "--overwrite")
    minutes = (time.monotonic() - started) / 60
    result, valid = evaluated(folder, "test", row), evaluated(folder, "valid", row)
    log_p = result["log_prob"]
    each = ""
    if "per_symbol" in result:
        each = f", {result['per_symbol']['nats']:.4f} a symbol"
    bits = result.get("bits_per_dim")
    name = " ".join((f"`{recipe}`, {data}", *rest))
    return (
        f"| {name} | {log_p['value']:.2f} ± {log_p['std_error']:.2f}{each} "
        f"| {valid['log_prob']['value']:.2f} "
        f"| {log_p['kind'].replace('_', ' ')} | {log_p.get('samples') or ''} "
        f"| {'' if bits is None else f'{bits:.3f}'} | {minutes:.1f} | {row.published} |"
    )


def evaluated(folder: Path, split: str, row: Row) -> dict:
    words = ("evaluate", str(folder), "--json", "--samples", str(row.samples), "--split", split)
    return json.loads(ancestral(*words))


def ancestral(*words: str) -> str:
    """Run one command; its progress goes to standard error."""
    command = [sys.executable, "-m", "ancestral", *words]
    return subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout


if __name__ == "__main__":
    main()
