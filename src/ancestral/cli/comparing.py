"""`compare`: several runs on the same rows."""

from __future__ import annotations

import json as json_module
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from ancestral.cli.flags import Flag
from ancestral.cli.tables import print_table

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ancestral.cli.opened import OpenedRun
    from ancestral.evaluation import ComparisonRow, Cost

__all__ = ["compare"]

_Quick = Literal["auto", "exact", "importance", "psis"]
_SUFFIXES = (".png", ".csv", ".html")


def compare(
    *runs: Path,
    data: str | None = None,
    split: Literal["train", "valid", "test"] | None = None,
    samples: int = 1000,
    method: _Quick = "auto",
    seed: int = 0,
    out: Path | None = None,
    json: Flag = False,
    overwrite: Flag = False,
    data_dir: Path | None = None,
    device: str | None = None,
) -> None:
    """Several runs on the same rows, the best first, in nats per datum, with what is certain.

    The rows themselves are compared, by their hashes, and not the names of data sets: a renamed
    file is fine, while shuffled rows, another binarisation or other units are refused.

    Args:
        runs: folders of runs.
        data: a name or a path of rows for all runs; each run's own data if it is not given. All
            rows of a file, unless a run was trained on it: then, as of the runs' own data, the
            test split.
        split: train, valid or test; a tenth of a file that brings no splits is its test split.
        samples: importance samples for each datum, where log p is not exact.
        method: auto is exact where a model is, importance sampling elsewhere; psis smooths the
            weights, and its values are no bounds.
        seed: of the samples.
        out: file to write too: .png of the differences, .csv of the table, or .html of both.
        json: print one JSON object.
        overwrite: replace --out if it is there.
        data_dir: folder of data sets.
        device: cpu or cuda; cuda if there is one.
    """
    from contextlib import nullcontext

    from ancestral.cli.measuring import Measurement, measure_source
    from ancestral.cli.opened import open_run
    from ancestral.cli.outputs import writing
    from ancestral.core import OptionError
    from ancestral.evaluation import compare as compared
    from ancestral.evaluation import fingerprint, refuse_other_rows

    repeated = next((run for i, run in enumerate(runs) if run in runs[:i]), None)
    if repeated is not None:
        raise OptionError(f"expected each run once, got {repeated} twice", hint="name others")
    place = nullcontext() if out is None else writing(out, _SUFFIXES, overwrite=overwrite)
    with place as temporary:
        opened = {str(run): open_run(run, device) for run in runs}  # all, before the work starts
        part = split
        if data is not None and not all(one.is_other_file(data) for one in opened.values()):
            part = split or "test"  # rows that a run was trained on would flatter it
        chosen = {n: one.rows(data, part, data_dir) for n, one in opened.items()}
        # whether they can be compared is known before anything is computed
        if chosen:
            refuse_other_rows({n: fingerprint(rows.source) for n, rows in chosen.items()})
        evaluations, costs = {}, {}
        for name, one in opened.items():
            started = time.monotonic()
            rows = chosen[name]
            how = Measurement(rows.split, samples, method, seed)
            evaluations[name] = measure_source(one, rows.dataset.name, rows.source, how)
            costs[name] = _cost(one, time.monotonic() - started)
        table = compared(evaluations, costs)
        first = next(iter(evaluations.values()))
        names = list(dict.fromkeys(e.setting.data for e in evaluations.values()))
        split = first.setting.split
        of_split = "" if split == "all" else f"the {split} split of "
        about = f"{first.n:,} data of {of_split}{' = '.join(names)}"
        if out is not None and temporary is not None:
            _write(temporary, table, about)
    if json:
        found = {
            "data": first.setting.data,
            "split": split,
            "unit": "nats",
            "n": first.n,
            "rows": None if first.fingerprint is None else first.fingerprint.rows,
            "runs": [row.to_dict() for row in table],
        }
        print(json_module.dumps(found, indent=2, allow_nan=False))
        return
    _print(table)
    print(f"{about}; differences are means over pairs, ± one standard error", file=sys.stderr)
    if data is not None:
        next(iter(chosen.values())).tell()
    if out is not None:
        print(out)


def _cost(run: OpenedRun, seconds: float) -> Cost:
    from ancestral.evaluation import Cost

    modules = (run.estimator.model_, run.estimator.posterior_)
    count = sum(p.numel() for m in modules if m is not None for p in m.parameters())
    records = run.estimator.history_.records
    trained = records[-1].get("seconds") if records else None
    return Cost(count, None if trained is None else float(trained), seconds)


def _print(rows: Sequence[ComparisonRow]) -> None:
    from ancestral.evaluation.comparison_page import HEAD, cells_of

    print_table(HEAD, [cells_of(row) for row in rows])


def _write(path: Path, rows: Sequence[ComparisonRow], about: str) -> None:
    from ancestral.cli.contents import write_csv
    from ancestral.core import DataError
    from ancestral.evaluation import comparison_page, comparison_picture
    from ancestral.plots import save

    suffix = path.suffix.lower()
    if suffix == ".csv":
        table = [row.to_dict() for row in rows]
        cells = [["" if v is None else v for v in row.values()] for row in table]
        write_csv(path, list(table[0]), cells)
    elif suffix == ".html":
        path.write_text(comparison_page(rows, "Runs compared", f"{about}."), encoding="utf-8")
    else:
        figure = comparison_picture(rows)
        if figure is None:
            raise DataError(
                "expected a run with a finite log p to draw, got none", hint="--out F.csv"
            )
        save(figure, path)
