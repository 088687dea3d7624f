"""What is said of a lossy file: its rate, and its distortion."""

from __future__ import annotations

import math
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ancestral.applications.compression import Document, LossyFile

__all__ = ["LOSSY", "lossy_report", "lossy_table", "lossy_warning"]

LOSSY = "the file is lossy: these are the model's reconstructions, not the data themselves"


def lossy_report(
    found: LossyFile, document: Document, recipe: str, what: str, out: Path
) -> dict[str, Any]:
    """Rate and distortion of a lossy file."""
    rows, cells = max(found.num_rows, 1), max(found.num_cells, 1)
    total = len(found.data)
    plain = document.content if document.rival is None else document.rival
    return {
        "out": str(out),
        "recipe": recipe,
        "data": what,
        "lossy": True,
        "rows": found.num_rows,
        "cells": found.num_cells,
        "bytes": {
            "file": total,
            "message": found.message_bits // 8,
            "side_information": found.num_side,
            "as_it_is": len(plain),
        },
        "rate": {
            "bits_per_row": found.message_bits / rows,
            "kl_bits_per_row": found.kl_bits / rows,
            "kl_nats_per_row": found.kl_nats / rows,
            "bits_per_cell": found.message_bits / cells,
        },
        "distortion": {
            "mean_squared_error": found.squared_error,
            "minus_log_p_x_given_z_nats_per_row": found.distortion_nats / rows,
            "minus_log_p_x_given_z_bits_per_row": found.distortion_nats / rows / math.log(2),
        },
        "seconds": found.seconds,
        "rows_per_second": found.num_rows / max(found.seconds, 1e-9),
    }


def lossy_warning(found: LossyFile, document: Document) -> str:
    """Where it would be as well to keep everything; "" where it would not.

    Without loss rows take about KL and distortion together.
    """
    plain = len(document.content if document.rival is None else document.rival)
    # without loss there would be about the same header, and the same side information
    lossless = found.lossless_nats / math.log(2) / 8 + len(found.data) - found.message_bits / 8
    others = {"the rows as they are take": plain, "a file without loss would take": lossless}
    other, size = min(others.items(), key=lambda pair: pair[1])
    if len(found.data) <= size:
        return ""
    return (
        f"warning: the lossy file takes {len(found.data):,} bytes, and {other} {size:,.0f}: "
        "better leave out --lossy"
    )


def lossy_table(report: dict[str, Any]) -> str:
    """The same for people."""
    size, rate, distortion = report["bytes"], report["rate"], report["distortion"]
    nats = distortion["minus_log_p_x_given_z_nats_per_row"]
    lines = [
        f"{report['out']}: {size['file']:,} bytes for {size['as_it_is']:,}, and LOSSY: "
        "reconstructions come back, not the data",
        f"rate        {rate['bits_per_row']:.2f} bits a row ({rate['bits_per_cell']:.4f} a cell)",
        f"  KL(q||p)  {rate['kl_bits_per_row']:.2f} bits a row "
        f"({rate['kl_nats_per_row']:.2f} nats): what a draw of z takes at least",
        f"distortion  {distortion['mean_squared_error']:.6g} mean squared error of a cell",
        f"  -log p(x|z) {nats:.2f} nats a row: how far x is from what comes back; no likelihood "
        "of x",
        f"{report['rows']:,} rows of {report['data']} in {report['seconds']:.1f} s, "
        f"{report['rows_per_second']:,.0f} a second",
    ]
    return "\n".join(lines)
