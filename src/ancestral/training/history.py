"""What training reports: one record for each epoch."""

from __future__ import annotations

import json
import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

__all__ = ["History", "MetricsWriter", "TensorBoardMetrics"]


@dataclass
class History:
    """Records of finished epochs.

    Attributes:
        records: one dictionary for each epoch: `epoch`, `step`, `seconds`, `learning_rate`,
            `train/NAME` and `valid/NAME` for each term of the objective, in nats per datum.
    """

    records: list[dict[str, Any]] = field(default_factory=list)

    def column(self, name: str) -> list[float]:
        """One quantity over the epochs that have it."""
        return [r[name] for r in self.records if name in r]

    def save(self, path: Path) -> None:
        """Write one JSON object a line, to a temporary name and then renamed."""
        temporary = path.with_name(path.name + ".tmp")
        temporary.write_text("".join(json.dumps(r) + "\n" for r in self.records))
        os.replace(temporary, path)

    @staticmethod
    def load(path: Path) -> History:
        """Read what `save` wrote; no file gives no records."""
        if not path.exists():
            return History()
        return History([json.loads(line) for line in path.read_text().splitlines() if line])


class MetricsWriter(Protocol):
    """Where each epoch's record goes, besides the run folder's `metrics.jsonl`."""

    def write(self, record: dict[str, Any]) -> None:
        """Take one epoch's record."""
        ...


class TensorBoardMetrics:
    """Writes records as TensorBoard scalars; needs the extra `tensorboard`.

    Args:
        folder: of the event files, made with the first record.
    """

    def __init__(self, folder: Path) -> None:
        from torch.utils.tensorboard import SummaryWriter

        self._folder = folder
        self._open = SummaryWriter  # which makes the folder, so not before there is a record
        self._writer: SummaryWriter | None = None

    def write(self, record: dict[str, Any]) -> None:
        """One scalar for each number."""
        if self._writer is None:
            self._writer = self._open(str(self._folder))
        for name, value in record.items():
            if "/" in name or name == "learning_rate":
                self._writer.add_scalar(name, value, record["step"])
        self._writer.flush()
