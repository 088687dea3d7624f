"""The rate-distortion curve of beta-VAEs (Alemi et al., 2018).

    [ANCESTRAL_DATA=DATA] python benchmarks/rate_distortion.py [--data digits] [--out FOLDER]
        [--betas 0.2 ...] [--epochs 300] [--hidden-size 200] [--latent-size 16] [--split train]

One `beta_vae` for each beta, without dropout and to the last epoch, so that each is close to the
best for its beta on the training rows, whose curve is drawn: the theory is about optima. Prints a
Markdown row for each, the slope of the chord to the next one beside the two slopes that its ends
predict, and writes rate-distortion.png. Digits take a few minutes; `--data mnist --epochs 20
--hidden-size 400` about an hour on two cores.
"""

from __future__ import annotations

import argparse
import itertools
import time
from pathlib import Path

import ancestral
from ancestral.data import Source
from ancestral.evaluation.rate_distortion import RateDistortion, rate_distortion, segments
from ancestral.plots import RatePoint, rate_distortion_plane, save

BETAS = [0.25, 0.5, 1.0, 2.0, 4.0, 8.0, 16.0]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", default="digits")
    parser.add_argument("--out", type=Path, default=Path())
    parser.add_argument("--betas", type=float, nargs="+", default=BETAS)
    parser.add_argument("--epochs", type=int, default=300)
    parser.add_argument("--hidden-size", type=int, default=200)
    parser.add_argument("--latent-size", type=int, default=16)
    parser.add_argument("--split", default="train")
    arguments = parser.parse_args()
    data = ancestral.load_dataset(arguments.data)
    points: list[tuple[float, RateDistortion]] = []
    print("| beta | rate R | distortion D | ELBO = -(D + R) | seconds |")
    print("| ---: | ---: | ---: | ---: | ---: |", flush=True)
    for beta in sorted(arguments.betas):
        started = time.perf_counter()
        found = _trained(data.train, data.split(arguments.split), beta, arguments)
        seconds = time.perf_counter() - started
        points.append((beta, found))
        print(
            f"| {beta:g} | {found.rate:.2f} ± {found.rate_error:.2f} | {found.distortion:.2f} ± "
            f"{found.distortion_error:.2f} | {found.elbo:.2f} | {seconds:.0f} |",
            flush=True,
        )
    print("\n| from beta to beta | slope dD/dR | predicted between | short of it, nats |")
    print("| ---: | ---: | ---: | ---: |")
    chords = segments(points)
    for chord in chords:
        print(
            f"| {-chord.steepest:g} to {-chord.flattest:g} | {chord.slope:.3f} | "
            f"{chord.steepest:g} and {chord.flattest:g} | {chord.shortfall:.2f} |"
        )
    slopes = [chord.slope for chord in chords]
    convex = all(a <= b for a, b in itertools.pairwise(slopes))
    print(f"\nthe curve is {'convex' if convex else 'not convex'}")
    arguments.out.mkdir(parents=True, exist_ok=True)
    path = arguments.out / "rate-distortion.png"
    plane = rate_distortion_plane([RatePoint(b, p.rate, p.distortion) for b, p in points])
    save(plane, path)
    print(path)


def _trained(
    train: Source, shown: Source, beta: float, arguments: argparse.Namespace
) -> RateDistortion:
    model = ancestral.build(
        "beta_vae",
        beta=beta,
        latent_size=arguments.latent_size,
        hidden_size=arguments.hidden_size,
        num_blocks=1,
        dropout=0.0,
        epochs=arguments.epochs,
        patience=0,
        schedule="cosine",
        seed=1,
    )
    # the training rows decide: theirs are the optima that the curve is made of
    model.fit(train, validation=train)
    return rate_distortion(model.model_, model.posterior_, shown.ordered(500))


if __name__ == "__main__":
    main()
