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
from ancestral.applications.imputing_checks import remoteness, undefined_rows
from ancestral.core import Batch, DataError, ShapeError, Specification, derived_seed
from ancestral.core.estimate import weakest
from ancestral.core.hashing import mixed64
from ancestral.core.noise import own_noise, uniform_noise
from ancestral.core.row_noise import RowKeys
from ancestral.data import Source, as_given, is_dequantized, within_cell
from ancestral.inference.posteriors import Posterior

__all__ = ["Filler", "completed_rows", "with_gaps"]

_ROWS = 500  # that are looked at together
_FILLING = 14  # stream of derived seeds
_REMOTE = 15.0  # standard deviations beyond which even heavy tails do not reach
_DEQUANTIZING = 0xDE9  # told apart from the noise of draws


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
        spec: of the model's data; None: that of the rows.
    """

    model: nn.Module
    posterior: Posterior | None = None
    num_samples: int = 100
    seed: int = 0
    particles: ParticleFilter | None = None
    method: LatentImputing | str = "auto"
    spec: Specification | None = None

    def __call__(self, source: Source) -> Iterator[Imputation]:
        """Consecutive rows at a time, so that memory is bounded."""
        row_keys = RowKeys(derived_seed(self.seed, _FILLING))
        dequantized = source.log_prob_kind != "exact" or self._lacks_noise(source)
        spec = self.spec if self.spec is not None and self.spec.integers else source.spec
        first_row = 0
        for given in as_given(source).ordered(_ROWS):
            keys = row_keys.of(given)
            # new rows, whatever their numbers: posteriors that know training rows by them do not
            batch = (_with_noise(given, keys) if dequantized else given).with_index(None)
            self._refuse_undefined(batch, first_row)
            parts = imputed(
                self.model,
                batch,
                self.num_samples,
                posterior=self.posterior,
                seed=derived_seed(self.seed, _FILLING),
                particles=self.particles,
                method=self.method,
                keys=keys,
            )
            first = 0
            for part in parts:
                estimate = part.log_evidence
                kind = weakest(estimate.kind, "lower_bound" if dequantized else "exact")
                part = replace(part, log_evidence=replace(estimate, kind=kind))
                if dequantized:
                    rows = given.x[first : first + len(part)]
                    part = part.as_integers(rows, spec)
                if first == 0:
                    told = (*self._remote(batch, first_row), *part.warnings)
                    part = replace(part, warnings=told)
                first += len(part)
                yield part
            first_row += len(given)

    def _refuse_undefined(self, batch: Batch, first_row: int) -> None:
        """Refuse rows of which the model's networks make no finite numbers.

        Raises:
            DataError: it names the row, and the known cell furthest from the training rows.
        """
        undefined = undefined_rows(self.model, self.posterior, batch)
        if not bool(undefined.any()):
            return
        number = int(undefined.nonzero()[0])
        far = self._remoteness(batch)[number].flatten()
        seen = batch.x[number].flatten().abs()
        cell = int((far if float(far.max()) > 0 else seen).argmax())
        raise DataError(
            f"expected numbers such as the model was trained on, got "
            f"{float(batch.x[number].flatten()[cell]):g} in {self._named(cell, batch)} of row "
            f"{first_row + number}, of which its networks make no finite number",
            hint="is the unit another, or is it a code for a missing value? leave the cell empty "
            "then (rows count from 0)",
        )

    def _remote(self, batch: Batch, first_row: int) -> tuple[str, ...]:
        """A warning of known cells that no training row can have come near to."""
        far = self._remoteness(batch)
        rows = (far.flatten(1) > _REMOTE).any(1)
        if not bool(rows.any()):
            return ()
        number, cell = divmod(int(far.flatten().argmax()), far[0].numel())
        are = "row has" if int(rows.sum()) == 1 else "rows have"
        return (
            f"{int(rows.sum()):,} {are} known cells far outside of what the model was trained on, "
            f"such as {float(batch.x[number].flatten()[cell]):g} in {self._named(cell, batch)} of "
            f"row {first_row + number}, counted from 0 ({float(far.max()):.0f} standard "
            "deviations): their completions are guesses; is the unit another?",
        )

    def _remoteness(self, batch: Batch) -> Tensor:
        far = remoteness(self.model, self.posterior, batch)
        return torch.where(far.isnan(), torch.inf, far)

    def _named(self, cell: int, batch: Batch) -> str:
        columns = None if self.spec is None else self.spec.columns
        if columns is not None:
            return f"column {columns[cell].name!r}"
        place = np.unravel_index(cell, batch.x.shape[1:])
        return f"cell {', '.join(str(int(i)) for i in place)}"

    def _lacks_noise(self, source: Source) -> bool:
        """Whether rows are integers, for a model of integers with noise; it is added here."""
        if self.spec is None or not is_dequantized(self.spec):
            return False
        return all(bool((b.x == b.x.floor()).all()) for b in source.ordered(_ROWS))


def _with_noise(given: Batch, keys: Tensor) -> Batch:
    """Integers with the noise of dequantisation, that of a row whatever its place is."""
    with own_noise(mixed64(keys + _DEQUANTIZING)):
        noise = uniform_noise((1, *given.x.shape), given.x).squeeze(0)
    x = within_cell(given.x, noise)
    return replace(given, x=x if given.observed is None else x * given.observed)


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
