"""`detect`."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from ancestral.cli.flags import Flag

if TYPE_CHECKING:
    from ancestral.applications.detection import Detector, Statistics
    from ancestral.cli.detection_data import Asked
    from ancestral.cli.detection_reference import CalibrationChoice
    from ancestral.cli.opened import OpenedRun
    from ancestral.data import Source

__all__ = ["detect"]

_AGAINST = 2000  # rows of each set, unless --num says otherwise
_SPREAD = (
    "How two scores are spread over each set of rows: the darker, the more rows. The band holds "
    "98 % of the normal ones; beyond it the scale is logarithmic."
)
_ODDEST = "The oddest rows, and beside each the surprise of its cells."


def detect(
    run: Path,
    data: str | None = None,
    /,
    *,
    out: Path | None = None,
    score: str = "corrected",
    split: str | None = None,
    num: int | None = None,
    top: int = 10,
    fdr: float | None = None,
    ties: Literal["counted", "random"] = "counted",
    against: tuple[str, ...] = (),
    label: str | None = None,
    anomalous: tuple[str, ...] = (),
    background: Path | None = None,
    train_background: Path | None = None,
    mutation: float = 0.2,
    max_minutes: float = 5.0,
    calibration_rows: int = 5000,
    samples: int = 16,
    seed: int = 0,
    json: Flag = False,
    overwrite: Flag = False,
    data_dir: Path | None = None,
    device: str | None = None,
) -> None:
    """Find odd rows: how odd each is, how sure that is, and what in it is odd.

    p-values are calibrated on the run's own validation split: the share of such rows that are as
    odd, or odder. Numbers of rows count from 0 within what was asked for.

    Args:
        run: folder of the run.
        data: a name or a path. A file is judged whole, in its order; data that come in splits,
            and the run's own data if no name is given, by their test split.
        out: file of all rows: .csv (the oddest first, with the oddest cell), .npz (with the
            surprise of each cell), .png of the oddest images, texts or sounds, or .html, a page
            with the table and the picture; with --against, a .png of how the scores of the sets
            are spread, or an .html page.
        score: what to sort by: corrected, log_prob, complexity, typicality or likelihood_ratio.
        split: train, valid or test.
        num: rows at random; all if it is not given, but 2,000 of each set with --against.
        top: rows to print, the oddest first.
        fdr: flag rows so that of the flagged ones at most this share is normal, on average;
            0.05 is usual (Benjamini-Hochberg).
        ties: what p-values make of usual rows that score the same as a row, which is common in
            data with few different rows: counted as being as odd, which is safe, or random, a
            place among them by a hash of the row, so that p-values of usual rows are uniform.
        against: other data to be told from these: made outliers (noise, constant, shuffled,
            inverted, rotated, ... or all of them), a data set, or a path; several with commas.
            Prints AUROC and false positives of each score.
        label: column of a table that holds labels.
        anomalous: labels that are called anomalous, to be told from the others; with commas.
        background: folder of a run of background data, for likelihood ratios.
        train_background: train a background run into this folder first: the run's recipe, on its
            data with cells replaced at random.
        mutation: chance that a cell is replaced for --train-background.
        max_minutes: that --train-background may take.
        calibration_rows: of the validation split at most.
        samples: of the latent variables for each row, where log p is a bound.
        seed: of the samples, and of made outliers.
        json: print one JSON object.
        overwrite: replace --out, or the background run, if it is there.
        data_dir: folder of data sets.
        device: cpu or cuda; cuda if there is one.
    """
    from ancestral.applications.detection import check_examined, check_score
    from ancestral.cli.detected import Found, is_pictured, picture_of, write_found
    from ancestral.cli.detection_data import asked_rows, some_rows
    from ancestral.cli.detection_reference import CalibrationChoice, calibrated
    from ancestral.cli.detection_told import (
        picture_of_separations,
        rows_told,
        separations_told,
    )
    from ancestral.cli.opened import open_run
    from ancestral.plots import save

    choice = CalibrationChoice(calibration_rows, samples, seed)
    compares = bool(against or anomalous)
    _check_words(
        out=out, num=num, top=top, fdr=fdr, compares=compares, label=label, anomalous=anomalous
    )
    check_score(score, has_background=background is not None or train_background is not None)
    opened = open_run(run, device)
    check_examined(opened.estimator.model_, opened.estimator.posterior_)
    asked = asked_rows(opened, data, split, label, data_dir)
    title = f"Anomalies: {opened.config.recipe} on {asked.name}"
    with _writing(out, opened, overwrite, compares) as temporary:
        suffix = "" if out is None else out.suffix.lower()
        sets: dict[str, Source] = {}
        if compares:
            sets = _sets(opened, asked, against, anomalous, num or _AGAINST, seed, data_dir)
        behind = _background(
            opened,
            background,
            train_background,
            mutation,
            max_minutes,
            overwrite,
            data_dir,
            device,
        )
        detector = calibrated(opened, choice, behind, data_dir)
        if compares:
            found = {n: _examined(opened, detector, s, behind, choice, n) for n, s in sets.items()}
            told = separations_told(opened, asked, detector, found)
            told.print(as_object=json)
            if temporary is not None:
                figure = picture_of_separations(detector, found, score)
                if suffix == ".png":
                    save(figure, temporary)
                else:
                    told.write_page(temporary, title, figure, _SPREAD)
        else:
            source, numbers = some_rows(asked.source, num)
            statistics = _examined(opened, detector, source, behind, choice, "examining")
            one = Found(opened, detector, source, numbers, statistics, score, fdr, ties)
            told = rows_told(one, asked, top)
            told.print(as_object=json)
            if temporary is not None and suffix == ".html":
                figure = picture_of(one) if is_pictured(opened) else None
                told.write_page(temporary, title, figure, _ODDEST)
            elif temporary is not None:
                write_found(one, temporary)
    if out is not None and not json:
        print(out)


def _check_words(
    *,
    out: Path | None,
    num: int | None,
    top: int,
    fdr: float | None,
    compares: bool,
    label: str | None,
    anomalous: tuple[str, ...],
) -> None:
    """Refuse options that say nothing together, before any work.

    Raises:
        OptionError: naming the first.
    """
    from ancestral.applications.detection import flagged
    from ancestral.core import OptionError

    if num is not None and num < 1:
        raise OptionError(f"expected at least 1 row, got {num}")
    if top < 0:
        raise OptionError(f"expected a number of rows to print, got {top}")
    if fdr is not None:
        flagged([1.0], fdr)  # refuses what is no rate
        if compares:
            raise OptionError(
                "--fdr flags rows, and --against and --anomalous compare sets of them",
                hint="leave out one of them",
            )
    if label is not None and not anomalous:
        raise OptionError(
            f"--label {label} needs --anomalous, which says which labels are",
            hint="--anomalous sick",
        )


def _background(
    opened: OpenedRun,
    given: Path | None,
    trained: Path | None,
    rate: float,
    minutes: float,
    overwrite: bool,  # noqa: FBT001
    data_dir: Path | None,
    device: str | None,
) -> OpenedRun | None:
    """The background run: opened, or trained and opened."""
    from ancestral.applications.detection import check_examined
    from ancestral.cli.detection_reference import train_background
    from ancestral.cli.opened import open_run
    from ancestral.core import IncompatibleChoices, OptionError
    from ancestral.estimator.detecting import check_background
    from ancestral.training import reporter_for

    if given is not None and trained is not None:
        raise OptionError("expected --background or --train-background, got both")
    if trained is not None:
        reporter = reporter_for(sys.stderr)
        try:
            train_background(
                opened,
                trained,
                rate=rate,
                minutes=minutes,
                overwrite=overwrite,
                data_dir=data_dir,
                reporter=reporter,
            )
        finally:
            reporter.close()
    folder = trained or given
    if folder is None:
        return None
    found = open_run(folder, device)
    check_background(opened.config.spec, found.config.spec)
    if opened.text.vocabulary != found.text.vocabulary:
        raise IncompatibleChoices(
            "expected a background model of text of the same symbols, got one of others",
            hint="--train-background makes one that fits",
        )
    check_examined(found.estimator.model_, found.estimator.posterior_)
    return found


def _writing(
    out: Path | None,
    opened: OpenedRun,
    overwrite: bool,  # noqa: FBT001
    compares: bool,  # noqa: FBT001
) -> Any:
    from contextlib import nullcontext

    from ancestral.cli.detected import is_pictured
    from ancestral.cli.outputs import writing

    if out is None:
        return nullcontext(None)
    rows = [".csv", ".npz", ".html", *([".png"] if is_pictured(opened) else [])]
    return writing(out, [".png", ".html"] if compares else rows, overwrite=overwrite)


def _sets(
    opened: OpenedRun,
    asked: Asked,
    against: tuple[str, ...],
    anomalous: tuple[str, ...],
    num: int,
    seed: int,
    data_dir: Path | None,
) -> dict[str, Source]:
    """The normal rows first, and those to tell them from."""
    from ancestral.cli.detection_data import labelled_parts, sets_against
    from ancestral.cli.opened import random_rows

    normal, found = asked.source, {}
    if anomalous:
        wanted = [one for name in anomalous for one in name.split(",") if one]
        usual, odd = labelled_parts(asked, wanted)
        normal = asked.source.subset(usual)
        name = f"label {' or '.join(wanted)}"
        found[name] = random_rows(asked.source.subset(odd), num)
    others = sets_against(opened, against, normal, num, seed, data_dir)
    return {"normal": random_rows(normal, num), **found, **others}


def _examined(
    opened: OpenedRun,
    detector: Detector,
    source: Source,
    background: OpenedRun | None,
    choice: CalibrationChoice,
    what: str,
) -> Statistics:
    from ancestral.cli.progress import row_bar

    with row_bar(what, len(source)) as on_rows:
        return opened.estimator.statistics(
            source,
            like=detector,
            background=None if background is None else background.estimator,
            num_samples=choice.samples,
            seed=choice.seed,
            on_rows=on_rows,
        )
