"""The oddest held-out rows, for the report."""

from __future__ import annotations

import numpy as np

from ancestral.applications.detection import Detector
from ancestral.cli.detected import Found, picture_of
from ancestral.cli.opened import OpenedRun, random_rows
from ancestral.core import DataError, NotExact
from ancestral.data import Dataset
from ancestral.evaluation import Picture, PictureSet, Section

__all__ = ["with_oddest"]

_ROWS = 300
_CALIBRATION = 500


def with_oddest(run: OpenedRun, data: Dataset, split: str, pictures: PictureSet) -> PictureSet:
    """The pictures, and one more of the rows that the model finds oddest, where it can tell.

    Args:
        run: a trained model.
        data: of the run, with rows to calibrate on.
        split: whose rows are looked at.
        pictures: of the report.
    """
    spec = run.config.spec
    shown = spec.image_shape is not None or run.text.vocabulary is not None
    if not shown or split != "test" or "valid" not in data.splits:
        return pictures
    source = random_rows(data.split(split), _ROWS)
    try:
        kept = run.estimator.statistics(random_rows(data.valid, _CALIBRATION))
        detector = Detector(kept, spec)
        if kept.usual is None:
            return pictures
        statistics = run.estimator.statistics(source, like=detector)
    except (DataError, NotExact):  # no log p, or too few rows to calibrate on
        return pictures
    found = Found(run, detector, source, np.arange(len(source)), statistics, "corrected")
    caption = (
        f"The oddest of {len(source):,} held-out rows by the corrected score, which weighs log p "
        "against the complexity of a row; p-values are ranks among "
        f"{len(kept):,} validation rows. Bright is what surprised the model. "
        "`ancestral detect` looks at all rows, and tells how well it would find others."
    )
    figure = picture_of(found)
    picture = Picture("oddest", Section.ODD, caption, figure, is_vector=False)
    return PictureSet([*pictures.drawn, picture], pictures.omitted)
