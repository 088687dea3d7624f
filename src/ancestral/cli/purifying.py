"""`purify`."""

from __future__ import annotations

import json as json_module
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from ancestral.cli.flags import Flag

if TYPE_CHECKING:
    import numpy as np

    from ancestral.cli.opened import OpenedRun
    from ancestral.cli.suspects import Suspects
    from ancestral.core import Estimate
    from ancestral.estimator.purifying import Purified

__all__ = ["purify"]

_PICTURED = 36  # rows in a picture


def purify(
    run: Path,
    data: str | None = None,
    /,
    *,
    out: Path,
    epsilon: str,
    method: Literal["auto", "greedy", "sampled", "reconstruction", "ascent"] = "auto",
    boldness: float | None = None,
    p_below: float | None = None,
    full_scale: float | None = None,
    split: str | None = None,
    num: int | None = None,
    seed: int = 0,
    overwrite: Flag = False,
    json: Flag = False,
    data_dir: Path | None = None,
    device: str | None = None,
) -> None:
    """Undo small changes made on purpose: rows near those given that the model finds likelier.

    Args:
        run: folder of the run.
        data: a name or a path, such as an .npz or .npy of attacked images: the data's levels, or
            from 0 to 1, or from 0 to 255, fractions allowed. The run's own data if it is not
            given. All rows of a file, in its order; of data that come in splits, the test split.
        out: file to write: .npz (purified, given, chosen, and log_prob before and after), .npy
            or .csv of the purified rows, in the units of the data; or .png for images.
        epsilon: how far a cell may be from what it was: of pictures a share of the way from
            black to white, such as 0.3; of tables in each column's own units, or of some
            columns: alcohol=0.5,density=0.01.
        method: greedy takes cell after cell the likeliest value given those before it, sampled
            draws it, reconstruction goes to what the decoder makes of the row's code, ascent
            takes the best row for the code and the code of that row in turn; auto is greedy
            for autoregressive models and reconstruction for others.
        boldness: of greedy and sampled: by how many nats a change of epsilon is likelier than
            none, since attacks go as far as they may; 0 is the search of the paper. 2 for
            pictures and 0 for other data if it is not given. A row for which the search finds
            nothing that is better, by log p and this, stays as it was given.
        p_below: purify only rows whose p-value is below, such as 0.05; the validation rows of
            the run say what is usual. All rows if it is not given.
        full_scale: number in the data that is white; found from the values if it is not given.
        split: train, valid or test, of data that have splits.
        num: rows from the start; all, or 36 in a picture, if it is not given.
        seed: of the method sampled.
        overwrite: replace --out if it is there.
        json: print one JSON object instead of the name of the file.
        data_dir: folder of data sets.
        device: cpu or cuda; cuda if there is one.
    """
    from ancestral.cli.contents import Content, save_arrays
    from ancestral.cli.opened import open_run
    from ancestral.cli.outputs import writing
    from ancestral.cli.progress import row_bar
    from ancestral.cli.purified_table import write_moved
    from ancestral.cli.suspects import read_suspects
    from ancestral.core import Kind

    opened = open_run(run, device)
    spec = opened.config.spec
    content = Content(spec)
    suffixes = [s for s in (".npz", ".npy", ".csv", ".png") if s in content.formats]
    with writing(out, suffixes, overwrite=overwrite) as temporary:
        suffix = out.suffix.lower()
        radius = _radius(epsilon, opened)
        wanted = _PICTURED if num is None and suffix == ".png" else num
        rows = read_suspects(opened, data, split, wanted, data_dir)
        calibration = None if p_below is None else _usual_rows(opened, data_dir)
        with row_bar("purify", len(rows.given)) as on_rows:
            found = opened.estimator.purified(
                rows.given,
                radius,
                method=method,
                boldness=boldness,
                full_scale=rows.full_scale if full_scale is None else full_scale,
                p_below=p_below,
                calibration=calibration,
                seed=seed,
                on_rows=on_rows,
            )
        scores = _scores(opened, rows, found)
        if suffix == ".png":
            _draw(temporary, content, rows.values, found)
        elif suffix == ".csv":
            shape = (len(found.values), -1)
            values, given = (x.reshape(shape) for x in (found.values, rows.values))
            write_moved(temporary, rows.table, spec, values, given, radius)
        elif suffix == ".npy":
            save_arrays(temporary, {"purified": found.values})
        else:
            save_arrays(temporary, _arrays(rows, found, scores))
    summary = _summary(rows, found, scores) | {"epsilon": _typed(epsilon), "method": method}
    _tell(summary, rows.in_words, is_rigid=spec.kind == Kind.BINARY)
    print(json_module.dumps(summary | {"out": str(out)}) if json else out)


