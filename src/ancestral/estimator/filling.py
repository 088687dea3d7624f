"""Rows with gaps, and what a fitted model makes of them."""

from __future__ import annotations

import warnings
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from ancestral.applications import Imputation, LatentImputing, ParticleFilter, imputed
from ancestral.core import DataError, ShapeError, Specification, derived_seed
from ancestral.core.estimate import weakest
from ancestral.data import Source
from ancestral.inference.posteriors import Posterior

__all__ = ["Filler", "completed_rows", "with_gaps"]

_ROWS = 500  # that are looked at together
_FILLING = 14  # stream of derived seeds


@dataclass(frozen=True)
class Filler:
    """How gaps are to be filled.

    Args:
        model: in evaluation mode.
        posterior: q, for latent-variable models.
        num_samples: completions of each row.
        seed: of the draws.
        particles: settings of sequential Monte Carlo.
        method: of latent-variable models.
    """

    model: nn.Module
    posterior: Posterior | None = None
    num_samples: int = 100
    seed: int = 0
    particles: ParticleFilter | None = None
    method: LatentImputing | str = "auto"

    def __call__(self, source: Source) -> Iterator[Imputation]:
        """Consecutive rows at a time, so that memory is bounded."""
        for number, batch in enumerate(source.ordered(_ROWS)):
            # new rows, whatever their numbers: posteriors that know training rows by them do not
            parts = imputed(
                self.model,
                batch.with_index(None),
                self.num_samples,
                posterior=self.posterior,
                seed=derived_seed(self.seed, _FILLING, number),
                particles=self.particles,
                method=self.method,
            )
            for part in parts:
                estimate = part.log_evidence
                kind = weakest(estimate.kind, source.log_prob_kind)
                yield replace(part, log_evidence=replace(estimate, kind=kind))


def with_gaps(X: Any, observed: Any) -> Any:
    """Rows with NaN where a mask says that nothing is known.

    Args:
        X: what `as_source` takes.
        observed: bool of the shape of X, True where a cell is known; None leaves X as it is.

    Raises:
        ShapeError: the mask is not of the shape of the rows.
        DataError: the mask is not of zeros and ones, or X is no array.
    """
    if observed is None:
        return X
    if isinstance(X, Source):
        raise DataError(
            "expected an array for a mask of observed cells, got a source",
            hint="a source knows itself which cells are missing: leave out the mask",
        )
    mask = np.asarray(observed.cpu() if isinstance(observed, Tensor) else observed)
    shape = tuple(X.shape) if hasattr(X, "shape") else np.asarray(X).shape
    if mask.shape != shape:
        raise ShapeError(
            f"expected a mask of observed cells of shape {list(shape)}, that of the rows, "
            f"got {list(mask.shape)}",
            hint="it says of each cell of each row whether it is known",
        )
    if not np.isin(mask, (0, 1)).all():
        raise DataError("expected a mask of True and False, got other values")
    mask = mask.astype(bool)
    if hasattr(X, "iloc"):
        return X.where(mask)
    values = X.detach().cpu().numpy() if isinstance(X, torch.Tensor) else np.asarray(X)
    return np.where(mask, values, np.nan)


def completed_rows(parts: Iterable[Imputation], spec: Specification) -> np.ndarray:
    """The representative of each row, [rows, *shape]; Python warnings where it is unsafe."""
    rows = []
    for part in parts:
        for sentence in part.warnings:
            warnings.warn(sentence, stacklevel=3)
        rows.append(part.completed(spec).cpu().numpy())
    return np.concatenate(rows)
