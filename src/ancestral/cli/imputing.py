"""`impute`."""

from __future__ import annotations

import sys
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal, NamedTuple

from cyclopts import Parameter

from ancestral.cli.flags import Flag

if TYPE_CHECKING:
    from ancestral.applications import LatentImputing
    from ancestral.cli.imputed_files import Filled
    from ancestral.cli.imputed_rows import ChosenRows
    from ancestral.cli.opened import OpenedRun
    from ancestral.data import Source

__all__ = ["impute"]

Method = Literal["auto", "importance", "metropolis", "pseudo-gibbs"]

_PICTURED = 10  # rows in a picture, unless more are asked for
_FEWEST = 100  # draws behind a best guess, however few are written


def impute(
    run: Path,
    data: str | None = None,
    /,
    *,
    out: Path,
    draws: Annotated[int, Parameter(name=("--draws", "--num-samples"))] = 100,
    out_draws: Path | None = None,
    method: Method = "auto",
    mask: Path | None = None,
    hide: str = "",
    split: str | None = None,
    num: int | None = None,
    num_particles: int = 256,
    num_sweeps: int | None = None,
    seed: int = 0,
    json: Flag = False,
    overwrite: Flag = False,
    data_dir: Path | None = None,
    device: str | None = None,
) -> None:
    """Fill in missing cells: draws from p(missing | known), and the best guess of each cell.

    Args:
        run: folder of the run; it need not have seen gaps in training.
        data: a name or a path, with empty cells or NaN where something is missing; also one
            picture, with --mask. The run's own data if it is not given. All rows of a file, in
            its order; of data that come in splits, the test split.
        out: file to write: .csv with gaps filled by their best guess and everything else in the
            file as it was; .npz (data, completed, samples, weights, ess, log_evidence) or .npy
            (completed); or .png for images: given, best guess, draws, and the truth if it was
            hidden.
        draws: completions of each row, all equally likely: multiple imputation. The best guess
            rests on 100 or more.
        out_draws: file for the draws: .csv, with the number of the draw and of the row in front,
            .npz (draws, data, completed) or .npy.
        method: of models with latent variables. auto takes importance sampling where that is
            enough, and Metropolis-within-Gibbs for the other rows; importance; metropolis;
            pseudo-gibbs is biased, and here to compare with.
        mask: what is known, as a picture (white) or an array of .npy or .npz (1); the rest is
            filled in. One for all rows, or an array with one for each.
        hide: cells to take away first: a share at random, such as 0.3, or, of images, the top,
            bottom, left or right half.
        split: train, valid or test, of data that have splits; of the run's own data, as they
            were split for training.
        num: rows from the start; all, or 10 in a picture, if it is not given.
        num_particles: of each row at least, where the model needs sequential Monte Carlo.
        num_sweeps: of each Markov chain, where there are any; more are slower and surer.
        seed: of the draws, and of what is hidden. A row's draws are its own: a function of the
            seed and of what is in the row, whatever rows come along.
        json: print one JSON object: of each row how it was done, log p of its known cells and
            how many independent draws its own are worth; warnings, and the files written.
        overwrite: replace --out and --out-draws if they are there.
        data_dir: folder of data sets.
        device: cpu or cuda; cuda if there is one.
    """
    from ancestral.cli.contents import Content
    from ancestral.cli.imputed_files import draws_formats, filled_formats
    from ancestral.cli.imputed_rows import chosen_rows, hidden, masked
    from ancestral.cli.opened import first_rows, open_run
    from ancestral.cli.outputs import writing
    from ancestral.core import OptionError

    opened = open_run(run, device)
    content = Content(opened.config.spec)
    if draws < 1:
        raise OptionError(f"expected at least 1 draw, got {draws}")
    if out_draws is not None and out_draws.absolute() == out.absolute():
        raise OptionError(f"expected two files, got {out} twice", hint="rename --out-draws")
    chosen = chosen_rows(opened, data, split, data_dir)
    formats, of_draws = filled_formats(content, chosen), draws_formats(content)
    with ExitStack() as files:
        temporary = files.enter_context(writing(out, list(formats), overwrite=overwrite))
        temporary_draws = None
        if out_draws is not None:
            temporary_draws = files.enter_context(
                writing(out_draws, list(of_draws), overwrite=overwrite)
            )
        suffix = out.suffix.lower()
        wanted = _PICTURED if num is None and suffix == ".png" else num
        source = chosen.source if wanted is None else first_rows(chosen.source, wanted)
        source = masked(source, mask) if mask is not None else source
        source = hidden(source, hide, seed) if hide else source
        _check_gaps(source)
        asked = _Asked(draws, method, num_particles, num_sweeps, seed)
        keeps = suffix in (".npz", ".png") or out_draws is not None
        filled = _filled(opened, chosen, source, asked, keeps_draws=keeps)
        formats[suffix](temporary, filled)
        if out_draws is not None and temporary_draws is not None:
            of_draws[out_draws.suffix.lower()](temporary_draws, filled)
    if json:
        _print_json(filled, out, out_draws)
        return
    _tell(filled)
    print(out)
    if out_draws is not None:
        print(out_draws)


