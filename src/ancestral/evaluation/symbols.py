"""Nats for each symbol of text: the number that models of text are compared by."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from ancestral.core import IncompatibleChoices
from ancestral.data import Source, TextWindows
from ancestral.models import AutoregressiveModel
from ancestral.models.autoregressive import check_running, log_prob_running
from ancestral.networks.causal import UntilEnd

__all__ = ["PerSymbol", "per_symbol"]

_ROWS = 100


@dataclass(frozen=True)
class PerSymbol:
    """-log p for each symbol.

    Args:
        nats: mean; lower is better.
        std_error: of the mean, over windows or sequences.
        num_symbols: that were predicted: all of a running text, or all of each sequence and its
            end.
        overlap: symbols that are known before each predicted one, at least, but for the first
            of a running text; None where sequences are data of their own.
    """

    nats: float
    std_error: float
    num_symbols: int
    overlap: int | None = None

    @property
    def bits(self) -> float:
        """The same in bits."""
        return self.nats / math.log(2)

    def in_words(self) -> str:
        """What the number is, for people.

        Example:
            >>> PerSymbol(1.5, 0.01, 55_770, 128).in_words()
            'exact, 55,770 symbols of running text, each given at least the 128 before it'
        """
        if self.overlap is None:
            return f"exact, {self.num_symbols:,} symbols with the ends of their sequences"
        return (
            f"exact, {self.num_symbols:,} symbols of running text, each given at least the "
            f"{self.overlap} before it"
        )

    def to_dict(self) -> dict[str, Any]:
        """For JSON."""
        return {
            "nats": self.nats,
            "bits": self.bits,
            "std_error": self.std_error,
            "symbols": self.num_symbols,
            "overlap": self.overlap,
        }

    @staticmethod
    def from_dict(d: Mapping[str, Any]) -> PerSymbol:
        """Undo `to_dict`."""
        return PerSymbol(d["nats"], d["std_error"], d["symbols"], d["overlap"])


@torch.no_grad()
def per_symbol(model: nn.Module, source: Source) -> PerSymbol | None:
    """Nats for each symbol; None for data that are no text, and models that cannot say.

    Windows side by side would ask for the first symbols of each without what came before them:
    running text is read with an overlap of half a window instead, by models in the order of
    storage. Sequences with an end symbol are data of their own; the symbols after the first end
    do not count, so the model must know that they are certain: its network is an `UntilEnd`.
    Others pay for the padding, and have no number that is of the symbols alone.
    """
    if not isinstance(model, AutoregressiveModel) or source.spec.context:
        return None
    if isinstance(source, TextWindows):
        try:
            check_running(model)
        except IncompatibleChoices:
            return None
        values = -log_prob_running(model, source.text).double()
        groups = [part.mean() for part in values.split(model.network.num_sites)]
        overlap = model.network.num_sites // 2
        return PerSymbol(float(values.mean()), _std_error(groups), len(values), overlap)
    end = source.spec.end_code
    if end is None or not isinstance(model.network, UntilEnd):
        return None
    nats, counts = [], []
    for batch in source.ordered(_ROWS):
        nats.append(-model.log_prob(batch.x).double())
        counts.append((batch.x != end).sum(-1).add(1).clamp_max(batch.x.shape[-1]))
    total, count = torch.cat(nats), torch.cat(counts)
    mean = float(total.sum() / count.sum())
    # of a ratio: residuals of the sequences' totals
    error = (
        float((total - mean * count).std()) / math.sqrt(len(count)) / float(count.double().mean())
    )
    return PerSymbol(mean, error, int(count.sum()))


def _std_error(groups: list[Tensor]) -> float:
    means = torch.stack(groups)
    return float(means.std()) / math.sqrt(len(means)) if len(means) > 1 else math.nan