def _radius(text: str, opened: OpenedRun) -> float | np.ndarray:
    """A number, or one for each column that is named, and 0 for the others."""
    import numpy as np

    from ancestral.core import OptionError
    from ancestral.core.registry import nearest

    columns = opened.config.spec.columns or ()
    names = [column.name for column in columns]
    hint = "--epsilon 0.3"
    try:
        if "=" not in text:
            return float(text)
        hint = "--epsilon NAME=0.3,OTHER=2"
        found = np.zeros(len(names))
        for pair in text.split(","):
            name, _, number = pair.rpartition("=")
            if name.strip() not in names:
                near = nearest(name.strip(), names) if names else "the data have no named columns"
                raise OptionError(f"there is no column {name.strip()!r}", hint=near)
            found[names.index(name.strip())] = float(number)
    except ValueError as error:
        if isinstance(error, OptionError):
            raise
        raise OptionError(f"expected --epsilon to be a number, got {text!r}", hint=hint) from None
    return found


def _typed(text: str) -> float | str:
    return text if "=" in text else float(text)


def _usual_rows(opened: OpenedRun, data_dir: Path | None) -> Any:
    """The validation rows of the run."""
    from ancestral.core import OptionError

    splits = opened.data(None, data_dir).splits
    if "valid" not in splits:
        raise OptionError(
            "expected validation rows of the run's data to calibrate p-values on, got none",
            hint="leave out --p-below, which purifies all rows",
        )
    return splits["valid"]


def _scores(
    opened: OpenedRun, rows: Suspects, found: Purified
) -> tuple[Estimate, Estimate] | None:
    """Log p before and after; None for models that have none."""
    from ancestral.core import NotExact

    ask = opened.estimator.rounded_log_prob
    try:
        return tuple(  # pyright: ignore[reportReturnType]
            ask(x, full_scale=found.full_scale if rows.is_scaled else None)
            for x in (rows.given, found.values)
        )
    except NotExact:
        return None


def _arrays(
    rows: Suspects, found: Purified, scores: tuple[Estimate, Estimate] | None
) -> dict[str, np.ndarray]:
    import numpy as np

    arrays = {"purified": found.values, "given": rows.values, "chosen": found.chosen}
    arrays["kept"] = found.kept
    if found.p_values is not None:
        arrays["p_values"] = found.p_values
    if scores is not None:
        arrays["log_prob_before"], arrays["log_prob_after"] = map(np.asarray, scores)
    return arrays if rows.labels is None else arrays | {"labels": rows.labels}


def _summary(
    rows: Suspects, found: Purified, scores: tuple[Estimate, Estimate] | None
) -> dict[str, Any]:
    import numpy as np

    change = np.abs(found.values.astype(np.float64) - rows.values) / found.full_scale
    # on another scale, what single precision makes of a number is no change
    least = 1e-6 if rows.is_scaled else 0.0
    summary: dict[str, Any] = {
        "rows": len(rows.values),
        "purified": int((found.chosen & ~found.kept).sum()),
        "kept": int(found.kept.sum()),
        "full_scale": found.full_scale,
        "changed_cells": float((change > least).mean()),
        "mean_change": float(change.mean()),
        "largest_change": float(change.max()),
    }
    if scores is not None:
        before, after = scores
        summary["log_prob"] = {
            "before": before.mean,
            "after": after.mean,
            "kind": before.kind,
            "unit": "nats",
        }
    return summary


def _tell(summary: dict[str, Any], in_words: str, *, is_rigid: bool) -> None:
    """What was done, on stderr; `is_rigid` says that small steps lead to no other value."""
    print(
        f"{summary['purified']:,} of {summary['rows']:,} rows of {in_words} purified; "
        f"{summary['changed_cells']:.1%} of the cells changed, {summary['largest_change']:.3g} "
        "at most",
        file=sys.stderr,
    )
    if summary["purified"] and not summary["largest_change"] and is_rigid:
        print(
            "cells of black and white data are 0 or 1, and none of these has another value within "
            f"{summary['epsilon']}: give the rows before they were rounded, or --epsilon 1",
            file=sys.stderr,
        )
    if summary["kept"]:
        print(
            f"{summary['kept']:,} more were searched for something better, by log p and "
            "--boldness, and stay as they were given: there was nothing",
            file=sys.stderr,
        )
    if "log_prob" in summary:
        numbers = summary["log_prob"]
        kind = str(numbers["kind"]).replace("_", " ")
        print(
            f"log p of the rounded rows {numbers['before']:.1f} before, {numbers['after']:.1f} "
            f"after, nats a row ({kind})",
            file=sys.stderr,
        )


def _draw(path: Path, content: Any, given: np.ndarray, found: Purified) -> None:
    """Given, purified, and where they differ."""
    from dataclasses import replace

    import numpy as np

    from ancestral.core import Kind

    spec, scale = content.spec.integers or content.spec, found.full_scale
    if spec.kind in (Kind.BINARY, Kind.LEVELS):
        spec = replace(spec, kind=Kind.UNIT, num_levels=None)
    shown = replace(content, spec=spec)
    before, after = (
        x.astype(np.float64).reshape(-1, *spec.shape) / scale for x in (given, found.values)
    )
    change = np.abs(after - before)
    grids = {"given": before, "purified": after, "change": change / max(change.max(), 1e-9)}
    shown.write_grids(path, grids)
