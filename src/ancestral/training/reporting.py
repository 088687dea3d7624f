"""What a person sees while a model trains."""

from __future__ import annotations

import sys
import time
from dataclasses import dataclass
from typing import Any, Protocol

__all__ = ["LineReporter", "Position", "ProgressReporter", "Reporter", "Silent", "reporter_for"]


@dataclass(frozen=True)
class Position:
    """Where a run is.

    Attributes:
        epoch: epochs begun, from 1.
        epochs: at most.
        step: steps done.
        num_steps: at most.
        seconds: spent, over all parts of the run.
        max_seconds: limit, or None.
    """

    epoch: int
    epochs: int
    step: int
    num_steps: int
    seconds: float
    max_seconds: float | None

    @property
    def fraction(self) -> float:
        """Share of the run that is done, by steps or by time, whichever is further."""
        by_steps = self.step / max(self.num_steps, 1)
        by_time = self.seconds / self.max_seconds if self.max_seconds else 0.0
        return min(1.0, max(by_steps, by_time))


class Reporter(Protocol):
    """Watches a run; everything goes to standard error."""

    def say(self, sentence: str) -> None:
        """Show one sentence."""
        ...

    def progress(self, position: Position, terms: dict[str, float]) -> None:
        """Show where the run is; called several times a second."""
        ...

    def epoch(self, record: dict[str, Any]) -> None:
        """Show a finished epoch."""
        ...

    def close(self) -> None:
        """The run is over."""
        ...


class Silent:
    """Says nothing."""

    def say(self, sentence: str) -> None:
        """Nothing."""

    def progress(self, position: Position, terms: dict[str, float]) -> None:
        """Nothing."""

    def epoch(self, record: dict[str, Any]) -> None:
        """Nothing."""

    def close(self) -> None:
        """Nothing."""


class LineReporter:
    """Plain lines, for logs and pipes: an epoch at most every `seconds`."""

    def __init__(self, seconds: float = 10.0) -> None:
        self._seconds = seconds
        self._last = -float("inf")
        self._pending: dict[str, Any] | None = None

    def say(self, sentence: str) -> None:
        """One line."""
        print(sentence, file=sys.stderr, flush=True)

    def progress(self, position: Position, terms: dict[str, float]) -> None:
        """Nothing: lines come with epochs."""

    def epoch(self, record: dict[str, Any]) -> None:
        """One line, unless another came shortly before."""
        now = time.monotonic()
        if now - self._last >= self._seconds:
            self._last, self._pending = now, None
            self.say(epoch_line(record))
        else:
            self._pending = record

    def close(self) -> None:
        """The last epoch is always shown."""
        if self._pending is not None:
            self.say(epoch_line(self._pending))
            self._pending = None


class ProgressReporter:
    """A live bar, and under it the bound with its terms, on a terminal."""

    def __init__(self) -> None:
        from rich.console import Console, Group
        from rich.live import Live
        from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn
        from rich.text import Text

        self._bar = Progress(
            TextColumn("epoch {task.fields[epoch]}"),
            BarColumn(bar_width=30),
            TextColumn("{task.percentage:>3.0f}%"),
            TimeRemainingColumn(compact=True),
        )
        self._task = self._bar.add_task("fit", total=1.0, epoch="")
        self._train, self._valid = Text(), Text(style="bold")
        shown = Group(self._bar, self._train, self._valid)
        console = Console(stderr=True)
        self._live = Live(shown, console=console, transient=True, refresh_per_second=4)
        self._live.start()

    def say(self, sentence: str) -> None:
        """One line above the bar."""
        self._live.console.print(sentence, markup=False, highlight=False)

    def progress(self, position: Position, terms: dict[str, float]) -> None:
        """Move the bar."""
        epoch = f"{position.epoch}/{position.epochs}"
        self._bar.update(self._task, completed=position.fraction, epoch=epoch)
        self._train.plain = "train  " + _in_words(terms)

    def epoch(self, record: dict[str, Any]) -> None:
        """Show the validation bound under the bar from now on."""
        valid = _of_split(record, "valid")
        if valid:
            self._valid.plain = f"valid  {_in_words(valid)} (best {record['best']:.2f})"

    def close(self) -> None:
        """Remove the bar."""
        self._live.stop()


def reporter_for(stream: Any) -> Reporter:
    """A bar on a terminal, lines elsewhere."""
    return ProgressReporter() if stream.isatty() else LineReporter()


def epoch_line(record: dict[str, Any]) -> str:
    """One epoch in words and numbers.

    Example:
        >>> epoch_line({"epoch": 3, "seconds": 61.0, "train/bound": -99.5, "valid/bound": -101.25})
        'epoch 3 (61 s): train bound -99.50; valid bound -101.25'
    """
    splits = {split: _of_split(record, split) for split in ("train", "valid")}
    parts = [f"{split} {_in_words(terms)}" for split, terms in splits.items() if terms]
    return f"epoch {record['epoch']} ({record['seconds']:.0f} s): " + "; ".join(parts)


def _of_split(record: dict[str, Any], split: str) -> dict[str, float]:
    start = split + "/"
    return {k.removeprefix(start): v for k, v in record.items() if k.startswith(start)}


def _in_words(terms: dict[str, float]) -> str:
    return ", ".join(f"{name.replace('_', ' ')} {value:.2f}" for name, value in terms.items())
