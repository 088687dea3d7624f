"""Options of `evaluate` that annealing needs, and which rows it takes."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from ancestral.cli.opened import random_rows
from ancestral.core import OptionError, Precision
from ancestral.data import Source
from ancestral.inference.evidence import AnnealedImportance, Start

__all__ = ["ANNEALED", "AnnealingOptions", "chosen_rows"]

ANNEALED = ("ais", "bdmc")
_ROWS = 100  # of a split, unless told otherwise: each takes about a second


@dataclass(frozen=True)
class AnnealingOptions:
    """What was asked for; None stands for the defaults of `AnnealedImportance`.

    Args:
        temperatures: of the path.
        chains: for each datum.
        leapfrog_steps: of each transition.
        start: prior or posterior.
    """

    temperatures: int | None = None
    chains: int | None = None
    leapfrog_steps: int | None = None
    start: str | None = None

    def check(self, method: str) -> None:
        """Refuse numbers out of range, and options of a method that was not asked for."""
        for name, value in vars(self).items():
            word = "--" + name.replace("_", "-")
            if value is None:
                continue
            if method not in ANNEALED:
                raise OptionError(
                    f"{word} is an option of --method ais and bdmc, got --method {method}",
                    hint=f"add --method ais, or leave out {word}",
                )
            if isinstance(value, int) and value < 1:
                raise OptionError(f"expected {word} to be at least 1, got {value}")

    def method(
        self, seed: int, precision: Precision, on_rows: Callable[[float], None] | None = None
    ) -> AnnealedImportance:
        """Annealed importance sampling with these options."""
        usual = AnnealedImportance()
        return AnnealedImportance(
            self.temperatures or usual.num_temperatures,
            self.chains or usual.num_chains,
            self.leapfrog_steps or usual.num_leapfrog_steps,
            usual.start if self.start is None else Start(self.start),
            seed,
            precision,
            on_rows=on_rows,
        )


def chosen_rows(source: Source, num_rows: int | None, method: str) -> tuple[Source, str | None]:
    """The rows to evaluate, and a note if these are not all.

    Args:
        source: a split.
        num_rows: how many; None: all, but 100 where annealing is asked for.
        method: of the evidence.

    Raises:
        OptionError: fewer than one was asked for.
    """
    if num_rows is not None and num_rows < 1:
        raise OptionError(f"expected --rows to be at least 1, got {num_rows}")
    if num_rows is None:
        num_rows = _ROWS if method in ANNEALED else len(source)
    chosen = random_rows(source, num_rows)
    if len(chosen) == len(source):
        return source, None
    note = (
        f"these are {len(chosen):,} rows at random of {len(source):,}, the same ones at each "
        "call; --rows takes another number"
    )
    return chosen, note
