"""How `sample` draws what it was asked for."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import nn

from ancestral.cli.opened import OpenedRun
from ancestral.cli.written_text import drawn_text
from ancestral.core import IncompatibleChoices, OptionError, Precision, matrix_products
from ancestral.models import AutoregressiveModel, Drawn, SamplingMethod, Truncation

__all__ = ["Sampling"]


@dataclass(frozen=True)
class Sampling:
    """What was asked for; `sample --help` explains it."""

    num: int
    seed: int
    method: SamplingMethod
    truncation: Truncation | None
    prompt: str | None
    length: int | None
    precision: Precision

    def draw(self, run: OpenedRun, context: np.ndarray | None) -> Drawn:
        """The samples.

        Raises:
            OptionError: a number is out of its range.
            IncompatibleChoices: the run cannot be drawn from in that way.
        """
        if self.num < 1:
            raise OptionError(f"expected at least 1 sample, got {self.num}", hint="--num 1")
        if self.length is not None and self.length < 1:
            raise OptionError(f"expected a length of at least 1, got {self.length}")
        weight = next(run.estimator.model_.parameters())
        with torch.no_grad(), matrix_products(self.precision, weight):
            is_text = run.text.vocabulary is not None
            if self.prompt is not None or (is_text and self.length is not None):
                return self._text(run, context)
            model = run.estimator.model_
            if self.length is None:
                return self._sampled(run, context)
            run.estimator.model_ = _of_length(model, self.length, run)
            try:
                return self._sampled(run, context)
            finally:
                run.estimator.model_ = model

    def sentences(self, drawn: Drawn) -> list[str]:
        """What a user should know of how the samples came about."""
        found = []
        if drawn.num_passes:
            passes = "passes over a row" if drawn.method is SamplingMethod.ROW_JACOBI else "passes"
            found.append(f"{drawn.method}: {drawn.num_passes:,} {passes} of the network")
        if self.truncation is not None:
            found.append("with temperature, top-k or top-p these are not samples of the model")
        return found

    def _sampled(self, run: OpenedRun, context: np.ndarray | None) -> Drawn:
        return run.estimator.draw(
            self.num, self.seed, context=context, method=self.method, truncation=self.truncation
        )

    def _text(self, run: OpenedRun, context: np.ndarray | None) -> Drawn:
        if self.method not in (SamplingMethod.AUTO, SamplingMethod.CACHED):
            raise IncompatibleChoices(
                f"expected method auto or cached with --prompt or --length, got {self.method}",
                hint="leave out --method",
            )
        return drawn_text(
            run,
            self.num,
            self.seed,
            prompt=self.prompt or "",
            length=self.length,
            truncation=self.truncation,
            context=None if context is None else torch.from_numpy(context),
        )


def _of_length(model: nn.Module, length: int, run: OpenedRun) -> nn.Module:
    if not isinstance(model, AutoregressiveModel):
        raise IncompatibleChoices(
            f"expected no --length for a run of {run.config.recipe!r}, got {length}",
            hint="`wavenet` and models of text draw rows of any length",
        )
    return model.with_length(length)
