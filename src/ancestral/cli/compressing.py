"""`compress` and `decompress`."""

from __future__ import annotations

import json as json_module
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ancestral.cli.flags import Flag

if TYPE_CHECKING:
    from ancestral.applications.compression import Compressed, Document

__all__ = ["compress", "decompress"]

_SUFFIX = ".anc"


def compress(
    run: Path,
    data: str | None = None,
    /,
    *,
    out: Path,
    split: str | None = None,
    num: int | None = None,
    batch_size: int | None = None,
    seed: int = 0,
    lossy: Flag = False,
    verify: Flag = False,
    overwrite: Flag = False,
    data_dir: Path | None = None,
    device: str | None = None,
    json: Flag = False,
) -> None:
    """Compress data, without loss or with: the better the model knows them, the smaller the file.

    A file (.csv .tsv .txt .wav .zip .npy) comes back byte for byte, with whatever the model does
    not know; of other data the rows come back, number for number.

    Args:
        run: folder of the run; the same is needed to decompress.
        data: a name or a path. The run's own data if it is not given.
        out: file to write, which ends in .anc.
        split: train, valid or test. If it is not given: all rows of a file, the test split of
            data that bring splits of their own.
        num: rows from the start, of data that are no file that comes back whole; all if it is
            not given.
        batch_size: rows that are coded at once, or lanes that a text is cut into; more are
            faster, take more memory, and lanes each begin without knowing what came before.
        seed: of the bits that bits-back begins with.
        lossy: send only what latent variables say of each row: a far smaller file, from which
            reconstructions come back instead of the data.
        verify: decompress it once more before the file is put in place, and compare; takes as
            long again.
        overwrite: replace --out if it is there.
        data_dir: folder of data sets.
        device: cpu or cuda; cuda if there is one. What was compressed on one must be
            decompressed on it.
        json: print one JSON object for machines.
    """
    from ancestral.applications.compression import lossy_file
    from ancestral.cli.compressible import document_of
    from ancestral.cli.lossy import lossy_report, lossy_table, lossy_warning
    from ancestral.cli.opened import open_run
    from ancestral.cli.outputs import writing
    from ancestral.cli.progress import row_bar

    opened = open_run(run, device)
    message, warning = None, ""
    with writing(out, [_SUFFIX], overwrite=overwrite) as temporary:
        document, what = document_of(opened, data, split, num, data_dir)
        coder = opened.estimator.coder(opened.text.vocabulary)
        with row_bar("compressing", len(document.symbols)) as progress:
            if lossy:
                message = lossy_file(
                    coder, document, batch_size=batch_size, seed=seed, progress=progress
                )
                temporary.write_bytes(message.data)
                warning = lossy_warning(message, document)
                report = lossy_report(message, document, opened.config.recipe, what, out)
            else:
                found = coder.compress(
                    document, batch_size=batch_size, seed=seed, progress=progress
                )
                temporary.write_bytes(found.data)
                report = _report(found, document, opened.config.recipe, what, out)
        if verify:
            back = document if message is None else message.restored
            with row_bar("verifying", len(document.symbols)) as progress:
                coder.verify(temporary.read_bytes(), back, progress=progress)
            report["verified"] = True
    if warning:
        print(warning, file=sys.stderr)
    if document.remark:
        print(document.remark, file=sys.stderr)
    print(_as_json(report) if json else (lossy_table if lossy else _as_table)(report))


def decompress(
    run: Path,
    file: Path,
    /,
    *,
    out: Path,
    overwrite: Flag = False,
    device: str | None = None,
    json: Flag = False,
) -> None:
    """Undo `compress`: the same file, byte for byte, or the same rows; of a lossy file, others.

    Args:
        run: folder of the run that compressed it.
        file: that `ancestral compress` wrote.
        out: file to write; its ending is that of the data: .csv, .txt, .wav, .zip, .npy, or .npz.
        overwrite: replace --out if it is there.
        device: cpu or cuda; the one that compressed if it is not given.
        json: print one JSON object for machines.
    """
    from ancestral.applications.compression.container import Container
    from ancestral.applications.compression.documents import FORMS, restored_array
    from ancestral.cli.lossy import LOSSY
    from ancestral.cli.opened import open_run
    from ancestral.cli.outputs import writing
    from ancestral.cli.progress import row_bar
    from ancestral.core import DataError

    if not file.is_file():
        raise DataError(f"expected a compressed file, got none: {file}")
    content = file.read_bytes()
    header = Container.from_bytes(content).header
    opened = open_run(run, device or header["arithmetic"]["device"])
    suffixes = FORMS[header["form"]].suffixes
    with writing(out, suffixes, overwrite=overwrite) as temporary:
        coder = opened.estimator.coder(opened.text.vocabulary)
        with row_bar("decompressing", header["rows"]) as progress:
            found = coder.decompress(content, progress=progress)
        if found.form == "array" and not (found.details["file"] and out.suffix.lower() == ".npy"):
            _save(temporary, restored_array(found.details, found.content))
        else:
            temporary.write_bytes(found.content)
    size, seconds = out.stat().st_size, found.seconds
    if json:
        values = {"out": str(out), "bytes": size, "rows": found.num_rows, "seconds": seconds}
        values["lossy"] = found.is_lossy
        print(_as_json(values))
    else:
        speed = found.num_rows / max(seconds, 1e-9)
        if found.is_lossy:
            print(LOSSY, file=sys.stderr)
        print(
            f"{found.num_rows:,} rows in {seconds:.1f} s, {speed:,.0f} a second", file=sys.stderr
        )
        print(out)


