"""Sizes and speeds of lossless compression, both ways, beside gzip, bz2, xz and PNG.

Every file is decompressed again, and compared with what it was made of. One thread.

    python benchmarks/compression.py RUN [RUN=DATA ...] [--num N] [--batch-size B]

RUN is a run folder, whose own test split is compressed; RUN=DATA names other data, such as a file.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import torch

from ancestral.applications.compression.packing import png_size, rivals
from ancestral.cli.compressible import document_of
from ancestral.cli.opened import open_run

COLUMNS = ("run", "data", "rows", "file", "symbols", "model", "gzip", "bz2", "xz", "png")
SPEEDS = ("rows/s in", "rows/s out")


def measured(word: str, num: int | None, batch_size: int | None) -> dict[str, str]:
    """One line of the table: sizes in bits a cell."""
    folder, _, data = word.partition("=")
    opened = open_run(Path(folder), "cpu")
    document, what = document_of(opened, data or None, None, None if data else num, None)
    coder = opened.estimator.coder(opened.text.vocabulary)
    packed = coder.compress(document, batch_size=batch_size)
    found = coder.decompress(packed.data)
    assert found.content == document.content, "what came back is not what went in"
    plain = document.content if document.rival is None else document.rival
    sizes = rivals(plain)
    if document.pixels is not None:
        sizes["png"] = png_size(document.pixels)
    cells = packed.num_cells
    line = {"run": opened.config.recipe, "data": what, "rows": f"{packed.num_rows:,}"}
    bits = {"file": 8 * len(packed.data), "symbols": packed.coded_bits}
    bits |= {"model": packed.content_bits} | {name: 8 * size for name, size in sizes.items()}
    line |= {name: f"{value / cells:.4f}" for name, value in bits.items()}
    seconds = (packed.seconds, found.seconds)
    return line | {
        name: f"{packed.num_rows / s:,.0f}" for name, s in zip(SPEEDS, seconds, strict=True)
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("runs", nargs="+")
    parser.add_argument("--num", type=int)
    parser.add_argument("--batch-size", type=int)
    options = parser.parse_args()
    torch.set_num_threads(1)
    print("bits a cell (a pixel, a symbol); model: -log2 p, or -ELBO of latent variables\n")
    names = (*COLUMNS, *SPEEDS)
    print("| " + " | ".join(names) + " |")
    print("| " + " | ".join("---" for _ in names) + " |")
    for word in options.runs:
        line = measured(word, options.num, options.batch_size)
        print("| " + " | ".join(line.get(name, "") for name in names) + " |", flush=True)


if __name__ == "__main__":
    main()
