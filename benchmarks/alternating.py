"""Ratios on a noisy machine: variants run in turn, round after round, in one process.

The figure of a variant is the median of its rounds, and its ratio the median of the ratios to the
reference within a round, so that a slow moment of the machine hits all variants alike.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True)
class Timing:
    """Seconds of one variant: median, and median ratio of the reference's time to its own."""

    seconds: float
    speedup: float
    low: float
    high: float


def measure(
    variants: dict[str, Callable[[], None]], reference: str, rounds: int
) -> dict[str, Timing]:
    """Time each variant `rounds` times, in rotating order, after one warm-up round."""
    for run in variants.values():
        run()
    times: dict[str, list[float]] = {name: [] for name in variants}
    names = list(variants)
    for number in range(rounds):
        shift = number % len(names)
        for name in names[shift:] + names[:shift]:
            start = time.perf_counter()
            variants[name]()
            times[name].append(time.perf_counter() - start)
    result = {}
    for name in names:
        ratios = sorted(r / t for r, t in zip(times[reference], times[name], strict=True))
        result[name] = Timing(
            statistics.median(times[name]), statistics.median(ratios), ratios[0], ratios[-1]
        )
    return result


def table(timings: dict[str, Timing], num_items: int, unit: str) -> str:
    """Markdown rows: items a second, ratio, its range over the rounds."""
    lines = [f"| | {unit} a second | ratio | over the rounds |", "| --- | ---: | ---: | ---: |"]
    for name, t in timings.items():
        rate = num_items / t.seconds
        lines.append(f"| {name} | {rate:,.0f} | {t.speedup:.2f} | {t.low:.2f} to {t.high:.2f} |")
    return "\n".join(lines)
