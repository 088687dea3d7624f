"""`Heralded`: what is to be trained is said once it is known that it can be."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ancestral.training import Reporter
from ancestral.training.reporting import Position

__all__ = ["Heralded"]


class Heralded:
    """A reporter that begins with some sentences, when training begins.

    Choices that do not fit the data are refused before that, and then an error stands alone.

    Args:
        reporter: which shows everything.
        sentences: to begin with.
    """

    def __init__(self, reporter: Reporter, sentences: Sequence[str]) -> None:
        self._reporter = reporter
        self._sentences = list(sentences)

    def say(self, sentence: str) -> None:
        """Show one sentence."""
        self._begin()
        self._reporter.say(sentence)

    def progress(self, position: Position, terms: dict[str, float]) -> None:
        """Show where the run is."""
        self._begin()
        self._reporter.progress(position, terms)

    def epoch(self, record: dict[str, Any]) -> None:
        """Show a finished epoch."""
        self._begin()
        self._reporter.epoch(record)

    def close(self) -> None:
        """The run is over."""
        self._reporter.close()

    def _begin(self) -> None:
        while self._sentences:
            self._reporter.say(self._sentences.pop(0))
