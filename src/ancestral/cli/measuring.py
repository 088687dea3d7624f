"""How `evaluate`, `compare` and `report` get their numbers."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace

from torch import nn

from ancestral.cli.annealing import ANNEALED, AnnealingOptions, chosen_rows
from ancestral.cli.opened import OpenedRun
from ancestral.cli.progress import row_bar
from ancestral.core import IncompatibleChoices, OptionError, Precision
from ancestral.data import Dataset, Source
from ancestral.evaluation import Evaluation, GapsOptions, Setting, evaluate, evaluate_simulated
from ancestral.inference.evidence import (
    Bidirectional,
    EvidenceMethod,
    Exact,
    Importance,
    ParetoSmoothed,
    default_method,
    has_proposal,
)
from ancestral.inference.posteriors import Posterior
from ancestral.models import Autoencoder, ExactLogProb, LatentVariableModel

__all__ = ["Measurement", "check_gaps", "measure", "measure_source"]

_PASSES = 2  # over the rows: for log p, and for the terms of the bound


@dataclass(frozen=True)
class Measurement:
    """What is measured, and how.

    Args:
        split: train, valid or test.
        samples: importance samples for each datum.
        method: auto, exact, importance, psis, ais or bdmc.
        seed: of the samples.
        precision: of the networks' matrix products while sampling.
        gaps: how to measure approximation and amortisation gap; None: not.
        annealing: options of ais and bdmc.
        rows: of the split, at random; None: all, or 100 where annealing is asked for.
    """

    split: str = "test"
    samples: int = 1000
    method: str = "auto"
    seed: int = 0
    precision: Precision = Precision.FLOAT32
    gaps: GapsOptions | None = None
    annealing: AnnealingOptions = field(default_factory=AnnealingOptions)
    rows: int | None = None

    def __post_init__(self) -> None:
        self.annealing.check(self.method)
        if self.samples < 1:
            raise OptionError(f"expected at least 1 sample, got {self.samples}")

    def of(
        self,
        model: nn.Module,
        posterior: Posterior | None,
        on_rows: Callable[[float], None] | None = None,
    ) -> EvidenceMethod | None:
        """The method for a model; None where there is no log p, and nobody insisted on one."""
        if self.method == "auto" and isinstance(model, Autoencoder):
            return None
        exact = isinstance(model, ExactLogProb)
        if self.method == "auto" and not exact and not has_proposal(posterior):
            return None
        auto = default_method(model, self.samples, self.seed)
        importance = Importance(self.samples, self.seed, self.precision)
        if isinstance(auto, Importance):
            auto = importance
        methods: dict[str, EvidenceMethod] = {
            "exact": Exact(),
            "importance": importance,
            "psis": ParetoSmoothed(self.samples, self.seed, self.precision),
            "ais": self.annealing.method(self.seed, self.precision, on_rows),
        }
        return methods.get(self.method, auto)


def check_gaps(run: OpenedRun, method: str) -> None:
    """Refuse to look for where a bound loses if there is none.

    Raises:
        IncompatibleChoices: there is no posterior with a density, or rows are not looked at.
    """
    estimator = run.estimator
    latent = isinstance(estimator.model_, LatentVariableModel)
    if latent and has_proposal(estimator.posterior_) and method != "bdmc":
        return
    if method == "bdmc":
        why = "--method bdmc looks at data that the model makes"
    else:
        why = f"a run of {run.config.recipe!r} has no encoder with a density, so no bound"
    raise IncompatibleChoices(
        f"--gaps tells where the bound loses against log p, and {why}", hint="leave out --gaps"
    )


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
    source, note = chosen_rows(source, how.rows, how.method)
    setting = Setting(run.config.recipe, name, how.split, source.spec.binarization)
    found = (_simulated if how.method == "bdmc" else _measured)(
        estimator.model_, estimator.posterior_, source.to(device), setting, how
    )
    notes = [note] if note else []
    if how.method in ANNEALED:
        notes.append(how.annealing.method(how.seed, how.precision).in_words())
    return replace(found, notes=(*found.notes, *notes))


def _measured(
    model: nn.Module,
    posterior: Posterior | None,
    source: Source,
    setting: Setting,
    how: Measurement,
) -> Evaluation:
    gaps = 0 if how.gaps is None else min(how.gaps.num_rows, len(source))
    annealed = how.annealing.method(how.seed, how.precision) if how.method == "ais" else None
    passes = _PASSES + (how.method in ANNEALED)
    with row_bar("evaluating", passes * len(source) + gaps) as on_rows:
        return evaluate(
            model,
            posterior,
            source,
            setting=setting,
            method=how.of(model, posterior, on_rows),
            gaps=how.gaps and replace(how.gaps, evidence=annealed),
            seed=how.seed,
            on_rows=on_rows,
        )


def _simulated(
    model: nn.Module,
    posterior: Posterior | None,
    source: Source,
    setting: Setting,
    how: Measurement,
) -> Evaluation:
    with row_bar("annealing both ways", _PASSES * len(source)) as on_rows:
        annealing = how.annealing.method(how.seed, how.precision, on_rows)
        return evaluate_simulated(
            model, posterior, source, setting=setting, method=Bidirectional(annealing)
        )