class _Asked(NamedTuple):
    """What was typed about the draws."""

    draws: int
    method: Method
    num_particles: int
    num_sweeps: int | None
    seed: int


def _filled(
    opened: OpenedRun, chosen: ChosenRows, source: Source, asked: _Asked, *, keeps_draws: bool
) -> Filled:
    """The rows, some at a time; draws are kept only where they are written."""
    import numpy as np

    from ancestral.applications import Imputation, ParticleFilter
    from ancestral.cli.imputed_files import Filled
    from ancestral.cli.progress import row_bar

    many = max(asked.draws, _FEWEST)
    parts = opened.estimator.imputed(
        source,
        many,
        seed=asked.seed,
        particles=ParticleFilter(asked.num_particles),
        method=_method(asked.method, asked.num_sweeps),
    )
    found, completed, draws = [], [], []
    with row_bar("filling in", len(source)) as tell:
        for part in parts:
            completed.append(part.completed(opened.config.spec).cpu().numpy())
            if not keeps_draws:
                found.append(part.without_samples())
            else:
                kept = part if many == asked.draws else part.thinned(asked.draws, asked.seed)
                found.append(kept)
                draws.append(kept.draws(asked.draws, asked.seed).cpu().numpy())
            if tell is not None:
                tell(len(part))
    together = Imputation.concatenate(found)
    kept_draws = np.concatenate(draws) if draws else np.empty((len(source), 0))
    return Filled(chosen, source, np.concatenate(completed), together, kept_draws)


def _method(name: Method, num_sweeps: int | None) -> LatentImputing | str:
    """A way to impute with latent variables.

    Raises:
        OptionError: a number of sweeps for a method without any.
    """
    from dataclasses import replace

    from ancestral.applications import AutomaticImputing, MetropolisWithinGibbs, PseudoGibbs
    from ancestral.core import OptionError

    if num_sweeps is None:
        return name
    if name == "metropolis":
        return MetropolisWithinGibbs(num_sweeps)
    if name == "pseudo-gibbs":
        return PseudoGibbs(num_sweeps)
    if name == "auto":
        return replace(AutomaticImputing(), metropolis=MetropolisWithinGibbs(num_sweeps))
    raise OptionError(
        f"the method {name!r} has no sweeps, got --num-sweeps {num_sweeps}",
        hint="--draws with more draws makes importance sampling surer",
    )


def _check_gaps(source: Source) -> None:
    from ancestral.core import DataError

    if all(batch.observed is None or batch.observed.all() for batch in source.ordered(1000)):
        raise DataError(
            "expected rows with missing cells, got complete ones",
            hint="leave cells empty, or try --hide 0.3",
        )


def _print_json(filled: Filled, out: Path, out_draws: Path | None) -> None:
    import json
    import math

    found = filled.found
    estimate, error = found.log_evidence, found.log_evidence.std_error
    values = estimate.value.tolist()
    errors = [0.0] * len(values) if error is None else error.tolist()

    def finite(number: float) -> float | None:
        return number if math.isfinite(number) else None

    missing = (~found.observed).flatten(1).sum(1).tolist()
    rows = [
        {
            "row": number,
            "missing": count,
            "method": method,
            "log_prob_known": finite(value),
            "std_error": finite(error),
            "ess": finite(ess),
        }
        for number, (count, method, value, error, ess) in enumerate(
            zip(missing, found.methods, values, errors, found.ess.tolist(), strict=True)
        )
    ]
    content = {
        "data": filled.chosen.text,
        "n": len(filled.source),
        "of": len(filled.chosen.source),
        "method": found.method,
        "log_prob_known": {
            "value": finite(estimate.mean),
            "kind": str(estimate.kind),
            "unit": "nats",
        },
        "warnings": list(found.warnings),
        "rows": rows,
        "files": [str(path) for path in (out, out_draws) if path is not None],
    }
    print(json.dumps(content, indent=2, allow_nan=False))


def _tell(filled: Filled) -> None:
    """How it was done, on stderr."""
    shown, total = len(filled.source), len(filled.chosen.source)
    rows = "row" if total == 1 else "rows"
    print(f"{shown:,} of {total:,} {rows} of {filled.chosen.text}", file=sys.stderr)
    found = filled.found
    estimate = found.log_evidence
    print(f"completed {found.method}", file=sys.stderr)
    kind = str(estimate.kind).replace("_", " ")
    print(f"log p(known cells) {estimate.mean:.3f} nats a row ({kind})", file=sys.stderr)
    for sentence in found.warnings:
        print(f"warning: {sentence}", file=sys.stderr)
