"""Peak memory of fitting, evaluating and reporting on a memory-mapped array larger than it.

    python benchmarks/memory.py [--gigabytes 4] [--minutes 1]

Writes a random array with structure under a temporary folder, runs the command line on it, and
prints the peak resident memory of each process.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

DIMS = 784


def write(path: Path, gigabytes: float) -> int:
    """Rows of 784 float32 numbers on a 10-dimensional plane, with noise."""
    rng = np.random.default_rng(0)
    num_rows = int(gigabytes * 2**30 / (4 * DIMS))
    plane = rng.normal(size=(10, DIMS)).astype(np.float32)
    # written, not mapped: pages of a map would count as memory, and a child's peak starts from
    # that of the process it was forked from
    header = {"descr": "<f4", "fortran_order": False, "shape": (num_rows, DIMS)}
    with open(path, "wb") as file:
        np.lib.format.write_array_header_1_0(file, header)
        for first in range(0, num_rows, 20_000):
            rows = min(20_000, num_rows - first)
            codes = rng.normal(size=(rows, 10)).astype(np.float32)
            noise = rng.normal(size=(rows, DIMS)).astype(np.float32)
            (codes @ plane + 0.5 * noise).astype(np.float32).tofile(file)
    return num_rows


def measured(*words: str) -> tuple[float, float, str]:
    """Seconds, peak megabytes and standard output of one command."""
    start = time.monotonic()
    process = subprocess.Popen(
        [sys.executable, "-m", "ancestral", *words], stdout=subprocess.PIPE, text=True
    )
    output = process.stdout.read() if process.stdout else ""
    _, status, usage = os.wait4(process.pid, 0)
    if status:
        raise SystemExit(f"{words} failed")
    return time.monotonic() - start, usage.ru_maxrss / 1024, output


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--gigabytes", type=float, default=4.0)
    parser.add_argument("--minutes", type=float, default=1.0)
    parser.add_argument("--folder", default=None)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(dir=options.folder) as folder:
        path, run = Path(folder) / "rows.npy", str(Path(folder) / "run")
        num_rows = write(path, options.gigabytes)
        print(f"{num_rows} rows, {path.stat().st_size / 2**30:.2f} GB")
        print("| command | seconds | peak MB |\n| --- | ---: | ---: |")
        fit = ("fit", "vae", str(path), "--out", run, "--max-minutes", str(options.minutes))
        for words in (fit, ("evaluate", run, "--samples", "20"), ("report", run)):
            seconds, peak, _ = measured(*words)
            print(f"| {words[0]} | {seconds:.0f} | {peak:.0f} |", flush=True)


if __name__ == "__main__":
    main()
