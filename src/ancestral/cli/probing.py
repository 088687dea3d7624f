"""Codes as files, and what they say of labels."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import torch

from ancestral.cli.contents import save_arrays, write_csv
from ancestral.cli.opened import OpenedRun, random_rows
from ancestral.cli.tables import print_table
from ancestral.core import DataError, OptionError
from ancestral.data import Dataset, Source
from ancestral.evaluation import Probe, ProbeRows, probe
from ancestral.networks import InputFeatures

__all__ = ["print_scores", "print_scores_as_json", "probed", "write_codes"]

_MOST_NUMBERS = 8192  # of a row, for the baseline on x itself
_ROWS = 10_000  # to train on at most


def probed(
    run: OpenedRun,
    data: Dataset,
    split: str,
    *,
    layers: str = "all",
    num_rows: int = _ROWS,
    test: Source | None = None,
) -> Probe:
    """Scores of the codes of a split, by classifiers that are trained on the training split.

    Args:
        run: a trained model.
        data: with labels in the training split and in the other one.
        split: to test on.
        layers: of z, where it has several: all or top.
        num_rows: to train on at most, by chance; half as many validate.
        test: rows of that split to test on; None for all.

    Raises:
        OptionError: it is the training split, or the model is given the labels.
        DataError: there are no labels.
    """
    if split == "train":
        raise OptionError(
            "expected another split than train for --scores: classifiers are trained on it",
            hint="--split test",
        )
    if run.config.spec.context:
        raise OptionError(
            "the run is given the class of each row, so its codes contain it",
            hint="leave out --scores, or fit without --given",
        )
    sources = {"train": random_rows(data.train, num_rows), "test": test or data.split(split)}
    if "valid" in data.splits and split != "valid":
        sources["valid"] = random_rows(data.valid, num_rows // 2)
    missing = next((name for name, source in sources.items() if source.labels is None), None)
    if missing is not None:
        raise DataError(
            f"expected labels to score codes by, got none in {data.name}",
            hint="tables name theirs with --label when fitting; or leave out --scores",
        )
    features = _features(sources["train"])
    rows = {name: _rows(run, source, features, layers) for name, source in sources.items()}
    return probe(rows["train"], rows["test"], rows.get("valid"))


def write_codes(path: Path, codes: np.ndarray, labels: Mapping[str, np.ndarray]) -> None:
    """[rows, D] as `.npz` with labels, `.npy` without, or `.csv` with columns z_1, z_2, ..."""
    if path.suffix.lower() != ".csv":
        save_arrays(path, {"codes": codes, **labels})
        return
    names = [f"z_{i + 1}" for i in range(codes.shape[1])]
    columns = [*codes.T.astype(str), *(column.astype(str) for column in labels.values())]
    write_csv(path, [*names, *labels], list(zip(*columns, strict=True)))


def print_scores(found: Probe, about: str) -> None:
    """A table to standard output; how it was made to standard error."""
    print_table((about, "codes", "x itself"), found.table())
    gain = found.gain
    if gain is not None:
        sign = "+" if gain.value >= 0 else ""
        points = f"{sign}{100 * gain.value:.1f} ± {100 * gain.std_error:.1f} points"
        print(f"linear probe, codes less x, in pairs: {points}", file=sys.stderr)
    print(found.in_words(), file=sys.stderr)


def print_scores_as_json(found: Probe, about: str) -> None:
    """One object to standard output."""
    print(json.dumps({"of": about, **found.to_dict()}, indent=2, allow_nan=False))


def _features(train: Source) -> InputFeatures | None:
    """X as numbers: categories one-hot, the rest scaled; None where there would be too many."""
    features = InputFeatures(train.spec)
    if features.num_outputs > _MOST_NUMBERS:
        return None
    batch = train.rows(slice(0, len(train)))
    features.initialize(batch.x.cpu(), None if batch.observed is None else batch.observed.cpu())
    return features


def _rows(
    run: OpenedRun, source: Source, features: InputFeatures | None, layers: str
) -> ProbeRows:
    raw = None
    if features is not None:
        with torch.no_grad():
            parts = [
                features(
                    batch.x.cpu(), None if batch.observed is None else batch.observed.cpu()
                ).flatten(1)
                for batch in source.ordered(1000)
            ]
        raw = torch.cat(parts).numpy()
    labels = np.asarray(source.labels)
    return ProbeRows(run.estimator.encode(source, layers=layers), raw, labels)
