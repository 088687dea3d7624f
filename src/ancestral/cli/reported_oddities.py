"""The oddest held-out rows, and which labels stand out, for the report."""

from __future__ import annotations

import numpy as np

from ancestral.applications.detection import Detector, separation
from ancestral.cli.detected import Found, is_pictured, picture_of
from ancestral.cli.detection_data import some_rows
from ancestral.cli.opened import OpenedRun, random_rows
from ancestral.core import DataError, NotExact
from ancestral.data import Dataset
from ancestral.evaluation import Picture, ReportTable, Section

__all__ = ["label_table", "oddest_picture", "oddest_table", "oddities"]

_ROWS = 300
_CALIBRATION = 500
_MOST_LABELS = 20
_FEWEST_ROWS = 5  # with a label, and without it
_SHOWN = 5  # rows of a table


def oddities(run: OpenedRun, data: Dataset, split: str) -> Found | None:
    """Scores of some held-out rows; None where the model cannot tell.

    Args:
        run: a trained model.
        data: of the run, with rows to calibrate on.
        split: whose rows are looked at.
    """
    if split != "test" or "valid" not in data.splits:
        return None
    source, numbers = some_rows(data.split(split), _ROWS)
    try:
        kept = run.estimator.statistics(random_rows(data.valid, _CALIBRATION))
        detector = Detector(kept, run.config.spec)
        statistics = run.estimator.statistics(source, like=detector)
    except (DataError, NotExact):  # no log p, or too few rows to calibrate on
        return None
    return Found(run, detector, source, numbers, statistics, "corrected")


def oddest_picture(found: Found) -> Picture | None:
    """The rows that the model finds oddest, where rows can be shown and cells told apart."""
    if not is_pictured(found.opened) or found.statistics.usual is None:
        return None
    caption = (
        f"The oddest of {len(found.source):,} held-out rows by the corrected score, which weighs "
        "log p against the complexity of a row; p-values are ranks among "
        f"{len(found.detector.reference):,} validation rows. Bright is what surprised the model. "
        "`ancestral detect` looks at all rows, and tells how well it would find others."
    )
    return Picture("oddest", Section.ODD, caption, picture_of(found), is_vector=False)


def oddest_table(found: Found) -> ReportTable | None:
    """The rows of a table that the model finds oddest, and what in them is odd."""
    if found.opened.config.spec.columns is None or found.statistics.usual is None:
        return None
    rows = []
    for i in found.order[:_SHOWN]:
        row = found.row(int(i))
        cell = f"{row['odd_cell']} = {row['odd_value']}"
        rows.append((str(row["row"]), f"{row['p_value']:.2g}", cell, f"{row['excess_nats']:.1f}"))
    sentence = (
        f"the oddest of {len(found.source):,} held-out rows by the corrected score; p-values are "
        f"ranks among {len(found.detector.reference):,} validation rows; the odd cell is the one "
        "whose surprise is largest beyond what is usual of its column, by so many nats; "
        "`ancestral detect` lists all rows"
    )
    return ReportTable(("row of the test split", "p-value", "odd cell", "beyond"), rows, sentence)


def label_table(found: Found, label_names: tuple[str, ...] | None) -> ReportTable | None:
    """How far each label's rows stand out from all others, where there are a few labels."""
    labels = found.source.labels
    if labels is None:
        return None
    codes = np.asarray(labels)
    known = np.unique(codes)
    if not 2 <= len(known) <= _MOST_LABELS:
        return None
    rows = []
    for code in known:
        own = codes == code
        if min(own.sum(), (~own).sum()) < _FEWEST_ROWS:
            continue
        name = label_names[int(code)] if label_names is not None else str(code)
        cells = []
        for score in found.detector.scores:
            told = separation(found.scores[score][~own], found.scores[score][own])
            cells.append(f"{told.auroc:.3f} ± {told.std_error:.3f}")
        rows.append((name, f"{own.sum():,}", *cells))
    if not rows:
        return None
    head = ("rows with label", "number", *(f"AUROC, {name}" for name in found.detector.scores))
    sentence = (
        "the chance that a row with the label scores odder than one without it, and its standard "
        "error: 1 if a label is of anomalies and each is found, 0.5 if its rows are as usual as "
        f"others; {len(found.source):,} held-out rows, and `ancestral detect --anomalous LABEL` "
        "takes all of them"
    )
    return ReportTable(head, rows, sentence)
