"""How parts are fitted: by gradient steps, or at once where there is a closed form."""

from __future__ import annotations

import time
from pathlib import Path

from ancestral.data import Source
from ancestral.estimator.recipe import Assembly
from ancestral.inference.objectives import ClosedForm, MaximumLikelihood
from ancestral.training import (
    History,
    LossModule,
    MetricsWriter,
    Outcome,
    Reporter,
    Silent,
    TrainingConfig,
    mean_terms,
    train,
)

__all__ = ["solve"]

_VALIDATION_ROWS = 1000  # at once
_CLOSED_FORM_ROWS = 1000  # at once


def solve(
    parts: Assembly,
    source: Source,
    validation: Source | None,
    config: TrainingConfig,
    *,
    folder: Path | None = None,
    reporter: Reporter | None = None,
    writers: tuple[MetricsWriter, ...] = (),
) -> Outcome:
    """Fit parts to a source of rows, in place."""
    objective, model, posterior = parts.objective, parts.model, parts.posterior
    if isinstance(objective, ClosedForm):
        return _at_once(objective, parts, source, validation, reporter or Silent(), folder)

    def validate() -> dict[str, float]:
        assert validation is not None
        batches = validation.ordered(_VALIDATION_ROWS)
        return mean_terms(objective, model, posterior, batches, seed=config.seed)

    device = next(model.parameters()).device
    return train(
        LossModule(objective, model, posterior).to(device),  # the companion's first move
        source,
        config,
        validate=None if validation is None else validate,
        folder=folder,
        reporter=reporter,
        writers=writers,
    )


def _at_once(
    objective: ClosedForm,
    parts: Assembly,
    source: Source,
    validation: Source | None,
    reporter: Reporter,
    folder: Path | None,
) -> Outcome:
    started = time.monotonic()
    said = objective.fit(parts.model, lambda: source.ordered(_CLOSED_FORM_ROWS))
    reporter.say(said)
    seconds = time.monotonic() - started
    record: dict[str, object] = {"epoch": 1, "step": 1, "seconds": round(seconds, 3)}
    likelihood = MaximumLikelihood()
    for name, part in (("train", source), ("valid", validation)):
        if part is not None:
            terms = mean_terms(likelihood, parts.model, None, part.ordered(_VALIDATION_ROWS))
            record |= {f"{name}/{term}": value for term, value in terms.items()}
    reporter.epoch(record | {"best": record.get("valid/log_prob", float("nan"))})
    reporter.close()
    history = History([record])
    if folder is not None:
        history.save(folder / "metrics.jsonl")
    return Outcome(history, said, 1, seconds, 1)
