"""Rows to judge, and rows to judge them against."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch

from ancestral.applications.detection import OUTLIERS, outliers
from ancestral.cli.contents import array_of
from ancestral.cli.data_choice import DataChoice
from ancestral.cli.opened import OpenedRun, random_rows
from ancestral.core import DataError, Kind, OptionError
from ancestral.data import (
    DATASETS,
    Dataset,
    Dequantized,
    Fractions,
    Source,
    TensorSource,
    as_given,
)

__all__ = ["Asked", "asked_rows", "labelled_parts", "sets_against", "some_rows"]

_WHOLE = Fractions(validation=0.0, test=0.0)
_EVERY = "all"


@dataclass(frozen=True)
class Asked:
    """Rows to judge.

    Args:
        source: the rows.
        name: of their data.
        split: which part of them; "" for all rows of a file.
        held_out: whether none of them was trained on, as far as one can tell.
        label_names: what their label codes mean, where labels were text.
    """

    source: Source
    name: str
    split: str
    held_out: bool
    label_names: tuple[str, ...] | None = None

    @property
    def in_words(self) -> str:
        """Such as "the test split of digits"."""
        return f"the {self.split} split of {self.name}" if self.split else self.name


def asked_rows(
    opened: OpenedRun,
    data: str | None,
    split: str | None,
    label: str | None,
    data_dir: Path | None,
) -> Asked:
    """The rows that were named.

    A file that is named is read whole and in its order, the run's own file too; registered data
    and the run's own data by default give the test split.
    """
    kept = DataChoice.from_dict(opened.config.data)
    is_own = data is None or _same_name(data, kept.name)
    choice = kept if data is None else kept.instead(data, data_dir)
    choice = choice if data_dir is None else replace(choice, data_dir=str(data_dir))
    if label is not None:
        choice = replace(choice, label=label)
    whole = data is not None and data not in DATASETS and split is None
    found = _read(opened, choice, _WHOLE if whole else Fractions())
    if whole and len(found.splits) == 1:
        source = next(iter(found.splits.values()))
        return Asked(source, found.name, "", held_out=not is_own, label_names=found.label_names)
    part = split or ("test" if "test" in found.splits else next(iter(found.splits)))
    held_out = not is_own or part == "test"  # validation rows are those of the calibration
    return Asked(found.split(part), found.name, part, held_out, found.label_names)


def some_rows(source: Source, num: int | None) -> tuple[Source, np.ndarray]:
    """Rows at random, the same at every call, in their order; and their numbers."""
    numbers = np.arange(len(source))
    if num is None or num >= len(source):
        return source, numbers
    chosen = np.sort(np.random.default_rng(0).choice(len(source), num, replace=False))
    return source.subset(chosen), chosen


def labelled_parts(asked: Asked, anomalous: Sequence[str]) -> tuple[np.ndarray, np.ndarray]:
    """Numbers of the rows with other labels, and of those with a label that is called anomalous.

    Raises:
        OptionError: there are no labels, or no row has one of those.
    """
    labels = asked.source.labels
    if labels is None:
        raise OptionError(
            f"expected labels to find {', '.join(anomalous)} among, and {asked.name} has none",
            hint="--label COLUMN says which column of a table holds them",
        )
    names = asked.label_names
    texts = [names[code] if names is not None else str(code) for code in labels.tolist()]
    absent = [value for value in anomalous if value not in texts]
    if absent:
        known = sorted(set(texts))
        shown = ", ".join(known[:10]) + (", ..." if len(known) > 10 else "")
        raise OptionError(f"no row has the label {absent[0]!r}", hint=f"there are: {shown}")
    is_anomalous = np.isin(texts, list(anomalous))
    if is_anomalous.all():
        raise OptionError("all rows have an anomalous label, and none is left to be normal")
    return np.flatnonzero(~is_anomalous), np.flatnonzero(is_anomalous)


def sets_against(
    opened: OpenedRun,
    names: Sequence[str],
    normal: Source,
    num: int,
    seed: int,
    data_dir: Path | None,
) -> dict[str, Source]:
    """Rows of other data, and outliers made of normal rows, by the names that were typed.

    Args:
        opened: the run.
        names: of `OUTLIERS`, "all" of them that make sense, registered data, or paths; several
            of them may be joined by commas.
        normal: rows to make outliers of.
        num: rows of each at most.
        seed: of what is random in outliers.
        data_dir: folder of data sets.
    """
    spec = opened.config.spec
    wanted = [one for name in names for one in name.split(",") if one]
    if _EVERY in wanted:
        at = wanted.index(_EVERY)
        plain = spec.integers or spec
        wanted[at : at + 1] = [
            name
            for name, outlier in OUTLIERS.items()
            if outlier.fits(plain) and (outlier.takes_gaps or not spec.missing)
        ]
    found: dict[str, Source] = {}
    for name in dict.fromkeys(wanted):
        if name in OUTLIERS:
            plain = as_given(normal)
            context = random_rows(plain, num).rows(slice(None)).context
            made = outliers(name, array_of(random_rows(plain, num)), plain.spec, seed=seed)
            beside = _beside(made, plain, context)
            found[name] = beside if plain is normal else Dequantized(beside)
        else:
            found[name] = random_rows(_other(opened, name, data_dir), num)
    return found


def _beside(made: np.ndarray, normal: Source, context: torch.Tensor | None) -> Source:
    from ancestral.data import Conditioned

    plain = replace(normal.spec, context=())
    source = TensorSource(made, plain)
    if context is None:
        return source
    return Conditioned(source, context.cpu(), normal.spec.context)


def _other(opened: OpenedRun, name: str, data_dir: Path | None) -> Source:
    """Rows of other data in the run's kind: grey levels stretched, or binarised alike."""
    spec = opened.config.spec
    if name not in DATASETS and not os.path.exists(os.path.expanduser(name)):
        import difflib

        known = [*OUTLIERS, *DATASETS]
        close = difflib.get_close_matches(name, known, n=3, cutoff=0.5)
        hint = (
            "did you mean " + " or ".join(map(repr, close)) + "?"
            if close
            else (
                "made outliers are: "
                + ", ".join(OUTLIERS)
                + "; `ancestral list` has the data sets"
            )
        )
        raise DataError(f"there is no {name!r} to compare with", hint=hint)
    choice = DataChoice.from_dict(opened.config.data).instead(name, data_dir)
    choice = choice if data_dir is None else replace(choice, data_dir=str(data_dir))
    fractions = Fractions() if name in DATASETS else _WHOLE
    if spec.image_shape is not None and name in DATASETS:
        found = _stretched(opened, choice)
        if found is not None:
            return found
        if spec.kind is Kind.BINARY and not spec.binarization:
            choice = replace(choice, binarization="static")
    data = _read(opened, choice, fractions)
    return data.splits["test"] if "test" in data.splits else next(iter(data.splits.values()))


def _stretched(opened: OpenedRun, choice: DataChoice) -> Source | None:
    """Images of other grey levels, stretched to those of the run; None if they need not be."""
    spec = opened.config.spec
    if spec.kind is not Kind.LEVELS:
        return None
    plain = replace(choice, binarization="none", kind=None, dequantize=False).read()
    codes = plain.spec.num_levels or (2 if plain.spec.kind is Kind.BINARY else None)
    if codes is None or codes == spec.num_levels or plain.spec.shape != spec.shape:
        return None
    assert spec.num_levels is not None
    rows = plain.splits.get("test") or next(iter(plain.splits.values()))
    factor = (spec.num_levels - 1) / (codes - 1)
    x = (rows.rows(slice(None)).x * factor).round()
    return TensorSource(x.cpu().numpy().astype(np.int64), replace(spec, context=()))


def _read(opened: OpenedRun, choice: DataChoice, fractions: Fractions) -> Dataset:
    return choice.read(
        like=opened.config.spec, vocabulary=opened.text.vocabulary, fractions=fractions
    )


def _same_name(typed: str, kept: str) -> bool:
    if typed in DATASETS or kept in DATASETS:
        return typed == kept
    return os.path.abspath(os.path.expanduser(typed)) == os.path.abspath(kept)
