"""The report of a run, from what is in its folder and its data."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np

from ancestral import __version__
from ancestral.cli.measuring import Measurement, measure_source
from ancestral.cli.opened import OpenedRun, random_rows
from ancestral.cli.probing import probed
from ancestral.cli.reported_oddities import label_table, oddest_picture, oddest_table, oddities
from ancestral.core import DataError, NotExact
from ancestral.data import Dataset, Source
from ancestral.evaluation import (
    Evaluation,
    GapsOptions,
    Material,
    PictureSet,
    ReportContent,
    ReportTable,
    Section,
    draw_pictures,
    write_report,
)
from ancestral.recipes import REGISTRY

__all__ = ["report_run"]

_ROWS = 1000  # that are evaluated for a report: 1,000 samples each take about a minute
_ROWS_FOR_GAPS, _SECONDS_FOR_GAPS = 48, 30.0
_ROWS_FOR_PROBE = 2000  # to train it on
_TRAINING_ROWS = 300  # beside them in the histogram


def report_run(run: OpenedRun, data: Dataset) -> tuple[Evaluation, Path]:
    """Evaluate, draw, and write `report.html`; returns the numbers and its path."""
    split = next(name for name in ("test", "valid", "train") if name in data.splits)
    source = random_rows(data.split(split), _ROWS)
    gaps = GapsOptions(_ROWS_FOR_GAPS, max_seconds=_SECONDS_FOR_GAPS)
    found = measure_source(run, data.name, source, Measurement(split, gaps=gaps))
    if len(source) < len(data.split(split)):
        note = (
            f"these are {len(source):,} rows at random of {len(data.split(split)):,}; "
            "`ancestral evaluate` takes them all"
        )
        found = replace(found, notes=(*found.notes, note))
    if found.information is not None and found.gaps is None:
        note = (
            "where the bound loses was not measured, since it would have taken longer than "
            f"{_SECONDS_FOR_GAPS:g} seconds; `ancestral evaluate --gaps 16` does"
        )
        found = replace(found, notes=(*found.notes, note))
    device = next(run.estimator.model_.parameters()).device
    values = _values(run, data, split, found)
    material = Material(
        source.spec,
        source.rows(slice(0, len(source))).to(device),
        labels=source.labels,
        label_names=data.label_names,
        history=run.estimator.history_.records,
        log_prob=values,
        log_prob_kind="exact" if found.log_prob is None else found.log_prob.kind,
        row_log_prob=values.get(split),
        kl_per_dim=found.kl_per_dim,
        variance_of_means=found.variance_of_means,
        information=found.information,
        gaps=found.gaps,
        khat=found.khat_values,
        khat_threshold=0.7 if found.khat is None else found.khat.threshold,
        vocabulary=data.vocabulary,
    )
    pictures = draw_pictures(run.estimator.model_, run.estimator.posterior_, material)
    tables = {Section.LABELS: _probe(run, data, split, source)}
    odd = oddities(run, data, split)
    if odd is not None:
        oddest = oddest_picture(odd)
        if oddest is not None:
            pictures = PictureSet([*pictures.drawn, oddest], pictures.omitted)
        tables[Section.ODD] = label_table(odd, data.label_names) or oddest_table(odd)
    config = run.config
    content = ReportContent(
        f"{config.recipe} on {data.name}",
        found,
        model=_about_model(run),
        data=_about_data(data),
        pictures=pictures,
        tables={section: table for section, table in tables.items() if table is not None},
        configuration={"recipe": config.options, "training": config.training.to_dict()},
        references=[REGISTRY[config.recipe].bibtex],
        footer=f"ancestral {__version__}; run {run.folder.name}",
    )
    path = run.folder / "report.html"
    write_report(path, content)
    return found, path


def _probe(run: OpenedRun, data: Dataset, split: str, source: Source) -> ReportTable | None:
    """What codes say of labels, where there are any, and the model is not given them."""
    if split == "train" or run.config.spec.context or source.labels is None:
        return None
    try:
        found = probed(run, data, split, num_rows=_ROWS_FOR_PROBE, test=source)
    except (DataError, NotExact):  # one class, too many, or nothing that encodes
        return None
    return ReportTable(("", "codes", "x itself"), found.table(), found.in_words())


def _values(run: OpenedRun, data: Dataset, split: str, found: Evaluation) -> dict[str, np.ndarray]:
    """Log p of each datum: of the evaluated rows, and of some that were trained on."""
    if found.log_prob is None or found.values is None:
        return {}
    values = {split: found.values}
    if split != "train" and "train" in data.splits:
        rows = random_rows(data.train, _TRAINING_ROWS)
        trained = measure_source(run, data.name, rows, Measurement("train")).values
        if trained is not None:
            values = {"train": trained, **values}
    return values


def _about_model(run: OpenedRun) -> list[str]:
    recipe = REGISTRY[run.config.recipe]
    modules = (run.estimator.model_, run.estimator.posterior_)
    count = sum(p.numel() for m in modules if m is not None for p in m.parameters())
    sentences = [f"{recipe.summary} ({recipe.reference})", f"{count:,} parameters"]
    records = run.estimator.history_.records
    if records:
        last = records[-1]
        sentences.append(
            f"trained for {last['epoch']:,} epochs, {last['step']:,} steps, "
            f"{last['seconds']:,.0f} seconds"
        )
    return sentences


def _about_data(data: Dataset) -> list[str]:
    spec = data.spec
    sizes = ", ".join(f"{len(source):,} {name}" for name, source in data.splits.items())
    sentences = [
        f"{data.name}: rows of {' x '.join(map(str, spec.shape))} cells ({sizes})",
        f"kind: {spec.reason}" if not spec.binarization else f"binarised: {spec.binarization}",
        data.provenance,
        "cells are missing, and integrated out" if spec.missing else "",
        data.reference,
    ]
    return [sentence for sentence in sentences if sentence]
