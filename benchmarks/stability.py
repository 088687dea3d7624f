"""Whether anything is ever not finite: every latent recipe with defaults, at three learning rates.

A run fails if its loss, a logged number, a weight, log p of test rows or a sample is not finite.
"refused" are data that a recipe does not take, and says so; "unfinished" are runs that met the
time limit first; "left out" are steps whose gradient was not finite. Recipes that are solved in
closed form have no learning rate and are left out.

    python benchmarks/stability.py [--steps 10000] [--rates 1e-4 1e-3 1e-2] [--recipes vae ...]
        [--data digits binarized-mnist ...] [--max-minutes 10] [--threads 1]

Exit status 1 if a run failed.
"""

from __future__ import annotations

import argparse
import math
import sys
import time
import warnings
from dataclasses import dataclass

import numpy as np
import torch

import ancestral
from ancestral.core import AncestralError, NonFiniteLoss, NotExact
from ancestral.data import Dataset, Source

DATA = (
    "digits",
    "binarized-mnist",
    "dynamic-mnist",
    "silhouettes",
    "omniglot",
    "freyfaces",
    "cifar10-subset",
    "nltcs",
    "dna",
    "wine-red",
    "parkinsons",
    "mixology",
)
CLOSED_FORM = ("ppca",)
SCORED_ROWS = 50
VALIDATION_ROWS = 100  # small: some posteriors are fitted anew to each row, each epoch


@dataclass(frozen=True)
class Run:
    """How one training went; `failure` is "" if all was finite."""

    recipe: str
    data: str
    rate: float
    steps: int
    seconds: float
    outcome: str
    failure: str = ""


def latent_recipes() -> list[str]:
    """Recipes with latent variables that are trained by gradient steps."""
    return [
        name
        for name, recipe in ancestral.REGISTRY.items()
        if {"latent", "no bound"} & set(recipe.tags) and name not in CLOSED_FORM
    ]


def trained(
    recipe: str, data: Dataset, rate: float, steps: int, max_minutes: float, **options: object
) -> Run:
    """Train a recipe for so many steps, and look at every number it gives."""
    source, validation = data.train, data.splits.get("valid")
    batch_size = int(ancestral.REGISTRY[recipe].training.get("batch_size", 100))
    rows = steps * batch_size
    if len(source) > rows:
        source = source.subset(slice(0, rows))
    if validation is not None:
        validation = validation.subset(slice(0, min(len(validation), VALIDATION_ROWS)))
    started = time.perf_counter()

    def run(outcome: str, taken: int, failure: str = "") -> Run:
        seconds = time.perf_counter() - started
        return Run(recipe, data.name, rate, taken, seconds, outcome, failure)

    estimator = ancestral.build(
        recipe,
        learning_rate=rate,
        epochs=max(1, math.ceil(rows / len(source))),
        max_minutes=max_minutes,
        patience=0,
        seed=0,
        **options,
    )
    try:
        estimator.fit(source, validation=validation)
    except NonFiniteLoss as error:
        return run("FAILED", -1, error.message)
    except AncestralError as error:
        return run("refused", 0, error.message)
    taken = int(estimator.history_.records[-1]["step"])
    failure = _not_finite(estimator, data)
    outcome = "FAILED" if failure else "finite" if taken >= steps else "finite, unfinished"
    left_out = int(estimator.history_.records[-1].get("left_out_steps", 0))
    return run(f"{outcome}, {left_out} steps left out" if left_out else outcome, taken, failure)


def _not_finite(estimator: ancestral.DensityEstimator, data: Dataset) -> str:
    """The first number that is not finite, or ""."""
    for record in estimator.history_.records:
        for name, value in record.items():
            if isinstance(value, float) and not math.isfinite(value):
                return f"{name} of epoch {record['epoch']} is {value}"
    modules = {"p": estimator.model_, "q": estimator.posterior_}
    for letter, module in modules.items():
        for name, weight in module.named_parameters() if module is not None else ():
            if not bool(weight.isfinite().all()):
                return f"the weights {letter}.{name} are not finite"
    rows: Source = next(
        data.splits[name] for name in ("test", "valid", "train") if name in data.splits
    )
    rows = rows.subset(slice(0, min(len(rows), SCORED_ROWS)))
    try:
        score = estimator.score_samples(rows)
        if not bool(score.value.isfinite().all()):
            return f"log p of {int((~score.value.isfinite()).sum())} test rows is not finite"
    except NotExact:
        pass  # an autoencoder has none
    try:
        if not np.isfinite(estimator.sample(4, seed=0)).all():
            return "a sample is not finite"
    except NotExact:
        pass
    return ""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("--steps", type=int, default=10_000)
    parser.add_argument("--rates", type=float, nargs="+", default=[1e-4, 1e-3, 1e-2])
    parser.add_argument("--recipes", nargs="+", default=latent_recipes())
    parser.add_argument("--data", nargs="+", default=list(DATA))
    parser.add_argument("--max-minutes", type=float, default=10.0, help="of each run")
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    warnings.simplefilter("ignore")
    print("| recipe | data | learning rate | steps | seconds | outcome |")
    print("| --- | --- | ---: | ---: | ---: | --- |")
    failed = 0
    for name in options.data:
        data = ancestral.load_dataset(name)
        for recipe in options.recipes:
            for rate in options.rates:
                run = trained(recipe, data, rate, options.steps, options.max_minutes)
                failed += run.outcome == "FAILED"
                outcome = run.outcome + (f": {run.failure}" if run.failure else "")
                print(
                    f"| `{recipe}` | {name} | {rate:g} | {run.steps:,} | {run.seconds:.0f} | "
                    f"{outcome} |",
                    flush=True,
                )
                if run.outcome == "refused":
                    break
    print(f"\n{failed} runs failed", file=sys.stderr)
    sys.exit(failed > 0)


if __name__ == "__main__":
    main()
