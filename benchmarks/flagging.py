"""How often any row is flagged where all are normal: ranks, and the bound on the tail.

    python benchmarks/flagging.py [--repetitions 300]

Scores are drawn from known distributions, for calibration rows and for rows to be judged alike;
rows are flagged at a false discovery rate of 0.05, which then is the chance to flag any.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Mapping

import numpy as np

from ancestral.applications.detection import Calibration, flagged
from ancestral.applications.detection.pareto_tail import ParetoTail

Draw = Callable[[np.random.Generator, int], np.ndarray]

SCORES: Mapping[str, Draw] = {
    "normal": lambda rng, n: rng.normal(size=n),
    "exponential": lambda rng, n: rng.exponential(size=n),
    "log-normal": lambda rng, n: rng.lognormal(size=n),
    "|t|, 3 degrees": lambda rng, n: np.abs(rng.standard_t(3, n)),
    "chi-squared, 5": lambda rng, n: rng.chisquare(5, n),
    "uniform": lambda rng, n: rng.random(n),
}
SIZES = ((50, 180), (50, 1000), (180, 180), (180, 1000), (500, 1000), (500, 10_000))


def main() -> None:
    parser = argparse.ArgumentParser(description="how often any normal row is flagged")
    parser.add_argument("--repetitions", type=int, default=300)
    repetitions = parser.parse_args().repetitions
    print("| calibration rows, rows | " + " | ".join(SCORES) + " |")
    print("| --- |" + " ---: |" * len(SCORES))
    rng = np.random.default_rng(0)
    for num_known, num_rows in SIZES:
        cells = []
        for draw in SCORES.values():
            found = [_any_flagged(draw, rng, num_known, num_rows) for _ in range(repetitions)]
            by_rank, by_tail = np.mean(found, 0)
            cells.append(f"{by_rank:.3f}, {by_tail:.3f}")
        print(f"| {num_known:,}, {num_rows:,} | " + " | ".join(cells) + " |", flush=True)


def _any_flagged(
    draw: Draw, rng: np.random.Generator, num_known: int, num_rows: int
) -> tuple[bool, bool]:
    known, rows = draw(rng, num_known), draw(rng, num_rows)
    ranks = Calibration.of(known).right(rows)
    bound = np.minimum(ranks, ParetoTail.fit(known).p_values(rows))
    by_tail = np.where(rows > known.max(), bound, ranks)
    return bool(flagged(ranks, 0.05).any()), bool(flagged(by_tail, 0.05).any())


if __name__ == "__main__":
    main()
