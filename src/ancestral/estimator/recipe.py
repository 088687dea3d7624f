"""`Recipe`: a named way to assemble parts for data of a given specification."""

from __future__ import annotations

import dataclasses
import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from torch import nn

from ancestral.core import OptionError, Specification
from ancestral.core.registry import nearest
from ancestral.estimator.ranges import check_ranges
from ancestral.inference.objectives import Objective
from ancestral.inference.posteriors import Posterior
from ancestral.training import TrainingConfig

__all__ = ["TRAINING_OPTIONS", "Assembly", "Recipe"]

TRAINING_OPTIONS = tuple(f.name for f in dataclasses.fields(TrainingConfig))


@dataclass(frozen=True)
class Assembly:
    """Parts that make one trainable thing.

    Attributes:
        model: p.
        objective: what training minimises.
        posterior: q, or None for models that need none.
    """

    model: nn.Module
    objective: Objective
    posterior: Posterior | None = None


@dataclass(frozen=True)
class Recipe:
    """A paper, as parts.

    Args:
        name: as on the command line.
        summary: one line.
        assemble: (spec, **options) -> Assembly; its keyword arguments are the recipe's options.
        reference: authors, year, title.
        bibtex: for `ancestral cite`.
        training: defaults of training options where they differ from `TrainingConfig`'s.
        tags: for lists.
        resolve: (spec, number of training rows, options) -> options, in which those that were
            None, because they follow from the size of the data, have values.
        fewest_rows: of a batch, below which the objective says nothing.
    """

    name: str
    summary: str
    assemble: Callable[..., Assembly]
    reference: str = ""
    bibtex: str = ""
    training: Mapping[str, Any] = field(default_factory=dict)
    tags: tuple[str, ...] = ()
    resolve: Callable[[Specification, int, dict[str, Any]], dict[str, Any]] | None = None
    fewest_rows: int = 1

    @property
    def options(self) -> dict[str, inspect.Parameter]:
        """Keyword arguments of `assemble` after the specification."""
        parameters = inspect.signature(self.assemble, eval_str=True).parameters
        return {name: p for name, p in parameters.items() if name != "spec"}

    def split_options(self, given: Mapping[str, Any]) -> tuple[dict[str, Any], TrainingConfig]:
        """Options of the recipe and of training, told apart.

        Raises:
            OptionError: for a name that is neither, with the nearest ones; for a batch of fewer
                rows than the objective needs.
        """
        own: dict[str, Any] = {}
        training = dict(self.training)
        for name, value in given.items():
            if name in self.options:
                own[name] = value
            elif name in TRAINING_OPTIONS:
                training[name] = value
            else:
                raise OptionError(
                    f"unknown option {name!r} of recipe {self.name!r}",
                    hint=nearest(name, [*self.options, *TRAINING_OPTIONS]),
                )
        config = TrainingConfig(**training)
        if config.batch_size < self.fewest_rows:
            raise OptionError(
                f"expected batch_size of at least {self.fewest_rows} for recipe {self.name!r}, "
                f"which compares rows with each other, got {config.batch_size}",
                hint="leave out --batch-size for the recipe's own choice; more rows show more",
            )
        return own, config

    def completed(self, given: Mapping[str, Any]) -> dict[str, Any]:
        """The recipe's options with defaults where nothing is given."""
        return {name: p.default for name, p in self.options.items()} | dict(given)

    def resolved(
        self, given: Mapping[str, Any], spec: Specification, num_rows: int
    ) -> dict[str, Any]:
        """The recipe's options for some training data, with nothing left to follow from them."""
        completed = self.completed(given)
        check_ranges(completed)
        return completed if self.resolve is None else self.resolve(spec, num_rows, completed)

    def build(self, spec: Specification, options: Mapping[str, Any]) -> Assembly:
        """Assemble the parts for some data.

        Raises:
            OptionError: an option is out of its range.
        """
        check_ranges(options)
        return self.assemble(spec, **options)
