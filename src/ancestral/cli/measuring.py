"""How `evaluate`, `compare` and `report` get their numbers."""

from __future__ import annotations

from dataclasses import dataclass

from torch import nn

from ancestral.cli.opened import OpenedRun
from ancestral.cli.progress import row_bar
from ancestral.core import OptionError, Precision
from ancestral.data import Dataset, Source
from ancestral.evaluation import Evaluation, Setting, evaluate
from ancestral.inference.evidence import EvidenceMethod, Exact, Importance, default_method
from ancestral.models import Autoencoder

__all__ = ["Measurement", "measure", "measure_source"]

_PASSES = 2  # over the rows: for log p, and for the terms of the bound


@dataclass(frozen=True)
class Measurement:
    """What is measured, and how.

    Args:
        split: train, valid or test.
        samples: importance samples for each datum.
        method: auto, exact or importance.
        seed: of the samples.
        precision: of the networks' matrix products while sampling.
    """

    split: str = "test"
    samples: int = 1000
    method: str = "auto"
    seed: int = 0
    precision: Precision = Precision.FLOAT32

    def __post_init__(self) -> None:
        if self.samples < 1:
            raise OptionError(f"expected at least 1 sample, got {self.samples}")

    def of(self, model: nn.Module) -> EvidenceMethod | None:
        """The method for a model; None for an autoencoder that was asked for no likelihood."""
        if self.method == "auto" and isinstance(model, Autoencoder):
            return None
        auto = default_method(model, self.samples, self.seed)
        importance = Importance(self.samples, self.seed, self.precision)
        if isinstance(auto, Importance):
            auto = importance
        return {"exact": Exact(), "importance": importance}.get(self.method, auto)


def measure(run: OpenedRun, data: Dataset, how: Measurement) -> Evaluation:
    """The numbers of a run on a split of some data."""
    return measure_source(run, data.name, data.split(how.split), how)


def measure_source(run: OpenedRun, name: str, source: Source, how: Measurement) -> Evaluation:
    """The numbers of a run on some rows.

    Args:
        run: a trained model.
        name: of the data.
        source: the rows.
        how: method, and the name of the split.
    """
    estimator = run.estimator
    device = next(estimator.model_.parameters()).device
    method = how.of(estimator.model_)
    setting = Setting(run.config.recipe, name, how.split, source.spec.binarization)
    with row_bar("evaluating", _PASSES * len(source)) as on_rows:
        return evaluate(
            estimator.model_,
            estimator.posterior_,
            source.to(device),
            setting=setting,
            method=method,
            seed=how.seed,
            on_rows=on_rows,
        )
