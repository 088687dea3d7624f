"""A run that was opened: its model, and the data that it is asked about."""

from __future__ import annotations

import sys
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch

from ancestral.cli.data_choice import DataChoice, KeptText, kept_text
from ancestral.core import DataError, OptionError, RunError
from ancestral.data import DATASETS, Dataset, Fractions, Source
from ancestral.estimator import DensityEstimator, RunConfig
from ancestral.recipes import REGISTRY

__all__ = ["NamedRows", "OpenedRun", "checked_device", "first_rows", "open_run", "random_rows"]


_WHOLE = Fractions(validation=0.0, test=0.0)


@dataclass(frozen=True)
class NamedRows:
    """Rows that were asked for.

    Attributes:
        dataset: that they are of.
        source: the rows.
        split: which part; "all" for a file that was taken whole.
    """

    dataset: Dataset
    source: Source
    split: str

    @property
    def in_words(self) -> str:
        """Such as "the test split of digits"."""
        name = self.dataset.name
        return (
            f"all rows of {name}" if self.split == "all" else f"the {self.split} split of {name}"
        )

    def tell(self, num: int | None = None) -> None:
        """How many of how many rows are used, on stderr, where a file was named.

        Args:
            num: rows that are used, if they are fewer.
        """
        if self.dataset.name in DATASETS:
            return
        total = sum(len(source) for source in self.dataset.splits.values())
        used = len(self.source) if num is None else num
        rows = "row" if total == 1 else "rows"
        part = "" if self.split == "all" else f": its {self.split} split"
        print(f"{used:,} of {total:,} {rows} of {self.dataset.name}{part}", file=sys.stderr)


@dataclass(frozen=True)
class OpenedRun:
    """A trained model with its configuration.

    Attributes:
        folder: of the run.
        config: what was asked for.
        estimator: the fitted model.
    """

    folder: Path
    config: RunConfig
    estimator: DensityEstimator

    @property
    def text(self) -> KeptText:
        """What samples need to become text or sound again."""
        return kept_text(self.config.data)

    def data(
        self, name: str | None, data_dir: Path | None, *, label: str | None = None
    ) -> Dataset:
        """The data of the run, or others that the model can read, with a column of labels."""
        kept = self.config.data if name is None else {"name": name, **self.config.data}
        choice = DataChoice.from_dict(kept).instead(name, data_dir)
        choice = choice if label is None else replace(choice, label=label)
        data = choice.read(like=self.config.spec, vocabulary=self.text.vocabulary)
        return _of_same_rate(data, self.text.sample_rate)

    def rows(
        self,
        name: str | None,
        split: str | None,
        data_dir: Path | None,
        *,
        label: str | None = None,
        own_split: bool = False,
    ) -> NamedRows:
        """The rows that were named.

        A file that brings no splits is taken whole and in its order, unless a split was typed.
        The run's own data without a name, and data with splits of their own, give the test split.

        Args:
            name: of other data; None for the run's own.
            split: that was typed; None if none was.
            data_dir: folder of data sets.
            label: column of labels.
            own_split: whether the run's own file keeps the split that it was trained by, though
                it was named: for numbers that are to be of held-out rows.
        """
        whole = split is None and self.is_other_file(name, or_own=not own_split)
        kept = self.config.data if name is None else {"name": name, **self.config.data}
        choice = DataChoice.from_dict(kept).instead(name, data_dir)
        choice = choice if label is None else replace(choice, label=label)
        data = choice.read(
            like=self.config.spec,
            vocabulary=self.text.vocabulary,
            fractions=_WHOLE if whole else Fractions(),
        )
        data = _of_same_rate(data, self.text.sample_rate)
        if whole and len(data.splits) == 1:
            return NamedRows(data, next(iter(data.splits.values())), "all")
        part = split or ("test" if "test" in data.splits else next(iter(data.splits)))
        return NamedRows(data, data.split(part), part)

    def is_other_file(self, name: str | None, *, or_own: bool = False) -> bool:
        """Whether a name is of a file: another than the run's, or that one too."""
        if name is None or name in DATASETS:
            return False
        return or_own or not DataChoice.from_dict({"name": "", **self.config.data}).names(name)

    def data_with_gaps(
        self, name: str | None, data_dir: Path | None, *, split: str | None = None
    ) -> Dataset:
        """The same, where cells may be missing though none was in training.

        Data that were named and bring no split stay whole, in their own order, unless a split is
        wanted.
        """
        kept = self.config.data if name is None else {"name": name, **self.config.data}
        choice = DataChoice.from_dict(kept).instead(name, data_dir)
        like = replace(self.config.spec, missing=True)
        fractions = _WHOLE if name is not None and split is None else Fractions()
        data = choice.read(like=like, vocabulary=self.text.vocabulary, fractions=fractions)
        return _of_same_rate(data, self.text.sample_rate)


def open_run(folder: Path, device: str | None = None) -> OpenedRun:
    """Read a run folder.

    Raises:
        RunError: it is not one, or its recipe is not of this version.
    """
    config = RunConfig.load(folder)
    if config.recipe not in REGISTRY:
        raise RunError(
            f"the run {folder} is of a recipe that this version does not have: {config.recipe!r}",
            hint=f"it was written by version {config.version}",
        )
    recipe = REGISTRY[config.recipe]
    return OpenedRun(folder, config, DensityEstimator.load(folder, recipe, checked_device(device)))


def _of_same_rate(data: Dataset, sample_rate: int | None) -> Dataset:
    """Refuse sounds that were sampled faster or more slowly than those of the run.

    Raises:
        DataError: a second of them has another number of samples; arrays do not say.
    """
    if None not in (sample_rate, data.sample_rate) and data.sample_rate != sample_rate:
        raise DataError(
            f"expected sounds of {sample_rate} Hz, as the run was trained on, got "
            f"{data.sample_rate} Hz",
            hint=f"resample them to {sample_rate} Hz first",
        )
    return data


def checked_device(name: str | None) -> str | None:
    """A device that is there.

    Raises:
        OptionError: torch does not know it, or has none.
    """
    if name is not None:
        try:
            torch.empty(0, device=name)
        except (RuntimeError, AssertionError) as error:
            reason = str(error).splitlines()[0]
            raise OptionError(
                f"expected a device that is there, got {name!r}: {reason}", hint="--device cpu"
            ) from None
    return name


def first_rows(source: Source, num_rows: int) -> Source:
    """The first rows of a split.

    Raises:
        OptionError: fewer than one was asked for.
        DataError: there are none.
    """
    if num_rows < 1:
        raise OptionError(f"expected at least 1 row, got {num_rows}")
    if len(source) == 0:
        raise DataError("expected rows, got none")
    return source.subset(slice(0, min(num_rows, len(source))))


def random_rows(source: Source, num_rows: int) -> Source:
    """So many rows of a split, in their own order: the same ones at every call.

    Not the first: files are often sorted, and those would be one class, or one alphabet.
    """
    if len(source) <= num_rows:
        return source
    chosen = np.random.default_rng(0).choice(len(source), num_rows, replace=False)
    return source.subset(np.sort(chosen))
