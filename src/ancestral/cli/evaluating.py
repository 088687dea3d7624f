"""`evaluate` and `report`."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from ancestral.cli.flags import Flag

if TYPE_CHECKING:
    from ancestral.evaluation import Evaluation, Gaps

__all__ = ["evaluate", "print_evaluation", "report"]

Method = Literal["auto", "exact", "importance", "psis", "ais", "bdmc"]


def evaluate(
    run: Path,
    data: str | None = None,
    /,
    *,
    split: Literal["train", "valid", "test"] | None = None,
    samples: int | None = None,
    method: Method = "auto",
    gaps: int = 0,
    seed: int = 0,
    precision: Literal["float32", "bf16"] = "float32",
    rows: int | None = None,
    temperatures: int | None = None,
    chains: int | None = None,
    leapfrog_steps: int | None = None,
    start: Literal["prior", "posterior"] | None = None,
    json: Flag = False,
    data_dir: Path | None = None,
    device: str | None = None,
) -> None:
    """Log p of held-out data under a run, in nats per datum: higher is better.

    Args:
        run: folder of the run.
        data: a name or a path; the run's own data if it is not given. All rows of a file, unless
            it is the one that the run was trained on; of that, of the run's own data, and of data
            that come in splits, the test split.
        split: train, valid or test; a tenth of a file that brings no splits is its test split.
        samples: importance samples for each datum, where log p is not exact; 1,000 if not given.
        method: auto is exact where the model is, importance sampling elsewhere. psis smooths the
            weights of importance sampling. ais is annealed importance sampling: slow, and tight
            where importance sampling is not. bdmc gives a lower and an upper bound on data that
            the model makes, which tells how good ais is.
        gaps: rows on which to measure how much of log p the bound loses to the family of the
            posterior, and how much to the encoder; each takes about a second. 0 for none.
        seed: of the samples.
        precision: of the networks' matrix products; bf16 is two to three times as fast, and
            moves the mean by thousandths of a nat.
        rows: of the split, at random; all if it is not given, but 100 for ais and bdmc.
        temperatures: of ais and bdmc, 1000 if not given; more make it tighter and slower.
        chains: of ais and bdmc for each datum, 16 if not given.
        leapfrog_steps: of ais and bdmc at each temperature, 5 if not given.
        start: of ais and bdmc: the run's posterior where it has a density, unless told otherwise.
        json: print one JSON object.
        data_dir: folder of data sets.
        device: cpu or cuda; cuda if there is one.
    """
    from dataclasses import replace

    from ancestral.cli.annealing import ANNEALED, AnnealingOptions
    from ancestral.cli.measuring import Measurement, check_gaps, measure_source
    from ancestral.cli.opened import open_run
    from ancestral.core import OptionError, Precision
    from ancestral.evaluation import GapsOptions

    gaps_options = GapsOptions(gaps) if gaps else None
    annealing = AnnealingOptions(temperatures, chains, leapfrog_steps, start)
    if samples is not None and method in ANNEALED:
        raise OptionError(
            f"--samples is an option of importance sampling, got --method {method}",
            hint="--chains and --temperatures are what it takes; or leave out --samples",
        )
    number = 1000 if samples is None else samples
    how = Measurement(
        split or "test", number, method, seed, Precision(precision), gaps_options, annealing, rows
    )
    opened = open_run(run, device)
    if gaps_options is not None:
        check_gaps(opened, method)
    chosen = opened.rows(data, split, data_dir, own_split=True)
    how = replace(how, split=chosen.split)
    found = measure_source(opened, chosen.dataset.name, chosen.source, how)
    if data is not None:
        chosen.tell()
    if json:
        _print_json(found.to_dict())
    else:
        print_evaluation(found)


def report(run: Path, /, *, data_dir: Path | None = None, device: str | None = None) -> None:
    """Evaluate a run and write its report.html and pictures anew; prints the report's path.

    Args:
        run: folder of the run.
        data_dir: folder of data sets.
        device: cpu or cuda; cuda if there is one.
    """
    from ancestral.cli.opened import open_run
    from ancestral.cli.reporting import report_run

    opened = open_run(run, device)
    _, path = report_run(opened, opened.data(None, data_dir))
    print(path)


def print_evaluation(found: Evaluation) -> None:
    """The numbers to standard output; how to read them to standard error."""
    from ancestral.evaluation.information import rounded_down
    from ancestral.evaluation.words import counted

    setting = found.setting
    number = counted(found.n, "datum", "data")
    part = "all rows" if setting.split == "all" else f"{setting.split} split"
    print(f"{setting.recipe} on {setting.data}, {part}, {number}")
    lines: list[tuple[str, str]] = []
    if found.log_prob is not None:
        number = found.log_prob
        lines.append(("log p(x)", f"{_value(number.value, number.std_error)} nats"))
        lines.append(("", number.in_words()))
    if found.bounds is not None:
        bounds = found.bounds
        for name, number in (("lower bound", bounds.lower), ("upper bound", bounds.upper)):
            lines.append((name, f"{_value(number.value, number.std_error)} nats"))
        lines.append(("gap", f"{_value(bounds.gap, bounds.std_error)} nats"))
        lines.append(("", "of data that the model made"))
    if found.bits_per_dim is not None:
        lines.append(("bits per dimension", f"{found.bits_per_dim:.3f}"))
    if found.per_symbol is not None:
        symbol = found.per_symbol
        lines.append(("nats per symbol", f"{symbol.nats:.4f} ± {symbol.std_error:.4f}"))
        lines.append(("", symbol.in_words()))
    if found.elbo is not None:
        lines.append(("ELBO", f"{_value(found.elbo.value, found.elbo.std_error)} nats"))
    if found.reconstruction is not None and found.kl is not None:
        lines.append(("reconstruction", f"{found.reconstruction:.2f} nats"))
        lines.append(("KL", f"{found.kl:.2f} nats"))
    if found.reconstruction_error is not None:
        error = found.reconstruction_error
        lines.append(("reconstruction error", f"{_value(error.value, error.std_error)} nats"))
    if found.active_units is not None:
        lines.append(("active latent units", f"{found.active_units} of {found.latent_size}"))
    if found.information is not None:
        known = found.information
        lower, upper = known.mutual_information, known.mutual_information_at_most
        lines.append(("mutual information", f"{rounded_down(lower, 2)} to {upper:.2f} nats"))
        lower, upper = known.marginal_kl_at_least, known.marginal_kl
        lines.append(("marginal KL", f"{rounded_down(lower, 2)} to {upper:.2f} nats"))
    if found.gaps is not None:
        for name, gap in (
            ("log p - ELBO", found.gaps.total),
            ("approximation gap", found.gaps.approximation),
            (_gap_name(found.gaps), found.gaps.amortization),
        ):
            if gap is not None:
                lines.append((name, f"{_value(gap.value, gap.std_error)} nats, an estimate"))
    if found.collapse is not None and found.collapse not in found.warnings:
        lines.append(("latent units", found.collapse))
    if found.khat is not None:
        share = f"{found.khat.share_above_threshold:.0%} of the data"
        lines.append((f"k-hat above {found.khat.threshold:.2f}", share))
    width = max((len(name) for name, _ in lines), default=0)
    for name, value in lines:
        print(f"  {name.ljust(width)}  {value}")
    for word, sentences in (("warning", found.warnings), ("note", found.notes)):
        for sentence in sentences:
            print(f"{word}: {sentence}", file=sys.stderr)


def _gap_name(gaps: Gaps) -> str:
    from ancestral.evaluation.gaps import ENCODER

    return "amortisation gap" if gaps.found_by == ENCODER else "gap of q's own fit"


def _value(value: float, std_error: float | None) -> str:
    return f"{value:.2f}" + ("" if std_error is None else f" ± {std_error:.2f}")


def _print_json(content: object) -> None:
    print(json.dumps(content, indent=2, allow_nan=False))
