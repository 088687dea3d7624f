"""A run that was opened: its model, and the data that it is asked about."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch

from ancestral.cli.data_choice import DataChoice, KeptText, kept_text
from ancestral.core import DataError, OptionError, RunError
from ancestral.data import Dataset, Fractions, Source
from ancestral.estimator import DensityEstimator, RunConfig
from ancestral.recipes import REGISTRY

__all__ = ["OpenedRun", "checked_device", "first_rows", "open_run", "random_rows"]


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

    def data_with_gaps(self, name: str | None, data_dir: Path | None) -> Dataset:
        """The same, where cells may be missing though none was in training.

        Other data that bring no split stay whole, in their own order.
        """
        kept = self.config.data if name is None else {"name": name, **self.config.data}
        choice = DataChoice.from_dict(kept).instead(name, data_dir)
        like = replace(self.config.spec, missing=True)
        whole = Fractions(validation=0.0, test=0.0)
        fractions = Fractions() if name is None else whole
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
