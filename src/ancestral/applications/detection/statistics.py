"""`Statistics`: the few numbers of each row by which odd rows are told."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor, nn

from ancestral.applications.detection.complexity import complexity_bits
from ancestral.applications.detection.dequantizing import as_seen
from ancestral.applications.detection.examining import Examination, examine
from ancestral.core import Batch, DataError, Specification
from ancestral.core.estimate import Kind, weakest
from ancestral.core.row_noise import RowKeys
from ancestral.data.dequantization import is_dequantized
from ancestral.data.noise import fixed_uniforms
from ancestral.inference.posteriors import Posterior

__all__ = ["Statistics", "statistics_of"]

_TIES = 53  # seed of the numbers that break ties


@dataclass(frozen=True)
class Statistics:
    """Numbers of each row under a model, and of the row itself.

    Attributes:
        columns: [rows] float64 each, by name: `log_prob` in nats; `complexity`, the bits of the
            row's smallest lossless file; where the model tells cells apart `largest_excess`, the
            surprise of a cell beyond what is usual of that cell, in nats, `odd_cell`, which one
            that is, and `spread`, the standard deviation of the surprise over the row's cells,
            in nats; of latent-variable models `reconstruction` and `kl` in nats; where there is
            a background model, `background`, log p under it; and `uniform`, a number from 0 to 1
            to break ties by, a hash of what the row holds (and of how many equal rows came
            before). Missing cells have no surprise.
        kind: what `log_prob` is: exact, or a lower bound.
        usual: [cells], mean surprise of each cell over normal rows, in nats; None where cells
            are not told apart. Cells differ: incomes in pence have a larger one than sexes.
        background_kind: what `background` is; None without it.
    """

    columns: Mapping[str, np.ndarray]
    kind: Kind
    usual: np.ndarray | None = None
    background_kind: Kind | None = None

    def __len__(self) -> int:
        """Number of rows."""
        return len(self.columns["log_prob"])

    def __getitem__(self, name: str) -> np.ndarray:
        """One number of each row."""
        return self.columns[name]

    def __contains__(self, name: str) -> bool:
        return name in self.columns

    def rows(self, chosen: slice | np.ndarray) -> Statistics:
        """Those of some of the rows."""
        columns = {name: column[chosen] for name, column in self.columns.items()}
        return Statistics(columns, self.kind, self.usual, self.background_kind)


def statistics_of(
    model: nn.Module,
    posterior: Posterior | None,
    batches: Iterable[Batch],
    spec: Specification,
    *,
    usual: np.ndarray | None = None,
    background: tuple[nn.Module, Posterior | None] | None = None,
    num_samples: int = 16,
    seed: int = 0,
    on_rows: Callable[[float], None] | None = None,
) -> Statistics:
    """One pass over some rows.

    The numbers of a row depend on the row alone, not on the rows beside it. Log p of a row that
    the model cannot tell, since its numbers are so far from all others that sums overflow, is
    minus infinity: nothing is odder.

    Args:
        model: in evaluation mode.
        posterior: q, for latent-variable models.
        batches: the rows.
        spec: what a row is to the model.
        usual: [cells], mean surprise of each cell over normal rows; None: these rows are such,
            and their surprise is held in memory, 4 bytes a cell.
        background: model and posterior of likelihood ratios.
        num_samples: of q for each row, where log p is a bound.
        seed: of the samples.
        on_rows: is told of rows that are done.

    Raises:
        NotExact: the model has neither log p nor a bound on it.
        DataError: there are no rows.
    """
    kept: dict[str, list[np.ndarray]] = {}
    surprises: list[np.ndarray] = []
    keys = RowKeys(_TIES)
    kind: Kind = "exact"
    background_kind: Kind | None = None
    noise: Kind = "lower_bound" if is_dequantized(spec) else "exact"
    for given in batches:
        batch = as_seen(given, spec)
        found = examine(model, posterior, batch, num_samples=num_samples, seed=seed)
        kind = weakest(found.kind, noise)
        columns = {"log_prob": found.log_prob, **found.terms}
        if background is not None:
            beside = examine(*background, batch, num_samples=num_samples, seed=seed)
            background_kind = weakest(beside.kind, noise)
            columns["background"] = beside.log_prob
        numbers = {name: column.double().cpu().numpy() for name, column in columns.items()}
        for name in columns.keys() & {"log_prob", "background"}:
            numbers[name] = np.nan_to_num(
                numbers[name], nan=-np.inf, posinf=np.inf, neginf=-np.inf
            )
        whole = replace(batch, x=batch.x.floor()) if is_dequantized(spec) else batch
        numbers["complexity"] = complexity_bits(_array(whole), spec.integers or spec)
        numbers["uniform"] = _uniforms(keys, whole)
        surprise = _surprise(found, batch)
        if surprise is not None:
            if usual is None:
                surprises.append(surprise)
            else:
                numbers |= _excess(surprise, usual)
        for name, column in numbers.items():
            kept.setdefault(name, []).append(column)
        if on_rows is not None:
            on_rows(len(batch))
    if not kept:
        raise DataError("expected rows, got none")
    joined = {name: np.concatenate(parts) for name, parts in kept.items()}
    if surprises:
        together = np.concatenate(surprises)
        usual = _usual(together)
        joined |= _excess(together, usual)
    return Statistics(joined, kind, usual, background_kind)


def _surprise(found: Examination, batch: Batch) -> np.ndarray | None:
    """[rows, cells], NaN where a cell is missing, infinite where it is beyond all numbers."""
    if found.surprise is None:
        return None
    surprise = found.surprise.float().cpu().numpy()
    strange = ~np.isfinite(surprise)
    for row in np.flatnonzero(strange.any(1)):
        # one absurd number may upset all cells: it is the one to be named
        size = batch.x[row].abs().reshape(surprise.shape[1], -1).amax(1).cpu().numpy()
        surprise[row, strange[row] & (size < size[strange[row]].max())] = 0.0
        surprise[row, strange[row] & (size == size[strange[row]].max())] = np.inf
    if batch.observed is not None:
        seen = batch.observed.reshape(*surprise.shape, -1).any(-1).cpu().numpy()
        surprise[~seen] = np.nan
    return surprise


def _usual(surprise: np.ndarray) -> np.ndarray:
    """[cells], the mean over the rows in which a cell is there; 0 for one that never is."""
    counted = np.isfinite(surprise)
    total = np.where(counted, surprise, 0.0).sum(0, dtype=np.float64)
    return total / np.maximum(1, counted.sum(0))


def _excess(surprise: np.ndarray, usual: np.ndarray) -> dict[str, np.ndarray]:
    """Of each row: the largest surprise beyond the usual, the cell that has it, the spread.

    All over the cells that are there; a row without any has nothing odd.
    """
    seen = ~np.isnan(surprise)
    beyond = np.where(seen, surprise - usual, -np.inf)
    cells = beyond.argmax(1)
    largest = np.take_along_axis(beyond, cells[:, None], 1)[:, 0].astype(np.float64)
    largest = np.where(seen.any(1), largest, 0.0)
    number = np.maximum(1, seen.sum(1))
    values = np.where(seen, surprise, 0.0).astype(np.float64)
    with np.errstate(invalid="ignore"):  # infinite surprise has an infinite spread
        mean = values.sum(1) / number
        squares = np.where(seen, (values - mean[:, None]) ** 2, 0.0)
        spread = np.sqrt(squares.sum(1) / number)
    spread = np.where(np.isinf(values).any(1), np.inf, spread)
    return {"largest_excess": largest, "odd_cell": cells, "spread": spread}


def _uniforms(keys: RowKeys, batch: Batch) -> np.ndarray:
    """[rows], between 0 and 1."""
    found = fixed_uniforms(_TIES, keys.of(batch), (1,))
    return found[:, 0].double().cpu().numpy() + 2.0**-25


def _array(batch: Batch) -> np.ndarray:
    """[rows, *shape], NaN where a cell is missing."""
    x: Tensor = batch.x
    if batch.observed is not None:
        x = x.masked_fill(~batch.observed, torch.nan)
    return x.cpu().numpy()
