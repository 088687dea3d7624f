"""`Statistics`: the few numbers of each row by which odd rows are told."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn

from ancestral.applications.detection.complexity import complexity_bits
from ancestral.applications.detection.examining import examine
from ancestral.core import Batch, DataError, Specification
from ancestral.core.estimate import Kind
from ancestral.inference.posteriors import Posterior

__all__ = ["Statistics", "statistics_of"]


@dataclass(frozen=True)
class Statistics:
    """Numbers of each row under a model, and of the row itself.

    Attributes:
        columns: [rows] float64 each, by name: `log_prob` in nats; `complexity`, the bits of the
            row's smallest lossless file; where the model tells cells apart `largest_excess`, the
            surprise of a cell beyond what is usual of that cell, in nats, `odd_cell`, which one
            that is, and `spread`, the standard deviation of the surprise over the row's cells,
            in nats; of latent-variable models `reconstruction` and `kl` in nats; and, where
            there is a background model, `background`, log p under it.
        kind: what `log_prob` is: exact, or a lower bound.
        usual: [cells], mean surprise of each cell over normal rows, in nats; None where cells
            are not told apart. Cells differ: incomes in pence have a larger one than sexes.
    """

    columns: Mapping[str, np.ndarray]
    kind: Kind
    usual: np.ndarray | None = None

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
        return Statistics(columns, self.kind, self.usual)


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

    The numbers of a row depend on the row alone, not on the rows beside it.

    Args:
        model: in evaluation mode.
        posterior: q, for latent-variable models.
        batches: the rows.
        spec: what a row is.
        usual: [cells], mean surprise of each cell over normal rows; None: these rows are such,
            and their surprise is held in memory, 4 bytes a cell.
        background: model and posterior of likelihood ratios.
        num_samples: of q for each row, where log p is a bound.
        seed: of the samples.
        on_rows: is told of rows that are done.

    Raises:
        NotExact: the model has neither log p nor a bound on it.
        DataError: there are no rows, or log p of some is no number.
    """
    kept: dict[str, list[np.ndarray]] = {}
    surprises: list[np.ndarray] = []
    kind: Kind = "exact"
    for batch in batches:
        found = examine(model, posterior, batch, num_samples=num_samples, seed=seed)
        kind = found.kind
        columns = {"log_prob": found.log_prob, **found.terms}
        if background is not None:
            beside = examine(*background, batch, num_samples=num_samples, seed=seed)
            columns["background"] = beside.log_prob
        numbers = {name: column.double().cpu().numpy() for name, column in columns.items()}
        numbers["complexity"] = complexity_bits(_array(batch), spec)
        if found.surprise is not None:
            surprise = found.surprise.float().cpu().numpy()
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
        mean = usual = together.mean(0, dtype=np.float64)
        joined |= _excess(together, mean)
    _check(joined["log_prob"])
    return Statistics(joined, kind, usual)


def _excess(surprise: np.ndarray, usual: np.ndarray) -> dict[str, np.ndarray]:
    """Of each row: the largest surprise beyond the usual, the cell that has it, the spread."""
    beyond = surprise - usual
    cells = beyond.argmax(1)
    largest = np.take_along_axis(beyond, cells[:, None], 1)[:, 0]
    spread = surprise.std(1, dtype=np.float64)
    return {"largest_excess": largest.astype(np.float64), "odd_cell": cells, "spread": spread}


def _array(batch: Batch) -> np.ndarray:
    """[rows, *shape], NaN where a cell is missing."""
    x: Tensor = batch.x
    if batch.observed is not None:
        x = x.masked_fill(~batch.observed, torch.nan)
    return x.cpu().numpy()


def _check(log_prob: np.ndarray) -> None:
    undefined = np.flatnonzero(np.isnan(log_prob))
    if undefined.size:
        raise DataError(
            f"log p of {undefined.size:,} rows is not a number, of row {undefined[0]} first",
            hint="look at those rows for values far outside those of the training data",
        )