def _save(path: Path, array: Any) -> None:
    """An `.npy` of the array, or an `.npz` in which it is named x."""
    import numpy as np

    with path.open("wb") as file:
        if path.suffix.lower() == ".npy":
            np.save(file, array)
        else:
            np.savez_compressed(file, x=array)


def _report(
    found: Compressed, document: Document, recipe: str, what: str, out: Path
) -> dict[str, Any]:
    """What it cost, beside what others make of it."""
    from ancestral.applications.compression.packing import png_size, rivals

    plain = document.content if document.rival is None else document.rival
    others = {"as it is": len(plain), **rivals(plain)}
    if document.pixels is not None:
        others["png"] = png_size(document.pixels)
    cells = max(found.num_cells, 1)
    total = len(found.data)
    return {
        "out": str(out),
        "recipe": recipe,
        "data": what,
        "rows": found.num_rows,
        "cells": found.num_cells,
        "bytes": {
            "file": total,
            "symbols": found.coded_bits // 8,
            "side_information": found.num_side,
            "header": total - found.coded_bits // 8 - found.num_side,
        },
        "bits_per_cell": {
            "file": 8 * total / cells,
            "symbols": found.coded_bits / cells,
            "model": found.content_bits / cells,
            "masses": found.mass_bits / cells,
        },
        "missing": 0 if document.gaps is None else int((~document.gaps.seen).sum()),
        "model_kind": found.kind,
        "overhead": found.coded_bits / found.mass_bits - 1 if found.mass_bits else None,
        "others": {
            name: {"bytes": size, "bits_per_cell": 8 * size / cells}
            for name, size in others.items()
        },
        "seconds": found.seconds,
        "rows_per_second": found.num_rows / max(found.seconds, 1e-9),
        "running": document.is_running,
    }


def _as_table(report: dict[str, Any]) -> str:
    """Sizes, one to a line."""
    model = "-log2 p of the model" if report["model_kind"] == "exact" else "-ELBO of the model"
    each = "bits a symbol" if report["running"] else "bits a cell"
    lines = [(Path(report["out"]).name, report["bytes"]["file"], report["bits_per_cell"]["file"])]
    lines.append(
        ("  coded symbols", report["bytes"]["symbols"], report["bits_per_cell"]["symbols"])
    )
    for name, key in (("by its masses, in range", "masses"), (model, "model")):
        bits = report["bits_per_cell"][key]
        lines.append((f"  {name}", round(bits * report["cells"] / 8), bits))
    cells = max(report["cells"], 1)
    for name, key in (("side information", "side_information"), ("header", "header")):
        lines.append((f"  {name}", report["bytes"][key], 8 * report["bytes"][key] / cells))
    lines += [
        (name, other["bytes"], other["bits_per_cell"]) for name, other in report["others"].items()
    ]
    width = max(len(name) for name, _, _ in lines)
    head = f"{'':{width}}  {'bytes':>13}  {each:>13}"
    body = [f"{name:{width}}  {size:13,}  {bits:13.4f}" for name, size, bits in lines]
    gaps = f", {report['missing']:,} cells missing" if report["missing"] else ""
    unit = "symbols" if report["running"] else "rows"
    speed = (
        f"{report['rows']:,} {unit} of {report['data']}{gaps} in {report['seconds']:.1f} s, "
        f"{report['rows_per_second']:,.0f} a second"
    )
    return "\n".join((head, *body, speed))


def _as_json(report: dict[str, Any]) -> str:
    return json_module.dumps(report)
